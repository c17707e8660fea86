"""The one training loop: a module with `loss(batch)`, batches by step, and a recipe.

Device, processes (DDP, or FSDP2 by accelerate's own configuration), precision and the clipping of
gradients are accelerate's; `accelerate launch` starts more than one process, each of which is asked
for its share of every batch. Adam, or AdamW where weights decay.

A run lives in a folder: metrics.jsonl, tensorboard/, snapshots/. It is a function of data and seed:
interrupted and resumed, it goes on as if nothing had been (on a CPU, to the bit). SIGINT and
SIGTERM end it between two steps, with all that was trained saved. The loop waits for the GPU only
where it logs, validates or saves. Once a gradient is not finite the optimiser leaves the weights
alone, and the next such point stops the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from accelerate.utils import gather_object
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from lam_models.command import UserError
from lam_models.stages.batches import batch_tensors, to_device
from lam_models.stages.training.journal import Journal
from lam_models.stages.training.recipe import Recipe, recipe_of
from lam_models.stages.training.snapshot import read_snapshot, snapshots, write_snapshot
from lam_models.stages.training.stopping import Stopped, StopRequest
from lam_models.stages.training.trainer import Trainer

__all__ = ["Recipe", "Stopped", "Trained", "mean_loss", "recipe_of", "train"]

Batch = Any  # A dataclass of tensors, such as the model's loss takes.
BatchAt = Callable[[int], Batch]
Objective = Callable[[Batch], tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]]
Validate = Callable[[Objective], Mapping[str, float]]


@dataclass(frozen=True)
class Trained:
    """metrics: every value as it was logged last. weights: the state dict, whole and on the CPU.

    seconds: of this process; what an interrupted one took is not counted.
    """

    steps: int
    metrics: dict[str, float]
    weights: dict[str, Tensor]
    seconds: float


def train(
    model: Any,
    batch_at: BatchAt,
    recipe: Recipe,
    folder: Path,
    *,
    validate: Validate | None = None,
    resume: bool = False,
) -> Trained:
    """Train `model` in place; it ends in evaluation mode, with averaged weights if the recipe says.

    batch_at: this process's share of the batch of a step, a pure function of the step.
    validate: called with the model's loss, in evaluation mode; gives the values to log.
    resume: go on where the run in `folder` stopped; where there is none, begin.
    Raises Stopped (a KeyboardInterrupt) at a signal, UserError at a loss that is not finite.
    """
    saved = _find_snapshot(folder / "snapshots", recipe, resume)
    trainer = Trainer(model, recipe)
    start = 0 if saved is None else trainer.restore(saved)
    started_s = time.monotonic()
    with Journal(folder, start, recipe.steps, trainer.is_first) as journal, StopRequest() as stop:
        run = _Run(trainer, batch_at, journal, folder, validate)
        for step in range(start, recipe.steps):
            run.step(step)
            if run.asked_to_stop(step + 1, bool(stop)):
                run.save(step + 1)
                raise Stopped(step + 1, folder)
        metrics = journal.latest()
    weights = trainer.finish()
    return Trained(recipe.steps, metrics, weights, time.monotonic() - started_s)


def mean_loss(batches: Callable[[], Iterable[Batch]]) -> Validate:
    """Validation by the mean of the loss, and of what is logged with it, over batches."""

    def validate(objective: Objective) -> dict[str, float]:
        values: list[dict[str, Tensor]] = []
        for batch in batches():
            loss, logged = objective(batch)
            values.append({"loss": loss, **logged})
        return averages(values)

    return validate


@dataclass(frozen=True)
class _Run:
    """What is due after each step, and doing it."""

    trainer: Trainer
    batch_at: BatchAt
    journal: Journal
    folder: Path
    validate: Validate | None

    def step(self, step: int) -> None:
        trainer, recipe, journal = self.trainer, self.trainer.recipe, self.journal
        with journal.waiting():
            batch = to_device(self.batch_at(step), trainer.device)
        try:
            trainer.step(step, batch)
        except RuntimeError as error:
            # Random draws refuse weights that are not numbers before any loss is there.
            self.check(step)
            if "nan" in str(error):
                self._stop(step, str(error))
            raise
        journal.advance()
        done, last = step + 1, step + 1 == recipe.steps
        if last or done % recipe.log_every == 0:
            self.log(done)
        if self.validate is not None and (last or done % recipe.validate_every == 0):
            journal.note_validation(trainer.validate(self.validate))
        if last or done % recipe.checkpoint_every == 0:
            self.save(done)

    def log(self, done: int) -> None:
        """The means over steps and processes of what was not logged yet."""
        self.check(done)
        of_ranks = gather_object([averages(self.trainer.unlogged)])
        names = dict.fromkeys(name for values in of_ranks for name in values)
        held = {name: [values[name] for values in of_ranks if name in values] for name in names}
        self.journal.note_training({name: sum(xs) / len(xs) for name, xs in held.items()})
        self.trainer.unlogged.clear()

    def save(self, done: int) -> None:
        self.check(done)
        state = self.trainer.state(done)
        if self.trainer.is_first:
            write_snapshot(self.folder / "snapshots", done, state)
        self.trainer.wait_for_all()

    def asked_to_stop(self, done: int, asked: bool) -> bool:
        """Processes agree only where they meet anyway; after the last step there is no stopping."""
        if done == self.trainer.recipe.steps:
            return False
        if self.trainer.ranks > 1:
            return done % self.trainer.recipe.log_every == 0 and any(gather_object([asked]))
        return asked

    def check(self, done: int) -> None:
        """Raise UserError if a step since the last log was not finite, and leave its traces."""
        unlogged = self.trainer.unlogged
        broken = _not_finite(unlogged)
        firsts = [x for x in gather_object([broken[0] if broken else None]) if x is not None]
        if not firsts:
            return
        index = min(firsts)
        values = averages([unlogged[index]])
        said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._stop(done - len(unlogged) + index, said)

    def _stop(self, step: int, said: str) -> NoReturn:
        """Keep the batch of the step and the weights before it, and raise UserError."""
        folder = self.folder / f"not-finite-step-{step:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        batch = batch_tensors(self.batch_at(step))
        whole = {name: tensor.cpu().contiguous() for name, tensor in batch.items()}
        save_file(whole, folder / f"batch-{self.trainer.rank}.safetensors")
        weights = self.trainer.weights()
        if self.trainer.is_first:
            copied = {name: value.clone() for name, value in weights.items()}
            save_file(copied, folder / "weights.safetensors")
        raise UserError(
            f"training is not finite at step {step} ({said}). The batch and the weights before it: "
            f"{folder}. A lower learning rate, a gradient clip or precision fp32 may help"
        )


def averages(values: list[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of each value over the entries that have it; waits for the device once."""
    names = list(dict.fromkeys(name for entry in values for name in entry))
    held = [
        torch.stack([entry[name].detach() for entry in values if name in entry]) for name in names
    ]
    if not held:
        return {}
    means = torch.stack([x.float().mean() for x in held])
    return dict(zip(names, means.tolist(), strict=True))


def _not_finite(values: list[dict[str, Tensor]]) -> list[int]:
    """The entries whose loss or gradient is not finite; waits for the device once."""
    if not values:
        return []
    whole = torch.stack([x["loss"].float() + x["gradient_norm"] for x in values]).isfinite()
    return [i for i, finite in enumerate(whole.tolist()) if not finite]


def _find_snapshot(folder: Path, recipe: Recipe, resume: bool) -> dict[str, Any] | None:
    if not resume:
        if snapshots(folder):
            raise UserError(f"{folder.parent} holds a run; resume it, or remove it to begin anew")
        return None
    saved = read_snapshot(folder)
    if saved is not None:
        recipe.check_continues(saved["recipe"], folder)
    return saved
