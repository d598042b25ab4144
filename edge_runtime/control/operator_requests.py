"""What operators ask of control: which request is carried out, and what is answered.

Guarantees that a request is carried out once, a stop always, and that nothing is armed before everything that arming
depends on is known and good: the machine's timing, the engine's proof and pace, who asks. Decides nothing about motion
limits; that is the kernel's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import Refusal, SafetyError
from edge_runtime.contracts.messages import (
    Answer,
    Asker,
    Authority,
    GateState,
    OperatorCommand,
    OperatorKind,
    RequestResult,
)
from edge_runtime.contracts.topics import OPERATOR
from edge_runtime.control.authority import IN_FORCE, AuthorityInForce
from edge_runtime.control.black_box import BlackBox
from edge_runtime.control.calibration_watch import calibration_has_changed
from edge_runtime.control.chunk_pipeline import ChunkPipeline
from edge_runtime.control.engine_watch import EngineWatch
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.request_ledger import AFTER_STOP, RESTARTED, UNPROVEN, RequestLedger
from edge_runtime.control.speed import SpeedLimit
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.start_posture import refusal_detail
from edge_runtime.control.timing_grade import SelfTest
from edge_runtime.control.without_policy import PERSON_ONLY
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.clock import Clock
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import Request, Result

_REQUESTS = {
    OperatorKind.ARM: Request.ARM,
    OperatorKind.DISARM: Request.DISARM,
    OperatorKind.RESET: Request.RESET,
    OperatorKind.RESET_MOVED: Request.RESET_MOVED,
    OperatorKind.STOP: Request.STOP,
}

_ARMING = (OperatorKind.ARM, OperatorKind.JOG)

JITTER = RequestResult.REFUSED_JITTER
"""The machine does not keep time well enough to move a robot."""

LOCKSTEP = RequestResult.REFUSED_LOCKSTEP
"""Nobody jogs in virtual time, which no person lives in."""

PACE = RequestResult.REFUSED_PACE
"""The policy is too slow for the reach of its plans, or for this robot's own limits on age."""


