"""What a robot says about itself, gathered from the bus: the latest of everything, and sums that outlive a restart.

Only listens. The operator, the live display, the page and `edge-runtime monitor` all look at the same `Status`.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from types import TracebackType

import msgspec

from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import (
    Authority,
    ChunkReceipt,
    ControlState,
    GateState,
    Heartbeat,
    JogStatus,
    KernelReason,
    Message,
    PolicyState,
    ReducedSpeed,
    SafetyReport,
    SceneStatus,
    StopCause,
)
from edge_runtime.contracts.topics import (
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    JOG_STATUS,
    POLICY_STATUS,
    SAFETY_REPORT,
    SCENE_STATUS,
    UPDATE_STATUS,
)
from edge_runtime.contracts.updates import PolicyStatus, UpdateStatus
from edge_runtime.ipc.bus import Subscriber, require_access
from edge_runtime.processes import HOLDING, PROCESSES, Process

ALIVE_S = 1.0
_REASONS_SHOWN_S = 2.0
_RECEIPTS_KEPT = 4096
_TOPICS = (
    SAFETY_REPORT,
    SCENE_STATUS,
    CHUNK_RECEIPT,
    HEARTBEAT_DRIVER,
    HEARTBEAT_CONTROL,
    HEARTBEAT_ENGINE,
    ENGINE_STATUS,
    POLICY_STATUS,
    UPDATE_STATUS,
    JOG_STATUS,
)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a running robot. Values are None where nothing was reported yet.

    `instruction`: that is followed, empty for none. `instruction_refused`: the newest one, where it was refused, and
    `instruction_problem` why; empty where it was not. Of a policy that follows no instructions the problem says so.

    `chunk_age_ms`, `plan_left_ms`: of the chunk that is followed. `verdicts`: reasons of the safety kernel in the last
    two seconds. `interventions`: ticks in which it altered or refused a setpoint. `refusals`: by process, topic and
    kind. `alive`: whether each process has sent a message in the last second. `gate`: where the confidence gate stands,
    with the `confidence` of the newest chunk. `policy`: as the control loop sees it. `speed_scale`: of the joints'
    velocity limits, in force.
    `grade`: of this machine's timing, empty before it is known, `grade_speed_scale` what it leaves of those limits.
    `reduced`: reduced-speed mode, None while it is off. `faults`: latched in the kernel. `stopped_by`: what only a
    person can end. `ticks_watched`: of the control loop, while `interventions` were counted. `plans_taken`: by control
    since its start.
    `bundle`: digest of the one that acts, `standby` of the one that is warm beside it; empty for none. `proof`: whether
    it does on this machine what it was trained to, None before the engine has said so, with its `proof_detail`.
    `cannot_act`: why the policy may not act here, so that the robot can't be armed; empty where it may, or that is not
    known yet. `authority`: who moves the robot. `update`: what the update agent says, None where it has sent nothing
    for a second.
    """

    instruction: str
    instruction_refused: str
    instruction_problem: str
    state: ControlState
    verdicts: tuple[KernelReason, ...]
    interventions: int
    refusals: dict[str, int]
    alive: dict[str, bool]
    chunk_age_ms: float | None
    plan_left_ms: float | None
    inference_p50_ms: float | None
    inference_p99_ms: float | None
    lateness_p50_us: float | None
    lateness_p99_us: float | None
    ticks: int
    overruns: int
    realtime_priority: bool
    outcome: str
    reason: str
    elapsed_s: float
    seed: int | None
    gate: GateState
    confidence: float | None
    policy: PolicyState
    speed_scale: float | None
    grade: str
    grade_speed_scale: float
    reduced: ReducedSpeed | None
    faults: tuple[KernelReason, ...]
    stopped_by: StopCause | None
    ticks_watched: int
    plans_taken: int
    bundle: str
    standby: str
    proof: ProofVerdict | None
    proof_detail: str
    cannot_act: str
    authority: Authority
    update: UpdateStatus | None

    @property
    def instruction_line(self) -> str:
        """What is followed, or why nothing is."""
        if self.instruction_refused:
            return f"none: {self.instruction_refused!r} was refused: {self.instruction_problem}"
        return self.instruction or (f"none: {self.instruction_problem}" if self.instruction_problem else "none")

    @property
    def without_policy(self) -> bool:
        """Whether control follows no policy, and only holds."""
        return self.policy is PolicyState.NONE

    @property
    def refused(self) -> int:
        """Everything that was declined, on all topics."""
        return sum(self.refusals.values())


