"""Vertices of an STL file, binary or text. Guarantees a typed error for anything else; trusts no count in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Array

_HEADER_BYTES = 84
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
LARGEST_BYTES = 256 << 20


def stl_vertices(path: Path) -> Array:
    """`(n, 3)` different vertices, in the file's unit.

    Raises:
        ConfigError: names the file, and says what is wrong with it.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(str(path), f"larger than {LARGEST_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    vertices = _binary(data) if _is_binary(data) else _text(path, data)
    if not len(vertices) or not np.isfinite(vertices).all():
        raise ConfigError(str(path), "has no vertices, or some that are not finite")
    return np.unique(vertices, axis=0)


def _is_binary(data: bytes) -> bool:
    # Text files, too, may open with any 84 bytes: the length decides.
    count = int.from_bytes(data[80:_HEADER_BYTES], "little")
    return len(data) >= _HEADER_BYTES and len(data) == _HEADER_BYTES + count * _TRIANGLE.itemsize


def _binary(data: bytes) -> Array:
    return np.frombuffer(data, _TRIANGLE, offset=_HEADER_BYTES)["corners"].reshape(-1, 3).astype(np.float64)


def _text(path: Path, data: bytes) -> Array:
    rows = [line.split()[1:] for line in data.decode("ascii", "replace").splitlines() if line.split()[:1] == ["vertex"]]
    try:
        return np.array(rows, dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise ConfigError(str(path), f"not an STL file: {error}") from error
