"""Draws models with one OpenGL context a process.

Making contexts is slow and leaks, so there is one for all models, as large as the largest picture
asked for. That works because all models share their textures' sizes and have no meshes (stage.py);
what differs, the textures' pixels, is uploaded where it changed.
"""

from __future__ import annotations

import itertools

import mujoco
import numpy as np
from jaxtyping import UInt8

_versions = itertools.count(1)
_renderer: Renderer | None = None


class Canvas:
    """A model with the state it is drawn in, apart from the physics' own state."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self.texture_versions = [next(_versions)] * model.ntex

    def paint(self, texture: str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Replace a texture's pixels."""
        index = self.model.texture(texture).id
        start = self.model.tex_adr[index]
        self.model.tex_data[start : start + pixels.size] = pixels.ravel()
        self.texture_versions[index] = next(_versions)


class Renderer:
    """The process's drawing context; `renderer()` gives it."""

    def __init__(self, model: mujoco.MjModel) -> None:
        # MuJoCo reads both from the model when a context is made, and never again.
        self._gl = mujoco.GLContext(64, 64)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._size = (self._context.offHeight, self._context.offWidth)
        self._scene = mujoco.MjvScene(model, maxgeom=300)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = False
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._uploaded = [0] * model.ntex

    def draw(
        self, canvas: Canvas, camera: str, height: int, width: int
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The canvas as the camera sees it now; its kinematics must be up to date."""
        self._gl.make_current()
        self._make_room(height, width)
        self._upload(canvas)
        model, data = canvas.model, canvas.data
        self._camera.fixedcamid = model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            model, data, self._option, None, self._camera, everything, self._scene
        )
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._context)
        upside_down = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(upside_down, None, viewport, self._context)
        return np.ascontiguousarray(upside_down[::-1])

    def _make_room(self, height: int, width: int) -> None:
        if height > self._size[0] or width > self._size[1]:
            self._size = (max(height, self._size[0]), max(width, self._size[1]))
            mujoco.mjr_resizeOffscreen(self._size[1], self._size[0], self._context)

    def _upload(self, canvas: Canvas) -> None:
        for index, version in enumerate(canvas.texture_versions):
            if self._uploaded[index] != version:
                mujoco.mjr_uploadTexture(canvas.model, self._context, index)
                self._uploaded[index] = version


def renderer(model: mujoco.MjModel) -> Renderer:
    """The process's renderer, made for `model` on the first call and good for all."""
    global _renderer
    if _renderer is None:
        _renderer = Renderer(model)
    return _renderer
