"""The kernel's vocabulary: states, reasons, requests and results, with the values of `kernel.h`.

The names are repeated here so that editors and type checkers know them; the values come from C, and the last lines
refuse to import if one list has a name that the other lacks.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from edge_runtime.contracts.states import ControlState, KernelReason, PolicyState, RequestResult
from edge_runtime.native import ffi, lib


class State(IntEnum):
    """Where the robot is in its life; `kernel.h` says what each state does."""

    SILENT = lib.KERNEL_SILENT
    READY = lib.KERNEL_READY
    ACTIVE = lib.KERNEL_ACTIVE
    HOLDING = lib.KERNEL_HOLDING
    STOPPING = lib.KERNEL_STOPPING
    FAULT = lib.KERNEL_FAULT
    RETRACTING = lib.KERNEL_RETRACTING

    @property
    def said(self) -> ControlState:
        """What travels, and what everybody asks of it."""
        return ControlState[self.name]

    @property
    def is_armed(self) -> bool:
        """Whether the driver follows commands."""
        return self.said.is_armed


class Event(IntEnum):
    """What moves the robot from one state to the next."""

    FEEDBACK_GOOD = lib.KERNEL_EVENT_FEEDBACK_GOOD
    FEEDBACK_LOST = lib.KERNEL_EVENT_FEEDBACK_LOST
    TRIP = lib.KERNEL_EVENT_TRIP
    ARM = lib.KERNEL_EVENT_ARM
    DISARM = lib.KERNEL_EVENT_DISARM
    RESET = lib.KERNEL_EVENT_RESET
    SETPOINT = lib.KERNEL_EVENT_SETPOINT
    SETPOINT_LOST = lib.KERNEL_EVENT_SETPOINT_LOST
    HOLD_TIMEOUT = lib.KERNEL_EVENT_HOLD_TIMEOUT
    SETTLED = lib.KERNEL_EVENT_SETTLED
    SETTLED_LATCHED = lib.KERNEL_EVENT_SETTLED_LATCHED
    RETRACT = lib.KERNEL_EVENT_RETRACT
    RETRACTED = lib.KERNEL_EVENT_RETRACTED


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.SILENT: {
        Event.FEEDBACK_GOOD: State.READY,
        Event.FEEDBACK_LOST: State.SILENT,
        Event.DISARM: State.SILENT,
        Event.TRIP: State.FAULT,
    },
    State.READY: {
        Event.FEEDBACK_GOOD: State.READY,
        Event.FEEDBACK_LOST: State.SILENT,
        Event.TRIP: State.FAULT,
        Event.ARM: State.HOLDING,
        Event.DISARM: State.READY,
    },
    State.ACTIVE: {
        Event.TRIP: State.STOPPING,
        Event.DISARM: State.STOPPING,
        Event.SETPOINT: State.ACTIVE,
        Event.SETPOINT_LOST: State.HOLDING,
    },
    State.HOLDING: {
        Event.TRIP: State.STOPPING,
        Event.DISARM: State.STOPPING,
        Event.SETPOINT: State.ACTIVE,
        Event.SETPOINT_LOST: State.HOLDING,
        Event.HOLD_TIMEOUT: State.STOPPING,
        Event.RETRACT: State.RETRACTING,
    },
    State.STOPPING: {
        Event.TRIP: State.STOPPING,
        Event.DISARM: State.STOPPING,
        Event.SETTLED: State.READY,
        Event.SETTLED_LATCHED: State.FAULT,
    },
    State.FAULT: {Event.TRIP: State.FAULT, Event.RESET: State.READY},
    State.RETRACTING: {
        Event.TRIP: State.STOPPING,
        Event.DISARM: State.STOPPING,
        Event.RETRACTED: State.STOPPING,
    },
}
"""The table of `kernel.c` again, to read, draw and test it with; a pair that is not here changes nothing."""


class Reason(IntFlag):
    """Why a command differs from its setpoint. Each is one bit; the C enum has the bits' numbers."""

    SETPOINT_NONE = 1 << lib.KERNEL_REASON_SETPOINT_NONE
    SETPOINT_SHAPE = 1 << lib.KERNEL_REASON_SETPOINT_SHAPE
    SETPOINT_NOT_FINITE = 1 << lib.KERNEL_REASON_SETPOINT_NOT_FINITE
    SETPOINT_STALE = 1 << lib.KERNEL_REASON_SETPOINT_STALE
    SETPOINT_FUTURE = 1 << lib.KERNEL_REASON_SETPOINT_FUTURE
    SETPOINT_SEQUENCE = 1 << lib.KERNEL_REASON_SETPOINT_SEQUENCE
    SETPOINT_SKIPPED = 1 << lib.KERNEL_REASON_SETPOINT_SKIPPED
    OBSERVATION_STALE = 1 << lib.KERNEL_REASON_OBSERVATION_STALE
    SETPOINT_STEP = 1 << lib.KERNEL_REASON_SETPOINT_STEP
    POLICY_LOST = 1 << lib.KERNEL_REASON_POLICY_LOST
    LIMIT_POSITION = 1 << lib.KERNEL_REASON_LIMIT_POSITION
    LIMIT_BRAKING = 1 << lib.KERNEL_REASON_LIMIT_BRAKING
    LIMIT_VELOCITY = 1 << lib.KERNEL_REASON_LIMIT_VELOCITY
    LIMIT_ACCELERATION = 1 << lib.KERNEL_REASON_LIMIT_ACCELERATION
    LIMIT_JERK = 1 << lib.KERNEL_REASON_LIMIT_JERK
    LIMIT_GEOMETRY = 1 << lib.KERNEL_REASON_LIMIT_GEOMETRY
    LIMIT_TOOL_SPEED = 1 << lib.KERNEL_REASON_LIMIT_TOOL_SPEED
    LIMIT_SPEED_SCALE = 1 << lib.KERNEL_REASON_LIMIT_SPEED_SCALE
    LIMIT_SINGULARITY = 1 << lib.KERNEL_REASON_LIMIT_SINGULARITY
    LIMIT_GRIPPER = 1 << lib.KERNEL_REASON_LIMIT_GRIPPER
    POLICY_DEAD = 1 << lib.KERNEL_REASON_POLICY_DEAD
    POLICY_STALLED = 1 << lib.KERNEL_REASON_POLICY_STALLED
    POLICY_STUCK = 1 << lib.KERNEL_REASON_POLICY_STUCK
    FEEDBACK_TORN = 1 << lib.KERNEL_REASON_FEEDBACK_TORN
    FEEDBACK_SHAPE = 1 << lib.KERNEL_REASON_FEEDBACK_SHAPE
    FEEDBACK_NOT_FINITE = 1 << lib.KERNEL_REASON_FEEDBACK_NOT_FINITE
    FEEDBACK_STALE = 1 << lib.KERNEL_REASON_FEEDBACK_STALE
    FEEDBACK_FUTURE = 1 << lib.KERNEL_REASON_FEEDBACK_FUTURE
    FEEDBACK_SEQUENCE = 1 << lib.KERNEL_REASON_FEEDBACK_SEQUENCE
    TRACKING_ERROR = 1 << lib.KERNEL_REASON_TRACKING_ERROR
    ENCODER_FROZEN = 1 << lib.KERNEL_REASON_ENCODER_FROZEN
    TORQUE = 1 << lib.KERNEL_REASON_TORQUE
    FORCE = 1 << lib.KERNEL_REASON_FORCE
    STOP_LINE = 1 << lib.KERNEL_REASON_STOP_LINE
    DRIVER_FAULT = 1 << lib.KERNEL_REASON_DRIVER_FAULT
    OPERATOR_STOP = 1 << lib.KERNEL_REASON_OPERATOR_STOP
    CLOCK_BACKWARD = 1 << lib.KERNEL_REASON_CLOCK_BACKWARD
    CLOCK_GAP = 1 << lib.KERNEL_REASON_CLOCK_GAP
    HOLD_TIMEOUT = 1 << lib.KERNEL_REASON_HOLD_TIMEOUT
    RETRACT_TIMEOUT = 1 << lib.KERNEL_REASON_RETRACT_TIMEOUT
    INTERNAL = 1 << lib.KERNEL_REASON_INTERNAL
    GRIPPER_JAMMED = 1 << lib.KERNEL_REASON_GRIPPER_JAMMED
    GRIPPER_FORCE = 1 << lib.KERNEL_REASON_GRIPPER_FORCE
    ODOMETRY_LOST = 1 << lib.KERNEL_REASON_ODOMETRY_LOST


