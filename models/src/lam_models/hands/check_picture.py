"""The picture of a hand's report card: three views of it, its limits, its couplings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lam_models.hands.check import PINCH_M, Findings
from lam_models.hands.human import FINGERS, mean_hand
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.spec import HandSpec

COLOURS: dict[str, str] = dict(
    zip(FINGERS, ("#c1440e", "#1b6ca8", "#2e8b57", "#8e5aa8", "#b08900"), strict=True)
)
# Title, then what runs to the right and what runs up: column of xyz and its sign.
_VIEWS = (
    ("palm, from the front", (1, 1), (2, 1)),
    ("from the little finger", (0, 1), (2, 1)),
    ("from the fingertips", (0, 1), (1, 1)),
)
_LEGEND = (
    "solid: at rest; dashed: open; dotted and star: nearest to the thumb, where it touches; "
    "thin: each tip along one joint's range; grey: the mean human hand, flat"
)
_TRAIL = 25
_AXIS_M = 0.03
_SWEEPS = 2


def draw(findings: Findings, kinematics: Kinematics) -> bytes:
    """PNG of the report card."""
    joints = len(findings.spec.joints)
    figure = Figure(figsize=(15, 6.2 + 0.2 * joints), layout="constrained")
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=(5.2, 1.0 + 0.2 * joints))
    views, below = halves[:, 0]
    for axes, (title, right, up) in zip(views.subplots(1, 3), _VIEWS, strict=True):
        view = _View(axes, right, up)
        view.human()
        _hand(view, findings, kinematics)
        view.frame(f"{title} [mm]")
    limits, gaps = below.subplots(1, 2, width_ratios=(3, 1))
    _limits(limits, findings)
    _gaps(gaps, findings)
    verdict = "sound" if findings.sound else "faulty: " + "; ".join(findings.faults)
    title = f"{findings.spec.hand} ({findings.spec.side}): {verdict}"
    figure.suptitle(f"{title}\n{_LEGEND}", fontsize=10)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=90)
    return out.getvalue()


class _View:
    """One projection of the palm frame, in mm."""

    def __init__(self, axes: Axes, right: tuple[int, int], up: tuple[int, int]) -> None:
        self._axes, self._columns = axes, (right[0], up[0])
        self._signs = np.array([right[1], up[1]]) * 1000.0

    def line(self, points: Float[np.ndarray, "points 3"], colour: str, **look: Any) -> None:
        flat = points[:, self._columns] * self._signs
        self._axes.plot(flat[:, 0], flat[:, 1], color=colour, **look)

    def human(self) -> None:
        """The mean human hand, flat, behind the robot's."""
        points = mean_hand().points(np.zeros(21))
        for finger in points[1:].reshape(5, 4, 3):
            bones = np.vstack([points[:1], finger])
            self.line(bones, "#d8d8d8", linewidth=7, solid_capstyle="round", zorder=0)

    def frame(self, title: str) -> None:
        for axis, colour in enumerate(("#d62728", "#2ca02c", "#1f77b4")):
            arrow = np.stack([np.zeros(3), _AXIS_M * np.eye(3)[axis]])
            self.line(arrow, colour, linewidth=2.5, zorder=5)
            right, up = (arrow[1, self._columns] * self._signs).tolist()
            if axis in self._columns:
                self._axes.annotate(
                    "xyz"[axis], (right, up), color=colour, fontsize=11, weight="bold"
                )
        self._axes.set_aspect("equal", adjustable="datalim")
        self._axes.set_title(title, fontsize=10)
        self._axes.grid(alpha=0.25)


def _hand(view: _View, findings: Findings, kinematics: Kinematics) -> None:
    spec = findings.spec
    for finger, trail in _trails(kinematics, findings.rest):
        view.line(trail, COLOURS[finger], linewidth=0.8, alpha=0.5)
    _skeleton(view, kinematics, findings.rest, linewidth=2.2)
    _skeleton(view, kinematics, _open(kinematics, findings.rest), linewidth=1.0, linestyle="--")
    for touch in findings.touches:
        if touch.gap_m < PINCH_M:
            _pinch(view, kinematics, touch.q, (spec.tips.index("thumb"), touch.finger))


def _chain(kinematics: Kinematics, tip: int) -> list[int]:
    """Links from the base to the one with the tip."""
    chain = [kinematics.carriers[tip]]
    while kinematics.bones[chain[0]] >= 0:
        chain.insert(0, kinematics.bones[chain[0]])
    return chain


def _skeleton(view: _View, kinematics: Kinematics, q: np.ndarray, **look: Any) -> None:
    links, tips = kinematics.skeleton(q), kinematics.tips(q)
    for index, finger in enumerate(kinematics.spec.tips):
        bones = np.vstack([links[_chain(kinematics, index)], tips[index]])
        view.line(bones, COLOURS[finger], marker=".", markersize=4, **look)
        view.line(bones[-1:], COLOURS[finger], marker="o", markersize=6)


