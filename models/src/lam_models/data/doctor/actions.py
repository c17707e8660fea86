"""Do actions say what the robot does next? Deltas against the motion that follows them.

The action of frame t leads to frame t + 1: delta_t ~ x_{t+1} - x_t. Here both are compared at every
shift of the action by k frames, delta_{t-k} ~ x_{t+1} - x_t: the best shift is 0 where stamps are
right, k > 0 where the robot follows k frames late or the action's stamps are k frames early, and
k < 0 where the action says what has already happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lam_models.data.doctor.finding import Curve, Finding, listed
from lam_models.data.doctor.motion import ACTION, STATE, delta_columns, positions
from lam_models.data.doctor.patient import Patient

_SHIFTS = range(-6, 16)
_FEWEST_STEPS = 12
# Below, knowing the action says nothing about the motion.
_UNRELATED = 0.3
# By how much a shift must beat the stated alignment to be believed.
_BETTER = 0.04
# One short episode alone proves less.
_BETTER_ALONE, _CORRELATED_ALONE = 0.1, 0.5
_LATE_FRAMES = 2
_SLOPE = (0.2, 5.0)
_REVERSED = -0.5
_CONSTANT = 1e-9

Vectors = Float64[np.ndarray, "steps 3"]


@dataclass(frozen=True)
class Pairing:
    """Actions and the motion after them, of one episode (its position)."""

    position: int
    actions_m: Vectors
    moved_m: Vectors


def absent(patient: Patient) -> Iterator[Finding]:
    """States without actions. A set of videos alone has neither, and is fine."""
    if STATE in patient.columns and ACTION not in patient.columns:
        said = f"There is a '{STATE}' but no column '{ACTION}'."
        cure = (
            "Record the command topic beside the states, or derive actions from the motion when "
            "converting; without, only a latent-action model can be trained."
        )
        yield Finding("no actions", said, cure)


def constant(patient: Patient) -> Iterator[Finding]:
    """Episodes whose actions never change, or whose deltas are zero while the arm moves."""
    if ACTION not in patient.columns:
        return
    delta = [c for group in delta_columns(patient.names(ACTION)) for c in group]
    whole, deltas = [], []
    for position, rows in patient.readable(ACTION):
        values = rows.astype(np.float64)
        if len(rows) < 2 or not np.isfinite(values).all():
            continue
        number = patient.episodes[position].index
        if np.ptp(values, axis=0).max() <= _CONSTANT:
            whole.append(number)
        elif delta and np.ptp(values[:, delta], axis=0).max() <= _CONSTANT:
            deltas.append(number)
    for what, numbers in (("actions", whole), ("end-effector deltas", deltas)):
        if numbers:
            said = (
                f"The {what} never change within {listed(numbers, len(patient.episodes))}: the "
                "policy would learn to stand still."
            )
            cure = (
                "The command topic was not recorded, or another one than the robot listened to: "
                "check the robot's YAML, convert again or leave these episodes out."
            )
            yield Finding("constant actions", said, cure, tuple(numbers))


def unrelated(patient: Patient) -> Iterator[Finding]:
    """Deltas that at no shift predict the motion, have another scale, or another sign."""
    pairings = _pairings(patient)
    if not pairings:
        return
    curve = _correlations(pairings)
    best = max(curve, key=lambda shift: curve[shift])
    if curve[best] < _UNRELATED:
        said = (
            f"Actions do not predict the motion that follows: their correlation is at most "
            f"{curve[best]:.2f} at any shift (1 where they do)."
        )
        cure = (
            "Are they deltas in another frame's axes (the end effector's own), absolute poses, or "
            "of another arm? State frame and meaning of the command when converting."
        )
        yield Finding("actions do not fit the motion", said, cure, shows=_shift_curve(curve))
        yield from _reversed(pairings, best)
        return
    yield from _scaled(patient, pairings, best)
    yield from _reversed(pairings, best)


def some_unrelated(patient: Patient) -> Iterator[Finding]:
    """Episodes whose actions predict nothing although those of the others do."""
    pairings = _pairings(patient)
    if len(pairings) < 2 or max(_correlations(pairings).values()) < _UNRELATED:
        return
    odd = [
        patient.episodes[one.position].index
        for one in pairings
        if len(one.moved_m) > 2 * _FEWEST_STEPS
        and max(_correlations([one]).values(), default=1.0) < _UNRELATED
    ]
    if odd:
        said = f"Actions do not predict the motion that follows in {listed(odd)}, but elsewhere."
        cure = "Were other commands in force there (an intervention)? Leave these episodes out."
        yield Finding("actions do not fit the motion", said, cure, tuple(odd))


def shifted(patient: Patient) -> Iterator[Finding]:
    """Actions early or late against the motion: latency that the conversion left in."""
    pairings = _pairings(patient)
    alone = (_BETTER_ALONE, _CORRELATED_ALONE)
    shifts = {one.position: _shift(_correlations([one]), *alone) for one in pairings}
    curve = _correlations(pairings) if pairings else {0: 1.0}
    overall, best = _shift(curve, _BETTER, _UNRELATED), max(curve, key=lambda shift: curve[shift])
    # A frame late is what robots are: what counts is being later than that.
    found = {p: shift for p, shift in shifts.items() if _is_off(shift) and _is_off(shift - best)}
    if _is_off(overall):
        numbers = [patient.episodes[one.position].index for one in pairings]
        typical, where = overall, listed(numbers, len(patient.episodes))
    elif found:
        numbers = [patient.episodes[position].index for position in found]
        typical, where = int(np.median(list(found.values()))), listed(numbers)
    else:
        return
    curve = _correlations([p for p in pairings if patient.episodes[p.position].index in numbers])
    delay_s = abs(typical) / patient.fps
    direction = (
        f"the robot moves {typical} frames ({delay_s:.3g} s) after the action that should move it"
        if typical > 0
        else f"actions come {-typical} frames ({delay_s:.3g} s) after the motion they command"
    )
    said = (
        f"Actions are shifted against the motion in {where}: {direction}; correlation "
        f"{curve.get(typical, 0.0):.2f} at that shift, {curve.get(0, 0.0):.2f} as stored."
    )
    cure = (
        f"Convert again with an action latency of {typical / patient.fps:+.3g} s, so that each "
        "frame holds the action that leads to the next one."
    )
    yield Finding("shifted actions", said, cure, tuple(numbers), shows=_shift_curve(curve))


def _pairings(patient: Patient) -> list[Pairing]:
    """Of the episodes long enough, with finite numbers and some motion in both."""
    moved = delta_columns(patient.names(ACTION))[0] if ACTION in patient.columns else ()
    if len(moved) != 3:
        return []
    found = []
    for position, rows in patient.readable(ACTION):
        where = positions(patient, position)
        if where is None or len(where) <= _FEWEST_STEPS:
            continue
        actions, motion = rows[:-1, list(moved)].astype(np.float64), np.diff(where, axis=0)
        if np.isfinite(actions).all() and np.isfinite(motion).all() and actions.any():
            found.append(Pairing(position, actions, motion))
    return found


def _aligned(pairing: Pairing, shift: int) -> tuple[Vectors, Vectors]:
    """Actions, and the motion `shift` frames later."""
    n = len(pairing.moved_m)
    actions = pairing.actions_m[max(0, -shift) : n - max(0, shift)]
    return actions, pairing.moved_m[max(0, shift) : n - max(0, -shift)]


def _correlations(pairings: list[Pairing]) -> dict[int, float]:
    """By shift: cosine between all actions and the motion after them, about their means."""
    found = {}
    for shift in _SHIFTS:
        sums = np.zeros(3)
        for pairing in pairings:
            if len(pairing.moved_m) - abs(shift) < _FEWEST_STEPS:
                continue
            a, m = (part - part.mean(axis=0) for part in _aligned(pairing, shift))
            # Each episode counts alike, whatever its units.
            scale_a, scale_m = np.linalg.norm(a), np.linalg.norm(m)
            if scale_a > 0 and scale_m > 0:
                sums += np.array([np.sum(a * m) / (scale_a * scale_m), 1.0, 1.0]) * len(a)
        if sums[1] > 0:
            found[shift] = float(sums[0] / sums[1])
    return found or {0: 1.0}


def _shift(curve: dict[int, float], better: float, least: float) -> int:
    """The best shift, 0 where it is not clearly better than that."""
    best = max(curve, key=lambda shift: curve[shift])
    return best if curve[best] > max(curve.get(0, 0.0) + better, least) else 0


def _is_off(shift: int) -> bool:
    return shift >= _LATE_FRAMES or shift <= -1


def _scaled(patient: Patient, pairings: list[Pairing], shift: int) -> Iterator[Finding]:
    a, m = (
        np.concatenate(parts) for parts in zip(*(_aligned(p, shift) for p in pairings), strict=True)
    )
    slope = float(np.sum(a * m) / np.sum(a * a))
    if not _SLOPE[0] < slope < _SLOPE[1]:
        said = (
            f"The robot moves {slope:.3g} m for each metre that actions ask for: they are not "
            "metres a frame."
        )
        cure = (
            "Are they millimetres, normalised joystick axes, or metres a second "
            f"(that would be {1 / patient.fps:.3g})? State scale and unit when converting."
        )
        yield Finding("actions do not fit the motion", said, cure)


def _reversed(pairings: list[Pairing], shift: int) -> Iterator[Finding]:
    a, m = (
        np.concatenate(parts) for parts in zip(*(_aligned(p, shift) for p in pairings), strict=True)
    )
    a, m = a - a.mean(axis=0), m - m.mean(axis=0)
    scale = np.linalg.norm(a, axis=0) * np.linalg.norm(m, axis=0)
    cosines = np.sum(a * m, axis=0) / np.maximum(scale, 1e-12)
    axes = [axis for axis, cosine in zip("xyz", cosines, strict=True) if cosine < _REVERSED]
    if axes:
        said = (
            f"The robot moves against the action along {' and '.join(axes)} (correlation "
            f"{min(cosines):.2f})."
        )
        cure = "A sign or a frame is wrong: state the frame of the command when converting."
        yield Finding("reversed actions", said, cure)


def _shift_curve(curve: dict[int, float]) -> Curve:
    shifts = np.array(sorted(curve), dtype=np.float64)
    line = {"correlation": np.array([curve[int(shift)] for shift in shifts])}
    title = "actions against the motion that many frames later"
    return Curve(title, "shift [frames]", shifts, line, (0.0,))
