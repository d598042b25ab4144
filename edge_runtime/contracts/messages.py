"""Everything that travels between processes: frozen, validated at construction, MessagePack on the wire.

Stamps are integers in nanoseconds of the robot's monotonic clock (or of the virtual clock in lockstep runs), never
wall time. Joint vectors are in the order of the embodiment, whose digest travels along. SI units throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum

import msgspec

MAX_JOINTS = 16
MAX_HORIZON = 128
MIN_ACTION_DT_NS = 1_000_000
MAX_ACTION_DT_NS = 10_000_000_000
MAX_CAMERAS = 8
FRAME_SKEW_MAX_NS = 50_000_000
"""A frame of an observation was exposed at most so long before or after the observation itself."""
MAX_INSTRUCTION_CHARS = 512
MAX_ANSWERS = 8
MAX_DETAIL_CHARS = 240
MAX_PATH_CHARS = 1024


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Base of all messages; the class name is their tag, so that a message on the wrong topic is refused."""


def _require_finite(name: str, values: Iterable[float]) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError(f"not finite: {name}")


def _require_63_bit(name: str, value: int) -> None:
    # Stamps and counters end up in int64 fields of C structs, where a larger one would be an error of its own.
    if not 0 <= value < 2**63:
        raise ValueError(f"{name} must be a non-negative 63-bit number")


class FrameRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one camera frame lies in shared memory: 8-bit RGB, (height_px, width_px, 3), row-major.

    The slot is reused; `generation` tells whether the frame is still the one that was meant.
    """

    camera: str
    ring: str
    slot: int
    generation: int
    width_px: int
    height_px: int
    exposure_ns: int


class Observation(Message, frozen=True):
    """What the robot sensed at one instant, `exposure_ns`."""

    sequence: int
    exposure_ns: int
    published_ns: int
    joint_digest: str
    position_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...]
    gripper_opening_m: float
    frames: tuple[FrameRef, ...]

    def __post_init__(self) -> None:
        for name in ("sequence", "exposure_ns", "published_ns"):
            _require_63_bit(name, getattr(self, name))
        if not 1 <= len(self.position_rad) <= MAX_JOINTS or len(self.velocity_rad_s) != len(self.position_rad):
            raise ValueError("shape: position_rad and velocity_rad_s need the same 1 to 16 values")
        if len(self.frames) > MAX_CAMERAS:
            raise ValueError(f"shape: at most {MAX_CAMERAS} frames")
        _require_finite("position_rad", self.position_rad)
        _require_finite("velocity_rad_s", self.velocity_rad_s)
        _require_finite("gripper_opening_m", (self.gripper_opening_m,))


class InferenceTiming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the time of one inference went. `model_ns` is spent inside the inference library, the rest is ours."""

    received_ns: int
    preprocess_ns: int
    model_ns: int
    postprocess_ns: int

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            _require_63_bit(name, getattr(self, name))


class ActionChunk(Message, frozen=True):
    """Joint positions in physical units; row k is due at ``exposure_ns + (k + 1) * dt_ns``.

    Attributes:
        position_rad: (horizon, joints), absolute joint positions.
        gripper_opening_m: (horizon,).
        observation_published_ns: when the driver had the observation ready, for latency accounts.
        confidence: 0 (none) to 1, or None if the policy does not say.
    """

    sequence: int
    observation_sequence: int
    exposure_ns: int
    published_ns: int
    dt_ns: int
    joint_digest: str
    bundle_digest: str
    instruction_id: int
    position_rad: tuple[tuple[float, ...], ...]
    gripper_opening_m: tuple[float, ...]
    timing: InferenceTiming
    observation_published_ns: int | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        for name in ("sequence", "observation_sequence", "exposure_ns", "published_ns", "instruction_id"):
            _require_63_bit(name, getattr(self, name))
        if self.observation_published_ns is not None:
            _require_63_bit("observation_published_ns", self.observation_published_ns)
        if not MIN_ACTION_DT_NS <= self.dt_ns <= MAX_ACTION_DT_NS:
            raise ValueError("dt_ns must lie between 1 ms and 10 s")
        if not 1 <= len(self.position_rad) <= MAX_HORIZON or len(self.gripper_opening_m) != len(self.position_rad):
            raise ValueError(f"shape: position_rad and gripper_opening_m need the same 1 to {MAX_HORIZON} rows")
        width = len(self.position_rad[0])
        if not 1 <= width <= MAX_JOINTS or any(len(row) != width for row in self.position_rad):
            raise ValueError("shape: every row of position_rad needs the same 1 to 16 values")
        for row in self.position_rad:
            _require_finite("position_rad", row)
        _require_finite("gripper_opening_m", self.gripper_opening_m)
        if self.confidence is not None and not 0.0 <= self.confidence <= 1.0:
            raise ValueError("confidence must lie between 0 and 1")


