"""Who moves the robot: its policy, or a person who jogs it, or none. One at a time, chosen when it is armed.

Guarantees that whoever is in force stays so until the robot is no longer armed, but for a person who takes over a robot
that holds still without a policy; that a robot that nobody jogs for long is disarmed where it is, and never retracts
meanwhile; that it is jogged at reduced speed. Refuses to know what is asked of it. Trusts the loop to say its state.
"""

from __future__ import annotations

from edge_runtime.contracts.messages import Authority, RequestResult
from edge_runtime.control.jog_source import JogSource
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.speed import SpeedLimit
from edge_runtime.safety import AxisKind, Request, State

IN_FORCE = RequestResult.REFUSED_IN_FORCE
"""The robot is armed for somebody else."""


class AuthorityInForce:
    """The authority of one robot.

    Args:
        loop: that follows whoever is in force.
        jog: the person who jogs.
        speed: that is reduced meanwhile.
    """

    def __init__(self, loop: ControlLoop, jog: JogSource, speed: SpeedLimit) -> None:
        self._loop = loop
        self._jog = jog
        self._speed = speed
        # Half of what the kernel waits before it retracts or disarms by itself.
        self._idle_ns = loop.config.hold_timeout_ns // 2
        self._in_force = Authority.NONE
        self._moved_ns = 0

    @property
    def in_force(self) -> Authority:
        """Whose motion is followed."""
        return self._in_force if self._loop.counters().state.is_armed else Authority.NONE

    @property
    def may_be_taken_over(self) -> bool:
        """Whether a person may begin to jog without arming anew, once it stands still: it is held, or jogged."""
        return self.in_force in (Authority.HOLD, Authority.JOG)

    @property
    def stands_still(self) -> bool:
        """Whether nothing is followed and no axis but a gripper moves.

        Raises:
            SafetyError: the loop has not ticked yet.
        """
        state = self._loop.snapshot()
        config = self._loop.config
        speeds = zip(config.axis_kinds, state.dq[0 : len(config.axis_names)], config.of_axes("rest_speed"), strict=True)
        rests = all(abs(speed) <= limit for kind, speed, limit in speeds if kind is not AxisKind.GRIPPER)
        return State(state.state) is State.HOLDING and rests

    def armed(self, authority: Authority) -> None:
        """The robot was armed for its policy, or to hold."""
        self._jog.end()
        self._in_force = authority

    def jogged_by(self, session: int, now_ns: int) -> None:
        """A person was granted to jog; her commands are those of `session`.

        Raises:
            SafetyError: the loop does not answer.
        """
        self._speed.jog(True)
        self._jog.begin(session)
        self._in_force, self._moved_ns = Authority.JOG, now_ns

    def tend(self, now_ns: int) -> None:
        """What follows from the robot's state and from silence; call often, and before arming.

        Raises:
            SafetyError: the loop does not answer.
        """
        if self.in_force is Authority.NONE:
            self._jog.end()
            self._speed.jog(False)
            self._in_force = Authority.NONE
        elif self._in_force is Authority.JOG and self._loop.counters().state is State.ACTIVE:
            # By what is followed, as the kernel counts, and not by what is said.
            self._moved_ns = now_ns
        elif self._in_force is Authority.JOG and now_ns - self._moved_ns > self._idle_ns:
            self._moved_ns = now_ns
            self._loop.request(Request.DISARM)
