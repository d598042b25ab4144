"""States that travel: of an update, of the safety kernel, of the policy and its gate, and what becomes of a request.

One enum for each concept, with what everybody asks of it as properties. The strings are stable: they are on the bus, on
disks of robots and in what is signed for a hub.
"""

from __future__ import annotations

from enum import Enum


class UpdateState(str, Enum):
    """A state of the life cycle, see docs/ota.md. The strings are on disks of robots and in signed reports.

    Attributes:
        words: what a person is told; the bundle's name follows.
    """

    words: str

    def __new__(cls, value: str, words: str) -> UpdateState:
        state = str.__new__(cls, value)
        state._value_, state.words = value, words
        return state

    IDLE = "idle", "none under way"
    DOWNLOADING = "downloading", "downloading"
    VERIFYING = "verifying", "verifying every file of"
    STAGED = "staged", "staged"
    BUILDING = "building", "building the engine of"
    GOLDEN_CHECK = "golden_check", "running the golden pairs of"
    READY = "ready", "ready:"
    ACTIVATING = "activating", "changing over to"
    PROBATION = "probation", "on probation:"
    COMMITTED = "committed", "committed"
    ROLLING_BACK = "rolling_back", "rolling back from"
    FAILED = "failed", "given up:"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_unchecked(self) -> bool:
        """The bundle is whole on the disk, and has not shown yet that it does here what it was trained to."""
        return self in (UpdateState.STAGED, UpdateState.BUILDING, UpdateState.GOLDEN_CHECK)

    @property
    def gives_way(self) -> bool:
        """Not yet on trial: another update may take its place."""
        return self.is_unchecked or self in (UpdateState.DOWNLOADING, UpdateState.VERIFYING, UpdateState.READY)

    @property
    def waits_for_rest(self) -> bool:
        """What comes next may have to wait until the robot is disarmed."""
        return self.is_unchecked or self is UpdateState.READY

    @property
    def is_tried(self) -> bool:
        """The bundle of the update acts, or is about to."""
        return self in (UpdateState.ACTIVATING, UpdateState.PROBATION, UpdateState.COMMITTED)

    @property
    def is_given_up(self) -> bool:
        """The robot goes back, or went nowhere."""
        return self in (UpdateState.ROLLING_BACK, UpdateState.FAILED)

    @property
    def is_settled(self) -> bool:
        """Nothing is under way: the running bundle stays."""
        return self in (UpdateState.IDLE, UpdateState.COMMITTED)


class ControlState(str, Enum):
    """A state of the safety kernel, see docs/SAFETY.md; `silent` is the state at boot. C numbers them (`kernel.h`).

    `unknown` is no state of a kernel: it is what is known of one that says nothing. No report has it.
    """

    UNKNOWN = "unknown"
    SILENT = "silent"
    READY = "ready"
    ACTIVE = "active"
    HOLDING = "holding"
    STOPPING = "stopping"
    FAULT = "fault"
    RETRACTING = "retracting"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_armed(self) -> bool:
        """Whether the driver follows commands: the robot may move."""
        return self in (ControlState.ACTIVE, ControlState.HOLDING, ControlState.STOPPING, ControlState.RETRACTING)

    @property
    def follows(self) -> bool:
        """Whether it follows setpoints, where there are any."""
        return self in (ControlState.ACTIVE, ControlState.HOLDING)

    @property
    def may_be_armed(self) -> bool:
        """Whether the kernel takes a request to arm."""
        return self is ControlState.READY

    @property
    def is_latched(self) -> bool:
        """Whether it rests until a reset."""
        return self is ControlState.FAULT

    @property
    def is_at_rest(self) -> bool:
        """Whether the driver follows nothing, as far as is known."""
        return self in (ControlState.SILENT, ControlState.READY, ControlState.FAULT)

    @property
    def is_known(self) -> bool:
        """Whether a kernel has said so."""
        return self is not ControlState.UNKNOWN


class GateState(str, Enum):
    """Whether the policy's own confidence lets it move the robot, see docs/SAFETY.md."""

    OFF = "off"
    SURE = "sure"
    CAUTIOUS = "cautious"
    ASKING = "asking"
    ESCALATED = "escalated"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def waits_for_person(self) -> bool:
        """Whether the robot goes nowhere before a person has answered, or the policy is sure again."""
        return self in (GateState.ASKING, GateState.ESCALATED)


class PolicyState(str, Enum):
    """What control's loop knows of the process that computes setpoints. C numbers the first four (`kernel.h`).

    `unknown`: before its first heartbeat. `none`: control follows no policy, it only holds.
    """

    ALIVE = "alive"
    DEAD = "dead"
    STALLED = "stalled"
    STUCK = "stuck"
    UNKNOWN = "unknown"
    NONE = "none"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_lost(self) -> bool:
        """Whether no new plan is to be expected of it."""
        return self in (PolicyState.DEAD, PolicyState.STALLED, PolicyState.STUCK)


