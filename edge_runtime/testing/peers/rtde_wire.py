"""The bytes of RTDE protocol 2, as Universal Robots' guide "Real-Time Data Exchange" states them.

A package is a big-endian length (2 bytes, itself included), a type (1 byte) and a payload; a vector is its components.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

HEADER = struct.Struct(">HB")
REQUEST_VERSION, CONTROLLER_VERSION, SETUP_OUTPUTS, SETUP_INPUTS = ord("V"), ord("v"), ord("O"), ord("I")
START, PAUSE, DATA = ord("S"), ord("P"), ord("U")

_FORMATS = {
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "INT32": "i",
    "VECTOR6INT32": "6i",
    "UINT32": "I",
    "UINT64": "Q",
    "UINT8": "B",
}
_TYPES = (
    (r"timestamp|payload|speed_scaling|(input|output)_double_register_\d+", "DOUBLE"),
    (r"(target|actual)_(q|qd|qdd|current|moment|TCP_pose|TCP_speed|TCP_force)|external_force_torque", "VECTOR6D"),
    (r"robot_mode|safety_mode|(input|output)_int_register_\d+", "INT32"),
    (r"runtime_state|robot_status_bits|safety_status_bits", "UINT32"),
    (r"payload_cog", "VECTOR3D"),
)


def type_of(variable: str) -> str | None:
    """The type of a variable; None where this controller has none of that name."""
    return next((kind for pattern, kind in _TYPES if re.fullmatch(pattern, variable)), None)


def package(kind: int, payload: bytes = b"") -> bytes:
    """One package, ready to be sent."""
    return HEADER.pack(HEADER.size + len(payload), kind) + payload


def packages(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """The whole packages at the beginning of a buffer, which they are taken from."""
    while len(buffer) >= HEADER.size:
        size, kind = HEADER.unpack_from(buffer)
        if size < HEADER.size:
            raise ConnectionError(f"a package of {size} bytes")
        if len(buffer) < size:
            return
        payload = bytes(buffer[HEADER.size : size])
        del buffer[:size]
        yield kind, payload


def struct_of(variables: Sequence[str]) -> struct.Struct:
    """How these variables lie in a data package after the number of the recipe."""
    return struct.Struct(">" + "".join(_FORMATS[type_of(variable) or ""] for variable in variables))
