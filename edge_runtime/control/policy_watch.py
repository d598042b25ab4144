"""Who the policy's process is, so that the loop can see it end. Follows the engine's heartbeats; moves nothing.

Its lifeline shows its end at once, its pidfd once its memory has been given back; either may be missing.

Guarantees that a process which can't be watched (in another namespace, or a kernel without pidfds) is not taken for
dead: then its heartbeat alone tells, and the report says so.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from edge_runtime.contracts.messages import Heartbeat, PolicySign, PolicyState
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.safety import Policy


class PolicyWatch:
    """The loop's watch on one engine after the other.

    Args:
        loop: that is told.
        lifeline: where an engine may have its lifeline.

    Attributes:
        how: what tells that it has died.
    """

    def __init__(self, loop: ControlLoop, lifeline: Path | None = None) -> None:
        self._loop = loop
        self._lifeline = lifeline
        self._pid: int | None = None
        self._ticks_at_watch = 0
        self.how = PolicySign.NONE

    def take(self, heartbeat: Heartbeat) -> None:
        """A sign of life of the engine, which names its process.

        Raises:
            SafetyError: the loop does not answer.
        """
        if heartbeat.pid != self._pid:
            self._pid = heartbeat.pid
            self._follow(heartbeat.pid)
        elif self.how.sees_its_end and self._is_another_process(heartbeat):
            self._loop.watch(None)
            self.how = PolicySign.HEARTBEAT
        self._loop.beat()

    def _follow(self, pid: int) -> None:
        with contextlib.ExitStack() as stack:
            pidfd = lifeline = None
            # A Python built on an old system lacks the function.
            with contextlib.suppress(OSError, AttributeError):
                pidfd = os.pidfd_open(pid)
                stack.callback(os.close, pidfd)
            if self._lifeline is not None:
                with contextlib.suppress(OSError):
                    lifeline = os.open(self._lifeline, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                    stack.callback(os.close, lifeline)
            has_lifeline = self._loop.watch(pidfd, lifeline, pid if 0 < pid < 2**31 else 0)
        self._ticks_at_watch = self._loop.counters().ticks
        if has_lifeline:
            self.how = PolicySign.LIFELINE
        else:
            self.how = PolicySign.HEARTBEAT if pidfd is None else PolicySign.PIDFD

    def _is_another_process(self, heartbeat: Heartbeat) -> bool:
        """Whether the engine speaks after the process of its number ended: in its own namespace it is another one."""
        counters = self._loop.counters()
        # Until a whole tick has looked at it, what the loop says is of the one before.
        if counters.ticks <= self._ticks_at_watch + 1:
            return False
        return counters.policy is Policy.DEAD and heartbeat.stamp_ns > counters.policy_lost_ns

    def state(self, policy: Policy) -> PolicyState:
        """What to report of a policy that the loop finds so."""
        return policy.said if self._pid is not None else PolicyState.UNKNOWN
