"""What Python does beside the 1 kHz loop: take chunks, answer the operator, report. Owns the chunk buffer.

Guarantees that nothing here can delay a tick: the loop only ever reads what was handed over. Decides nothing about
motion limits; that is the kernel's.
"""

from __future__ import annotations

import math
import time

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import Refusal, SafetyError
from edge_runtime.contracts.messages import (
    MAX_DETAIL_CHARS,
    MAX_PATH_CHARS,
    ActionChunk,
    Asker,
    ChunkReceipt,
    GateState,
    Heartbeat,
    OperatorCommand,
    OperatorKind,
    PolicyState,
    RequestResult,
    SafetyReport,
)
from edge_runtime.contracts.topics import ACTION_CHUNK, OPERATOR
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.admission import Admission, Prediction
from edge_runtime.control.black_box import BlackBox
from edge_runtime.control.chunk_buffer import ChunkBuffer, Posture, Refused
from edge_runtime.control.chunk_pipeline import ChunkPipeline, Declined, Taken
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.control.limits import TICK_NS
from edge_runtime.control.native_loop import ControlLoop, Granted
from edge_runtime.control.policy_watch import PolicyWatch
from edge_runtime.control.proof_watch import PATIENCE_NS, ProofWatch
from edge_runtime.control.receipts import Receipts
from edge_runtime.control.request_ledger import AFTER_STOP, RESTARTED, UNPROVEN, RequestLedger
from edge_runtime.control.speed import SpeedLimit
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.start_posture import refusal_detail
from edge_runtime.control.timing_grade import SelfTest
from edge_runtime.control.window import TickWindow
from edge_runtime.control.without_policy import PERSON_ONLY, NoProof
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.clock import Clock
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.ipc.port import DriverPort
from edge_runtime.pace import pace_of
from edge_runtime.safety import Request, Result, State, said

_DRAIN_LIMIT = 1024
_ENGINE_HEARD_S = 0.5
"""An engine speaks ten times a second: one that is taken for stalled earlier may still be armed for."""
_FOLLOWS = (State.ACTIVE, State.HOLDING)
_REQUESTS = {
    OperatorKind.ARM: Request.ARM,
    OperatorKind.DISARM: Request.DISARM,
    OperatorKind.RESET: Request.RESET,
    OperatorKind.STOP: Request.STOP,
}


PACE = RequestResult.REFUSED_PACE
"""The policy is too slow for the reach of its plans, or for this robot's own limits on age."""


_PACE_HEARD_S = 1.0
"""Each topic has a connection of its own, and they are made one after the other."""


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


