"""Vertices of a mesh file. STL is read here; OBJ, COLLADA and PLY by the library trimesh.

Guarantees a typed error for what can't be read whole: a part that is missing would leave a part of the robot without a
capsule around it. As ROS does, a COLLADA file's unit counts and its up axis does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Array
from edge_runtime.safety.kinematics.stl import LARGEST_BYTES, stl_vertices

READABLE = (".stl", ".obj", ".dae", ".ply")


def mesh_vertices(path: Path) -> Array:
    """`(n, 3)` different vertices, in m where the format has a unit, otherwise in the file's own.

    Raises:
        ConfigError: names the file, and says what is wrong with it.
        ImportError: it is no STL file, and trimesh is not installed.
    """
    kind = path.suffix.lower()
    if kind not in READABLE:
        raise ConfigError(str(path), f"is no kind of mesh that can be read: only {', '.join(READABLE)}")
    if kind == ".stl":
        return stl_vertices(path)
    import trimesh

    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(str(path), f"larger than {LARGEST_BYTES >> 20} MiB")
        strictly: Any = {"ignore_broken": False} if kind == ".dae" else {}
        scene = trimesh.load_scene(path, process=False, **strictly)
        whole: Any = scene.to_geometry() if scene.geometry else None
        vertices = np.zeros((0, 3)) if whole is None else np.asarray(whole.vertices, dtype=np.float64)
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror or error}") from error
    except (ConfigError, ImportError):
        raise
    # A parser of a format that others wrote raises whatever its many parts raise.
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(str(path), f"can't be read: {words[:200]}") from error
    if not len(vertices) or not np.isfinite(vertices).all():
        raise ConfigError(str(path), "has no vertices, or some that are not finite")
    return np.unique(vertices * _metres(scene.units), axis=0)


def _metres(units: str | None) -> float:
    """How many metres one of the file's unit is."""
    if units is None:
        return 1.0
    factor, _, _ = units.partition(" * ")
    try:
        return float(factor)
    except ValueError:
        return 1.0
