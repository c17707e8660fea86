"""How far latents carry: to other episodes of the dataset, and to another embodiment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from lam_models.stages.health import reading
from lam_models.stages.health.contents import Values
from lam_models.stages.health.material import Material
from lam_models.stages.health.subject import Subject, chosen, elsewhere, showing
from lam_models.stages.health.transfer import cycle, same_actions
from lam_models.stages.probes import nmse


def within(
    subject: Subject, train: Material, test: Material, seed: int, notes: list[str]
) -> Values:
    """Latents of the clips fitted on, applied to the episodes reported on."""
    found = _same_actions(subject, train, test, "transfer", seed, notes)
    takers = chosen(test.clips, elsewhere(test.clips.episodes, seed))
    measured = found | _cycles(subject, test, replace(test, clips=takers), "transfer", notes)
    return {f"transfer.{name}": value for name, value in measured.items()}


def across(
    subject: Subject,
    train: Material,
    others: tuple[Material, Material],
    seed: int,
    notes: list[str],
) -> Values:
    """Latents of one dataset applied to, and read on, the test clips of another one.

    others: the other dataset's clips to fit on and to report on.
    """
    theirs, takers = others
    found = _same_actions(subject, train, takers, "other", seed, notes)
    found |= _probe_transfer(train, theirs, takers, seed)
    count = min(len(train.clips.frames), len(takers.clips.frames))
    rng = np.random.default_rng([seed, 3])
    givers_rows = rng.permutation(len(train.clips.frames))[:count]
    takers_rows = rng.permutation(len(takers.clips.frames))[:count]
    givers = replace(train, clips=chosen(train.clips, givers_rows))
    shown = replace(takers, clips=chosen(takers.clips, takers_rows))
    found |= _cycles(subject, givers, shown, "other", notes)
    return {f"other.{name}": value for name, value in found.items()}


@dataclass(frozen=True)
class _Shared:
    """Columns of the same meaning in two datasets, by group, each in its own order."""

    group: str
    columns: list[int]
    theirs: list[int]


def _shared_groups(a: Material, b: Material) -> list[_Shared]:
    """Groups of the same name and number of columns, less the columns still in either."""
    if a.known.actions is None or b.known.actions is None:
        return []
    ours = a.names.groups(a.known.actions.shape[1])
    theirs = b.names.groups(b.known.actions.shape[1])
    shared = []
    for group in ours.keys() & theirs.keys():
        x, y = list(ours[group]), list(theirs[group])
        if len(x) == len(y):
            kept = reading.moving(a.known.actions[:, x], b.known.actions[:, y])
            shared.append(_Shared(group, [x[i] for i in kept], [y[i] for i in kept]))
    return sorted((s for s in shared if s.columns), key=lambda s: s.group)


def _same_actions(
    subject: Subject, givers: Material, takers: Material, prefix: str, seed: int, notes: list[str]
) -> Values:
    shared = _shared_groups(givers, takers)
    given, taken = givers.known.actions, takers.known.actions
    if not shared or given is None or taken is None:
        return {}
    a, b = reading.standardise(
        given[:, [c for s in shared for c in s.columns]],
        taken[:, [c for s in shared for c in s.theirs]],
    )
    found = same_actions(
        subject, (givers.latents.values, a), (takers.latents.values, b), takers.clips, seed
    )
    if len(found) == 1:
        notes.append(f"{prefix}: too few clips of nearly the same action to migrate latents.")
    return found


def _probe_transfer(train: Material, theirs: Material, takers: Material, seed: int) -> Values:
    """A linear probe of ours on their latents, beside one of theirs, by group."""
    found: Values = {}
    fit, own, truth = train.known.actions, theirs.known.actions, takers.known.actions
    if fit is None or own is None or truth is None:
        return found
    x_fit, x_own, x = (m.latents.values.flatten(1) for m in (train, theirs, takers))
    for shared in _shared_groups(train, takers):
        if not reading.moving(own[:, shared.theirs], truth[:, shared.theirs]):
            continue
        target = truth[:, shared.theirs]
        ours_judging = reading.held_out(train.known.episodes, seed)
        own_judging = reading.held_out(theirs.known.episodes, seed)
        foreign = reading.fit_linear(x_fit, fit[:, shared.columns], ours_judging)
        native = reading.fit_linear(x_own, own[:, shared.theirs], own_judging)
        found[f"probe.{shared.group}"] = carried = nmse(foreign(x), target)
        found[f"probe_own.{shared.group}"] = best = nmse(native(x), target)
        found[f"probe_ratio.{shared.group}"] = carried / best if best > 0 else None
    return found


def _cycles(
    subject: Subject, givers: Material, takers: Material, prefix: str, notes: list[str]
) -> Values:
    """Latents decoded on the frames of the takers, and on their own, and encoded again."""
    if not subject.decodes:
        return {}
    if subject.predicts_features:
        notes.append(f"{prefix}.cycle: predicted features cannot be encoded again: left out.")
        return {"cycle": None, "cycle_own": None}
    # Encoded again, a clip ends with the decoded frame: so must the first.
    short = showing(givers.clips, givers.clips.frames[:, : subject.history + 2])
    values = subject.encode(short).values
    swapped = values[torch.from_numpy(elsewhere(short.episodes, 0))]
    return {
        "cycle": cycle(values, subject.again(values, takers.clips), swapped),
        "cycle_own": cycle(values, subject.again(values, short), swapped),
    }
