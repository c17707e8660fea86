"""Units: millimetres where metres are meant, degrees where radians are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lam_models.data.doctor.finding import Curve, Finding, listed
from lam_models.data.doctor.motion import ACTION, Group, delta_columns, groups
from lam_models.data.doctor.patient import Patient

_OUTLIER = 20.0
_FACTORS = {
    1000.0: "millimetres instead of metres",
    1 / 1000.0: "metres where the others have millimetres",
    180 / np.pi: "degrees instead of radians",
    np.pi / 180: "radians where the others have degrees",
    100.0: "centimetres instead of metres",
}
_FACTOR_SHARE = 1.8  # Episodes differ: a factor is recognised within this.
_REACH_M = 5.0
_SPEED_M_S = 5.0
_TURN_RAD = 2 * np.pi + 0.3
_TURN_RAD_S = 10.0
_LARGE_RAD = 0.3
_TINY = 1e-6


def units(patient: Patient) -> Iterator[Finding]:
    """Values that are too large or too small for their unit, everywhere or in some episodes."""
    for group in groups(patient):
        sizes = _sizes(patient, group)
        if not sizes:
            continue
        usual = float(np.median(list(sizes.values())))
        everywhere = _impossible(patient, group, usual)
        if everywhere:
            yield _unit_finding(patient, group, list(sizes), everywhere)
            continue
        odd = {n: s / usual for n, s in sizes.items() if usual > _TINY and _is_odd(group, s, usual)}
        odd |= {n: s / usual for n, s in sizes.items() if _impossible(patient, group, s)}
        if odd:
            number, factor = max(odd.items(), key=lambda one: abs(np.log(one[1])))
            said = (
                f"values are {factor:.3g} times those of the other episodes (episode {number}: "
                f"{sizes[number]:.3g}, usually {usual:.3g}): {_guess(factor)}"
            )
            yield _unit_finding(patient, group, list(odd), said)


def _sizes(patient: Patient, group: Group) -> dict[int, float]:
    """The size of a group's values by the number of the episode: their 95th percentile."""
    sizes = {}
    for position, rows in patient.readable(group.key):
        values = rows[:, list(group.columns)].astype(np.float64)
        if np.isfinite(values).all():
            largest = np.abs(values).max(axis=1)
            sizes[patient.episodes[position].index] = float(np.percentile(largest, 95))
    return sizes


def _impossible(patient: Patient, group: Group, size: float) -> str:
    """Why values of this size cannot be in m and rad, "" if they can."""
    is_delta = group.key == ACTION and any(delta_columns(patient.names(ACTION)))
    if group.word == "position" and not is_delta and size > _REACH_M:
        named = any(n.endswith("_mm") for n in patient.names(group.key))
        return "" if named else f"positions reach {size:.3g} m: {_FACTORS[1000.0]}?"
    if group.word == "position" and is_delta and size * patient.fps > _SPEED_M_S:
        return f"deltas are {size:.3g} m a frame, {size * patient.fps:.3g} m/s: {_FACTORS[1000.0]}?"
    if group.word == "rotation" and is_delta and size * patient.fps > _TURN_RAD_S:
        speed = size * patient.fps
        return f"deltas are {size:.3g} rad a frame, {speed:.3g} rad/s: {_FACTORS[180 / np.pi]}?"
    if group.word == "rotation" and not is_delta and size > _TURN_RAD:
        return f"angles reach {size:.3g} rad: {_FACTORS[180 / np.pi]}?"
    names = [patient.names(group.key)[column] for column in group.columns]
    if group.word == "joints" and all(n.endswith("_rad") for n in names) and size > 4 * np.pi:
        return f"joints reach {size:.3g} rad: {_FACTORS[180 / np.pi]}?"
    return ""


def _is_odd(group: Group, size: float, usual: float) -> bool:
    """Whether an episode's values are in another unit than those of the others."""
    factor = size / usual
    if group.word == "rotation" and size < _LARGE_RAD:
        return False  # Small turns differ by any factor.
    if factor > _OUTLIER:
        return bool(_guessed(factor))
    # An episode without motion has small deltas; positions are never that small.
    is_place = group.word == "position" and group.key != ACTION
    return is_place and 0 < factor < 1 / _OUTLIER and bool(_guessed(factor))


def _guessed(factor: float) -> str:
    near = min(_FACTORS, key=lambda known: abs(np.log(factor / known)))
    return _FACTORS[near] if abs(np.log(factor / near)) < np.log(_FACTOR_SHARE) else ""


def _guess(factor: float) -> str:
    return f"{_guessed(factor) or 'another unit or scale'}?"


def _unit_finding(patient: Patient, group: Group, numbers: list[int], said: str) -> Finding:
    names = [patient.names(group.key)[column] for column in group.columns]
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    where = listed(numbers, len(patient.episodes))
    sentence = f"'{group.key}' ({few}) in {where}: {said}"
    cure = "Convert these recordings again with the right unit of the topic; do not mix units."
    key, column = group.key, group.columns[0]
    shown = [
        (episode.index, rows[:, column].astype(np.float64))
        for position, episode in enumerate(patient.episodes)
        if (rows := patient.rows(position, key)) is not None
    ]
    x = np.array([number for number, values in shown for _ in values], dtype=np.float64)
    line = {names[0]: np.concatenate([values for _, values in shown])}
    shows = Curve(f"{names[0]} by episode", "episode", x, line)
    return Finding("wrong unit", sentence, cure, tuple(numbers), shows=shows)
