"""What the driver of a UR arm and its hand say to each other: orders there, one byte of answer back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_ORDER = struct.Struct("<Bq12d")
ORDER_BYTES = _ORDER.size


class Verb(IntEnum):
    """What is to be done."""

    HOLD = 0
    FOLLOW = 1
    END = 2


class Answer(IntEnum):
    """What has been done; a failure goes on with words."""

    READY = 0
    SERVED = 1
    FAILED = 2


@dataclass(frozen=True)
class Order:
    """One order.

    Attributes:
        stamp_ns: when it was given, by `time.monotonic_ns()`.
        q, dq: (6,) rad and rad/s, of one to follow.
    """

    verb: Verb
    stamp_ns: int
    q: NDArray[np.float64]
    dq: NDArray[np.float64]

    def packed(self) -> bytes:
        """As it travels."""
        return _ORDER.pack(self.verb, self.stamp_ns, *self.q, *self.dq)

    @classmethod
    def of(cls, data: bytes) -> Order:
        """From what has travelled."""
        verb, stamp_ns, *values = _ORDER.unpack(data)
        return cls(Verb(verb), stamp_ns, np.array(values[:6]), np.array(values[6:]))

    @classmethod
    def end(cls) -> Order:
        """To come to rest, and to go."""
        return cls(Verb.END, 0, np.zeros(6), np.zeros(6))
