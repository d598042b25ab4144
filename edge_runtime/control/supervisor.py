"""What Python does beside the 1 kHz loop: take chunks, answer the operator, report. Owns the chunk buffer.

Guarantees that nothing here can delay a tick: the loop only ever reads what was handed over. Decides nothing about
motion limits; that is the kernel's.
"""

from __future__ import annotations

import time

import numpy as np

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    JOG_SPEED_MAX,
    MAX_DETAIL_CHARS,
    MAX_PATH_CHARS,
    ActionChunk,
    Authority,
    ChunkReceipt,
    Heartbeat,
    JogCommand,
    JogStatus,
    OperatorCommand,
    SafetyReport,
)
from edge_runtime.contracts.topics import ACTION_CHUNK, JOG
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.admission import Admission, Prediction
from edge_runtime.control.authority import AuthorityInForce
from edge_runtime.control.black_box import BlackBox
from edge_runtime.control.chunk_buffer import ChunkBuffer, Posture, Refused
from edge_runtime.control.chunk_pipeline import ChunkPipeline, Declined, Taken
from edge_runtime.control.engine_watch import EngineWatch
from edge_runtime.control.jog_source import JogSource, Motion
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.control.limits import TICK_NS
from edge_runtime.control.native_loop import ControlLoop, Granted
from edge_runtime.control.operator_requests import OperatorRequests
from edge_runtime.control.receipts import Receipts
from edge_runtime.control.speed import SpeedLimit
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.timing_grade import SelfTest
from edge_runtime.control.window import TickWindow
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.clock import Clock
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import State, said

