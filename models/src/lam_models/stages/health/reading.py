"""What can be read from a latent: probes of the action by group, and of what it should not hold.

Probes are fitted on clips of some episodes and reported on clips of others.
NMSE = E‖prediction - target‖² / Σ_d Var(target_d): 0 reads all of it, 1 no better than its mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from lam_models.stages.probes import LinearProbe, choose_ridge, fit_mlp, fit_probe, nmse

# Clips by columns; nothing binds the shapes of two tables.
Table = Float[Tensor, "_ _"]

# Share of the episodes fitted on that chooses ridge and stopping time.
_HELD_OUT = 0.25
_STILL = 1e-12


@dataclass(frozen=True)
class Known:
    """Truth about the clips of one set. Entries without a variance anywhere are no target.

    actions, state, distractors, objects: in the dataset's units; None where it has none.
    distractors, objects: their change over the gap.
    """

    episodes: Int64[np.ndarray, " clips"]
    actions: Table | None = None
    state: Table | None = None
    distractors: Table | None = None
    objects: Table | None = None


def moving(fit: Table, test: Table) -> list[int]:
    """Columns that vary in both."""
    varies = (fit.double().var(0) > _STILL) & (test.double().var(0) > _STILL)
    return varies.nonzero().flatten().tolist()


def standardise(fit: Table, test: Table) -> tuple[Table, Table]:
    """Both by mean and deviation of the first."""
    mean, scale = fit.double().mean(0), fit.double().std(0)
    return (fit.double() - mean) / scale, (test.double() - mean) / scale


def held_out(episodes: Int64[np.ndarray, " clips"], seed: int) -> Bool[Tensor, " clips"]:
    """A quarter of the episodes, at least one; of a single episode, a quarter of its clips."""
    rng = np.random.default_rng([seed, 1])
    names = np.unique(episodes)
    if len(names) == 1:
        return torch.from_numpy(rng.permutation(len(episodes)) < _HELD_OUT * len(episodes))
    some = rng.permutation(names)[: max(1, round(_HELD_OUT * len(names)))]
    return torch.from_numpy(np.isin(episodes, some))


def fit_linear(inputs: Table, targets: Table, judging: Bool[Tensor, " clips"]) -> LinearProbe:
    """A linear probe of all rows, its ridge chosen on the rows `judging`."""
    return fit_probe(inputs, targets, choose_ridge(inputs, targets, judging))


def read(
    fit: tuple[Table, Table], test: tuple[Table, Table], judging: Bool[Tensor, " clips"]
) -> float:
    """NMSE of a linear probe, fitted on one (inputs, targets) and reported on another."""
    return nmse(fit_linear(*fit, judging)(test[0]), test[1])


def usable_groups(
    groups: Mapping[str, Sequence[int]], fit: Table, test: Table
) -> tuple[dict[str, list[int]], list[str]]:
    """The columns of each group that vary, and a sentence for every group without any."""
    varying = set(moving(fit, test))
    kept = {name: [c for c in columns if c in varying] for name, columns in groups.items()}
    left_out = [
        f"Actions of the group '{name}' never vary here: left out."
        for name, columns in kept.items()
        if not columns
    ]
    return {name: columns for name, columns in kept.items() if columns}, left_out


def read_groups(
    fit: tuple[Table, Table],
    test: tuple[Table, Table],
    groups: Mapping[str, Sequence[int]],
    judging: Bool[Tensor, " clips"],
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """NMSE by kind of probe and group; "all" weighs every column alike, by its deviation.

    "constant" guesses the mean of what is fitted on: 1, or more where the means differ.
    """
    columns = sorted({c for group in groups.values() for c in group})
    at = {column: i for i, column in enumerate(columns)}
    targets, truth = standardise(fit[1][:, columns], test[1][:, columns])
    predicted = {
        "constant": torch.zeros_like(truth),
        "linear": fit_linear(fit[0], targets, judging)(test[0]),
        "mlp": fit_mlp(fit[0], targets, judging, seed)(test[0]).double(),
    }
    # Within a group the units are those of the dataset: errors are summed before they are divided.
    scale = fit[1][:, columns].double().std(0)
    errors: dict[str, dict[str, float]] = {}
    for kind, guess in predicted.items():
        errors[kind] = {"all": nmse(guess, truth)}
        for name, group in groups.items():
            rows = [at[c] for c in group]
            errors[kind][name] = nmse(guess[:, rows] * scale[rows], truth[:, rows] * scale[rows])
    return errors


def ambiguous(
    inputs: Mapping[str, tuple[Table, Table]],
    fit: Table,
    test: Table,
    judging: Bool[Tensor, " clips"],
) -> dict[str, float]:
    """NMSE of linear probes on the third of the clips that the raw frames tell least of.

    inputs: to fit and to report on; under "_frames" those of the raw frames.
    """
    targets, truth = standardise(fit, test)
    guesses = {k: fit_linear(x, targets, judging)(y) for k, (x, y) in inputs.items()}
    missed = (guesses["_frames"] - truth).square().sum(1)
    rows = missed.argsort(descending=True)[: max(2, len(truth) // 3)]
    return {name: nmse(guess[rows], truth[rows]) for name, guess in guesses.items()}


def frame_features(
    present: UInt8[np.ndarray, "clips h w 3"], following: UInt8[np.ndarray, "clips h w 3"]
) -> Table:
    """What an untrained look gives: both frames as 16 x 16 pixels, o and o' - o side by side."""

    def small(frames: np.ndarray) -> Tensor:
        images = torch.from_numpy(frames).movedim(-1, 1).float() / 255
        return functional.interpolate(images, (16, 16), mode="area").flatten(1)

    first = small(present)
    return torch.cat([first, small(following) - first], 1)


def principal(fit: Table, test: Table, count: int) -> tuple[Table, Table]:
    """Both in the `count` main directions of the first, or as many as it has."""
    mean = fit.mean(0)
    _, lengths, directions = torch.linalg.svd(fit - mean, full_matrices=False)
    basis = directions[: min(count, int((lengths > 1e-6 * lengths.max()).sum()))].T
    return (fit - mean) @ basis, (test - mean) @ basis
