"""Model folders: round trip, and a sentence for everything that can be wrong with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from lam_models.checkpoint import (
    FILES,
    CameraSpec,
    Checkpoint,
    Spec,
    open_checkpoint,
    origin_now,
    write,
)
from lam_models.command import UserError
from lam_models.strict_json import from_json, to_json
from lam_models.types import LatentSpec

EXAMPLE = Checkpoint(
    system="linear",
    config={"rank": 8},
    spec=Spec(
        cameras=(CameraSpec("front", 64, 64),),
        state={"ee": ("x_m", "y_m")},
        rate_hz=20.0,
        emits=(LatentSpec("linear", "motion", (1, 8), gap_s=0.5),),
        delta_axes="base",
    ),
    origin=origin_now("abc123", "tiny", {"loss": 0.25}),
    tensors={
        "encoder.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "codes": np.array([1, 2], np.int64),
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    },
    stats={"action": {"mean": np.array([0.1, 0.2]), "std": np.array([1.0, 2.0])}},
)
SHAPES = {name: value.shape for name, value in EXAMPLE.tensors.items()}


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_round_trip_is_exact(tmp_path: Path):
    opened = open_checkpoint(write(tmp_path / "model", EXAMPLE))
    assert (opened.system, opened.config, opened.spec) == ("linear", {"rank": 8}, EXAMPLE.spec)
    assert opened.spec.emits[0].space_hash == EXAMPLE.spec.emits[0].space_hash
    assert replace(opened.origin, weights_hash="") == EXAMPLE.origin
    for name, value in EXAMPLE.tensors.items():
        np.testing.assert_array_equal(opened.tensors[name], value)
        assert opened.tensors[name].dtype == value.dtype
    np.testing.assert_array_equal(opened.stats["action"]["std"], [1.0, 2.0])
    opened.check_shapes(SHAPES)


def test_equal_models_give_equal_files(tmp_path: Path):
    first, second = (write(tmp_path / name, EXAMPLE) for name in ("a", "b"))
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_model_card_says_what_the_model_is(tmp_path: Path):
    card = (write(tmp_path / "model", EXAMPLE) / "README.md").read_text()
    for part in ("# linear", "front 64x64", "tiny", "metric loss | 0.25", '"rank": 8'):
        assert part in card


def test_origin_names_commit_and_versions():
    assert EXAMPLE.origin.versions["numpy"] == np.__version__
    assert len(EXAMPLE.origin.git_commit.removesuffix("-dirty")) in (0, 40)


def test_a_folder_is_replaced_only_when_asked(tmp_path: Path):
    path = write(tmp_path / "model", EXAMPLE)
    with pytest.raises(UserError, match="exists already"):
        write(path, EXAMPLE)
    write(path, replace(EXAMPLE, config={"rank": 9}), overwrite=True)
    assert open_checkpoint(path).config == {"rank": 9}
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, tmp_path: Path):
    path = write(tmp_path / "model", EXAMPLE)
    (path / name).unlink()
    with pytest.raises(UserError, match=f"lacks the file {name}"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", lambda c: c.update(sytem=1), "has keys"),
        ("spec.json", lambda c: c.update(camras=[]), "spec.json: .*Did you mean 'cameras'"),
        ("spec.json", lambda c: c["cameras"][0].pop("height"), "'height' is missing"),
        ("spec.json", lambda c: c.update(rate_hz="20"), "rate_hz: expected float, found '20'"),
        ("spec.json", lambda c: c["emits"][0].update(kind="arm"), "none of 'motion', 'hand'"),
        ("spec.json", lambda c: c["emits"][0].update(shape=[1]), "expected 2 entries, found 1"),
        ("origin.json", lambda c: c.pop("recipe"), "origin.json: the key 'recipe' is missing"),
        ("origin.json", lambda c: c.update(weights_hash=""), "its hash differs"),
    ],
)
def test_bad_content_is_named(
    file: str, change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
):
    path = write(tmp_path / "model", EXAMPLE)
    edit(path / file, change)
    with pytest.raises(UserError, match=message):
        open_checkpoint(path)


def test_damaged_weights_and_text_are_named(tmp_path: Path):
    path = write(tmp_path / "model", EXAMPLE)
    (path / "stats.json").write_text("{")
    with pytest.raises(UserError, match=r"stats\.json is not valid JSON"):
        open_checkpoint(path)
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="its hash differs"):
        open_checkpoint(path)
    with pytest.raises(UserError, match="no model folder at"):
        open_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({**SHAPES, "bias": (2,)}, "lacks the tensor 'bias' of 'linear'"),
        ({**SHAPES, "codes": (3,)}, r"'codes' has shape \(2,\), 'linear' needs \(3,\)"),
        ({"codes": (2,), "transposed": (3, 2)}, "unknown tensor of 'linear' 'encoder.weight'"),
    ],
)
def test_weights_of_another_shape_are_refused(expected: dict[str, tuple[int, ...]], message: str):
    with pytest.raises(UserError, match=message):
        EXAMPLE.check_shapes(expected)


@dataclass(frozen=True)
class Inner:
    width: int = 3


@dataclass(frozen=True)
class Outer:
    name: str
    mode: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    rates: tuple[float, ...] = ()
    note: str | None = None
    table: dict[str, Inner] | None = None


def test_strict_json_round_trip():
    value = Outer("x", "b", Inner(5), (1.0, 2.5), "hi", {"k": Inner(1)})
    assert from_json(Outer, json.loads(json.dumps(to_json(value))), "here") == value
    assert from_json(Outer, {"name": "x", "rates": [1]}, "here") == Outer("x", rates=(1.0,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"here: expected an object"),
        ({}, r"here: the key 'name' is missing"),
        ({"name": "x", "mode": "c"}, r"here: mode: 'c' is none of 'a', 'b'"),
        ({"name": "x", "inner": {"widht": 1}}, r"here: inner: .*Did you mean 'width'"),
        ({"name": "x", "inner": {"width": True}}, r"width: expected int, found True"),
        ({"name": "x", "rates": [1, "2"]}, r"rates\[1\]: expected float, found '2'"),
        ({"name": "x", "note": 5}, r"note: expected str, found 5"),
        ({"name": "x", "table": {"k": 1}}, r"table\.k: expected an object"),
    ],
)
def test_strict_json_names_the_place(content: Any, message: str):
    with pytest.raises(UserError, match=message):
        from_json(Outer, content, "here")