def _pinch(view: _View, kinematics: Kinematics, q: np.ndarray, pair: tuple[int, str]) -> None:
    """The two fingers that meet, in the colour of the one that meets the thumb."""
    thumb, finger = pair
    links, tips = kinematics.skeleton(q), kinematics.tips(q)
    for index in (thumb, kinematics.spec.tips.index(finger)):
        bones = np.vstack([links[_chain(kinematics, index)][1:], tips[index]])
        view.line(bones, COLOURS[finger], linewidth=1.0, alpha=0.6, linestyle=":")
    view.line(tips[[thumb]], COLOURS[finger], marker="*", markersize=11, markeredgecolor="black")


def _trails(kinematics: Kinematics, rest: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Where each tip goes as one joint after another runs through its limits, from rest."""
    spec, trails = kinematics.spec, []
    for column in range(len(spec.actuated)):
        q = np.tile(rest, (_TRAIL, 1))
        q[:, column] = np.linspace(spec.lower[column], spec.upper[column], _TRAIL)
        paths = kinematics.tips(q)
        moved = np.ptp(paths, axis=0).max(axis=-1) > 1e-4
        trails += [(spec.tips[tip], paths[:, tip]) for tip in np.flatnonzero(moved)]
    return trails


def _open(kinematics: Kinematics, rest: np.ndarray) -> np.ndarray:
    """The posture of the longest key vectors, joint by joint at a limit or at rest."""
    spec, q = kinematics.spec, rest.copy()
    for column in list(range(len(rest))) * _SWEEPS:
        choices = np.tile(q, (3, 1))
        choices[:, column] = rest[column], spec.lower[column], spec.upper[column]
        spans = np.linalg.norm(spec.keyvectors(kinematics.tips(choices)), axis=-1).sum(axis=-1)
        q = choices[int(np.argmax(spans - [0.0, 1e-9, 1e-9]))]
    return q


def _scale(spec: HandSpec, name: str) -> tuple[float, str]:
    return (1000.0, "mm") if spec.kind(name) == "prismatic" else (180.0 / np.pi, "°")


def _limits(axes: Axes, findings: Findings) -> None:
    """A bar from limit to limit for each joint, an arrow from a leader to what follows it."""
    spec = findings.spec
    rows = {name: row for row, name in enumerate(_by_leader(spec))}
    ends = np.stack([spec.expand(q) for q in (spec.lower, spec.upper, findings.rest)])
    for name, row in rows.items():
        scale, unit = _scale(spec, name)
        first, last, rest = (scale * ends[:, spec.names.index(name)]).tolist()
        start, end = sorted((first, last))
        follows = spec.joints[name].follows
        axes.barh(row, end - start, left=start, color="#c9d3dc" if follows else "#5b8db8")
        axes.plot(rest, row, "k|", markersize=9)
        axes.text(end, row, f" {start:.0f} to {end:.0f} {unit}", va="center", fontsize=7)
        if follows is not None:
            _coupling_arrow(axes, row, rows[follows.joint], rest)
    axes.set_yticks(list(rows.values()), [_label(spec, name) for name in rows], fontsize=7)
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.1, y=0.02)
    axes.set_title("limits; grey follows the joint its arrow comes from; | rest", fontsize=10)


def _by_leader(spec: HandSpec) -> list[str]:
    """Joints in the file's order, each with its followers behind it."""
    couplings = spec.coupling()[0]
    leaders = [spec.actuated[int(np.abs(row).argmax())] for row in couplings]
    led = dict(zip(spec.names, leaders, strict=True))
    return [name for leader in spec.actuated for name in spec.names if led[name] == leader]


def _coupling_arrow(axes: Axes, row: int, leader: int, at: float) -> None:
    look = {"arrowstyle": "->", "color": "#c1440e", "connectionstyle": "arc3,rad=-0.3"}
    axes.annotate("", (at, row), (at, leader), arrowprops=look)


def _label(spec: HandSpec, name: str) -> str:
    slot = spec.joints[name].slot
    return f"{name}  ({slot})" if slot else name


def _gaps(axes: Axes, findings: Findings) -> None:
    fingers = [touch.finger for touch in findings.touches]
    gaps_mm = [1000.0 * touch.gap_m for touch in findings.touches]
    axes.bar(fingers, gaps_mm, color=[COLOURS[finger] for finger in fingers])
    axes.axhline(1000.0 * PINCH_M, color="black", linestyle="--", linewidth=1)
    for index, gap_mm in enumerate(gaps_mm):
        axes.text(index, gap_mm, f"{gap_mm:.1f}", ha="center", va="bottom", fontsize=8)
    axes.set_title("nearest to the thumb [mm]", fontsize=10)
