"""A calibrated camera that stands still: which line of sight each part of its picture is.

Pictures are square and undistorted, as a policy sees them; places in them run from -1 to 1, right
and down, whatever the number of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.command import UserError
from lam_models.geometry import so3_exp

# A line of sight that hardly sinks meets a table nowhere near.
_LEAST_SINK = 0.05


@dataclass(frozen=True)
class Pinhole:
    """focal: in half sides of the picture; 1 sees 90 degrees.

    position_m, turn_rad: of the camera in the base frame, a rotation vector of its optical axes
        (x right, y down, z ahead).
    """

    focal: float
    position_m: tuple[float, float, float]
    turn_rad: tuple[float, float, float]

    def __post_init__(self) -> None:
        numbers = (self.focal, *self.position_m, *self.turn_rad)
        if len(numbers) != 7 or not all(math.isfinite(n) for n in numbers) or self.focal <= 0.0:
            raise UserError(
                "a camera's calibration is a focal length above 0, a position of 3 m and a turn of "
                f"3 rad, all finite; not {self.focal}, {self.position_m}, {self.turn_rad}"
            )

    @property
    def R_base_camera(self) -> Float[np.ndarray, "3 3"]:
        return so3_exp(np.array(self.turn_rad))

    def on_plane(
        self, places: Float[np.ndarray, "*any 2"], height_m: float
    ) -> Float[np.ndarray, "*any 2"]:
        """Where lines of sight meet the plane of that height in the base frame [m]."""
        ahead = np.concatenate([places, np.full((*places.shape[:-1], 1), self.focal)], axis=-1)
        rays = ahead @ self.R_base_camera.T
        start = np.array(self.position_m)
        far = (height_m - start[2]) / np.minimum(rays[..., 2:], -_LEAST_SINK)
        return start[:2] + far * rays[..., :2]