def said(reasons: Reason) -> tuple[KernelReason, ...]:
    """What travels of them, in the order of the table."""
    return tuple(KernelReason[reason.name] for reason in Reason if reason.name and reason & reasons)


class Request(IntEnum):
    """What an operator or supervisor may ask of the kernel."""

    ARM = lib.KERNEL_REQUEST_ARM
    DISARM = lib.KERNEL_REQUEST_DISARM
    RESET = lib.KERNEL_REQUEST_RESET
    STOP = lib.KERNEL_REQUEST_STOP
    RESET_MOVED = lib.KERNEL_REQUEST_RESET_MOVED


class Result(IntEnum):
    """The kernel's answer to a request; everything but DONE has changed nothing."""

    DONE = lib.KERNEL_DONE
    REFUSED_STATE = lib.KERNEL_REFUSED_STATE
    REFUSED_FEEDBACK = lib.KERNEL_REFUSED_FEEDBACK
    REFUSED_MOVING = lib.KERNEL_REFUSED_MOVING
    REFUSED_OUTSIDE_LIMITS = lib.KERNEL_REFUSED_OUTSIDE_LIMITS
    REFUSED_NO_WATCHDOG = lib.KERNEL_REFUSED_NO_WATCHDOG
    REFUSED_STOP_LINE = lib.KERNEL_REFUSED_STOP_LINE
    REFUSED_MISMATCH = lib.KERNEL_REFUSED_MISMATCH
    REFUSED_UNKNOWN = lib.KERNEL_REFUSED_UNKNOWN
    REFUSED_GEOMETRY = lib.KERNEL_REFUSED_GEOMETRY
    REFUSED_LOOSER = lib.KERNEL_REFUSED_LOOSER
    REFUSED_VALUE = lib.KERNEL_REFUSED_VALUE

    @property
    def said(self) -> RequestResult:
        """What travels."""
        return RequestResult[self.name]


