"""What every message is made of, and what its numbers have to be."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from edge_runtime.contracts.embodiment import MAX_AXES as MAX_AXES

MAX_DETAIL_CHARS = 240
MAX_INSTRUCTION_CHARS = 512


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Base of all messages; the class name is their tag, so that a message on the wrong topic is refused."""


def require_finite(name: str, values: Iterable[float]) -> None:
    """Raise ValueError unless all `values` of field `name` are finite."""
    if not all(map(math.isfinite, values)):
        raise ValueError(f"not finite: {name}")


def require_63_bit(name: str, value: int) -> None:
    """Raise ValueError unless `value` of field `name` is a stamp or a count that C can hold."""
    # Stamps and counters end up in int64 fields of C structs, where a larger one would be an error of its own.
    if not 0 <= value < 2**63:
        raise ValueError(f"{name} must be a non-negative 63-bit number")
