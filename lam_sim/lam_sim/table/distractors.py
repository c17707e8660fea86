"""What moves and changes in the picture without being the task, each one a small class.

A distractor is a pure function of its random draw and the simulated time, and acts on what is
drawn, never on the physics: the same actions lead to the same states with and without it.
"""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from jaxtyping import Float64, UInt8

from lam_sim.interface import find
from lam_sim.table.render import Canvas
from lam_sim.table.scene import COLORS, shape_parts
from lam_sim.table.stage import CAMERAS, TEXTURE_SIZE

DISTRACTORS = {
    "background": "lam_sim.table.distractors:MovingBackground",
    "objects": "lam_sim.table.distractors:MovingObjects",
    "light": "lam_sim.table.distractors:ChangingLight",
    "camera": "lam_sim.table.distractors:CameraShake",
    "texture": "lam_sim.table.distractors:TableTexture",
}


class Distractor(Protocol):
    """One kind of distraction, drawn for one episode.

    names: of the numbers in `state`, fixed for the kind.
    """

    names: tuple[str, ...]

    def __init__(self, rng: np.random.Generator) -> None: ...

    def build(self, spec: mujoco.MjSpec) -> None:
        """Add what it needs to the model."""
        ...

    def bind(self, model: mujoco.MjModel) -> None:
        """Remember what it changes of the compiled model."""
        ...

    def state(self, time_s: float) -> Float64[np.ndarray, " n"]: ...

    def show(self, canvas: Canvas, time_s: float) -> None:
        """Make the canvas look as it does at `time_s`."""
        ...


def make_distractor(name: str, rng: np.random.Generator) -> Distractor:
    """A fresh draw; UserError for an unknown name."""
    return find("distractor", name, DISTRACTORS)(rng)


class Wave:
    """Smooth wandering about zero: `size` independent sums of three sines, about -1 to 1."""

    def __init__(
        self, rng: np.random.Generator, size: int, slowest_hz: float, fastest_hz: float
    ) -> None:
        self._omega = 2 * np.pi * rng.uniform(slowest_hz, fastest_hz, (size, 3))
        self._phase = rng.uniform(0, 2 * np.pi, (size, 3))

    def at(self, time_s: float) -> Float64[np.ndarray, " size"]:
        return np.sin(self._omega * time_s + self._phase).sum(axis=1) / 2.0