class ChunkReceipt(Message, frozen=True):
    """What control did with one chunk, and when its first command left. The record behind every latency figure.

    `first_command_ns` is the tick whose command was the first that followed this chunk; None for a refused chunk
    and for one that was replaced before any tick followed it. What is `predicted` comes from running the whole plan
    through the safety kernel before its first tick.

    Attributes:
        predicted_interventions: ticks of the plan in which the kernel would alter the motion.
        predicted_limits: names of the limits that would act.
        predicted_first_ns: the first such tick.
        predicted_deviation_rad: how far, at most, the commanded motion would be from what was asked for.
        blend_ns: length of the cross-fade that was taken; longer than usual where the usual one would be clipped.
        speed_scale: of the velocity limits, below 1 for a policy that is not sure.
    """

    chunk_sequence: int
    exposure_ns: int
    observation_published_ns: int | None
    chunk_published_ns: int
    received_ns: int
    model_ns: int
    refusal: str | None
    expired_actions: int
    first_command_ns: int | None
    predicted_interventions: int = 0
    predicted_limits: tuple[str, ...] = ()
    predicted_first_ns: int | None = None
    predicted_deviation_rad: float = 0.0
    blend_ns: int = 0
    speed_scale: float = 1.0
    confidence: float | None = None


class ControlState(str, Enum):
    """States of the safety kernel, see docs/SAFETY.md. `silent` is the state at boot."""

    SILENT = "silent"
    READY = "ready"
    ACTIVE = "active"
    HOLDING = "holding"
    STOPPING = "stopping"
    FAULT = "fault"
    RETRACTING = "retracting"


class GateState(str, Enum):
    """Whether the policy's own confidence lets it move the robot, see docs/SAFETY.md."""

    OFF = "off"
    SURE = "sure"
    CAUTIOUS = "cautious"
    ASKING = "asking"
    ESCALATED = "escalated"


class LoopTiming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Timing of the control loop over the last report window and counters since its start."""

    ticks: int
    overruns: int
    lateness_p50_ns: int
    lateness_p99_ns: int
    lateness_max_ns: int
    cost_p50_ns: int
    cost_p99_ns: int
    realtime_priority: bool


class OperatorKind(str, Enum):
    """What a person (or a script in her place) can ask for. `resume` is the answer to a policy that asks for help."""

    INSTRUCT = "instruct"
    RESUME = "resume"
    ARM = "arm"
    DISARM = "disarm"
    RESET = "reset"
    STOP = "stop"
    RECORD = "record"
    REDUCE_SPEED = "reduce_speed"
    RESTORE_SPEED = "restore_speed"
    JOG = "jog"


class Authority(str, Enum):
    """Who moves an armed robot: its policy, a person who jogs it, nobody (`hold`). `none`: the robot is not armed."""

    NONE = "none"
    POLICY = "policy"
    HOLD = "hold"
    JOG = "jog"


class Asker(str, Enum):
    """On whose behalf a request is made: a person typed it, or a program decided to send it.

    After a person's stop control takes `reset` and `arm` from a person alone, see `StopCause`.
    """

    PERSON = "person"
    PROGRAM = "program"


class OperatorCommand(Message, frozen=True):
    """One request of the operator. Ids grow; the same id sent again is the same request."""

    id: int
    kind: OperatorKind
    stamp_ns: int
    instruction: str = ""
    asker: Asker = Asker.PROGRAM

    def __post_init__(self) -> None:
        _require_63_bit("stamp_ns", self.stamp_ns)
        _require_63_bit("id", self.id)
        if self.id == 0:
            raise ValueError("id 0 stands for no command yet")
        if len(self.instruction) > MAX_INSTRUCTION_CHARS:
            raise ValueError(f"instruction longer than {MAX_INSTRUCTION_CHARS} characters")
        if self.kind is OperatorKind.INSTRUCT and not self.instruction.strip():
            raise ValueError("instruct needs an instruction")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of one request of an operator: "done", or the name of a refusal, with its `detail` for a person."""

    id: int
    kind: OperatorKind
    answer: str
    detail: str = ""

    def __post_init__(self) -> None:
        if len(self.detail) > MAX_DETAIL_CHARS:
            raise ValueError(f"detail longer than {MAX_DETAIL_CHARS} characters")


class StopCause(str, Enum):
    """Stops after which no program arms the robot: only the `arm` of a person ends them.

    An `operator_stop` is one whoever sent it, a disarm only if a person asked for it. `stop_line` is an input of this
    machine, or the driver's.
    """

    OPERATOR_STOP = "operator_stop"
    OPERATOR_DISARM = "operator_disarm"
    STOP_LINE = "stop_line"


class ReducedSpeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator's `reduce_speed` sets: the tool's speed where the geometry is known, else that of the joints.

    Attributes:
        tool_speed_max_m_s: None where nothing is known of the geometry.
        speed_scale: of the joints' velocity limits, above 0, at most 1.
    """

    tool_speed_max_m_s: float | None
    speed_scale: float


class SafetyReport(Message, frozen=True):
    """State of control and what its kernel did since the last report.

    Attributes:
        reasons: names of all limits and refusals of the kernel that acted in the window.
        interventions: number of ticks in the window in which the kernel altered or refused a setpoint.
        chunk_age_ns: now minus exposure of the chunk that is followed, None without one.
        plan_left_ns: how long the plan still reaches, 0 or less when it ran out.
        faults: names of what has tripped the kernel; latched until a reset.
        answers: to the last requests of operators, oldest first.
        gate: of the confidence gate; "asking" holds the robot, "escalated" has disarmed it, both wait for a person.
        confidence: of the newest chunk, None if the policy does not say.
        stop_margin_m: smallest clearance seen while a full stop was shown; in between a link may be nearer, but never
            nearer than is allowed. None where nothing is known of the geometry.
        speed_scale: of the joints' velocity limits, in force.
        policy: "alive", "dead", "stalled" or "stuck", as the loop sees it; "unknown" before its first heartbeat,
            "none" where control follows no policy and only holds.
        policy_watch: what tells that it died: "lifeline" at once, "pidfd" once its memory has been given back,
            "heartbeat" after its timeout, "none" before the first.
        grade: of this machine's timing, one letter; empty while it is measured for the first time, and on virtual time.
        grade_speed_scale: of the joints' velocity limits, as that grade sets it; 0 arms nothing.
        reduced: reduced-speed mode, None while it is off.
        recording: path of the black box's newest file; empty before control has written one.
        recordings_written, recordings_failed: files of the black box since control started.
        recording_problem: why the last one could not be written; empty once one could.
        too_slow: why the policy can't act at the pace that it has here; empty while it can, or nobody knows yet.
        stopped_by: the stop that a person has to end, by `reset` (where it is latched) and `arm`; None without one.
        authority: whose motion is followed; that of all others is refused.
    """

    stamp_ns: int
    state: ControlState
    reasons: tuple[str, ...]
    interventions: int
    chunk_sequence: int | None
    chunk_age_ns: int | None
    plan_left_ns: int
    bundle_digest: str | None
    safety_digest: str
    stop_margin_rad: float
    position_measured_rad: tuple[float, ...]
    position_commanded_rad: tuple[float, ...]
    loop: LoopTiming
    engine_alive: bool
    faults: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    gate: GateState = GateState.OFF
    confidence: float | None = None
    stop_margin_m: float | None = None
    speed_scale: float = 1.0
    policy: str = "unknown"
    policy_watch: str = "none"
    grade: str = ""
    grade_speed_scale: float = 1.0
    reduced: ReducedSpeed | None = None
    stopped_by: StopCause | None = None
    recording: str = ""
    recordings_written: int = 0
    recordings_failed: int = 0
    recording_problem: str = ""
    too_slow: str = ""
    authority: Authority = Authority.NONE

    def __post_init__(self) -> None:
        if len(self.answers) > MAX_ANSWERS:
            raise ValueError(f"shape: more than {MAX_ANSWERS} answers")
        if len(self.too_slow) > MAX_DETAIL_CHARS:
            raise ValueError(f"too_slow: longer than {MAX_DETAIL_CHARS} characters")
        if len(self.recording) > MAX_PATH_CHARS:
            raise ValueError(f"recording: longer than {MAX_PATH_CHARS} characters")
        if len(self.recording_problem) > MAX_DETAIL_CHARS:
            raise ValueError(f"recording_problem: longer than {MAX_DETAIL_CHARS} characters")
        for name in ("recordings_written", "recordings_failed"):
            if not 0 <= getattr(self, name) < 2**63:
                raise ValueError(f"{name} must be a non-negative 63-bit number")

    def answer_to(self, command: OperatorCommand) -> Answer | None:
        """What became of `command`; None while it has not arrived, or when too many came after it."""
        for answer in self.answers:
            if (answer.id, answer.kind) == (command.id, command.kind):
                return answer
        return None


class Heartbeat(Message, frozen=True):
    """A process is alive, and what it counted since its start."""

    process: str
    pid: int
    stamp_ns: int
    sequence: int
    counters: dict[str, int]
    refusals: dict[str, int]
    gauges: dict[str, float]
    note: str = ""

    def __post_init__(self) -> None:
        _require_63_bit("stamp_ns", self.stamp_ns)
        _require_63_bit("sequence", self.sequence)
        # Asked of the system by whoever watches the process.
        if not 0 <= self.pid < 2**31:
            raise ValueError("pid must be a non-negative 31-bit number")


class SceneCommand(Message, frozen=True):
    """Simulation only: put the arm home and lay out the scene of `seed`. Refused while the arm is armed."""

    id: int
    seed: int
    split: str
    stamp_ns: int

    def __post_init__(self) -> None:
        if self.split not in ("train", "eval"):
            raise ValueError("split must be 'train' or 'eval'")
        _require_63_bit("stamp_ns", self.stamp_ns)
        _require_63_bit("id", self.id)
        if self.id == 0:
            raise ValueError("id 0 stands for no command yet")
        if not 0 <= self.seed < 2**31:
            raise ValueError("seed must be a non-negative 31-bit number")


class SceneStatus(Message, frozen=True):
    """Simulation only: the task that is laid out and how it stands.

    `elapsed_s` counts while the arm is armed and the outcome open. `trace_digest` is the SHA-256 over every
    target the joints were told meanwhile, in lockstep only: two runs of a seed that agree in it were the same motion.
    """

    stamp_ns: int
    answered_id: int
    answer: str
    seed: int
    split: str
    instruction: str
    swapped_instruction: str
    outcome: str
    reason: str
    elapsed_s: float
    trace_digest: str = ""


JOG_VALID_MAX_NS = 250_000_000
"""A robot that is jogged moves for at most so long after the last word of whoever jogs it."""
JOG_SPEED_MAX = 0.25
"""Share of an axis's speed limit that nobody jogs faster than."""
MAX_AXES = MAX_JOINTS + 1
"""Joints, and the gripper's opening."""
MAX_AXIS_NAME_CHARS = 64


