"""The laws of the training loop, on small models of both kinds: with a codebook and without."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lam_models.command import UserError
from lam_models.stages.training.journal import TIMINGS, read_metrics
from lam_models.stages.training.loop import Recipe, Stopped, mean_loss, recipe_of, train
from lam_models.stages.training.snapshot import snapshots
from lam_models.systems import find
from lam_models.systems.roles import ClipBatch

RECIPE = Recipe(
    steps=20,
    batch_size=4,
    learning_rate=1e-3,
    weight_decay=0.01,
    gradient_clip=1.0,
    warmup_steps=3,
    final_rate=0.1,
    ema_decay=0.9,
    checkpoint_every=5,
    log_every=4,
    validate_every=6,
)


def tiny(name: str = "lapa") -> Any:
    torch.manual_seed(0)
    kind = find(name)
    return kind(kind.Config.tiny())


def images(step: int) -> ClipBatch:
    draw = torch.Generator().manual_seed(step)
    return ClipBatch(torch.rand(4, 2, 3, 32, 32, generator=draw))


def vectors(step: int) -> ClipBatch:
    """A world of two dimensions seen through sixteen."""
    draw = torch.Generator().manual_seed(step)
    axes = torch.randn(2, 16, generator=torch.Generator().manual_seed(7))
    start, move = torch.randn(2, 32, 2, generator=draw)
    return ClipBatch(torch.stack([start @ axes, (start + 0.3 * move) @ axes], dim=1))


def run(folder: Path, batch_at: Any = images, name: str = "lapa", **changes: Any) -> Any:
    resume = changes.pop("resume", False)
    recipe = dataclasses.replace(RECIPE, **changes)
    validate = mean_loss(lambda: [batch_at(10**6)])
    return train(tiny(name), batch_at, recipe, folder, validate=validate, resume=resume)


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = read_metrics(folder)
    return [{k: v for k, v in line.items() if k not in TIMINGS} for line in lines]


def signalled(number: int, at: int) -> Any:
    """Batches, in the middle of which a signal arrives."""

    def batch_at(step: int) -> ClipBatch:
        if step == at:
            os.kill(os.getpid(), number)
        return images(step)

    return batch_at


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed_equals_never_interrupted(tmp_path: Path, number: int) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(Stopped, match=r"stopped after step 10; saved in .*parts") as stopped:
        run(tmp_path / "parts", signalled(number, at=9))
    assert stopped.value.step == 10
    # What a killed run may leave behind the last snapshot is dropped.
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "loss": 0.0}\n{"step": 1')
    parts = run(tmp_path / "parts", resume=True)
    assert whole.weights.keys() == parts.weights.keys()
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert logged(tmp_path / "whole") == logged(tmp_path / "parts")
    assert {k: v for k, v in whole.metrics.items() if k not in TIMINGS} == {
        k: v for k, v in parts.metrics.items() if k not in TIMINGS
    }


def test_a_killed_run_resumes_from_its_last_snapshot(tmp_path: Path) -> None:
    def labelled_late(step: int) -> ClipBatch:
        actions = torch.full((32, 1, 2), 0.5) if step >= 8 else None
        return dataclasses.replace(vectors(step), actions=actions)

    def killed(step: int) -> ClipBatch:
        if step == 13:
            raise OSError("the disk is gone")
        return labelled_late(step)

    whole = run(tmp_path / "whole", labelled_late, "linear")
    with pytest.raises(OSError, match="the disk is gone"):
        run(tmp_path / "parts", killed, "linear")
    folder = tmp_path / "parts" / "snapshots"
    assert [path.name for path in snapshots(folder)] == ["step-00000005.pt", "step-00000010.pt"]
    # A damaged last one costs its steps, not the run.
    snapshots(folder)[-1].write_bytes(b"half")
    parts = run(tmp_path / "parts", labelled_late, "linear", resume=True)
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert len(snapshots(folder)) == 2


def test_a_run_is_not_overwritten_and_not_continued_by_another_recipe(tmp_path: Path) -> None:
    run(tmp_path, vectors, "linear", steps=5)
    with pytest.raises(UserError, match="holds a run; resume it, or remove it"):
        run(tmp_path, vectors, "linear", steps=5)
    with pytest.raises(UserError, match=r"begun with learning_rate 0.001, not 0.1"):
        run(tmp_path, vectors, "linear", steps=8, learning_rate=0.1, resume=True)
    assert run(tmp_path, vectors, "linear", steps=8, resume=True).steps == 8


def test_it_learns_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = run(tmp_path, vectors, "linear", steps=300, learning_rate=1e-2, log_every=50)
    lines = [line for line in logged(tmp_path) if "loss" in line]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert trained.metrics["validation/loss"] < 0.5 * lines[0]["loss"]
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6 and shown[-1].startswith("step 300/300  loss ")
    assert list((tmp_path / "tensorboard").iterdir())


def test_validation_does_not_change_the_training(tmp_path: Path) -> None:
    often, never = (run(tmp_path / str(n), validate_every=n) for n in (1, 100))
    assert all(torch.equal(often.weights[name], never.weights[name]) for name in often.weights)


@pytest.mark.parametrize("log_every", [1, 5])
def test_a_loss_that_is_not_finite_stops_with_batch_and_weights(
    tmp_path: Path, log_every: int
) -> None:
    def batch_at(step: int) -> ClipBatch:
        batch = vectors(step)
        return ClipBatch(batch.frames * torch.nan) if step == 2 else batch

    with pytest.raises(UserError, match=r"not finite at step 2 \(loss nan, gradient_norm nan"):
        run(tmp_path / "bad", batch_at, "linear", ema_decay=0.0, log_every=log_every)
    folder = tmp_path / "bad" / "not-finite-step-00000002"
    assert load_file(folder / "batch-0.safetensors")["frames"].isnan().all()
    kept, before = load_file(folder / "weights.safetensors"), tiny("linear")
    recipe = dataclasses.replace(RECIPE, ema_decay=0.0)
    with pytest.raises(Stopped):
        train(before, _interrupting(1), recipe, tmp_path / "good")
    assert all(torch.equal(kept[name], value) for name, value in before.state_dict().items())


def test_weights_that_run_away_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not finite at step"):
        run(tmp_path, learning_rate=1e30, ema_decay=0.0, gradient_clip=0.0)


def _interrupting(at: int) -> Any:
    def batch_at(step: int) -> ClipBatch:
        if step == at:
            os.kill(os.getpid(), signal.SIGINT)
        return vectors(step)

    return batch_at


def test_averaged_weights_are_between_the_first_and_the_last(tmp_path: Path) -> None:
    first = tiny("linear").state_dict()
    last, slow = (
        run(tmp_path / str(decay), vectors, "linear", ema_decay=decay).weights
        for decay in (0.0, 0.9)
    )
    moved = sum((last[k] - first[k]).norm() for k in first)
    assert 0 < sum((slow[k] - first[k]).norm() for k in first) < moved


def test_the_rate_rises_and_falls() -> None:
    rates = [RECIPE.rate(step) for step in range(RECIPE.steps + 1)]
    top = RECIPE.warmup_steps
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top] == max(rates) == RECIPE.learning_rate
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(RECIPE.final_rate * RECIPE.learning_rate)


def test_a_recipe_takes_what_the_config_says() -> None:
    config = find("lapa").Config()
    recipe = recipe_of(config, steps=7, seed=None)
    assert (recipe.steps, recipe.seed) == (7, 0)
    assert (recipe.betas, recipe.gradient_clip) == (config.betas, config.gradient_clip)
