"""What this robot was last heard to be doing: a core of values, fed with the messages of its bus.

Refuses to know how they travel. Instants are nanoseconds of the monotonic clock. Fed from one thread; may be asked from
any.
"""

from __future__ import annotations

import time

from edge_runtime.contracts.messages import ControlState, EpisodeEnded, Heartbeat, Message, SafetyReport
from edge_runtime.ota.lifecycle.desired_policy import ALIVE_NS

_REPORT = "report"


class RobotActivity:
    """See the module.

    Args:
        heard_s: in which a robot that is there is heard of.

    Attributes:
        outcome_heard: id of the last episode outcome that has arrived, 0 for none.
    """

    def __init__(self, heard_s: float) -> None:
        self.outcome_heard = 0
        self._heard_ns: dict[str, int] = {}
        self._state: ControlState | None = None
        self._listened_ns = time.monotonic_ns() + round(heard_s * 1e9)

    @property
    def is_at_work(self) -> bool:
        """Whether the robot is armed, as far as control can be heard.

        Before there was time to hear of it, it may be.
        """
        if self._state is None:
            return time.monotonic_ns() < self._listened_ns
        return self._state.is_armed and self.is_alive(_REPORT)

    def is_alive(self, process: str) -> bool:
        """Whether `process` sent a message in the last second."""
        return time.monotonic_ns() - self._heard_ns.get(process, -ALIVE_NS) < ALIVE_NS

    def take(self, message: Message, now_ns: int) -> None:
        """One message of the bus."""
        if isinstance(message, SafetyReport):
            self._state = message.state
            self._heard_ns[_REPORT] = now_ns
        elif isinstance(message, Heartbeat):
            self._heard_ns[message.process] = now_ns
        elif isinstance(message, EpisodeEnded):
            self.outcome_heard = message.id