class PolicySign(str, Enum):
    """What tells control that the policy's process has died.

    `lifeline`: at once. `pidfd`: once its memory has been given back. `heartbeat`: its silence, after a while. `none`:
    nothing yet, before its first heartbeat.
    """

    LIFELINE = "lifeline"
    PIDFD = "pidfd"
    HEARTBEAT = "heartbeat"
    NONE = "none"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def sees_its_end(self) -> bool:
        """Whether the end of the process itself is seen."""
        return self in (PolicySign.LIFELINE, PolicySign.PIDFD)


class RequestResult(str, Enum):
    """What became of a request to control. Stable strings; `refused_...` have changed nothing.

    C numbers those of the kernel (`kernel.h`). `failed`: control's loop did not take it, the detail says why.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED_STATE = "refused_state"
    REFUSED_FEEDBACK = "refused_feedback"
    REFUSED_MOVING = "refused_moving"
    REFUSED_OUTSIDE_LIMITS = "refused_outside_limits"
    REFUSED_NO_WATCHDOG = "refused_no_watchdog"
    REFUSED_STOP_LINE = "refused_stop_line"
    REFUSED_MISMATCH = "refused_mismatch"
    REFUSED_UNKNOWN = "refused_unknown"
    REFUSED_GEOMETRY = "refused_geometry"
    REFUSED_LOOSER = "refused_looser"
    REFUSED_VALUE = "refused_value"
    REFUSED_JITTER = "refused_jitter"
    REFUSED_CALIBRATION = "refused_calibration"
    REFUSED_UNSURE = "refused_unsure"
    REFUSED_UNPROVEN = "refused_unproven"
    REFUSED_PACE = "refused_pace"
    REFUSED_AFTER_STOP = "refused_after_stop"
    REFUSED_PROGRAM = "refused_program"
    REFUSED_RESTARTED = "refused_restarted"
    REFUSED_OVERTAKEN = "refused_overtaken"
    REFUSED_IN_FORCE = "refused_in_force"
    REFUSED_LOCKSTEP = "refused_lockstep"

    def __str__(self) -> str:
        return str(self.value)


class KernelReason(str, Enum):
    """Why the safety kernel's command differs from its setpoint, or why it has stopped. C numbers them (`kernel.h`)."""

    SETPOINT_NONE = "setpoint_none"
    SETPOINT_SHAPE = "setpoint_shape"
    SETPOINT_NOT_FINITE = "setpoint_not_finite"
    SETPOINT_STALE = "setpoint_stale"
    SETPOINT_FUTURE = "setpoint_future"
    SETPOINT_SEQUENCE = "setpoint_sequence"
    SETPOINT_SKIPPED = "setpoint_skipped"
    OBSERVATION_STALE = "observation_stale"
    SETPOINT_STEP = "setpoint_step"
    POLICY_LOST = "policy_lost"
    LIMIT_POSITION = "limit_position"
    LIMIT_BRAKING = "limit_braking"
    LIMIT_VELOCITY = "limit_velocity"
    LIMIT_ACCELERATION = "limit_acceleration"
    LIMIT_JERK = "limit_jerk"
    LIMIT_GEOMETRY = "limit_geometry"
    LIMIT_TOOL_SPEED = "limit_tool_speed"
    LIMIT_SPEED_SCALE = "limit_speed_scale"
    LIMIT_SINGULARITY = "limit_singularity"
    LIMIT_GRIPPER = "limit_gripper"
    POLICY_DEAD = "policy_dead"
    POLICY_STALLED = "policy_stalled"
    POLICY_STUCK = "policy_stuck"
    FEEDBACK_TORN = "feedback_torn"
    FEEDBACK_SHAPE = "feedback_shape"
    FEEDBACK_NOT_FINITE = "feedback_not_finite"
    FEEDBACK_STALE = "feedback_stale"
    FEEDBACK_FUTURE = "feedback_future"
    FEEDBACK_SEQUENCE = "feedback_sequence"
    TRACKING_ERROR = "tracking_error"
    ENCODER_FROZEN = "encoder_frozen"
    TORQUE = "torque"
    FORCE = "force"
    STOP_LINE = "stop_line"
    DRIVER_FAULT = "driver_fault"
    OPERATOR_STOP = "operator_stop"
    CLOCK_BACKWARD = "clock_backward"
    CLOCK_GAP = "clock_gap"
    HOLD_TIMEOUT = "hold_timeout"
    RETRACT_TIMEOUT = "retract_timeout"
    INTERNAL = "internal"
    GRIPPER_JAMMED = "gripper_jammed"
    GRIPPER_FORCE = "gripper_force"
    ODOMETRY_LOST = "odometry_lost"

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_of_the_policy(self) -> bool:
        """Whether it trips on what a policy does to its surroundings: all others are the machine's or a person's."""
        return self in (KernelReason.TRACKING_ERROR, KernelReason.TORQUE, KernelReason.FORCE)
