"""Moving distractors for Meta-World: what changes in view without mattering to the task.

Everything is a function of the episode's random numbers and of simulated time, changes only how
things look, and is put back at the next reset. Names are those of our own world's distractors.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float64, UInt8

DISTRACTORS = ("background", "objects", "light", "camera", "texture")

_OBJECT_COUNT = 6
_SHAPES = (
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
)
# Region above the table and around the task in which objects float [m].
_LOW, _HIGH = np.array([-0.55, 0.5, 0.05]), np.array([0.45, 1.1, 0.35])
_TEXTURE_SIDE = 64
# The camera that stands in the room and may shake.
FRONT_CAMERA = "corner4"


@dataclass(frozen=True)
class _Wave:
    """A sum of one sine an entry: centre + reach * sin(2 pi (hz * t + phase))."""

    centre: Float64[np.ndarray, "..."]
    reach: Float64[np.ndarray, "..."]
    hz: Float64[np.ndarray, "..."]
    phase: Float64[np.ndarray, "..."]

    @classmethod
    def draw(cls, rng: np.random.Generator, centre: np.ndarray, reach: np.ndarray | float) -> _Wave:
        shape = np.shape(centre)
        reach = np.broadcast_to(reach, shape) * rng.uniform(0.5, 1.0, shape)
        return cls(centre, reach, rng.uniform(0.1, 0.5, shape), rng.uniform(0.0, 1.0, shape))

    def at(self, time_s: float) -> Float64[np.ndarray, "..."]:
        return self.centre + self.reach * np.sin(2 * np.pi * (self.hz * time_s + self.phase))


@dataclass(frozen=True)
class _Originals:
    """What is changed during an episode, as the model file has it."""

    cam_pos: np.ndarray
    light_diffuse: np.ndarray
    headlight: np.ndarray
    mat_rgba: np.ndarray


@dataclass(frozen=True)
class _Motions:
    """One episode's movements."""

    objects: _Wave
    light: _Wave
    camera: _Wave
    roll_hz: Float64[np.ndarray, "2"]
    backdrop: UInt8[np.ndarray, "side side 3"]


