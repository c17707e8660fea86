"""A tracked human hand, frame by frame: which frames are believed, and whose size they have.

In: frames as a tracker sent them. Out: 21 points in the palm frame, in metres of the mean hand
(keypoints.py), or a reason in words; a tracker fails in the middle of work, so nothing raises.
A person's size is known, or measured from the first good frames, of which nothing follows.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from lam_models.hands.human import ROOTS, mean_hand
from lam_models.hands.keypoints import (
    LAYOUTS,
    KeypointReader,
    Layout,
    Reading,
    calibrated,
    measure,
    reader,
)
from lam_retarget.judging import MAX_AHEAD_NS, NS_PER_S

Kind = Literal[
    "ok", "measuring", "other_hand", "layout", "names", "stale", "ahead", "untracked", "size"
]
# How messages spell a layout: with the number of its joints.
SPELLED = {f"{layout.name}_{len(layout.joints)}": layout for layout in LAYOUTS.values()}
# A hand beyond these multiples of its person's size was measured in other units, or is none.
SMALLEST, LARGEST = 0.5, 1.8
_REACH_M = float(np.linalg.norm(mean_hand().roots_m[1:], axis=1).mean())


@dataclass(frozen=True)
class Frame:
    """One frame of a tracker as it came: nothing is checked.

    names: of the positions; empty: they stand in the layout's order. positions: [joints 3] m.
    valid: which positions the tracker is sure of; empty: all. side: "" where it does not say.
    """

    layout: str
    names: tuple[str, ...]
    positions: np.ndarray
    valid: tuple[bool, ...] = ()
    side: str = ""
    stamp_ns: int = 0


@dataclass(frozen=True)
class Seen:
    """Why a frame is not followed, or the reading of it."""

    kind: Kind
    words: str = ""
    reading: Reading | None = None


@dataclass(frozen=True)
class Person:
    """Whose hand is tracked: its scale (a multiple of the mean hand's size), or how many good
    frames to measure that from (0: it is known)."""

    side: str = "right"
    scale: float = 1.0
    measured_from: int = 0


class Tracker:
    """Follows one hand of one person. UserError for a side or a scale there is not.

    scale: the person's size; 1 before it is measured.
    """

    def __init__(self, person: Person, max_age_s: float = 0.5) -> None:
        self._person, self._max_age_s = person, max_age_s
        self._measuring: list[Reading] = []
        self.measured = not person.measured_from
        self.scale = person.scale if self.measured else 1.0
        self._readers = {name: reader(name, person.side, self.scale) for name in LAYOUTS}

    def look(self, frame: Frame, now_ns: int) -> Seen:
        """Judge a frame, and measure the hand with it as long as that is needed."""
        if frame.side not in ("", self._person.side):
            return Seen("other_hand", f"it is the {frame.side} hand")
        if frame.layout not in SPELLED:
            known = ", ".join(SPELLED)
            return Seen("layout", f"layout '{frame.layout}' is unknown; known: {known}")
        if fault := self._time_fault(frame.stamp_ns, now_ns):
            return fault
        layout = SPELLED[frame.layout]
        order, words = _order(frame.names, layout)
        if words:
            return Seen("names", words)
        reading, words = self._read(frame, self._readers[layout.name], list(order))
        if words:
            return Seen("untracked", words)
        if words := _size_fault(reading, self.scale):
            return Seen("size", words)
        if not self.measured:
            return self._measure(reading)
        return Seen("ok", reading=reading)

    def _time_fault(self, stamp_ns: int, now_ns: int) -> Seen | None:
        if stamp_ns == 0:
            return Seen("stale", "the tracker does not stamp its frames")
        age_ns = now_ns - stamp_ns
        if age_ns > self._max_age_s * NS_PER_S:
            return Seen("stale", f"{age_ns / NS_PER_S:.3f} s old, {self._max_age_s:g} s allowed")
        if age_ns < -MAX_AHEAD_NS:
            words = f"its stamp is {-age_ns / NS_PER_S:.3f} s ahead: do the clocks agree?"
            return Seen("ahead", words)
        return None

    @staticmethod
    def _read(frame: Frame, eye: KeypointReader, order: list[int]) -> tuple[Reading, str]:
        """The reading of positions in the tracker's order, or what is wrong with them."""
        positions, valid = frame.positions, np.array(frame.valid, dtype=bool)
        if order and len(positions) != len(order):
            return Reading(), f"{len(positions)} positions of {len(order)} names"
        if frame.valid and len(valid) != len(positions):
            return Reading(), f"{len(positions)} positions of {len(valid)} validities"
        if order:
            positions, valid = positions[order], valid[order] if frame.valid else valid
        reading = eye.read(positions, valid if frame.valid else None)
        return reading, reading.why

    def _measure(self, reading: Reading) -> Seen:
        wanted = self._person.measured_from
        self._measuring.append(reading)
        if len(self._measuring) >= wanted:
            found = measure(self._measuring, self._person.side)
            self._readers = {name: calibrated(r, found) for name, r in self._readers.items()}
            self._measuring, self.measured, self.scale = [], True, found.scale
            return Seen("measuring", f"the hand is {found.scale:.3f} times the mean hand")
        return Seen("measuring", f"{len(self._measuring)} of {wanted} frames to measure the hand")


@lru_cache(maxsize=16)
def _order(names: tuple[str, ...], layout: Layout) -> tuple[tuple[int, ...], str]:
    """Where each of the layout's joints stands among the names; or what is wrong with them."""
    at = {plain_name(name): index for index, name in enumerate(names)}
    if not names:
        return (), ""
    if lacking := [joint for joint in layout.joints if joint not in at]:
        return (), f"no '{lacking[0]}' among the names of {len(names)} {layout.name} joints"
    if len(names) != len(layout.joints):
        return (), f"{len(names)} names of {layout.name}'s {len(layout.joints)} joints"
    return tuple(at[joint] for joint in layout.joints), ""


def plain_name(name: str) -> str:
    """A joint's name as keypoints.py has it, from the spellings of MediaPipe, OpenXR and WebXR."""
    name = name.lower().replace("-", "_")
    name = name.removeprefix("xr_hand_joint_").removesuffix("_ext")
    return name.replace("_finger", "").replace("_phalanx", "").replace("pinky", "little")


def _size_fault(reading: Reading, scale: float) -> str:
    assert reading.points is not None
    reach_m = float(np.linalg.norm(reading.points[ROOTS[1:]], axis=1).mean())
    times = reach_m / _REACH_M
    if SMALLEST <= times <= LARGEST and math.isfinite(times):
        return ""
    return (
        f"the palm is {times:.2g} times as large as that of a hand of scale {scale:.2f}; "
        f"{SMALLEST:g} to {LARGEST:g} allowed"
    )


class Tally:
    """How the frames of late were judged, in words for people."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.followed = 0
        self._recent: list[Seen] = []

    def note(self, seen: Seen) -> bool:
        """Count a frame; whether it is the first that is refused for such a reason."""
        self._recent.append(seen)
        if seen.kind == "ok":
            self.followed += 1
        elif seen.kind != "measuring":
            self.refused[seen.kind] += 1
        return self.refused[seen.kind] == 1 and seen.kind != "other_hand"

    def report(self) -> tuple[str, bool]:
        """What came since the last report, and whether all is well."""
        recent, self._recent = self._recent, []
        mine = [seen for seen in recent if seen.kind != "other_hand"]
        if not mine:
            others = f", but {len(recent)} of the other hand" if recent else ""
            return f"no frames{others}", False
        faults = [seen for seen in mine if seen.kind not in ("ok", "measuring")]
        if faults:
            last = faults[-1]
            return f"{len(faults)} of {len(mine)} frames refused, {last.kind}: {last.words}", False
        return ("following" if mine[-1].kind == "ok" else f"measuring: {mine[-1].words}"), True
