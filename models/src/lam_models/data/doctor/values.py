"""The numbers themselves: not finite, jumping, standing still, twice the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from lam_models.data.doctor.finding import Curve, Finding, listed
from lam_models.data.doctor.motion import (
    ACTION,
    STATE,
    delta_columns,
    positions,
    runs,
    still,
)
from lam_models.data.doctor.patient import Patient, span_s

_JUMP_M = 0.04
_JUMP = 8.0
_STILL_S = 1.0


def not_finite(patient: Patient) -> Iterator[Finding]:
    """NaN and infinity."""
    for key, feature in patient.info.schema.columns.items():
        if not feature.dtype.startswith("float"):
            continue
        places = [
            (patient.episodes[position].index, ~np.isfinite(rows))
            for position, rows in patient.readable(key)
            if not np.isfinite(rows).all()
        ]
        if not places:
            continue
        number, bad = places[0]
        frame, column = (int(at[0]) for at in np.nonzero(bad))
        numbers = tuple(one[0] for one in places)
        said = (
            f"'{key}' is not a number in {sum(int(b.any(axis=1).sum()) for _, b in places)} rows "
            f"of {listed(numbers)}, first in episode {number}, frame {frame}, "
            f"'{patient.names(key)[column]}'."
        )
        cure = "One NaN makes a whole network NaN: leave these episodes out or convert them again."
        yield Finding("not a number", said, cure, numbers)


def jumps(patient: Patient) -> Iterator[Finding]:
    """Steps of the end effector that no robot makes within one frame."""
    steps_m: dict[int, Float64[np.ndarray, " steps"]] = {}
    for position in range(len(patient.episodes)):
        where = positions(patient, position)
        if where is not None and len(where) > 2 and np.isfinite(where).all():
            steps_m[position] = np.linalg.norm(np.diff(where, axis=0), axis=1)
    if not steps_m:
        return
    usual_m = float(np.median([np.percentile(steps, 95) for steps in steps_m.values()]))
    found = {}
    for position, steps in steps_m.items():
        # Measured by itself as well: an episode in millimetres has another finding.
        least_m = max(_JUMP_M, _JUMP * usual_m, _JUMP * float(np.percentile(steps, 90)))
        if steps.max() > least_m:
            found[position] = (int(steps.argmax()), float(steps.max()))
    if not found:
        return
    position, (frame, step_m) = max(found.items(), key=lambda one: one[1][1])
    numbers = tuple(patient.episodes[one].index for one in found)
    number = patient.episodes[position].index
    said = (
        f"The end effector jumps in {listed(numbers)}: in episode {number} it moves {step_m:.3g} m "
        f"between frames {frame} and {frame + 1}; 19 of 20 steps are below {usual_m:.3g} m."
    )
    cure = (
        "Rows are missing there, two recordings were joined, or a sensor misread once: look at "
        "the recording, and split or leave out the episode."
    )
    where = positions(patient, position)
    assert where is not None
    lines = {axis: where[:, i] for i, axis in enumerate("xyz")}
    title = f"end effector [m], episode {number}"
    shows = Curve(title, "frame", np.arange(len(where)), lines, (float(frame),))
    yield Finding("jump in the motion", said, cure, numbers, shows=shows)


def frozen_state(patient: Patient) -> Iterator[Finding]:
    """States that stand still, to the bit, while actions ask for motion."""
    moved, _ = delta_columns(patient.names(ACTION)) if ACTION in patient.columns else ((), ())
    if not moved or STATE not in patient.columns:
        return
    found = {}
    for position, rows in patient.readable(STATE):
        actions = patient.rows(position, ACTION)
        if actions is None:
            continue
        asked_m = np.linalg.norm(actions[:, list(moved)].astype(np.float64), axis=1)
        for start, stop in runs(still(rows.astype(np.float64), 0.0)):
            is_long = stop - start >= _STILL_S * patient.fps
            if is_long and asked_m[start:stop].sum() > _JUMP_M:
                found.setdefault(position, (start, stop))
    if found:
        numbers = tuple(patient.episodes[position].index for position in found)
        position, (start, stop) = next(iter(found.items()))
        said = (
            f"'{STATE}' stands still while actions ask for motion in {listed(numbers)}: in episode "
            f"{numbers[0]} from frame {start} to {stop} ({span_s(patient, stop - start)})."
        )
        cure = "The state topic stopped and its last value was held: lower its age limit."
        yield Finding("frozen state", said, cure, numbers)


def repeated(patient: Patient) -> Iterator[Finding]:
    """Episodes that are the same to the bit."""
    key = STATE if STATE in patient.columns else ACTION
    seen: dict[str, list[int]] = {}
    for position, rows in patient.readable(key):
        digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()
        if not still(rows.astype(np.float64), 0.0).all():
            seen.setdefault(digest, []).append(patient.episodes[position].index)
    twins = [numbers for numbers in seen.values() if len(numbers) > 1]
    if twins:
        pairs = "; ".join(listed(numbers) for numbers in twins[:6])
        said = f"Episodes hold the same numbers to the last bit: {pairs}."
        cure = "A recording was converted twice: keep one of each, or held-out scores are wrong."
        extra = tuple(number for numbers in twins for number in numbers[1:])
        yield Finding("repeated episode", said, cure, extra)
