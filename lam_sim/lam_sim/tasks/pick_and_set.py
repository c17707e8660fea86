"""Pick a thing up and set it down somewhere: what several tasks' experts do.

over it ─▶ close ─▶ carry ─▶ let go ─▶ away          back to the start where it slipped
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lam_models.geometry import Vector3
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.tasks.motion import Aim, Mover, Phase, PhasedExpert, grip_yaw, reached, yaw_of

_SQUEEZE_M = 0.02
_SLIPPED_M = 0.045


class PickAndSet:
    """An expert's plan: grip body `thing`, bring its centre to `spot`, let go, rise.

    spot: where the centre of the thing is to be when it is let go, from the truth and half the
        thing's height.
    toward: body whose yaw the hand takes on while it carries.
    accurate_m: how close to the spot the thing has to be.
    """

    def __init__(
        self,
        effector: Grasper,
        thing: str,
        toward: str,
        spot: Callable[[Truth, float], Vector3],
        accurate_m: float,
    ) -> None:
        self._effector = effector
        self._thing = thing
        self._toward = toward
        self._spot = spot
        self._accurate_m = accurate_m
        self._half_m: float | None = None
        self._open_m = min(0.08, effector.max_aperture_m)

    def expert(self, mover: Mover) -> PhasedExpert:
        """The plan as an expert."""
        return PhasedExpert(
            [
                Phase("over it", self._grip_open, self._over_it),
                Phase("close", self._grip_closed, lambda truth: True, at_least_s=0.3),
                Phase("carry", self._carry, self._there, lost=self._slipped),
                Phase("let go", self._let_go, lambda truth: True, at_least_s=0.2),
                Phase("away", self._away, lambda truth: False, within_s=1.5),
            ],
            mover,
        )

    def _half_height_m(self, truth: Truth) -> float:
        """Half the thing's height: its centre's at first sight, when it lies on the table."""
        if self._half_m is None:
            self._half_m = float(truth.bodies[self._thing][2, 3])
        return self._half_m

    def _grip_open(self, truth: Truth) -> Aim:
        self._half_height_m(truth)  # Remembered from now on: later it may lie on another thing.
        return self._grip(truth, self._open_m)

    def _grip_closed(self, truth: Truth) -> Aim:
        return self._grip(truth, self._squeezing_m(truth))

    def _grip(self, truth: Truth, aperture_m: float) -> Aim:
        T_base_thing = truth.bodies[self._thing]
        yaw = grip_yaw(T_base_thing, truth.T_base_ee)
        return Aim(self._grip_point(truth), yaw, aperture_m, arch_m=0.1)

    def _grip_point(self, truth: Truth) -> Vector3:
        point = truth.bodies[self._thing][:3, 3].copy()
        point[2] = max(point[2], self._effector.tip_reach_m + 0.004)
        return point

    def _squeezing_m(self, truth: Truth) -> float:
        return max(0.0, 2.0 * self._half_height_m(truth) - _SQUEEZE_M)

    def _over_it(self, truth: Truth) -> bool:
        yaw = grip_yaw(truth.bodies[self._thing], truth.T_base_ee)
        turned = abs(yaw - yaw_of(truth.T_base_ee)) < 0.12
        return turned and reached(truth, self._grip_point(truth), 0.008)

    def _carry(self, truth: Truth) -> Aim:
        held = truth.T_base_ee[:3, 3] - truth.bodies[self._thing][:3, 3]
        spot = self._spot(truth, self._half_height_m(truth))
        yaw = grip_yaw(truth.bodies[self._toward], truth.T_base_ee)
        return Aim(spot + held, yaw, self._squeezing_m(truth), arch_m=0.06)

    def _slipped(self, truth: Truth) -> bool:
        away = truth.bodies[self._thing][:3, 3] - truth.T_base_ee[:3, 3]
        return float(np.linalg.norm(away)) > _SLIPPED_M

    def _there(self, truth: Truth) -> bool:
        spot = self._spot(truth, self._half_height_m(truth))
        away = truth.bodies[self._thing][:3, 3] - spot
        return float(np.linalg.norm(away)) < self._accurate_m

    def _let_go(self, truth: Truth) -> Aim:
        here = truth.T_base_ee[:3, 3]
        yaw = grip_yaw(truth.bodies[self._toward], truth.T_base_ee)
        return Aim(here, yaw, self._open_m)

    def _away(self, truth: Truth) -> Aim:
        above = truth.bodies[self._toward][:3, 3] + np.array([0.0, 0.0, 0.18])
        yaw = grip_yaw(truth.bodies[self._toward], truth.T_base_ee)
        return Aim(above, yaw, self._open_m)