class Distractors:
    """The chosen distractors of one world: `add_to` its spec, then `reset` and `move` its model."""

    def __init__(self, chosen: tuple[str, ...]) -> None:
        self._chosen = frozenset(chosen)
        self._originals: _Originals | None = None
        self._motions: _Motions | None = None
        self._roll = np.zeros(2, int)
        self._uploaded: dict[mujoco.Renderer, bytes] = {}
        self.names = self._state_names()

    def _state_names(self) -> tuple[str, ...]:
        names: list[str] = []
        if "objects" in self._chosen:
            names += [f"distractor_{i}.{a}_m" for i in range(_OBJECT_COUNT) for a in "xyz"]
        if "background" in self._chosen:
            names += ["background.roll_x", "background.roll_y"]
        if "light" in self._chosen:
            names += ["light.level"]
        if "camera" in self._chosen:
            names += [f"camera.{axis}_m" for axis in "xyz"]
        return tuple(names)

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add what has to be in the model; last, so that no index of the benchmark changes."""
        if "objects" in self._chosen:
            for i in range(_OBJECT_COUNT):
                body = spec.worldbody.add_body(name=f"distractor_{i}", pos=[0, 0.7, 0.2])
                geom = body.add_geom(type=_SHAPES[i % len(_SHAPES)], size=[0.03] * 3)
                geom.name = f"distractor_{i}"
                geom.contype = geom.conaffinity = 0
        if "background" in self._chosen:
            texture = spec.add_texture(name="backdrop", type=mujoco.mjtTexture.mjTEXTURE_2D)
            texture.builtin = mujoco.mjtBuiltin.mjBUILTIN_FLAT
            texture.width = texture.height = _TEXTURE_SIDE
            texture.nchannel = 3
            floor = spec.material("basic_floor")
            textures = list(floor.textures)
            textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "backdrop"
            floor.textures = textures
            floor.texrepeat = [2, 2]

    def reset(self, model: mujoco.MjModel, rng: np.random.Generator) -> None:
        """Put everything back and draw the movements of a new episode."""
        if self._originals is None:
            self._originals = _Originals(
                model.cam_pos.copy(),
                model.light_diffuse.copy(),
                np.array(model.vis.headlight.diffuse),
                model.mat_rgba.copy(),
            )
        original = self._originals
        model.cam_pos[:] = original.cam_pos
        model.mat_rgba[:] = original.mat_rgba
        # Always the same draws, so that switching one distractor on leaves the others as they were.
        colors = rng.uniform(0.1, 1.0, (_OBJECT_COUNT, 3))
        sizes = rng.uniform(0.03, 0.07, (_OBJECT_COUNT, 3))
        tint = rng.uniform(0.3, 1.0, (model.nmat, 3))
        self._motions = _Motions(
            objects=_Wave.draw(rng, rng.uniform(_LOW, _HIGH, (_OBJECT_COUNT, 3)), 0.25),
            light=_Wave.draw(rng, np.array([0.9]), 0.6),
            camera=_Wave.draw(rng, original.cam_pos[model.camera(FRONT_CAMERA).id], 0.03),
            roll_hz=rng.uniform(-0.3, 0.3, 2),
            backdrop=_cloudy(rng),
        )
        if "objects" in self._chosen:
            for i in range(_OBJECT_COUNT):
                model.geom(f"distractor_{i}").rgba[:3] = colors[i]
                model.geom(f"distractor_{i}").size[:] = sizes[i]
        if "texture" in self._chosen:
            model.mat_rgba[:, :3] *= tint

    def move(self, model: mujoco.MjModel, time_s: float) -> None:
        """Set everything to its place at `time_s` of the episode."""
        motions, original = self._motions, self._originals
        if motions is None or original is None:
            return
        if "objects" in self._chosen:
            for i, place in enumerate(motions.objects.at(time_s)):
                model.body(f"distractor_{i}").pos[:] = place
        if "light" in self._chosen:
            level = float(motions.light.at(time_s)[0])
            model.light_diffuse[:] = original.light_diffuse * level
            model.vis.headlight.diffuse[:] = original.headlight * level
        if "camera" in self._chosen:
            model.camera(FRONT_CAMERA).pos[:] = motions.camera.at(time_s)
        if "background" in self._chosen:
            turns = motions.roll_hz * time_s
            self._roll = np.floor(turns * _TEXTURE_SIDE).astype(int) % _TEXTURE_SIDE

    def upload(self, model: mujoco.MjModel, view: mujoco.Renderer) -> None:
        """Bring the rolled backdrop to the renderer's GL context: the floor and the sky."""
        if "background" not in self._chosen or self._motions is None:
            return
        image = np.roll(self._motions.backdrop, self._roll, axis=(0, 1))
        if self._uploaded.get(view) == image.tobytes():
            return
        for texture in range(model.ntex):
            is_sky = model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_SKYBOX
            if is_sky or texture == model.texture("backdrop").id:
                _fill(model, texture, image)
                _upload(model, texture, view)
        self._uploaded[view] = image.tobytes()

    def state(self, model: mujoco.MjModel) -> Float64[np.ndarray, " n"]:
        """The numbers that `names` names."""
        parts: list[np.ndarray] = []
        if "objects" in self._chosen:
            parts += [model.body(f"distractor_{i}").pos for i in range(_OBJECT_COUNT)]
        if "background" in self._chosen:
            parts.append(self._roll / _TEXTURE_SIDE)
        if "light" in self._chosen and self._originals is not None:
            parts.append(model.vis.headlight.diffuse[:1] / self._originals.headlight[:1])
        if "camera" in self._chosen:
            parts.append(model.camera(FRONT_CAMERA).pos)
        return np.concatenate([*parts, np.zeros(0)])


def _cloudy(rng: np.random.Generator) -> UInt8[np.ndarray, "side side 3"]:
    """Smooth coloured noise that tiles without a seam."""
    waves = np.fft.fftfreq(_TEXTURE_SIDE) * _TEXTURE_SIDE
    falloff = 1.0 / (1.0 + waves[:, None] ** 2 + waves[None, :] ** 2)
    noise = rng.standard_normal((_TEXTURE_SIDE, _TEXTURE_SIDE, 3))
    smooth = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) * falloff[..., None], axes=(0, 1)).real
    low, high = smooth.min(axis=(0, 1)), smooth.max(axis=(0, 1))
    return np.round(255 * (smooth - low) / (high - low)).astype(np.uint8)


def _fill(model: mujoco.MjModel, texture: int, image: UInt8[np.ndarray, "side side 3"]) -> None:
    """Tile a texture of the model with an image, from its first pixel on."""
    height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
    rows, columns = np.arange(height) % _TEXTURE_SIDE, np.arange(width) % _TEXTURE_SIDE
    start = int(model.tex_adr[texture])
    model.tex_data[start : start + height * width * 3] = image[rows][:, columns].ravel()


def _upload(model: mujoco.MjModel, texture: int, view: mujoco.Renderer) -> None:
    """This MuJoCo offers no public way to the renderer's context."""
    gl_context = view._gl_context
    assert gl_context is not None
    gl_context.make_current()
    mujoco.mjr_uploadTexture(model, view._mjr_context, texture)