class Watcher:
    """Listens to one robot; use it from one thread, and call `receive` often.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(self, run_dir: Path) -> None:
        for topic in _TOPICS:
            require_access(topic.socket_path(run_dir))
        self._subscriber = Subscriber(_TOPICS, run_dir)
        self._heard_s: dict[str, float] = {}
        self._refusals: dict[tuple[str, int], dict[str, int]] = {}
        self._verdicts: dict[KernelReason, float] = {}
        self._report_s = -ALIVE_S
        self.report: SafetyReport | None = None
        self.scene: SceneStatus | None = None
        self.engine: EngineStatus | None = None
        self.policy: PolicyStatus | None = None
        self.unproven: PolicyStatus | None = None
        """What an engine says that serves nothing, because its bundle does not do here what it was trained to."""
        self._proof: PolicyStatus | None = None
        self.jog: JogStatus | None = None
        self._update: UpdateStatus | None = None
        self.heartbeats: dict[str, Heartbeat] = {}
        self.receipts: deque[ChunkReceipt] = deque(maxlen=_RECEIPTS_KEPT)
        self.interventions = 0
        self._ticks_watched = 0
        self.followed: dict[str, None] = {}
        """Digests of the bundles whose plans were followed, in order; whoever wants to know from when on clears it."""

    def receive(self, timeout_s: float) -> list[Message]:
        """Take in what has arrived, waiting up to `timeout_s` for the first message."""
        messages = self._subscriber.receive(timeout_s)
        now_s = time.monotonic()
        for message in messages:
            if isinstance(message, SafetyReport):
                before = self.report.loop.ticks if self.report is not None else message.loop.ticks
                # A control that was started again counts from zero.
                self._ticks_watched += max(0, message.loop.ticks - before)
                self.report = message
                self._report_s = now_s
                self.interventions += message.interventions
                if message.bundle_digest:
                    self.followed[message.bundle_digest] = None
                self._verdicts.update(dict.fromkeys(message.reasons, now_s))
            elif isinstance(message, SceneStatus):
                self.scene = message
            elif isinstance(message, EngineStatus):
                self.engine = message
            elif isinstance(message, PolicyStatus):
                self.policy = message if message.serving else None
                self.unproven = message if message.proof is ProofVerdict.DIFFERS else None
                self._proof = message
            elif isinstance(message, UpdateStatus):
                self._update = message
                self._heard_s["ota"] = now_s
            elif isinstance(message, JogStatus):
                self.jog = message
            elif isinstance(message, ChunkReceipt):
                self.receipts.append(message)
            elif isinstance(message, Heartbeat):
                self.heartbeats[message.process] = message
                self._heard_s[message.process] = now_s
                self._refusals[message.process, message.pid] = message.refusals
        return messages

    def alive(self, process: str) -> bool:
        """Whether `process` has sent a message in the last second."""
        return time.monotonic() - self._heard_s.get(process, -ALIVE_S) < ALIVE_S

    @property
    def update(self) -> UpdateStatus | None:
        """What the update agent says; None when it has been silent for a second."""
        return self._update if self.alive("ota") else None

    @property
    def control_state(self) -> ControlState:
        """State of the safety kernel, `UNKNOWN` when control has sent no message for a second."""
        if self.report is None or time.monotonic() - self._report_s >= ALIVE_S:
            return ControlState.UNKNOWN
        return self.report.state

    @property
    def refusals(self) -> dict[str, int]:
        """Counts keyed ``process.topic.kind``, over all lives of each process, and this listener's own."""
        sums: dict[str, int] = {}
        for (process, _), counts in self._refusals.items():
            for kind, count in counts.items():
                sums[f"{process}.{kind}"] = sums.get(f"{process}.{kind}", 0) + count
        for kind, count in self._subscriber.refusals.as_dict().items():
            sums[f"operator.{kind}"] = count
        return sums

    def _expected(self) -> tuple[Process, ...]:
        holds = self.report is not None and self.report.policy is PolicyState.NONE
        return HOLDING if holds else PROCESSES

    def status(self) -> Status:
        """Everything at this moment."""
        now_s = time.monotonic()
        report, scene, engine = self.report, self.scene, self.engine
        beat = self.heartbeats.get("engine")
        gauges = beat.gauges if beat is not None else {}
        refused = engine is not None and engine.answer is InstructionAnswer.REFUSED_UNREADABLE
        reads_none = engine is not None and engine.answer is InstructionAnswer.READS_NONE
        loop = report.loop if report is not None else None
        following = report is not None and report.chunk_age_ns is not None
        return Status(
            instruction=engine.instruction if engine is not None else "",
            instruction_refused=engine.asked if engine is not None and refused else "",
            instruction_problem=engine.detail if engine is not None and (refused or reads_none) else "",
            state=self.control_state,
            verdicts=tuple(name for name, seen_s in self._verdicts.items() if now_s - seen_s < _REASONS_SHOWN_S),
            interventions=self.interventions,
            refusals=self.refusals,
            alive={process.name: self.alive(process.name) for process in self._expected()},
            chunk_age_ms=report.chunk_age_ns / 1e6 if report is not None and report.chunk_age_ns is not None else None,
            plan_left_ms=report.plan_left_ns / 1e6 if report is not None and following else None,
            inference_p50_ms=gauges.get("inference_p50_ms"),
            inference_p99_ms=gauges.get("inference_p99_ms"),
            lateness_p50_us=loop.lateness_p50_ns / 1e3 if loop is not None else None,
            lateness_p99_us=loop.lateness_p99_ns / 1e3 if loop is not None else None,
            ticks=loop.ticks if loop is not None else 0,
            overruns=loop.overruns if loop is not None else 0,
            realtime_priority=loop.realtime_priority if loop is not None else False,
            outcome=scene.outcome if scene is not None else "",
            reason=scene.reason if scene is not None else "",
            elapsed_s=scene.elapsed_s if scene is not None else 0.0,
            seed=scene.seed if scene is not None else None,
            gate=report.gate if report is not None else GateState.OFF,
            confidence=report.confidence if report is not None else None,
            policy=report.policy if report is not None else PolicyState.UNKNOWN,
            speed_scale=report.speed_scale if report is not None else None,
            grade=report.grade if report is not None else "",
            grade_speed_scale=report.grade_speed_scale if report is not None else 1.0,
            reduced=report.reduced if report is not None else None,
            faults=report.faults if report is not None else (),
            stopped_by=report.stopped_by if report is not None else None,
            ticks_watched=self._ticks_watched,
            plans_taken=report.chunks_taken if report is not None else 0,
            bundle=self._bundle(),
            standby=self.policy.standby if self.policy is not None else "",
            proof=self._proof.proof if self._proof is not None else None,
            proof_detail=self._proof.proof_detail if self._proof is not None else "",
            cannot_act=self._why_it_cannot_act(),
            authority=report.authority if report is not None else Authority.NONE,
            update=self.update,
        )

    def _why_it_cannot_act(self) -> str:
        if self._proof is not None and self._proof.proof is ProofVerdict.DIFFERS:
            return self._proof.proof_detail
        return self.report.too_slow if self.report is not None else ""

    def _bundle(self) -> str:
        if self.policy is not None:
            return self.policy.serving
        return (self.report.bundle_digest or "") if self.report is not None else ""

    def close(self) -> None:
        """Stop listening."""
        self._subscriber.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