class OperatorRequests:
    """The requests of one robot's operators.

    Args:
        self_test: that arming waits for; None where there is no timing to measure.
        authority: who moves the robot once it is armed.
        follows: whether control follows a policy at all.
        on_armed: called with the instant at which a granted arming was asked for, on the loop's clock.
        refusals: where overtaken requests are counted.
    """

    def __init__(
        self,
        config: RobotConfig,
        *,
        port: DriverPort,
        loop: ControlLoop,
        clock: Clock,
        engine: EngineWatch,
        authority: AuthorityInForce,
        pipeline: ChunkPipeline,
        speed: SpeedLimit,
        orders: StandingOrders,
        black_box: BlackBox,
        self_test: SelfTest | None,
        follows: bool,
        on_armed: Callable[[int], None],
        refusals: Refusals,
    ) -> None:
        self._config = config
        self._port, self._loop, self._clock = port, loop, clock
        self._engine, self._authority, self._pipeline, self._speed = engine, authority, pipeline, speed
        self._orders, self._black_box, self._self_test = orders, black_box, self_test
        self._follows, self._on_armed, self._refusals = follows, on_armed, refusals
        self._answers = RequestLedger()
        self._failure = ""
        self._since_ns = time.monotonic_ns()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """To the last requests, oldest first."""
        return self._answers.last()

    def take(self, command: OperatorCommand) -> None:
        """Carry out a request of the operator once; a stop always, whatever its number.

        Arming has to wait for the first self-test, and a moment for an engine that has just come up to say that its
        policy is proved and how fast it is. It is not answered until then, and so it is repeated: an operator who has
        given up meanwhile arms nothing. Nor is a stop that the loop did not take: its repetition is tried anew.
        """
        if command.kind is OperatorKind.INSTRUCT:
            # The engine's business, which says what became of it.
            return
        if command.kind in _ARMING and self._has_to_wait(command):
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
        return arm.kind is OperatorKind.ARM and self._engine.may_be_about_to_speak(arm)

    def _detail_of(self, command: OperatorCommand, answer: RequestResult) -> str:
        """What a person should know of the answer: of the policy if she arms, and why the kernel refused."""
        if answer is RequestResult.FAILED:
            return self._failure
        if answer == PACE:
            return self._engine.pace.detail
        if command.kind is OperatorKind.ARM and answer in (UNPROVEN, RequestResult.DONE):
            return self._engine.word().detail
        return self._detail(answer)

    def _carry_out(self, command: OperatorCommand) -> RequestResult | None:
        if command.kind is OperatorKind.RECORD:
            self._black_box.record()
            return RequestResult.DONE
        if command.kind is OperatorKind.RESUME:
            self._pipeline.answer()
            return RequestResult.DONE
        if command.kind in _ARMING and command.stamp_ns < self._since_ns:
            return RESTARTED
        self._orders.follow(self._loop.counters().faults)
        if self._orders.refuse(command):
            return AFTER_STOP
        if command.kind is OperatorKind.DISARM and command.asker is Asker.PERSON:
            # Whatever becomes of it: nothing may arm from here on, also where there is nothing to disarm.
            self._orders.disarmed()
        if command.asker is not Asker.PERSON and (
            command.kind is OperatorKind.RESET_MOVED or (command.kind is OperatorKind.ARM and not self._follows)
        ):
            return PERSON_ONLY
        if command.kind in _ARMING and calibration_has_changed(self._config):
            return RequestResult.REFUSED_CALIBRATION
        if command.kind is OperatorKind.ARM and not self._engine.word().may_arm:
            return UNPROVEN
        if command.kind is OperatorKind.ARM and self._pipeline.gate is GateState.ESCALATED:
            return RequestResult.REFUSED_UNSURE
        if command.kind is OperatorKind.ARM and self._engine.pace.problem is not None and not self._clock.virtual:
            return PACE
        asked_ns = self._clock.now_ns()
        try:
            if command.kind is OperatorKind.JOG:
                return self._jog(command, asked_ns)
            if command.kind in (OperatorKind.REDUCE_SPEED, OperatorKind.RESTORE_SPEED):
                reduced = self._speed.reduce(command.kind is OperatorKind.REDUCE_SPEED)
                self._orders.reduce(self._speed.reduced is not None)
                return reduced.said
            if command.kind is OperatorKind.ARM and not self._speed.may_arm:
                return JITTER
            if command.kind is OperatorKind.ARM:
                self._authority.tend(asked_ns)
            result = self._loop.request(_REQUESTS[command.kind])
            self._orders.follow(self._loop.counters().faults)
            if command.kind is OperatorKind.ARM and result is Result.DONE:
                if command.asker is Asker.PERSON:
                    self._orders.armed()
                self._on_armed(asked_ns)
                self._authority.armed(Authority.POLICY if self._follows else Authority.HOLD)
        except SafetyError as error:
            self._failure = str(error)
            return RequestResult.FAILED if command.kind is not OperatorKind.STOP else None
        return result.said

    def _jog(self, command: OperatorCommand, asked_ns: int) -> RequestResult:
        """Arm the robot for a person who jogs it, or hand over to her what is held and stands still."""
        if self._clock.virtual:
            return LOCKSTEP
        if command.asker is not Asker.PERSON:
            return PERSON_ONLY
        self._authority.tend(asked_ns)
        if self._authority.in_force is Authority.POLICY:
            return IN_FORCE
        if self._authority.may_be_taken_over:
            if not self._authority.stands_still:
                return Result.REFUSED_MOVING.said
            self._authority.jogged_by(command.id, asked_ns)
            return Result.DONE.said
        if not self._speed.may_arm:
            return JITTER
        # Before it is armed: what can fail has not armed a robot for none.
        self._speed.jog(True)
        result = self._loop.request(Request.ARM)
        self._orders.follow(self._loop.counters().faults)
        if result is Result.DONE:
            self._orders.armed()
            self._on_armed(asked_ns)
            self._authority.jogged_by(command.id, asked_ns)
        return result.said

    def _detail(self, answer: RequestResult) -> str:
        """What a person should know of a refusal of the kernel."""
        result = Result.__members__.get(answer.name)
        if result is None or result is Result.DONE:
            return ""
        config = self._loop.config
        try:
            held = self._loop.snapshot().q[0 : len(config.axis_names)]
        except SafetyError:
            return ""
        return refusal_detail(
            result,
            self._config.safety,
            self._config.embodiment,
            config,
            feedback=self._port.read_feedback(),
            held=held,
            watchdog_ns=self._port.watchdog_ns,
            now_ns=self._port.now_ns(),
        )