class Supervisor:
    """One robot's control, seen from Python.

    Args:
        config: of this robot.
        bundles: those whose chunks are taken; None: nobody's, it only holds.
        bundle_digest: the one whose chunks are expected, for reports from before the first one.
        port: driver port, for the acknowledgement of observations in lockstep.
        loop: the running 1 kHz loop.
        black_box: writes that loop's last seconds out when it trips.
        orders: what a process before this one was ordered still holds: the loop begins stopped, or at reduced speed.
        clock: same clock as the loop's.
        refusals: counted here and by the bus.

    Raises:
        SafetyError: the loop does not answer.
    """

    def __init__(
        self,
        config: RobotConfig,
        *,
        bundles: KnownBundles | None,
        bundle_digest: str | None,
        port: DriverPort,
        loop: ControlLoop,
        black_box: BlackBox,
        orders: StandingOrders,
        clock: Clock,
        refusals: Refusals,
    ) -> None:
        self._config = config
        self._bundles = bundles
        self._bundle_digest = bundle_digest
        self._port = port
        self._loop = loop
        self._black_box = black_box
        self._orders = orders
        self._clock = clock
        self._refusals = refusals
        self._receipts = Receipts()
        # Until the engine says how fast its policy is. In virtual time it is as fast as it was told to be.
        self._pace = pace_of(config.lockstep.inference_latency_s if clock.virtual else 0.0, math.inf, config)
        self._engine: EngineStatus | None = None
        self._instruction_id = 0
        self._buffer = ChunkBuffer(
            config.embodiment,
            blend_ns=round(config.control.blend_s * 1e9),
            max_age_ns=_ns(self._pace.chunk_age_max_s),
            reach_ns=_ns(self._pace.action_age_max_s),
        )
        self._pipeline = ChunkPipeline(
            loop,
            self._buffer,
            Admission(
                loop.config,
                deviation_max_rad=config.control.admission_deviation_max_rad,
                blocked_max=config.control.admission_blocked_max,
            ),
            config.confidence,
        )
        self._latency_ns = round(config.lockstep.inference_latency_s * 1e9) if clock.virtual else 0
        self._answers = RequestLedger()
        self._failure = ""
        self._since_ns = time.monotonic_ns()
        self._accepted = 0
        self._clipped = 0
        self._engine_seen_s: float | None = None
        self._engine_first_s: float | None = None
        self._window = TickWindow(len(config.embodiment.joints))
        self._policy = PolicyWatch(loop, lifeline_path(port.name))
        silent_ns = _ns(max(config.control.engine_timeout_s, _ENGINE_HEARD_S))
        self._proof: ProofWatch | NoProof = NoProof() if bundles is None else ProofWatch(silent_ns)
        self._speed = SpeedLimit(loop, config.safety.geometry)
        if orders.is_latched:
            loop.request_stop()
        if orders.is_reduced:
            self._speed.reduce(True)
        # Virtual time has no jitter to measure.
        self._self_test = None if clock.virtual else SelfTest(config.control.self_test_s, TICK_NS, port.watchdog_ns)

    def take_chunk(self, chunk: ActionChunk) -> ChunkReceipt | None:
        """Let the pipeline hand a chunk's plan to the loop; a receipt if it was declined.

        Raises:
            SafetyError: buffer and loop contradict each other; control must not go on.
        """
        now_ns = self._clock.now_ns()
        outcome = self._taken(chunk, now_ns)
        receipt = None
        if isinstance(outcome, Declined):
            self._refusals.count(ACTION_CHUNK.name, outcome.refused.refusal)
            receipt = self._receipts.declined(chunk, outcome, now_ns)
        else:
            self._accepted += 1
            self._clipped += outcome.prediction.interventions > 0
            self._receipts.taken(chunk, outcome, now_ns)
            if self._loop.counters().state in _FOLLOWS:
                self._bundle_digest = chunk.bundle_digest
                self._black_box.follow(chunk.bundle_digest)
        if self._clock.virtual and chunk.exposure_ns <= now_ns:
            self._port.acknowledge_observation(chunk.exposure_ns)
        return receipt

    def _taken(self, chunk: ActionChunk, now_ns: int) -> Taken | Declined:
        if self._bundles is None:
            return Declined(Refused(Refusal.WRONG_BUNDLE, "control follows no policy, it only holds"), Prediction())
        problem = self._bundles.why_not(chunk.bundle_digest, time.monotonic_ns())
        if problem is not None:
            detail = f"{chunk.bundle_digest[:12]}…: {problem}"
            return Declined(Refused(Refusal.WRONG_BUNDLE, detail), Prediction())
        if self._is_refused(chunk.instruction_id):
            return Declined(Refused(Refusal.NO_INSTRUCTION, "its instruction is not in force"), Prediction())
        active_from_ns = chunk.exposure_ns + self._latency_ns if self._clock.virtual else 0
        return self._pipeline.take(chunk, now_ns, self._rest(), active_from_ns)

    def _rest(self) -> Posture:
        """Where the robot is commanded to be now."""
        command = self._port.read_command()
        if command is None:
            return Posture(self._window.commanded_rad, self._window.gripper_m)
        return Posture(command.q_rad, command.gripper_m)

    def take_operator(self, command: OperatorCommand) -> None:
        """Carry out a request of the operator once; a stop always, whatever its number.

        Arming has to wait for the first self-test, and a moment for an engine that has just come up to say that its
        policy is proved and how fast it is. It is not answered until then, and so it is repeated: an operator who has
        given up meanwhile arms nothing. Nor is a stop that the loop did not take: its repetition is tried anew.
        """
        if command.kind is OperatorKind.INSTRUCT:
            # The engine's business, which says what became of it.
            return
        if command.kind is OperatorKind.ARM and self._has_to_wait(command):
            return
        if self._answers.is_due(command):
            answer = self._carry_out(command)
            if answer is not None:
                self._answers.give(command, answer, self._detail_of(command, answer))
        elif self._answers.was_overtaken(command):
            self._refusals.count(OPERATOR.name, Refusal.OUT_OF_ORDER)

    def _has_to_wait(self, arm: OperatorCommand) -> bool:
        """Whether what arming depends on is not known yet, and may be in a moment."""
        if self._self_test is not None and self._self_test.grade is None:
            return True
        now_ns = time.monotonic_ns()
        if self._proof.word(now_ns).may_change and now_ns - arm.stamp_ns < PATIENCE_NS:
            return True
        return self._is_about_to_hear_the_pace(arm)

    def _detail_of(self, command: OperatorCommand, answer: RequestResult) -> str:
        """What a person should know of the answer: of the policy if she arms, and why the kernel refused."""
        if answer is RequestResult.FAILED:
            return self._failure
        if answer == PACE:
            return self._pace.detail
        if command.kind is OperatorKind.ARM and answer in (UNPROVEN, RequestResult.DONE):
            return self._proof.word(time.monotonic_ns()).detail
        return self._detail(answer)

    def take_engine_status(self, status: EngineStatus) -> None:
        """What became of an instruction, and how fast the policy is.

        A new instruction that is followed is an answer to a policy that has asked. One that is refused ends the motion:
        what it was to replace is not wanted any more, and it may have been a "do not".

        Raises:
            SafetyError: buffer and loop contradict each other; control must not go on.
        """
        before, self._engine = self._engine, status
        is_news = before is None or (before.instruction_id, before.answer) != (status.instruction_id, status.answer)
        if is_news and status.answer is InstructionAnswer.REFUSED_UNREADABLE:
            self._pipeline.drop(self._clock.now_ns())
        # An engine that was started again is told what was in force, which is no answer of anybody.
        if status.answer is InstructionAnswer.FOLLOWED and status.instruction_id > self._instruction_id:
            self._instruction_id = status.instruction_id
            self._pipeline.answer()
        if self._clock.virtual:
            return
        pace = pace_of(status.latency_ns * 1e-9, status.horizon_ns * 1e-9, self._config)
        if pace != self._pace:
            self._pace = pace
            self._buffer.allow(max_age_ns=_ns(pace.chunk_age_max_s), reach_ns=_ns(pace.action_age_max_s))
            self._loop.set_progress_timeout(pace.progress_timeout_s)

    def _is_about_to_hear_the_pace(self, arm: OperatorCommand) -> bool:
        if self._clock.virtual or self._engine is not None or self._bundles is None:
            return False
        if self._engine_first_s is None:
            return time.monotonic_ns() - arm.stamp_ns < _ns(_PACE_HEARD_S)
        return time.monotonic() - self._engine_first_s < _PACE_HEARD_S

    def _is_refused(self, instruction_id: int) -> bool:
        engine = self._engine
        return (
            engine is not None
            and engine.answer is InstructionAnswer.REFUSED_UNREADABLE
            and instruction_id <= engine.instruction_id
        )

    def _carry_out(self, command: OperatorCommand) -> RequestResult | None:
        if command.kind is OperatorKind.RECORD:
            self._black_box.record()
            return RequestResult.DONE
        if command.kind is OperatorKind.RESUME:
            self._pipeline.answer()
            return RequestResult.DONE
        if command.kind is OperatorKind.ARM and command.stamp_ns < self._since_ns:
            return RESTARTED
        self._orders.follow(self._loop.counters().faults)
        if self._orders.refuse(command):
            return AFTER_STOP
        if command.kind is OperatorKind.DISARM and command.asker is Asker.PERSON:
            # Whatever becomes of it: nothing may arm from here on, also where there is nothing to disarm.
            self._orders.disarmed()
        if command.kind is OperatorKind.ARM and self._bundles is None and command.asker is not Asker.PERSON:
            return PERSON_ONLY
        if command.kind is OperatorKind.ARM and not self._proof.word(time.monotonic_ns()).may_arm:
            return UNPROVEN
        if command.kind is OperatorKind.ARM and self._pipeline.gate is GateState.ESCALATED:
            return RequestResult.REFUSED_UNSURE
        if command.kind is OperatorKind.ARM and self._pace.problem is not None and not self._clock.virtual:
            return PACE
        asked_ns = self._clock.now_ns()
        try:
            if command.kind in (OperatorKind.REDUCE_SPEED, OperatorKind.RESTORE_SPEED):
                reduced = self._speed.reduce(command.kind is OperatorKind.REDUCE_SPEED)
                self._orders.reduce(self._speed.reduced is not None)
                return reduced.said
            if command.kind is OperatorKind.ARM and not self._speed.may_arm:
                return RequestResult.REFUSED_JITTER
            result = self._loop.request(_REQUESTS[command.kind])
            self._orders.follow(self._loop.counters().faults)
            if command.kind is OperatorKind.ARM and result is Result.DONE:
                if command.asker is Asker.PERSON:
                    self._orders.armed()
                self._buffer.restart(armed_since_ns=asked_ns)
                self._receipts.restart()
        except SafetyError as error:
            self._failure = str(error)
            return RequestResult.FAILED if command.kind is not OperatorKind.STOP else None
        return result.said

    def _detail(self, answer: RequestResult) -> str:
        """What a person should know of a refusal of the kernel."""
        result = Result.__members__.get(answer.name)
        if result is None or result is Result.DONE:
            return ""
        config = self._loop.config
        try:
            held_rad = self._loop.snapshot().q_rad[0 : len(config.joint_names)]
        except SafetyError:
            return ""
        return refusal_detail(
            result,
            self._config.safety,
            self._config.embodiment,
            config,
            feedback=self._port.read_feedback(),
            held_rad=held_rad,
            watchdog_ns=self._port.watchdog_ns,
            now_ns=self._port.now_ns(),
        )

    def take_heartbeat(self, heartbeat: Heartbeat) -> None:
        """The engine gave a sign of life."""
        self._engine_seen_s = time.monotonic()
        self._engine_first_s = self._engine_first_s or self._engine_seen_s
        self._policy.take(heartbeat)
        self._proof.hear(heartbeat, time.monotonic_ns())

    def take_policy_status(self, status: PolicyStatus) -> None:
        """What the engine says of its bundles: before it has said that its policy is proved, nothing is armed."""
        self._proof.hear(status, time.monotonic_ns())

    def drain(self) -> list[ChunkReceipt]:
        """Take the loop's tick reports since the last call; receipts that they complete."""
        complete: list[ChunkReceipt] = []
        more = True
        while more:
            ticks = self._loop.drain_reports(_DRAIN_LIMIT)
            # Not until there are none: in lockstep new ones may come as fast as they are taken.
            more = len(ticks) == _DRAIN_LIMIT
            self._window.add(ticks)
            if self._self_test is not None and (grade := self._self_test.add(ticks)) is not None:
                self._speed.grade(grade)
            self._black_box.observe(ticks)
            complete += self._receipts.followed(ticks["tick_ns"], ticks["plan_seq"])
        self._black_box.tend()
        self._orders.follow(self._loop.counters().faults)
        return complete

    def report(self) -> SafetyReport:
        """State of control and what happened since the last call."""
        now_ns = self._clock.now_ns()
        counters = self._loop.counters()
        window = self._window
        plan = self._buffer.plan
        if counters.state not in _FOLLOWS:
            plan = None
        report = SafetyReport(
            stamp_ns=now_ns,
            state=counters.state.said,
            reasons=window.reasons(),
            interventions=window.interventions,
            chunk_sequence=plan.chunk_seq if plan is not None else None,
            chunk_age_ns=now_ns - plan.observation_ns if plan is not None else None,
            plan_left_ns=int(plan.t_ns[-1]) - now_ns if plan is not None else 0,
            chunks_taken=self._accepted,
            bundle_digest=self._bundle_digest,
            safety_digest=self._config.safety.digest,
            stop_margin_rad=window.stop_margin_rad,
            position_measured_rad=tuple(window.measured_rad.tolist()),
            position_commanded_rad=tuple(window.commanded_rad.tolist()),
            loop=window.timing(counters.ticks, counters.overruns, realtime=Granted.PRIORITY in counters.granted),
            engine_alive=self._engine_alive(),
            faults=said(counters.faults),
            answers=self._answers.last(),
            stop_margin_m=window.stop_margin_m,
            speed_scale=window.speed_scale,
            policy=PolicyState.NONE if self._bundles is None else self._policy.state(counters.policy),
            policy_watch=self._policy.how,
            grade=self._speed.grade_name,
            grade_speed_scale=self._speed.grade_scale,
            reduced=self._speed.reduced,
            stopped_by=self._orders.stopped_by,
            too_slow="" if self._clock.virtual else self._pace.detail[:MAX_DETAIL_CHARS],
            recording=self._black_box.newest[-MAX_PATH_CHARS:],
            recordings_written=self._black_box.written,
            recordings_failed=self._black_box.failed,
            recording_problem=self._black_box.problem[:MAX_DETAIL_CHARS],
            gate=self._pipeline.gate,
            confidence=self._pipeline.confidence,
        )
        window.restart()
        return report

    def counters(self) -> dict[str, int]:
        """Counts since the start, for the heartbeat."""
        loop = self._loop.counters()
        return {
            "ticks": loop.ticks,
            "overruns": loop.overruns,
            "chunks_accepted": self._accepted,
            "chunks_clipped": self._clipped,
            "torn_feedback": loop.torn_feedback,
            "torn_plans": loop.torn_plans,
            "plans_refused": loop.plans_refused,
            "reports_dropped": loop.reports_dropped,
            "stop_line_opened": loop.stop_line_opened,
            **self._black_box.counters(),
        }

    def gauges(self) -> dict[str, float]:
        """Where things stand, for the heartbeat: when the loop last saw a sign of life of the policy, on its clock."""
        return {"policy_beat_s": self._loop.counters().policy_beat_ns * 1e-9}

    def note(self) -> str:
        """What a person should know, for the heartbeat; empty if there is nothing."""
        return self._orders.problem or self._black_box.problem

    def now_ns(self) -> int:
        """This moment on the loop's clock."""
        return self._clock.now_ns()

    def _engine_alive(self) -> bool:
        timeout_s = self._config.control.engine_timeout_s
        return self._engine_seen_s is not None and time.monotonic() - self._engine_seen_s <= timeout_s
