"""Between control and those who look at it or ask it for something: its reports, requests and answers, heartbeats."""

from __future__ import annotations

from enum import Enum

import msgspec

from edge_runtime.contracts.messages.base import MAX_DETAIL_CHARS, MAX_INSTRUCTION_CHARS, Message, require_63_bit
from edge_runtime.contracts.states import (
    ControlState,
    GateState,
    KernelReason,
    PolicySign,
    PolicyState,
    RequestResult,
)

MAX_ANSWERS = 8
MAX_PATH_CHARS = 1024


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
    """What a person (or a script in her place) can ask for. `resume` is the answer to a policy that asks for help.

    `reset_moved` is a reset that also accepts a robot that was moved since it stopped; it is a person's alone.
    """

    INSTRUCT = "instruct"
    RESUME = "resume"
    ARM = "arm"
    DISARM = "disarm"
    RESET = "reset"
    RESET_MOVED = "reset_moved"
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
        require_63_bit("stamp_ns", self.stamp_ns)
        require_63_bit("id", self.id)
        if self.id == 0:
            raise ValueError("id 0 stands for no command yet")
        if len(self.instruction) > MAX_INSTRUCTION_CHARS:
            raise ValueError(f"instruction longer than {MAX_INSTRUCTION_CHARS} characters")
        if self.kind is OperatorKind.INSTRUCT and not self.instruction.strip():
            raise ValueError("instruct needs an instruction")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of one request of an operator, with a `detail` for a person."""

    id: int
    kind: OperatorKind
    answer: RequestResult
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
        reasons: all limits and refusals of the kernel that acted in the window.
        interventions: number of ticks in the window in which the kernel altered or refused a setpoint.
        chunk_age_ns: now minus exposure of the chunk that is followed, None without one.
        plan_left_ns: how long the plan still reaches, 0 or less when it ran out.
        faults: what has tripped the kernel; latched until a reset.
        answers: to the last requests of operators, oldest first.
        gate: of the confidence gate; `asking` holds the robot, `escalated` has disarmed it, both wait for a person.
        confidence: of the newest chunk, None if the policy does not say.
        position_measured, position_commanded: (axes,), each in its axis's unit; velocities of a base.
        stop_margin: least distance of an axis from an end of its range over a full stop, in the unit of
            `stop_margin_axis`.
        stop_margin_m: smallest clearance seen while a full stop was shown; in between a link may be nearer, but never
            nearer than is allowed. None where nothing is known of the geometry.
        speed_scale: of the joints' velocity limits, in force.
        policy: as the loop sees it.
        policy_watch: what tells that it died.
        grade: of this machine's timing, one letter; empty while it is measured for the first time, and on virtual time.
        grade_speed_scale: of the joints' velocity limits, as that grade sets it; 0 arms nothing.
        reduced: reduced-speed mode, None while it is off.
        recording: path of the black box's newest file; empty before control has written one.
        recordings_written, recordings_failed: files of the black box since control started.
        recording_problem: why the last one could not be written; empty once one could.
        chunks_taken: chunks whose plan was followed, since control started.
        too_slow: why the policy can't act at the pace that it has here; empty while it can, or nobody knows yet.
        stopped_by: the stop that a person has to end, by `reset` (where it is latched) and `arm`; None without one.
        authority: whose motion is followed; that of all others is refused.
    """

    stamp_ns: int
    state: ControlState
    reasons: tuple[KernelReason, ...]
    interventions: int
    chunk_sequence: int | None
    chunk_age_ns: int | None
    plan_left_ns: int
    bundle_digest: str | None
    safety_digest: str
    stop_margin: float
    stop_margin_axis: int
    position_measured: tuple[float, ...]
    position_commanded: tuple[float, ...]
    loop: LoopTiming
    engine_alive: bool
    faults: tuple[KernelReason, ...] = ()
    answers: tuple[Answer, ...] = ()
    gate: GateState = GateState.OFF
    confidence: float | None = None
    stop_margin_m: float | None = None
    speed_scale: float = 1.0
    policy: PolicyState = PolicyState.UNKNOWN
    policy_watch: PolicySign = PolicySign.NONE
    grade: str = ""
    grade_speed_scale: float = 1.0
    reduced: ReducedSpeed | None = None
    stopped_by: StopCause | None = None
    recording: str = ""
    recordings_written: int = 0
    recordings_failed: int = 0
    recording_problem: str = ""
    chunks_taken: int = 0
    too_slow: str = ""
    authority: Authority = Authority.NONE

    def __post_init__(self) -> None:
        if not self.state.is_known:
            raise ValueError("state: a report is from a kernel, which knows its state")
        if len(self.answers) > MAX_ANSWERS:
            raise ValueError(f"shape: more than {MAX_ANSWERS} answers")
        if len(self.too_slow) > MAX_DETAIL_CHARS:
            raise ValueError(f"too_slow: longer than {MAX_DETAIL_CHARS} characters")
        if len(self.recording) > MAX_PATH_CHARS:
            raise ValueError(f"recording: longer than {MAX_PATH_CHARS} characters")
        if len(self.recording_problem) > MAX_DETAIL_CHARS:
            raise ValueError(f"recording_problem: longer than {MAX_DETAIL_CHARS} characters")
        for name in ("recordings_written", "recordings_failed", "chunks_taken"):
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
        require_63_bit("stamp_ns", self.stamp_ns)
        require_63_bit("sequence", self.sequence)
        # Asked of the system by whoever watches the process.
        if not 0 <= self.pid < 2**31:
            raise ValueError("pid must be a non-negative 31-bit number")
