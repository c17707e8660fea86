"""What the latents of a system hold: probes of the action, and leaks of everything else.

Sentences on what had to be left out are added to `notes`.
"""

from __future__ import annotations

from torch import Tensor

from lam_models.stages.health import reading
from lam_models.stages.health.material import Material

Values = dict[str, float | None]

# Main directions of the frames and of their change that stand for an untrained representation.
_DIRECTIONS = 128


def _inputs(train: Material, test: Material) -> dict[str, tuple[Tensor, Tensor]]:
    """What probes read, by the suffix of their name."""
    a, b = train.latents, test.latents
    inputs = {"": (a.values.flatten(1), b.values.flatten(1))}
    if a.unquantised is not None and b.unquantised is not None:
        inputs["_unquantised"] = (a.unquantised.flatten(1), b.unquantised.flatten(1))
    return inputs


def probes(train: Material, test: Material, seed: int, notes: list[str]) -> Values:
    """NMSE of the action by kind of probe, what it reads, and group; beside it, of raw frames."""
    fit, truth = train.known.actions, test.known.actions
    if fit is None or truth is None:
        notes.append("The dataset has no actions: nothing that needs them was measured.")
        return {}
    groups, left_out = reading.usable_groups(train.names.groups(fit.shape[1]), fit, truth)
    notes += left_out
    if not groups:
        return {}
    judging = reading.held_out(train.known.episodes, seed)
    found: Values = {}
    inputs = _inputs(train, test) | {"_frames": _frames(train, test)}
    for suffix, (x_fit, x_test) in inputs.items():
        errors = reading.read_groups((x_fit, fit), (x_test, truth), groups, judging, seed)
        constant = errors.pop("constant")
        found |= {f"probe.constant.{group}": error for group, error in constant.items()}
        for kind, by_group in errors.items():
            found |= {f"probe.{kind}{suffix}.{group}": e for group, e in by_group.items()}
    columns = sorted({column for group in groups.values() for column in group})
    hard = reading.ambiguous(inputs, fit[:, columns], truth[:, columns], judging)
    return found | {f"ambiguous.linear{suffix}": error for suffix, error in hard.items()}


def _frames(train: Material, test: Material) -> tuple[Tensor, Tensor]:
    """Main directions of the raw frames around the step."""

    def features(m: Material) -> Tensor:
        return reading.frame_features(m.clips.frames[:, m.at], m.clips.frames[:, m.at + 1])

    return reading.principal(features(train), features(test), _DIRECTIONS)


def leaks(train: Material, test: Material, seed: int, notes: list[str]) -> Values:
    """What else the latent tells, and beside it what the true action alone tells of that."""
    judging = reading.held_out(train.known.episodes, seed)
    inputs = {"": (train.latents.values.flatten(1), test.latents.values.flatten(1))}
    if train.known.actions is not None and test.known.actions is not None:
        inputs["_from_action"] = (train.known.actions, test.known.actions)
    found: Values = {}
    for name in ("state", "distractors", "objects"):
        fit, truth = getattr(train.known, name), getattr(test.known, name)
        columns = [] if fit is None or truth is None else reading.moving(fit, truth)
        if fit is None or truth is None or not columns:
            notes.append(f"{name}: none recorded, or none that varies; its probe is left out.")
            continue
        fit, truth = fit[:, columns], truth[:, columns]
        if name != "objects":
            # Positions of bodies are all in m and mostly at rest: left in their unit.
            fit, truth = reading.standardise(fit, truth)
        for suffix, (x_fit, x_test) in inputs.items():
            error = reading.read((x_fit, fit), (x_test, truth), judging)
            found[f"leak.{name}{suffix}"] = error
    return found