def random_pattern(rng: np.random.Generator, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """A colourful seamless pattern: waves of two or three colours."""
    y = np.arange(height)[:, None] * (2 * np.pi / height)
    x = np.arange(width)[None, :] * (2 * np.pi / width)
    image = np.zeros((height, width, 3))
    weight = np.full((height, width, 1), 1e-6)
    for _ in range(4):
        turns = rng.integers(1, 5, 2) * rng.choice([-1, 1], 2)
        bump = np.sin(turns[0] * y + turns[1] * x + rng.uniform(0, 2 * np.pi))
        share = np.exp(3.0 * bump)[..., None]
        image += share * rng.uniform(0.1, 0.95, 3)
        weight += share
    return (255 * image / weight).astype(np.uint8)


class MovingBackground:
    """A patterned wall that slides by, in a direction that slowly wanders."""

    names = ("background.roll_y", "background.roll_z")

    def __init__(self, rng: np.random.Generator) -> None:
        self._pattern = random_pattern(rng, *TEXTURE_SIZE["wall"])
        self._speed = rng.uniform(0.1, 0.35, 2) * rng.choice([-1.0, 1.0], 2)
        self._wave = Wave(rng, 2, 0.1, 0.4)
        self._shown: tuple[int, int] | None = None

    def build(self, spec: mujoco.MjSpec) -> None:
        pass

    def bind(self, model: mujoco.MjModel) -> None:
        pass

    def state(self, time_s: float) -> Float64[np.ndarray, "2"]:
        """How far the pattern has gone, in widths and heights of itself."""
        return self._speed * time_s + 0.1 * self._wave.at(time_s)

    def show(self, canvas: Canvas, time_s: float) -> None:
        height, width = self._pattern.shape[:2]
        y, z = self.state(time_s)
        roll = (int(z * height) % height, int(y * width) % width)
        if roll != self._shown:
            self._shown = roll
            canvas.paint("wall", np.roll(self._pattern, roll, axis=(0, 1)))


class TableTexture:
    """Another table top each episode. Its state is the mean colour, 0 to 1."""

    names = ("texture.red", "texture.green", "texture.blue")

    def __init__(self, rng: np.random.Generator) -> None:
        self._pattern = random_pattern(rng, *TEXTURE_SIZE["table"])
        self._painted = False

    def build(self, spec: mujoco.MjSpec) -> None:
        pass

    def bind(self, model: mujoco.MjModel) -> None:
        pass

    def state(self, time_s: float) -> Float64[np.ndarray, "3"]:
        return self._pattern.mean(axis=(0, 1)) / 255.0

    def show(self, canvas: Canvas, time_s: float) -> None:
        if not self._painted:
            self._painted = True
            canvas.paint("table", self._pattern)


class MovingObjects:
    """Four things wander about on the table, around the workspace and never within it."""

    _COUNT = 4
    names = tuple(f"mover_{i}.{axis}_m" for i in range(_COUNT) for axis in "xy")

    def __init__(self, rng: np.random.Generator) -> None:
        self._shapes = rng.choice(["cube", "cylinder", "ball", "hexagon"], self._COUNT)
        self._colors = rng.choice(list(COLORS), self._COUNT)
        self._width_m = rng.uniform(0.05, 0.09, self._COUNT)
        # Beside the workspace and beside the robot's base, in the front camera's view.
        self._centers_m = np.array([[0.4, -0.38], [0.4, 0.4], [0.1, 0.3], [0.1, -0.26]])
        self._reach_m = np.array([[0.2, 0.03], [0.2, 0.05], [0.06, 0.1], [0.06, 0.1]])
        self._wave = Wave(rng, 2 * self._COUNT, 0.15, 0.6)

    def build(self, spec: mujoco.MjSpec) -> None:
        for i in range(self._COUNT):
            width = float(self._width_m[i])
            body = spec.worldbody.add_body(name=f"mover_{i}", mocap=True)
            for kind, size, offset, turn in shape_parts(str(self._shapes[i]), width):
                body.add_geom(
                    type=kind,
                    size=size,
                    pos=offset,
                    quat=(np.cos(turn / 2), 0, 0, np.sin(turn / 2)),
                    rgba=COLORS[str(self._colors[i])],
                    contype=0,
                    conaffinity=0,
                )

    def bind(self, model: mujoco.MjModel) -> None:
        self._mocap = [int(model.body(f"mover_{i}").mocapid[0]) for i in range(self._COUNT)]

    def state(self, time_s: float) -> Float64[np.ndarray, "8"]:
        wander = self._wave.at(time_s).reshape(-1, 2)
        return (self._centers_m + self._reach_m * np.clip(wander, -1, 1)).ravel()

    def show(self, canvas: Canvas, time_s: float) -> None:
        where = self.state(time_s).reshape(-1, 2)
        canvas.data.mocap_pos[self._mocap, :2] = where
        canvas.data.mocap_pos[self._mocap, 2] = self._width_m / 2


class ChangingLight:
    """Light that grows, fades and changes its colour. Its state is the factor on each colour."""

    names = ("light.red", "light.green", "light.blue")

    def __init__(self, rng: np.random.Generator) -> None:
        self._mean = rng.uniform(0.75, 1.1) * rng.uniform(0.85, 1.15, 3)
        self._brightness = Wave(rng, 1, 0.1, 0.7)
        self._tint = Wave(rng, 3, 0.1, 0.5)

    def build(self, spec: mujoco.MjSpec) -> None:
        pass

    def bind(self, model: mujoco.MjModel) -> None:
        self._lamp = model.light_diffuse.copy()
        headlight = model.vis.headlight
        self._ambient, self._diffuse = headlight.ambient.copy(), headlight.diffuse.copy()

    def state(self, time_s: float) -> Float64[np.ndarray, "3"]:
        wander = 1.0 + 0.35 * self._brightness.at(time_s) + 0.12 * self._tint.at(time_s)
        return np.clip(self._mean * wander, 0.3, 1.6)

    def show(self, canvas: Canvas, time_s: float) -> None:
        factor = self.state(time_s)
        canvas.model.light_diffuse[:] = self._lamp * factor
        headlight = canvas.model.vis.headlight
        headlight.ambient[:] = self._ambient * factor
        headlight.diffuse[:] = self._diffuse * factor


class CameraShake:
    """Cameras that tremble, each on its own: the front one by a centimetre or two."""

    names = tuple(f"camera.{name}_{axis}_m" for name in CAMERAS for axis in "xyz")

    def __init__(self, rng: np.random.Generator) -> None:
        self._wave = Wave(rng, 3 * len(CAMERAS), 0.5, 3.0)

    def build(self, spec: mujoco.MjSpec) -> None:
        pass

    def bind(self, model: mujoco.MjModel) -> None:
        self._ids = [model.camera(name).id for name in CAMERAS]
        self._still = model.cam_pos[self._ids]

    def state(self, time_s: float) -> Float64[np.ndarray, "6"]:
        return self._wave.at(time_s) * np.repeat([0.015, 0.004], 3)

    def show(self, canvas: Canvas, time_s: float) -> None:
        canvas.model.cam_pos[self._ids] = self._still + self.state(time_s).reshape(-1, 3)
