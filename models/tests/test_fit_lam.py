"""From a dataset to a model folder: what is trained, with which labels, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import PartialState
from squares import NAMES, record_squares

from lam_models.command import UserError
from lam_models.stages.batches import action_statistics, to_batch
from lam_models.stages.fit_command import add_arguments
from lam_models.stages.fit_data import LABELLED_PART, open_fit_data
from lam_models.stages.fit_lam import configured, fit
from lam_models.stages.fit_settings import FitSettings, read_changes
from lam_models.stages.opening import open_system
from lam_models.stages.training.journal import read_metrics
from lam_models.stages.training.loop import Stopped
from lam_models.stages.training.recipe import recipe_of
from lam_models.systems import SYSTEMS, find


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = record_squares(tmp_path_factory.mktemp("data") / "squares")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAM_CACHE", str(path.with_name("cache")))
        yield path


@pytest.fixture
def settings(dataset: Path, tmp_path: Path) -> FitSettings:
    return FitSettings(
        "lapa",
        dataset,
        tmp_path / "out",
        preset="tiny",
        steps=6,
        batch_size=4,
        gap_s=0.2,
        validation=0.25,
    )


def linear(settings: FitSettings, **changes: object) -> FitSettings:
    small = {"observation_dim": 3 * 8**2, "latent_dim": 4}
    return dataclasses.replace(settings, system="linear", changes=small, **changes)


def test_it_writes_a_model_that_opens(settings: FitSettings) -> None:
    result = fit(settings)
    assert result.path == settings.out and np.isfinite(result.metrics["validation/loss"])
    opened = open_system(result.path)
    config = opened.model.config
    assert (config.steps, config.batch_size, config.gap_s) == (6, 4, 0.2)
    assert opened.checkpoint.spec.emits == (opened.model.spec(),)
    assert opened.checkpoint.spec.cameras[0].height == config.image_size
    assert opened.checkpoint.origin.metrics["validation/loss"] == result.metrics["validation/loss"]
    assert not opened.checkpoint.stats, "no labels, no trace of the actions"
    named = {name for line in read_metrics(result.path) for name in line}
    assert {"perplexity", "used_share", "validation/perplexity"} <= named
    assert (result.path / "curves.png").stat().st_size > 0
    assert not settings.out.with_name("out.training").exists()
    with pytest.raises(UserError, match="exists already"):
        fit(settings)


def test_stopped_it_resumes_to_the_same_model(
    settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(settings)
    parts = dataclasses.replace(settings, out=settings.out.with_name("parts"))
    with monkeypatch.context() as patch:
        patch.setattr("lam_models.stages.training.stopping.StopRequest.__bool__", lambda self: True)
        with pytest.raises(Stopped):
            fit(parts)
    with pytest.raises(UserError, match="holds an unfinished run; go on with --resume"):
        fit(parts)
    with pytest.raises(UserError, match="is a run with another config"):
        fit(dataclasses.replace(parts, resume=True, gap_s=0.1))
    resumed = fit(dataclasses.replace(parts, resume=True))
    assert resumed.metrics == whole.metrics
    hashes = [open_system(r.path).checkpoint.origin.weights_hash for r in (whole, resumed)]
    assert hashes[0] == hashes[1]


def test_labels_are_a_share_of_the_training_episodes_alone(settings: FitSettings) -> None:
    settings = linear(settings, labels=0.5)
    config, _ = configured(settings)
    data = open_fit_data(settings, config, needs_actions=False)
    assert data.validation is not None
    training, held = (
        set(part.clips(range(len(part))).episodes.tolist())
        for part in (data.training, data.validation)
    )
    assert (
        not training & held
        and len(training) == 6
        and len(data.labelled) == 3
        and set(data.labelled) <= training
    )
    clips = data.training.clips(np.arange(len(data.training)))
    batch = to_batch(clips, data.action_stats, labelled_episodes=data.labelled)
    assert batch.actions is not None and batch.labelled is not None
    assert batch.labelled.tolist() == [e in data.labelled for e in clips.episodes.tolist()]
    seen = batch.actions[batch.labelled].flatten(0, 1)
    torch.testing.assert_close(seen.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    std = seen.std(0, correction=0)
    assert all(abs(s - 1) < 1e-4 or s == 0 for s in std.tolist())
    model = fit(settings)
    opened = open_system(model.path)
    assert opened.model.config.action_dim == len(NAMES)
    np.testing.assert_allclose(
        opened.checkpoint.stats["action"]["mean"],
        data.action_stats["mean"],  # type: ignore[index]
    )


def test_without_labels_no_action_is_passed_on(settings: FitSettings) -> None:
    settings = linear(settings)
    config, _ = configured(settings)
    data = open_fit_data(settings, config, needs_actions=False)
    clips = data.training.clips(np.arange(4))
    batch = to_batch(clips, data.action_stats)
    assert batch.actions is None and data.labelled == ()
    assert batch.instructions == clips.instructions
    assert batch.frames.shape == (4, 2, 3, 8, 8)
    assert batch.frames.min() >= 0 and batch.frames.max() <= 1
    image = torch.from_numpy(clips.frames[1, 1]).permute(2, 0, 1) / 255
    torch.testing.assert_close(batch.frames[1, 1], image)


def test_a_second_stage_builds_on_the_first(settings: FitSettings, tmp_path: Path) -> None:
    first = fit(dataclasses.replace(settings, system="univla_stage1", steps=2)).path
    second = dataclasses.replace(settings, system="univla", out=tmp_path / "second", gap_s=None)
    with pytest.raises(UserError, match="'univla' builds on another model"):
        fit(second)
    with pytest.raises(UserError, match="width is that of"):
        fit(dataclasses.replace(second, after=first, changes={"width": 64}))
    with pytest.raises(UserError, match="'lapa' builds on no other"):
        fit(dataclasses.replace(second, after=first, system="lapa"))
    path = fit(dataclasses.replace(second, after=first, steps=3)).path
    before, after = open_system(first).model, open_system(path).model
    assert torch.equal(before.vq.codebook, after.vq.codebook), "stage 1's codebook is kept"
    assert after.config == dataclasses.replace(before.config, steps=3)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["width=64", "learning_rate=3e-4"], {"width": 64, "learning_rate": 3e-4}),
        (["betas=0.9,0.95"], {"betas": [0.9, 0.95]}),
        (["vision=7"], {"vision": "7"}),
    ],
)
def test_settings_are_read_as_their_fields_say(words: list[str], changes: object) -> None:
    kind = find("univla_stage1" if "vision" in words[0] else "lapa")
    assert read_changes(words, kind.Config) == changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widht": 3}, "unknown setting 'widht'.*Did you mean 'width'"),
        ({"width": "wide"}, "width: expected int, found 'wide'"),
        ({"image_size": 33}, "image of 33 pixels in patches of 4"),
    ],
)
def test_an_impossible_setting_is_refused(
    settings: FitSettings, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        configured(dataclasses.replace(settings, changes=changes))


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_every_system_has_the_presets(settings: FitSettings, name: str) -> None:
    if hasattr(find(name), "after"):
        return
    for preset in ("paper", "small"):
        chosen = dataclasses.replace(settings, system=name, preset=preset, steps=7)
        assert configured(chosen)[0].steps == 7


@pytest.mark.parametrize("change", [{"labels": 0.0}, {"labels": 2.0}, {"validation": 1.0}])
def test_a_share_is_a_share(settings: FitSettings, change: dict[str, float]) -> None:
    with pytest.raises(UserError, match="share"):
        dataclasses.replace(settings, **change)


def test_a_column_that_never_changes_divides_by_one() -> None:
    stats = action_statistics(np.ones((5, 1, 2), np.float32))
    assert stats["std"].tolist() == [1.0, 1.0]


def test_the_command_line_names_every_setting() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    read = vars(parser.parse_args(["lapa", "data", "--out", "there"]))
    default = vars(FitSettings("lapa", Path("data"), Path("there")))
    assert read | {"changes": {}} == default


def test_a_part_of_every_batch_is_of_the_labelled_episodes(settings: FitSettings) -> None:
    few = dataclasses.replace(settings, system="laom", labels=0.2)
    config, _ = configured(few)
    here = PartialState()
    data = open_fit_data(few, config, needs_actions=False)
    assert len(data.labelled) < len(data.training.cache.episodes) / 2
    recipe = recipe_of(config, batch_size=16)
    for step in range(8):
        batch = data.batch_at(step, recipe, here)
        assert len(batch.frames) == 16 and batch.labelled is not None
        assert int(batch.labelled.sum()) >= LABELLED_PART * 16
    alone = open_fit_data(few, config, needs_actions=True).batch_at(0, recipe, here)
    assert alone.labelled is not None and bool(alone.labelled.all())
