"""Which columns of a dataset mean what, by their names, and how the end effector moves in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from lam_models.data.doctor.patient import Patient
from lam_models.data.gap_actions import action_groups

STATE, ACTION = "observation.state", "action"
# The hand may hold still while it works; the arm has moved when it went this far.
_FAR_M = 0.03
_FAR_SHARE = 0.15
_ANGLE = re.compile(r"(_rad|_deg|[._]r[xyz]|[._](roll|pitch|yaw)|[._]q[xyzw])$")
_GROUP_WORDS = ("position", "rotation", "joints")

Table = Float64[np.ndarray, "frames _"]


@dataclass(frozen=True)
class Group:
    """Columns of one kind. key: the feature's."""

    key: str
    word: str
    columns: tuple[int, ...]


def position_columns(names: Sequence[str]) -> tuple[int, ...]:
    """Columns of the first x, y, z that is a position, e.g. of the end effector; () for none."""
    at = {name: i for i, name in enumerate(names)}
    for name in names:
        match = re.fullmatch(r"(?P<before>|.*[._ ])x(?P<unit>|_m|_mm)", name)
        if match is None:
            continue
        before, unit = match["before"], match["unit"]
        triple = [f"{before}{axis}{unit}" for axis in "xyz"]
        if all(one in at for one in triple):
            return tuple(at[one] for one in triple)
    return ()


def rotation_columns(names: Sequence[str]) -> tuple[int, ...]:
    """Columns that by their names are a rotation of the end effector."""
    return tuple(i for i, name in enumerate(names) if re.search(r"(^|[._])r[xyz](_|$)", name))


def delta_columns(names: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Columns of the end-effector delta: translation and rotation, () where there is none."""
    groups = action_groups(names)
    return groups.get("translation", ()), groups.get("rotation", ())


def groups(patient: Patient) -> list[Group]:
    """State and action in columns that share a unit."""
    found = []
    for key in (STATE, ACTION):
        if key not in patient.columns:
            continue
        names = patient.names(key)
        if key == ACTION and any(delta_columns(names)):
            position, rotation = delta_columns(names)
        else:
            position, rotation = position_columns(names), rotation_columns(names)
        rest = tuple(i for i in range(len(names)) if i not in position + rotation)
        parts = zip(_GROUP_WORDS, (position, rotation, rest), strict=True)
        found += [Group(key, word, columns) for word, columns in parts if columns]
    return found


def is_angle(name: str) -> bool:
    """Whether the name says that the entry is an angle or part of a quaternion."""
    return bool(_ANGLE.search(name))


def positions(patient: Patient, episode: int) -> Float[np.ndarray, "frames 3"] | None:
    """Where the end effector is [m], None where the dataset does not say."""
    rows = patient.rows(episode, STATE)
    if rows is None:
        return None
    columns = position_columns(patient.names(STATE))
    return rows[:, list(columns)].astype(np.float64) if columns else None


def moves_far(patient: Patient, episode: int, start: int, stop: int) -> bool | None:
    """Whether the robot moves so far in frames start..stop that a camera must see it.

    None where the dataset holds neither states nor positions.
    """
    where = positions(patient, episode)
    if where is not None:
        there = where[start : stop + 1]
        return bool(np.linalg.norm(np.ptp(there, axis=0)) > _FAR_M)
    rows = patient.rows(episode, STATE)
    if rows is None:
        return None
    usable = [i for i, name in enumerate(patient.names(STATE)) if not is_angle(name)]
    span = np.ptp(rows[start : stop + 1].astype(np.float64), axis=0)[usable]
    return bool((span > _FAR_SHARE * _ranges(patient)[usable]).any())


def still(values: Table, least: float) -> Bool[np.ndarray, " steps"]:
    """Which steps between rows change nothing by more than `least`."""
    return np.abs(np.diff(values, axis=0)).max(axis=1, initial=0.0) <= least


def runs(flags: Bool[np.ndarray, " steps"]) -> list[tuple[int, int]]:
    """Stretches start, ... stop - 1 of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _ranges(patient: Patient) -> Float64[np.ndarray, " size"]:
    parts = [rows for _, rows in patient.readable(STATE)]
    low = np.min([np.nanmin(rows, axis=0) for rows in parts], axis=0)
    high = np.max([np.nanmax(rows, axis=0) for rows in parts], axis=0)
    return np.maximum((high - low).astype(np.float64), 1e-9)
