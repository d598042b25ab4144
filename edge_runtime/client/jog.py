"""A person who moves a robot axis by axis, for bringing it up: which sign, which unit, which joint.

Guarantees that each command is valid for a moment only, so that the robot comes to rest by itself when this process is
not heard. Everything it does goes through control and its safety kernel. Knows no keys and no terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.client.requests import ANSWER_TIMEOUT_S, Requests
from edge_runtime.client.status_lines import state_line, verdicts_line
from edge_runtime.contracts.errors import OperatorError, Refusal
from edge_runtime.contracts.messages import (
    Asker,
    AxisSpeeds,
    AxisTargets,
    JogAxis,
    JogCommand,
    JogStatus,
    OperatorKind,
)
from edge_runtime.contracts.topics import JOG
from edge_runtime.ipc.bus import Sender

VALID_S = 0.2
"""A robot that hears no more of this process decelerates so long after its last command."""
SAID_S = 0.03
"""Commands are said again after so long."""
SPEED = 0.1
"""Share of an axis's speed limit, unless another is asked for."""

_HEARD_S = 5.0
_STANDS_STILL_S = 1.0
_CREEPS = 0.05
"""An axis that is slower than this share of what was asked for is held back: near something it may creep for ever."""
_ROUGH = ("setpoint_none", "limit_acceleration", "limit_jerk")
"""What acts in every beginning and end of a motion, and explains no standstill where anything else acts."""
_ARRIVED = 1e-6
_MEASURED_S = 0.3
_REST_S = 5.0
_RECENT = 10
_MOMENTARY = {Refusal.STALE.value, Refusal.DUPLICATE.value, Refusal.OUT_OF_ORDER.value, Refusal.NOT_ALLOWED_NOW.value}
"""Refusals of a command that the next one does not suffer."""


@dataclass(frozen=True)
class JogMove:
    """What became of one move. Positions in the axis's unit, rad or m.

    Attributes:
        asked: by how much it was to move.
        commanded: by how much the safety kernel let it be commanded to move.
        measured: by how much it moved, as its driver says.
        position: where it is now, as its driver says.
        reached: whether it was commanded all the way.
        reason: why not; empty where it was.
    """

    axis: str
    unit: str
    asked: float
    commanded: float
    measured: float
    position: float
    reached: bool
    reason: str
    elapsed_s: float


