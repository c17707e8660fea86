"""How the robot's body looks: sizes and colours, and how they vary between embodiments."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

Rgba = tuple[float, float, float, float]

_SKIN_TONES = (
    (0.96, 0.80, 0.69),
    (0.89, 0.70, 0.56),
    (0.78, 0.57, 0.42),
    (0.60, 0.41, 0.29),
    (0.42, 0.28, 0.20),
    (0.30, 0.20, 0.15),
)


@dataclass(frozen=True)
class Look:
    """Colours of the parts, and factors on the standard radii and finger lengths."""

    arm: Rgba = (0.93, 0.93, 0.95, 1.0)
    joint: Rgba = (0.28, 0.30, 0.34, 1.0)
    forearm: Rgba = (0.93, 0.93, 0.95, 1.0)
    hand: Rgba = (0.22, 0.24, 0.28, 1.0)
    tip: Rgba = (0.10, 0.60, 0.66, 1.0)
    arm_radius: float = 1.0
    finger_radius: float = 1.0
    finger_length: float = 1.0
    palm: float = 1.0


STANDARD_LOOK = Look()


def opaque(rgb: tuple[float, float, float]) -> Rgba:
    return (rgb[0], rgb[1], rgb[2], 1.0)


def _any_color(rng: np.random.Generator, saturation: float, value: float) -> Rgba:
    return opaque(colorsys.hsv_to_rgb(float(rng.uniform()), saturation, value))


def machine_look(rng: np.random.Generator) -> Look:
    """Another robot of the same kinematics: other paint, thicker or thinner."""
    arm = _any_color(rng, rng.uniform(0.0, 0.5), rng.uniform(0.5, 0.95))
    grey = rng.uniform(0.1, 0.5)
    return Look(
        arm=arm,
        forearm=arm,
        joint=(grey, grey, grey, 1.0),
        hand=_any_color(rng, rng.uniform(0.0, 0.4), rng.uniform(0.2, 0.9)),
        tip=_any_color(rng, rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.9)),
        arm_radius=rng.uniform(0.85, 1.2),
        finger_radius=rng.uniform(0.9, 1.1),
        finger_length=rng.uniform(0.95, 1.08),
        palm=rng.uniform(0.9, 1.15),
    )


def human_look(rng: np.random.Generator) -> Look:
    """A person's forearm and hand: skin from the elbow on, a sleeve above it."""
    tone = np.array(_SKIN_TONES[rng.integers(len(_SKIN_TONES))]) * rng.uniform(0.95, 1.04)
    skin = opaque(tuple(np.clip(tone, 0.0, 1.0)))
    fingertip = opaque(tuple(np.clip(tone * (1.04, 0.94, 0.94), 0.0, 1.0)))
    sleeve = _any_color(rng, rng.uniform(0.1, 0.8), rng.uniform(0.25, 0.9))
    return Look(
        arm=sleeve,
        joint=sleeve,
        forearm=skin,
        hand=skin,
        tip=fingertip,
        arm_radius=rng.uniform(0.75, 1.0),
        finger_radius=rng.uniform(0.88, 1.12),
        finger_length=rng.uniform(0.95, 1.08),
        palm=rng.uniform(0.9, 1.15),
    )
