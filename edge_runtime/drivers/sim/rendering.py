"""Off-screen pictures of the simulated world, through EGL on whatever rasteriser the machine has.

MuJoCo is imported here and nowhere else, because what it draws with is settled by its import.

Shadows and multisampling are off: on a software rasteriser they cost eighteen times the rest of the picture.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.errors import MissingSystemPackageError

# MuJoCo picks its OpenGL back end when it is imported; one for windows, set for other work, is of no use here.
os.environ["MUJOCO_GL"] = "egl"
__all__ = ["Renderers", "mujoco"]

_NEEDS_EGL = ("off-screen rendering needs EGL", "libegl1", "libopengl0", "libgl1-mesa-dri")
try:
    import mujoco
except ModuleNotFoundError:
    raise
except (ImportError, AttributeError, OSError, ctypes.ArgumentError) as error:
    # MuJoCo binds EGL while it is imported; PyOpenGL fails with any of these, depending on which library is missing.
    raise MissingSystemPackageError(*_NEEDS_EGL) from error


class Renderers:
    """One OpenGL context for each picture size, made on first use."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._by_size: dict[tuple[int, int], Any] = {}

    def draw(self, data: Any, camera: str, out: npt.NDArray[np.uint8]) -> None:
        """Draw `camera` into `out`, (H, W, 3) uint8, C-contiguous, top row first."""
        renderer = self._renderer(out.shape[0], out.shape[1])
        renderer.update_scene(data, camera)
        renderer.render(out=out)

    def _renderer(self, height_px: int, width_px: int) -> Any:
        renderer = self._by_size.get((height_px, width_px))
        if renderer is None:
            renderer = _new_renderer(self._model, height_px, width_px)
            self._by_size[(height_px, width_px)] = renderer
        return renderer

    def close(self) -> None:
        for renderer in self._by_size.values():
            renderer.close()
        self._by_size.clear()


def _new_renderer(model: Any, height_px: int, width_px: int) -> Any:
    try:
        renderer = mujoco.Renderer(model, height_px, width_px)
    except (ImportError, AttributeError, RuntimeError, OSError) as cause:
        raise MissingSystemPackageError(*_NEEDS_EGL) from cause
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
    return renderer
