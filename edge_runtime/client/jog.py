"""A person who moves a robot axis by axis, or a tool, for bringing it up: which sign, which unit, which joint.

Guarantees that each command is valid for a moment only, so that the robot comes to rest by itself when this process is
not heard. Everything it does goes through control and its safety kernel. Knows no keys and no terminal.
"""

from __future__ import annotations

import math
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
    AxisUnit,
    JogAxis,
    JogCommand,
    JogFrame,
    JogMotion,
    JogStatus,
    JogTool,
    OperatorKind,
    ToolSpeed,
    ToolTarget,
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
_COASTS_S = 1.0
"""A base is at rest so long after it was last told to drive."""
_RECENT = 10
_MOMENTARY = {Refusal.STALE.value, Refusal.DUPLICATE.value, Refusal.OUT_OF_ORDER.value, Refusal.NOT_ALLOWED_NOW.value}
"""Refusals of a command that the next one does not suffer."""


@dataclass(frozen=True)
class JogMove:
    """What became of one move. Positions in `unit`, that of the axis, or of the way of a base's axis or a tool.

    Attributes:
        asked: by how much it was to move.
        commanded: by how much the safety kernel let it be commanded to move.
        measured: by how much it moved, as its driver says.
        position: where it is now, as its driver says; of a base's axis and of a tool by how much it moved.
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
        """All axes, in order, with limits and positions.

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

    def tools(self) -> tuple[JogTool, ...]:
        """All tools that can be moved; none where the robot has no kinematics file.

        Raises:
            OperatorError: control is not heard.
        """
        self.axes()
        return () if self.status is None else self.status.tools

    def tool(self, name: str | None = None) -> JogTool:
        """One of them; the only one where none is named.

        Raises:
            OperatorError: control is not heard, or the robot has no such tool, or several and none is named.
        """
        tools = self.tools()
        for tool in tools:
            if name == tool.name or (name is None and len(tools) == 1):
                return tool
        known = ", ".join(tool.name for tool in tools)
        problem = f"says that this robot has no tool {name!r}; it has: {known}"
        if not tools:
            problem = "says that this robot has no tool to move: a kinematics file says where it is"
        elif name is None:
            problem = f"says that this robot has several tools; name one of {known} with --tool"
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
            speeds: of axes by name, in their unit per second, of a base in its unit; none: everything comes to rest. At
                most `JOG_SPEED_MAX` of an axis's limit, else control refuses it (`status.refused`).
            wanted_s: when that was last known to be wanted, on the monotonic clock; None: now.
        """
        self._say(AxisSpeeds(speeds=dict(speeds)), wanted_s)

    def say_target(self, targets: Mapping[str, float], speed_scale: float = SPEED) -> None:
        """Let these axes go towards these positions, and all others stand still, for `VALID_S` from now.

        Args:
            targets: of axes by name, in their unit, inside their ranges.
            speed_scale: of each axis's speed limit, above 0, at most `JOG_SPEED_MAX`.
        """
        self._say(AxisTargets(targets=dict(targets), speed_scale=speed_scale))

    def say_tool(
        self,
        tool: str,
        frame: JogFrame,
        linear_m_s: tuple[float, float, float],
        angular_rad_s: tuple[float, float, float],
        wanted_s: float | None = None,
    ) -> None:
        """Let a tool move so, by the axes that carry it, for `VALID_S`; say it again to go on.

        Args:
            tool: its name.
            frame: whose axes the speeds are along.
            linear_m_s, angular_rad_s: at most `JOG_SPEED_MAX` of the tool's limits.
            wanted_s: see `say`.
        """
        self._say(ToolSpeed(tool=tool, frame=frame, linear_m_s=linear_m_s, angular_rad_s=angular_rad_s), wanted_s)

    def say_tool_target(self, target: ToolTarget) -> None:
        """Let a tool go straight towards a pose, for `VALID_S` from now."""
        self._say(target)

    def _say(self, motion: JogMotion, wanted_s: float | None = None) -> None:
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
        """Move one axis by so much, wait for it, and let the robot hold there. An axis of a base: see `drive`.

        Ends early where the safety kernel lets it go no further, or the robot stops being armed. An exception, such as
        Ctrl-C, ends the motion.

        Args:
            name: of the axis.
            by: in its unit; negative the other way.
            speed_scale: of the axis's speed limit, above 0, at most `JOG_SPEED_MAX`.

        Raises:
            OperatorError: refused: no such axis, outside of its range, another session.
        """
        before, started_s = self.axis(name), time.monotonic()
        target = before.commanded + by
        slowest = _CREEPS * speed_scale * before.speed_max
        reason = self.go(
            lambda: self.say_target({name: target}, speed_scale),
            lambda: self.axis(name).commanded - target,
            _ARRIVED,
            slowest,
            lambda: self.why_it_stands_still(self.axis(name), target - self.axis(name).commanded),
        )
        after = self.axis(name)
        moved = after.measured - before.measured
        if after.unit is AxisUnit.RAD and after.position_min is None:
            moved = math.remainder(moved, 2.0 * math.pi)
        return JogMove(
            axis=name,
            unit=after.unit.value,
            asked=by,
            commanded=after.commanded - before.commanded,
            measured=moved,
            position=after.measured,
            reached=not reason,
            reason=reason,
            elapsed_s=time.monotonic() - started_s,
        )

    def drive(self, name: str, speed: float, seconds: float) -> JogMove:
        """Drive an axis of a base at a speed for a while, and let it come to rest; ends early as `move` does.

        Args:
            name: of the axis.
            speed: in its unit; negative the other way. At most `JOG_SPEED_MAX` of its limit.
            seconds: how long.

        Raises:
            OperatorError: see `move`.
        """
        started_s, first = time.monotonic(), self._sequence
        commanded = measured = 0.0
        said_s, looked_s, reason = 0.0, started_s, ""
        try:
            while (now_s := time.monotonic()) < started_s + seconds + _COASTS_S:
                axis, elapsed_s = self.axis(name), now_s - looked_s
                commanded, measured = commanded + axis.commanded * elapsed_s, measured + axis.measured * elapsed_s
                looked_s = now_s
                if not self.watcher.status().state.follows:
                    reason = state_line(self.watcher.status())
                    break
                if now_s - said_s >= SAID_S:
                    self.say({name: speed} if now_s < started_s + seconds else {})
                    said_s = now_s
                self._listen(SAID_S / 2)
                self._require_granted(first)
        except BaseException:
            self._let_go()
            raise
        unit = self.axis(name).unit.value.removesuffix("/s")
        return JogMove(
            axis=name,
            unit=unit,
            asked=speed * seconds,
            commanded=commanded,
            measured=measured,
            position=measured,
            reached=not reason,
            reason=reason,
            elapsed_s=time.monotonic() - started_s,
        )

    def go(
        self,
        say: Callable[[], None],
        away: Callable[[], float],
        arrived: float,
        slowest: float,
        why: Callable[[], str],
    ) -> str:
        """Say where to go until it stands there and was measured there; empty, or why it goes no further.

        Args:
            say: says it once.
            away: how far it is commanded from there.
            arrived: so near is there.
            slowest: per second; what is slower stands still.
            why: why it does.

        Raises:
            OperatorError: refused.
        """
        try:
            reason = self._go(say, away, arrived, slowest, why)
        except BaseException:
            self._let_go()
            raise
        settle_s = time.monotonic() + _MEASURED_S
        self.wait_until(lambda: time.monotonic() > settle_s, _REST_S)
        return reason

    def _let_go(self) -> None:
        if self.is_in_force:
            self.say({})

    def _go(
        self,
        say: Callable[[], None],
        away: Callable[[], float],
        arrived: float,
        slowest: float,
        why: Callable[[], str],
    ) -> str:
        first, said_s = self._sequence, 0.0
        progress, progress_s, arrived_ns = away(), time.monotonic(), 0
        while True:
            now_s, left, status = time.monotonic(), away(), self.status
            stamp_ns = status.stamp_ns if status is not None else 0
            if abs(left) > arrived:
                arrived_ns = 0
            elif arrived_ns and stamp_ns > arrived_ns:
                # Seen there twice: it does not merely come by.
                return ""
            else:
                arrived_ns = arrived_ns or stamp_ns
            if now_s - progress_s > _STANDS_STILL_S:
                if abs(left - progress) < slowest * _STANDS_STILL_S:
                    return why()
                progress, progress_s = left, now_s
            if now_s - said_s >= SAID_S:
                say()
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
        if end is not None and abs(end - axis.commanded) < 10 * _ARRIVED:
            return f"{axis.name} is at the end of its range"
        return self.why_nothing_moves()

    def why_nothing_moves(self) -> str:
        """Why a motion that is asked for does not go on, in words."""
        status = self.watcher.status()
        if not status.state.follows:
            return state_line(status)
        acting = tuple(name for name in status.verdicts if name not in _ROUGH) or status.verdicts
        return verdicts_line(msgspec.structs.replace(status, verdicts=acting))

    def stop(self) -> None:
        """Let the robot decelerate and latch a fault, which only a person resets."""
        self._ask_control(OperatorKind.STOP)

    def reset(self, *, moved: bool = False) -> None:
        """Clear a latched fault; with `moved` also of a robot that was moved by hand since it stopped."""
        self._ask_control(OperatorKind.RESET_MOVED if moved else OperatorKind.RESET)

    def disarm(self) -> None:
        """End jogging: the robot decelerates, and follows no commands from there on."""
        self._ask_control(OperatorKind.DISARM)

    def close(self) -> None:
        """Leave; what was commanded comes to rest by itself."""
        self._jog.close()
        super().close()

    def __enter__(self) -> Jog:
        return self
