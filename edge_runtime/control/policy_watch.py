"""Who the policy's process is, so that the loop can see it end. Follows the engine's heartbeats; moves nothing.

Guarantees that a process which can't be watched (in another namespace, or a kernel without pidfds) is not taken for
dead: then its heartbeat alone tells, and the report says so.
"""

from __future__ import annotations

import os

from contracts.messages import Heartbeat
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.safety import Policy


class PolicyWatch:
    """The loop's watch on one engine after the other.

    Attributes:
        how: "pidfd" when the end of its process is seen, "heartbeat" when only its silence is, "none" before the first
            heartbeat.
    """

    def __init__(self, loop: ControlLoop) -> None:
        self._loop = loop
        self._pid: int | None = None
        self.how = "none"

    def take(self, heartbeat: Heartbeat) -> None:
        """A sign of life of the engine, which names its process.

        Raises:
            SafetyError: the loop does not answer.
        """
        if heartbeat.pid != self._pid:
            self._pid = heartbeat.pid
            self._follow(heartbeat.pid)
        elif self.how == "pidfd" and self._is_another_process(heartbeat):
            self._loop.watch(None)
            self.how = "heartbeat"
        self._loop.beat()

    def _follow(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except (OSError, AttributeError):  # a Python built on an old system lacks the function
            self._loop.watch(None)
            self.how = "heartbeat"
            return
        try:
            self._loop.watch(pidfd)
        finally:
            os.close(pidfd)
        self.how = "pidfd"

    def _is_another_process(self, heartbeat: Heartbeat) -> bool:
        """Whether the engine speaks after the process of its number ended: in its own namespace it is another one."""
        counters = self._loop.counters()
        return counters.policy is Policy.DEAD and heartbeat.stamp_ns > counters.policy_lost_ns

    def state(self, policy: Policy) -> str:
        """What to report of a policy that the loop finds so."""
        return policy.name.lower() if self._pid is not None else "unknown"