class Policy(IntEnum):
    """What is known of the process that computes setpoints."""

    ALIVE = lib.KERNEL_POLICY_ALIVE
    DEAD = lib.KERNEL_POLICY_DEAD
    STALLED = lib.KERNEL_POLICY_STALLED
    STUCK = lib.KERNEL_POLICY_STUCK

    @property
    def said(self) -> PolicyState:
        """What travels, and what everybody asks of it."""
        return PolicyState[self.name]


def _require_same_names(names: type[IntEnum] | type[IntFlag], c_enum: str, prefix: str, *ends: str) -> None:
    in_c = {name.removeprefix(prefix) for name in ffi.typeof(c_enum).elements.values()} - set(ends)
    if in_c != set(names.__members__):
        raise ImportError(f"{names.__name__} and {c_enum} differ in {in_c ^ set(names.__members__)}")


_require_same_names(State, "kernel_state_name", "KERNEL_", "STATE_COUNT")
_require_same_names(Event, "kernel_event", "KERNEL_EVENT_", "COUNT")
_require_same_names(Reason, "kernel_reason", "KERNEL_REASON_", "COUNT")
_require_same_names(Request, "kernel_request_kind", "KERNEL_REQUEST_")
_require_same_names(Result, "kernel_result", "KERNEL_")
_require_same_names(Policy, "kernel_policy", "KERNEL_POLICY_")