_DRAIN_LIMIT = 1024
_FOLLOWS = (State.ACTIVE, State.HOLDING)


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
        self._engine = EngineWatch(config, loop, port.name, follows=bundles is not None, virtual=clock.virtual)
        self._instruction_id = 0
        self._buffer = ChunkBuffer(
            config.embodiment,
            blend_ns=round(config.control.blend_s * 1e9),
            max_age_ns=_ns(self._engine.pace.chunk_age_max_s),
            reach_ns=_ns(self._engine.pace.action_age_max_s),
        )
        self._pipeline = ChunkPipeline(
            loop,
            self._buffer,
            Admission(
                loop.config,
                config.embodiment,
                deviation_max_rad=config.control.admission_deviation_max_rad,
                blocked_max=config.control.admission_blocked_max,
            ),
            config.confidence,
        )
        self._latency_ns = round(config.lockstep.inference_latency_s * 1e9) if clock.virtual else 0
        self._accepted = 0
        self._clipped = 0
        self._window = TickWindow(config.embodiment)
        self._speed = SpeedLimit(loop, config.safety.geometry)
        if orders.is_latched:
            loop.request_stop()
        if orders.is_reduced:
            self._speed.reduce(True)
        self._drives = np.array([axis.is_velocity for axis in config.embodiment.axes])
        self._grips = np.array([axis.is_gripper for axis in config.embodiment.axes])
        self._jog = JogSource(config.embodiment, loop.config)
        self._authority = AuthorityInForce(loop, self._jog, self._speed)
        # Virtual time has no jitter to measure.
        self._self_test = None if clock.virtual else SelfTest(config.control.self_test_s, TICK_NS, port.watchdog_ns)
        self._requests = OperatorRequests(
            config,
            port=port,
            loop=loop,
            clock=clock,
            engine=self._engine,
            authority=self._authority,
            pipeline=self._pipeline,
            speed=self._speed,
            orders=orders,
            black_box=black_box,
            self_test=self._self_test,
            follows=bundles is not None,
            on_armed=self._has_armed,
            refusals=refusals,
        )

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
        if self._authority.in_force is Authority.JOG:
            return Declined(Refused(Refusal.JOGGED, "a person jogs the robot"), Prediction())
        if self._bundles is None:
            return Declined(Refused(Refusal.WRONG_BUNDLE, "control follows no policy, it only holds"), Prediction())
        problem = self._bundles.why_not(chunk.bundle_digest, time.monotonic_ns())
        if problem is not None:
            detail = f"{chunk.bundle_digest[:12]}…: {problem}"
            return Declined(Refused(Refusal.WRONG_BUNDLE, detail), Prediction())
        if self._engine.refuses(chunk.instruction_id):
            return Declined(Refused(Refusal.NO_INSTRUCTION, "its instruction is not in force"), Prediction())
        active_from_ns = chunk.exposure_ns + self._latency_ns if self._clock.virtual else 0
        return self._pipeline.take(chunk, now_ns, self._rest(), active_from_ns)

    def take_jog(self, command: JogCommand) -> None:
        """Hand what a person who jogs wants to the loop, or count why not.

        Raises:
            SafetyError: buffer and loop contradict each other, or the loop does not tick; control must not go on.
        """
        now_ns = self._clock.now_ns()
        self._authority.tend(now_ns)
        refused = self._jog.take(command, now_ns)
        if refused is not None:
            self._refusals.count(JOG.name, refused.refusal)
            return
        state, tick_ns = self._loop.snapshot_at_tick()
        if state.state not in _FOLLOWS:
            self._refusals.count(JOG.name, Refusal.NOT_ALLOWED_NOW)
            return
        n_axes = len(self._config.embodiment.axes)
        place, speed = np.array(list(state.q[0:n_axes])), np.array(list(state.dq[0:n_axes]))
        start = Motion(np.where(self._drives, speed, place), np.where(self._grips, 0.0, speed))
        t_ns, knots = self._jog.plan(command, start, tick_ns)
        self._pipeline.jog(command.sequence, command.stamp_ns, t_ns, knots, JOG_SPEED_MAX)

    def jog_status(self) -> JogStatus:
        """Where every axis and tool is, and what became of the last commands."""
        feedback = self._port.read_feedback()
        commanded = self._rest().position
        measured = np.zeros(len(commanded))
        if feedback is not None:
            measured = np.where(self._drives, feedback.dq, feedback.q)
        refused = self._jog.refused
        return JogStatus(
            stamp_ns=self._clock.now_ns(),
            session=self._jog.session,
            joint_digest=self._jog.joint_digest,
            axes=self._jog.axes(commanded, measured),
            tools=self._jog.tools(commanded, measured),
            refused_sequence=self._jog.refused_sequence,
            refused=None if refused is None else refused.refusal.value,
            detail="" if refused is None else refused.detail[:MAX_DETAIL_CHARS],
        )

    def _rest(self) -> Posture:
        """Where each axis is commanded to be now, a base how fast it is to drive."""
        command = self._port.read_command()
        if command is None:
            return Posture(self._window.commanded)
        return Posture(np.where(self._drives, command.dq, command.q))

    def take_engine_status(self, status: EngineStatus) -> None:
        """What became of an instruction, and how fast the policy is.

        A new instruction that is followed is an answer to a policy that has asked. One that is refused ends the motion:
        what it was to replace is not wanted any more, and it may have been a "do not".

        Raises:
            SafetyError: buffer and loop contradict each other; control must not go on.
        """
        before = self._engine.pace
        if self._engine.hear_status(status) and self._authority.in_force is not Authority.JOG:
            self._pipeline.drop(self._clock.now_ns())
        # An engine that was started again is told what was in force, which is no answer of anybody.
        if status.answer is InstructionAnswer.FOLLOWED and status.instruction_id > self._instruction_id:
            self._instruction_id = status.instruction_id
            self._pipeline.answer()
        if (pace := self._engine.pace) != before:
            self._buffer.allow(max_age_ns=_ns(pace.chunk_age_max_s), reach_ns=_ns(pace.action_age_max_s))
            self._loop.set_progress_timeout(pace.progress_timeout_s)

    def take_operator(self, command: OperatorCommand) -> None:
        """Carry out a request of the operator, or say why not, see `OperatorRequests`."""
        self._requests.take(command)

    def _has_armed(self, asked_ns: int) -> None:
        self._buffer.restart(armed_since_ns=asked_ns)
        self._receipts.restart()

    def take_heartbeat(self, heartbeat: Heartbeat) -> None:
        """The engine gave a sign of life."""
        self._engine.hear(heartbeat)

    def take_policy_status(self, status: PolicyStatus) -> None:
        """What the engine says of its bundles: before it has said that its policy is proved, nothing is armed."""
        self._engine.hear(status)

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
        self._authority.tend(self._clock.now_ns())
        return complete

    def report(self) -> SafetyReport:
        """State of control and what happened since the last call."""
        now_ns = self._clock.now_ns()
        counters = self._loop.counters()
        window = self._window
        plan = self._buffer.plan
        authority = self._authority.in_force
        is_jogged = authority is Authority.JOG
        if counters.state not in _FOLLOWS or is_jogged:
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
            bundle_digest=None if is_jogged else self._bundle_digest,
            safety_digest=self._config.safety.digest,
            stop_margin=window.stop_margin,
            stop_margin_axis=window.stop_margin_axis,
            position_measured=tuple(window.measured.tolist()),
            position_commanded=tuple(window.commanded.tolist()),
            loop=window.timing(counters.ticks, counters.overruns, realtime=Granted.PRIORITY in counters.granted),
            engine_alive=self._engine.is_alive,
            faults=said(counters.faults),
            answers=self._requests.answers,
            stop_margin_m=window.stop_margin_m,
            speed_scale=window.speed_scale,
            policy=self._engine.policy(counters.policy),
            policy_watch=self._engine.watched_by,
            grade=self._speed.grade_name,
            grade_speed_scale=self._speed.grade_scale,
            reduced=self._speed.reduced,
            stopped_by=self._orders.stopped_by,
            too_slow=self._engine.too_slow[:MAX_DETAIL_CHARS],
            recording=self._black_box.newest[-MAX_PATH_CHARS:],
            recordings_written=self._black_box.written,
            recordings_failed=self._black_box.failed,
            recording_problem=self._black_box.problem[:MAX_DETAIL_CHARS],
            gate=self._pipeline.gate,
            confidence=self._pipeline.confidence,
            authority=authority,
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