class Jog(Requests):
    """Moves the axes of the robot in `run_dir`, which has to be at rest, and not armed for a policy; a context manager.

    Nothing moves before `begin`, and then only for as long as commands are said: after `VALID_S` without one the robot
    decelerates inside its limits and holds. Leaving ends the motion, and leaves the robot armed and holding unless
    `disarm` was asked for; it is disarmed where it is when nobody jogs it for half of its `hold_timeout_s`.

    Args:
        run_dir: folder of the run's sockets.
        on_wait: called again and again while this object waits, at least ten times a second.
        answer_timeout_s: how long control may take to answer a request.
        asker: a person, or a program that was told to by one, just now; control lets no other jog.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(
        self,
        run_dir: Path,
        on_wait: Callable[[], None] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        *,
        asker: Asker = Asker.PROGRAM,
    ) -> None:
        super().__init__(run_dir, on_wait, answer_timeout_s, asker)
        self._jog = Sender(JOG, run_dir)
        self._session = 0
        self._sequence = 0

    @property
    def status(self) -> JogStatus | None:
        """What control last said of the axes; None before it has."""
        return self.watcher.jog

    @property
    def is_in_force(self) -> bool:
        """Whether control follows this object's commands."""
        return self._session != 0 and self.status is not None and self.status.session == self._session

    @property
    def refused_lately(self) -> str:
        """Why the last commands were refused, if they were; empty if not."""
        status = self.status
        if not self.is_in_force or status is None or status.refused is None:
            return ""
        is_recent = 0 <= self._sequence - status.refused_sequence < _RECENT
        return f"{status.refused}: {status.detail}" if is_recent else ""

    def axes(self) -> tuple[JogAxis, ...]:
        """All axes, with limits and positions: joints in order, then the gripper.

        Raises:
            OperatorError: control is not heard.
        """
        if not self.wait_until(lambda: self.status is not None, _HEARD_S) or self.status is None:
            where = (
                f"is a robot running in {self._run_dir}? `edge-runtime run --hold` runs one; --run-dir names its folder"
            )
            raise OperatorError("control", "jog", f"has sent no message for {_HEARD_S:g} s; {where}", answered=False)
        return self.status.axes

    def axis(self, name: str) -> JogAxis:
        """One of them.

        Raises:
            OperatorError: control is not heard, or the robot has no such axis.
        """
        axes = self.axes()
        for axis in axes:
            if axis.name == name:
                return axis
        known = ", ".join(axis.name for axis in axes)
        problem = f"says that this robot has no axis {name!r}; it has: {known}"
        raise OperatorError("control", "jog", problem, answered=True, answer="unknown_axis")

    def begin(self) -> None:
        """Arm the robot for being jogged by this object, or take it over where it is held. Moves nothing.

        Raises:
            OperatorError: refused, with the reason: it is armed for a policy, it moves, it is stopped, a program asks.
        """
        self.axes()
        command = self._command(OperatorKind.JOG)
        self._ask(command)
        self._session, self._sequence = command.id, 0
        self.wait_until(lambda: self.is_in_force, ANSWER_TIMEOUT_S)

    def say(self, speeds: Mapping[str, float], wanted_s: float | None = None) -> None:
        """Let these axes move, and all others stand still, for `VALID_S`; say it again to go on.

        Args:
            speeds: of axes by name, in rad/s or m/s; none: everything comes to rest. At most `JOG_SPEED_MAX` of an
                axis's limit, else control refuses it (`status.refused`).
            wanted_s: when that was last known to be wanted, on the monotonic clock; None: now.
        """
        self._say(AxisSpeeds(speeds=dict(speeds)), wanted_s)

    def say_target(self, targets: Mapping[str, float], speed_scale: float = SPEED) -> None:
        """Let these axes go towards these positions, and all others stand still, for `VALID_S` from now.

        Args:
            targets: of axes by name, in rad or m, inside their ranges.
            speed_scale: of each axis's speed limit, above 0, at most `JOG_SPEED_MAX`.
        """
        self._say(AxisTargets(targets=dict(targets), speed_scale=speed_scale))

    def _say(self, motion: AxisSpeeds | AxisTargets, wanted_s: float | None = None) -> None:
        status = self.status
        if status is None or not self._session:
            raise ValueError("begin() comes first")
        self._sequence += 1
        command = JogCommand(
            session=self._session,
            sequence=self._sequence,
            stamp_ns=time.monotonic_ns() if wanted_s is None else round(wanted_s * 1e9),
            valid_ns=round(VALID_S * 1e9),
            joint_digest=status.joint_digest,
            motion=motion,
        )
        self._jog.send(command)

    def move(self, name: str, by: float, speed_scale: float = SPEED) -> JogMove:
        """Move one axis by so much, wait for it, and let the robot hold there.

        Ends early where the safety kernel lets it go no further, or the robot stops being armed. An exception, such as
        Ctrl-C, ends the motion.

        Args:
            name: of the axis.
            by: rad, or m; negative the other way.
            speed_scale: of the axis's speed limit, above 0, at most `JOG_SPEED_MAX`.

        Raises:
            OperatorError: refused: no such axis, outside of its range, another session.
        """
        before, started_s = self.axis(name), time.monotonic()
        try:
            reason = self._go(name, before.commanded + by, speed_scale)
        except BaseException:
            if self.is_in_force:
                self.say({})
            raise
        settle_s = time.monotonic() + _MEASURED_S
        self.wait_until(lambda: time.monotonic() > settle_s, _REST_S)
        after = self.axis(name)
        return JogMove(
            axis=name,
            unit=after.unit.value,
            asked=by,
            commanded=after.commanded - before.commanded,
            measured=after.measured - before.measured,
            position=after.measured,
            reached=not reason,
            reason=reason,
            elapsed_s=time.monotonic() - started_s,
        )

    def _go(self, name: str, target: float, speed_scale: float) -> str:
        """Let an axis go to `target`, and wait until it stands there; empty, or why it goes no further."""
        first, said_s = self._sequence, 0.0
        axis, progress_s = self.axis(name), time.monotonic()
        progress, arrived_ns = axis.commanded, 0
        while True:
            now_s, axis, status = time.monotonic(), self.axis(name), self.status
            stamp_ns = status.stamp_ns if status is not None else 0
            if abs(axis.commanded - target) > _ARRIVED:
                arrived_ns = 0
            elif arrived_ns and stamp_ns > arrived_ns:
                # Seen there twice: it does not merely come by.
                return ""
            else:
                arrived_ns = arrived_ns or stamp_ns
            if now_s - progress_s > _STANDS_STILL_S:
                if abs(axis.commanded - progress) < _CREEPS * speed_scale * axis.speed_max * _STANDS_STILL_S:
                    return self.why_it_stands_still(axis, target - axis.commanded)
                progress, progress_s = axis.commanded, now_s
            if now_s - said_s >= SAID_S:
                self.say_target({name: target}, speed_scale)
                said_s = now_s
            self._listen(SAID_S / 2)
            self._require_granted(first)

    def _require_granted(self, first: int) -> None:
        """Raise if control refuses the commands that came after number `first`."""
        status = self.status
        if status is None:
            return
        if status.session != self._session:
            problem = f"does not let this one jog any more: {state_line(self.watcher.status())}"
            raise OperatorError("control", "jog", problem, answered=True, answer="other_session")
        is_of_this_move = first < status.refused_sequence <= self._sequence
        if status.refused is not None and status.refused not in _MOMENTARY and is_of_this_move:
            raise OperatorError("control", "jog", f"refused: {status.detail}", answered=True, answer=status.refused)

    def why_it_stands_still(self, axis: JogAxis, direction: float) -> str:
        """Why `axis` does not go on in that direction, in words."""
        end = axis.position_max if direction > 0 else axis.position_min
        if abs(end - axis.commanded) < 10 * _ARRIVED:
            return f"{axis.name} is at the end of its range"
        status = self.watcher.status()
        if not status.state.follows:
            return state_line(status)
        acting = tuple(name for name in status.verdicts if name not in _ROUGH) or status.verdicts
        return verdicts_line(msgspec.structs.replace(status, verdicts=acting))

    def stop(self) -> None:
        """Let the robot decelerate and latch a fault, which only a person resets."""
        self._ask_control(OperatorKind.STOP)

    def reset(self) -> None:
        """Clear a latched fault."""
        self._ask_control(OperatorKind.RESET)

    def disarm(self) -> None:
        """End jogging: the robot decelerates, and follows no commands from there on."""
        self._ask_control(OperatorKind.DISARM)

    def close(self) -> None:
        """Leave; what was commanded comes to rest by itself."""
        self._jog.close()
        super().close()

    def __enter__(self) -> Jog:
        return self
