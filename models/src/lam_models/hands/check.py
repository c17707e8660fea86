"""What a hand's file makes of the hand: can it do what a hand does, and what is odd about it.

A file that can be read may still lie: a palm frame turned round, a fingertip on the wrong link, a
joint called by the wrong human angle. `examine` looks at how the hand moves and says so. Faults are
what no retargeting could work with; notes are what somebody should look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands import poses as natural
from lam_models.hands.driver import driver_units
from lam_models.hands.human import ANGLES, FINGERS, TIPS, mean_hand
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import PALM
from lam_models.hands.touch import Touch, nearest_touches

PINCH_M = 0.010  # A pinch is closed when its gap is smaller.
_NO_PINCH_M = 0.020  # A hand none of whose fingers comes as near as this holds nothing.
_SIZES = (0.4, 2.5)  # Reach as a share of the human's: beyond, lengths are hardly in metres.
_ASIDE_M = 0.01  # Thumbs that face their fingers hover about their middle by less than this.
_MOVES_M = 1e-6  # Metres a radian, or a metre.
_OPPOSITE = -0.5  # Cosine of the angle between two motions.
_SAMPLES = 300


@dataclass(frozen=True)
class Channel:
    """One number of the command, at both limits of its joint."""

    name: str
    joint: str
    at_lower: float
    at_upper: float


@dataclass(frozen=True)
class Findings:
    """What `examine` found.

    rest: the vector nearest to all zero. reach_m: how far from the palm's origin each tip gets.
    size: the median of that as a share of the mean human hand's same fingers.
    """

    spec: HandSpec
    rest: Float[np.ndarray, " actuated"]
    tips_at_rest_m: Float[np.ndarray, "tips 3"]
    reach_m: Float[np.ndarray, " tips"]
    size: float
    touches: tuple[Touch, ...]
    channels: tuple[Channel, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults


def examine(kinematics: Kinematics, seed: int = 0) -> Findings:
    """The findings about a hand; the same for the same seed."""
    spec = kinematics.spec
    rest = spec.clip(np.zeros(len(spec.actuated)))
    q = spec.sample(_SAMPLES, seed)
    tips, slopes = kinematics.tips(q), kinematics.jacobian(q)
    touches = nearest_touches(kinematics, seed)
    reach_m = np.linalg.norm(tips, axis=-1).max(axis=0)
    human_m = np.linalg.norm(mean_hand().points(np.zeros(21))[TIPS], axis=-1)
    size = float(np.median(reach_m / human_m[[FINGERS.index(finger) for finger in spec.tips]]))
    return Findings(
        spec=spec,
        rest=rest,
        tips_at_rest_m=kinematics.tips(rest),
        reach_m=reach_m,
        size=size,
        touches=touches,
        channels=_channels(spec),
        notes=(
            *getattr(kinematics, "notes", ()),
            *_idle(spec, slopes),
            *_against_their_slots(spec, slopes),
            *_far_pinches(touches),
        ),
        faults=(*_turned_palm(spec, tips), *_wrong_size(size), *_no_pinch(touches)),
    )


def _channels(spec: HandSpec) -> tuple[Channel, ...]:
    units = driver_units(spec)
    lower, upper = units.values(spec.lower), units.values(spec.upper)
    return tuple(
        Channel(name, channel.joint, float(low), float(high))
        for name, channel, low, high in zip(
            units.names, spec.command.order, lower, upper, strict=True
        )
    )


def _idle(spec: HandSpec, slopes: np.ndarray) -> Iterator[str]:
    moved = np.linalg.norm(slopes, axis=-2).max(axis=0) > _MOVES_M
    for name, moves_a_tip in zip(spec.actuated, moved.any(axis=0), strict=True):
        if not moves_a_tip:
            yield f"joint '{name}' moves no fingertip"
    for finger, is_moved in zip(spec.tips, moved.any(axis=1), strict=True):
        if not is_moved:
            yield f"the {finger}'s tip is moved by no joint"


def _against_their_slots(spec: HandSpec, slopes: np.ndarray) -> Iterator[str]:
    """Joints that move their finger's tip the other way than the human angle they name."""
    hand = mean_hand()
    human = hand.jacobian(natural.sample(hand, _SAMPLES, 0).angles, TIPS).mean(axis=0)
    for column, name in enumerate(spec.actuated):
        slot = spec.joints[name].slot
        angle = slot.removeprefix("-")
        finger = angle.partition("_")[0]
        if finger not in spec.tips:
            continue
        wanted = human[FINGERS.index(finger), :, ANGLES.index(angle)]
        found = slopes[:, spec.tips.index(finger), :, column].mean(axis=0)
        sign = -1.0 if slot != angle else 1.0
        lengths = np.linalg.norm(wanted) * np.linalg.norm(found)
        if sign * float(wanted @ found) < _OPPOSITE * lengths:
            other = angle if slot != angle else f"-{angle}"
            yield f"joint '{name}' runs against its slot '{slot}': perhaps '{other}' is meant"


def _far_pinches(touches: tuple[Touch, ...]) -> Iterator[str]:
    for touch in touches:
        if touch.gap_m >= PINCH_M:
            yield f"thumb and {touch.finger} stay {1000 * touch.gap_m:.0f} mm apart"


def _no_pinch(touches: tuple[Touch, ...]) -> Iterator[str]:
    nearest = min(touches, key=lambda touch: touch.gap_m)
    if nearest.gap_m >= _NO_PINCH_M:
        yield (
            f"no finger meets the thumb: the {nearest.finger} comes nearest and stays "
            f"{1000 * nearest.gap_m:.0f} mm away"
        )


def _wrong_size(size: float) -> Iterator[str]:
    low, high = _SIZES
    if not low <= size <= high:
        yield (
            f"the tips reach {size:.2g} times as far from the palm as a person's: are the lengths "
            "in metres, and is the palm's origin at the wrist?"
        )


def _turned_palm(spec: HandSpec, tips: np.ndarray) -> Iterator[str]:
    """Where the palm frame of `spec.Palm` and the hand disagree. A gripper has no palm."""
    if not any(PALM in pair for pair in spec.key_vectors):
        return
    mean = tips.mean(axis=0)
    thumb = spec.tips.index("thumb")
    fingers = np.delete(mean, thumb, axis=0).mean(axis=0)
    if fingers[2] <= 0.0:
        yield "the fingers are at z < 0 of the palm frame: z must point to them"
    if fingers[0] < 0.0:
        yield "the fingers bend to -x of the palm frame: x must point out of the palm"
    beside = mean[thumb] - fingers
    if beside[0] + beside[1] < -_ASIDE_M:
        yield (
            f"the thumb is on the little finger's side or behind the palm: is this {spec.side} "
            "hand's palm frame turned round, or the other side meant?"
        )
