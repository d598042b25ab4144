"""What a UR controller says of itself, as a stop line, a fault, and words. Pure.

The bits and numbers are those of Universal Robots' RTDE guide (robot_mode, safety_status_bits, runtime_state).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag


class RobotMode(IntEnum):
    """Values of robot_mode."""

    NO_CONTROLLER = -1
    DISCONNECTED = 0
    CONFIRM_SAFETY = 1
    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7
    UPDATING_FIRMWARE = 8


class Safety(IntFlag):
    """Bits of safety_status_bits."""

    NORMAL = 1 << 0
    REDUCED = 1 << 1
    PROTECTIVE_STOPPED = 1 << 2
    RECOVERY = 1 << 3
    SAFEGUARD_STOPPED = 1 << 4
    SYSTEM_EMERGENCY_STOPPED = 1 << 5
    ROBOT_EMERGENCY_STOPPED = 1 << 6
    EMERGENCY_STOPPED = 1 << 7
    VIOLATION = 1 << 8
    FAULT = 1 << 9
    STOPPED_FOR_SAFETY = 1 << 10


class Runtime(IntEnum):
    """Values of runtime_state that matter here."""

    STOPPED = 1
    PLAYING = 2


_STOP_LINE = (
    (
        Safety.EMERGENCY_STOPPED | Safety.ROBOT_EMERGENCY_STOPPED | Safety.SYSTEM_EMERGENCY_STOPPED,
        "an emergency stop is pressed: release it, then power on and release the brakes on the pendant",
    ),
    (Safety.PROTECTIVE_STOPPED, "protective stop: look at the arm, then enable the robot on the pendant"),
    (Safety.SAFEGUARD_STOPPED, "safeguard stop: the safeguard input is open"),
    (Safety.STOPPED_FOR_SAFETY, "stopped for safety: the pendant says why"),
)
_FAULTS = (
    (Safety.FAULT, "safety fault: restart the controller"),
    (Safety.VIOLATION, "safety violation: restart safety on the pendant"),
    (Safety.RECOVERY, "recovery mode: a joint is outside its safety limits; move it back on the pendant"),
)


@dataclass(frozen=True)
class Status:
    """What is to be said of the robot.

    Attributes:
        stop_line: a protective or emergency stop is open.
        fault: the arm follows no commands.
        words: why, and what to do; empty while all is well.
    """

    stop_line: bool
    fault: bool
    words: str


def status_of(robot_mode: int, safety_bits: int) -> Status:
    """What these two mean. A robot in reduced mode is well: its own limits are lower, and it keeps to them."""
    bits = Safety(safety_bits)
    stop = next((words for flags, words in _STOP_LINE if bits & flags), "")
    fault = next((words for flags, words in _FAULTS if bits & flags), "")
    if not fault and robot_mode != RobotMode.RUNNING:
        known = robot_mode in RobotMode._value2member_map_
        mode = RobotMode(robot_mode).name.lower().replace("_", " ") if known else f"mode {robot_mode}"
        fault = f"the arm is not running ({mode}): power it on and release its brakes on the pendant"
    return Status(bool(stop), bool(fault), stop or fault)