class AxisUnit(str, Enum):
    """Of an axis's position; its speed is that per second."""

    RAD = "rad"
    M = "m"


class AxisSpeeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis moves at this speed, in its unit per second; all others stand still."""

    speeds: dict[str, float]


class AxisTargets(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True):
    """Each named axis goes to this position, in its unit, and stays there; all others stand still.

    Attributes:
        speed_scale: of each axis's speed limit, above 0, at most `JOG_SPEED_MAX`.
    """

    targets: dict[str, float]
    speed_scale: float

    def __post_init__(self) -> None:
        _require_finite("speed_scale", (self.speed_scale,))
        if not 0.0 < self.speed_scale <= JOG_SPEED_MAX:
            raise ValueError(f"speed_scale must be above 0, and at most {JOG_SPEED_MAX}")


class JogCommand(Message, frozen=True):
    """What a person who jogs the robot wants until `stamp_ns + valid_ns`; said again and again while she wants it.

    Attributes:
        session: id of the request (`OperatorKind.JOG`) that was granted.
        sequence: grows from one command of a session to the next.
        stamp_ns: when she was last known to want it, on the robot's monotonic clock.
    """

    session: int
    sequence: int
    stamp_ns: int
    valid_ns: int
    joint_digest: str
    motion: AxisSpeeds | AxisTargets

    def __post_init__(self) -> None:
        for name in ("session", "sequence", "stamp_ns"):
            _require_63_bit(name, getattr(self, name))
        if not 0 < self.valid_ns <= JOG_VALID_MAX_NS:
            raise ValueError(f"valid_ns must be above 0, and at most {JOG_VALID_MAX_NS}")
        axes = self.motion.speeds if isinstance(self.motion, AxisSpeeds) else self.motion.targets
        if len(axes) > MAX_AXES or any(len(name) > MAX_AXIS_NAME_CHARS for name in axes):
            raise ValueError(f"shape: at most {MAX_AXES} axes, with names of {MAX_AXIS_NAME_CHARS} characters")
        _require_finite("motion", axes.values())


class JogAxis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One axis that can be jogged: its limits, in force for this robot, and where it is, in `unit` and per second."""

    name: str
    unit: AxisUnit
    position_min: float
    position_max: float
    speed_max: float
    commanded: float
    measured: float


class JogStatus(Message, frozen=True):
    """What whoever wants to jog has to know.

    Attributes:
        session: whose commands are followed; 0: nobody's.
        joint_digest: what a command has to carry.
        refused_sequence, refused, detail: the last command of this session that was refused, and why; 0 and None
            before the first.
    """

    stamp_ns: int
    session: int
    joint_digest: str
    axes: tuple[JogAxis, ...]
    refused_sequence: int = 0
    refused: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= MAX_AXES:
            raise ValueError(f"shape: 1 to {MAX_AXES} axes")
        if len(self.detail) > MAX_DETAIL_CHARS:
            raise ValueError(f"detail longer than {MAX_DETAIL_CHARS} characters")
