"""The health report as a reader gets it: words, pictures, page and JSON."""

from __future__ import annotations

import functools
import json
from html.parser import HTMLParser

import pytest
from health_toys import NAMES, Codes, Constant, Oracle, Placed, clips, system

from lam_models.command import UserError
from lam_models.stages.health import catalogue
from lam_models.stages.health.command import _write
from lam_models.stages.health.examine import Report, examine
from lam_models.stages.health.gallery import gallery
from lam_models.stages.health.page import as_json, page
from lam_models.stages.health.words import illnesses


@functools.cache
def measured(kind: type[Oracle]) -> Report:
    time = 7 if kind is Codes else 3
    pair = clips(1, time=time), clips(2, count=120, time=time)
    return examine(system(kind), *pair, names=NAMES, name="toy <one>")


def said(**values: float) -> dict[str, str]:
    report = Report("toy", {}, {name.replace("__", "."): v for name, v in values.items()})
    return {illness.name: illness.sentence for illness in illnesses(report)}


def test_each_illness_says_its_number() -> None:
    assert "1.30" in said(prediction__copy_ratio=1.3)["copying"]
    assert "0.15" in said(leak__state=0.15, leak__state_from_action=0.95)["state leak"]
    found = said(probe__linear__all=0.8, probe__linear_unquantised__all=0.3)
    assert "0.80" in found["lost in quantisation"]
    found = said(leak__distractors=0.2, probe__linear__all=0.7, probe__mlp__all=0.7)
    assert "0.20" in found["follows distractors"]
    assert "1.40" in said(transfer__migration=1.4)["bound to its scene (another episode)"]
    assert said(prediction__unpaired_ratio=1.1, prediction__delta_psnr_db=5.0).keys() == {
        "image compression, not action"
    }


def test_sound_numbers_are_no_illness() -> None:
    assert not said(
        prediction__copy_ratio=0.4,
        prediction__delta_psnr_db=4.0,
        prediction__unpaired_ratio=8.0,
        probe__linear__all=0.2,
        probe__linear_frames__all=0.5,
        leak__state=0.9,
        leak__distractors=1.0,
        transfer__migration=0.6,
        transfer__cycle=0.3,
    )
    assert not said(leak__state=0.4, leak__state_from_action=0.4), "the action tells as much"


class Reader(HTMLParser):
    """Checks that tags close, and remembers where pictures come from."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", [Codes, Placed])
def test_the_page_is_whole_and_needs_nothing_else(kind: type[Oracle], tmp_path) -> None:
    report, reader = measured(kind), Reader()
    time = 7 if kind is Codes else 3
    out = tmp_path / "report"
    _write(out, report, gallery(system(kind), clips(2, time=time)))
    html = (out / "report.html").read_text()
    reader.feed(html)
    assert not reader.open and "toy &lt;one&gt;" in html and 'name="viewport"' in html
    assert reader.sources and all(s.startswith("data:image/png;base64,") for s in reader.sources)
    pngs = {path.name for path in out.glob("*.png")}
    assert pngs == {"frames.png", "probes.png"} | ({"codes.png"} if kind is Codes else set())
    assert ("features are nearest" in html) == (kind is Placed)


def test_the_json_names_every_value_and_stays_valid() -> None:
    report = measured(Constant)
    content = json.loads(as_json(report))
    assert content["values"].keys() == report.values.keys()
    assert content["illnesses"][0]["name"] == "collapse"
    broken = Report("toy", report.space, {"prediction.copy_ratio": float("nan")})
    assert json.loads(as_json(broken))["values"] == {"prediction.copy_ratio": None}
    assert "<h2>Prediction" in page(broken, {})


def test_every_measure_has_its_formula() -> None:
    named = catalogue.formulas()
    for name in measured(Codes).values:
        last = name.rsplit(".", 1)
        per_position = last[1].isdigit() and last[0] in named
        assert name in named or per_position or name.startswith("probe."), name


def test_latents_that_are_not_finite_are_refused() -> None:
    class Diverged(Oracle):
        def latent(self, frames):
            return super().latent(frames) * float("nan")

    with pytest.raises(UserError, match="not finite"):
        examine(system(Diverged), clips(1), clips(2))
