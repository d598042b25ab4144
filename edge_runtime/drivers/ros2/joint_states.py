"""What a JointState says of this robot's axes. Pure: messages in, values out, one error for each way to be wrong.

Joints are found by name, in any order; those of others are passed over, and so is a message with none of ours. A
velocity that is missing or no number is the change of the position since the message before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.ros2.bus import Received
from edge_runtime.drivers.ros2.messages import JointState
from edge_runtime.drivers.ros2.settings import AxisSection
from edge_runtime.drivers.sdk.foreign_clock import ForeignClock


@dataclass(frozen=True)
class State:
    """Values of the axes that have joints, in their order.

    Attributes:
        stamp_ns: of `time.monotonic_ns()`.
        tau: None where none is reported.
    """

    stamp_ns: int
    q: NDArray[np.float64]
    dq: NDArray[np.float64]
    tau: NDArray[np.float64] | None


class JointStates:
    """Reads the messages of one topic, one after the other.

    Args:
        topic: what errors call it.
        axes: names of the axes that have joints.
        sections: of some of them, how they are called and counted there.
        uses_header: stamps are those of the headers; otherwise times of arrival.
        has_effort: effort is reported.
    """

    def __init__(
        self,
        topic: str,
        axes: Sequence[str],
        sections: Mapping[str, AxisSection],
        *,
        uses_header: bool = True,
        has_effort: bool = False,
    ) -> None:
        chosen = [sections.get(name, AxisSection()) for name in axes]
        self._topic = topic
        self._joints = [section.joint or name for section, name in zip(chosen, axes, strict=True)]
        self._ratio = np.array([section.ratio for section in chosen])
        self._offset = np.array([section.offset for section in chosen])
        self._uses_header, self._has_effort = uses_header, has_effort
        self._clock = ForeignClock(f"the clock of {topic}")
        self._publisher: bytes | None = None
        self._header_ns = -1
        self._before: State | None = None
        self._names: tuple[str, ...] = ()
        self._places: list[int] = []

    def state_of(self, received: Received[JointState]) -> State | None:
        """What it says; None where it says nothing new of this robot.

        Raises:
            DriverError: a joint is missing or there twice, arrays are of other lengths, a clock was set, or another
                publisher speaks.
        """
        message = received.message
        if not set(self._joints) & set(message.name):
            return None
        self._require_publisher(received.publisher)
        self._find(message)
        stamp_ns = self._stamp_ns(message, received.arrival_ns)
        if stamp_ns is None:
            return None
        q = self._ratio * self._values("position", message.position) + self._offset
        given = self._ratio * self._values("velocity", message.velocity)
        tau = self._values("effort", message.effort) / self._ratio if self._has_effort else None
        before = self._before
        if before is None:
            change = np.zeros_like(q)
        else:
            change = (q - before.q) / ((stamp_ns - before.stamp_ns) / 1e9)
        self._before = State(stamp_ns, q, np.where(np.isnan(given), change, given), tau)
        return self._before

    def _require_publisher(self, publisher: bytes) -> None:
        if self._publisher is None:
            self._publisher = publisher
        elif publisher != self._publisher:
            problem = "comes from another publisher now: it was started again, or there are two"
            raise DriverError(self._topic, f"{problem}. Look at `ros2 topic info -v {self._topic}`")

    def _find(self, message: JointState) -> None:
        # Names are the same in message after message: they are looked up once.
        if message.name == self._names:
            return
        missing = [name for name in self._joints if message.name.count(name) != 1]
        if missing:
            found = f"{message.name.count(missing[0])} times in {', '.join(message.name)}"
            raise DriverError(self._topic, f"has {missing[0]!r} {found}: every joint belongs into each message, once")
        self._names, self._places = message.name, [message.name.index(name) for name in self._joints]

    def _values(self, what: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(values) == len(self._names):
            return values[self._places]
        if len(values) == 0 and what == "velocity":
            return np.full(len(self._places), np.nan)
        raise DriverError(self._topic, f"has {len(values)} values of {what} for {len(self._names)} joints")

    def _stamp_ns(self, message: JointState, arrival_ns: int) -> int | None:
        if not self._uses_header:
            return arrival_ns
        stamp_ns = message.header.stamp.ns
        if stamp_ns == 0:
            raise DriverError(self._topic, 'has no stamps: set driver.stamps = "arrival"')
        if stamp_ns == self._header_ns:
            return None
        if stamp_ns < self._header_ns:
            back_s = (self._header_ns - stamp_ns) / 1e9
            raise DriverError(
                self._topic, f"went back by {back_s:.3f} s: a clock was set, or messages come out of order"
            )
        self._header_ns = stamp_ns
        return self._clock.local_ns(stamp_ns, arrival_ns)
