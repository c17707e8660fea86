"""Disturbs what is executed while the clean action stays the label.

Demonstrations of an expert that never errs show no way back. Executing `noise(action)` and
recording `action` puts the expert beside its path and lets it show how it returns (DART, Laskey et
al. 2017).
"""

from __future__ import annotations

import numpy as np

from lam_models.types import Action

# The disturbance is full for steps of this length, and no smaller than this part of it at rest: an
# expert that takes aim at a grasp must be able to get it.
_FULL_STEP_M = 0.015
_LEAST = 0.3
# Rotation that goes with a disturbance of one metre [rad/m]: 6 mm and 10 mrad.
TURN_RAD_PER_M = 1.7


class ActionNoise:
    """A Gaussian disturbance of every action, white or (correlation > 0) Ornstein-Uhlenbeck.

    position_m, turn_rad: standard deviation an axis and action in full motion, whatever the
        correlation; less where the action is small.
    correlation: of the disturbances of neighbouring actions, 0 (white) to below 1.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        position_m: float = 0.006,
        turn_rad: float = 0.01,
        correlation: float = 0.0,
    ) -> None:
        if not 0.0 <= correlation < 1.0:
            raise ValueError(f"correlation {correlation} is outside [0, 1)")
        self._rng = rng
        self._scale = np.repeat([position_m, turn_rad], 3)
        self._keep = correlation
        self._state = rng.standard_normal(6)

    def __call__(self, action: Action) -> Action:
        """The action to execute in place of `action`; the hand's targets are left alone."""
        fresh = self._rng.standard_normal(6)
        self._state = self._keep * self._state + np.sqrt(1.0 - self._keep**2) * fresh
        step_m = float(np.linalg.norm(action.delta_ee[:3]))
        part = float(np.clip(step_m / _FULL_STEP_M, _LEAST, 1.0))
        return Action(action.delta_ee + part * self._scale * self._state, action.hand)
