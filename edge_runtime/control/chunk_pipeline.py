"""What becomes of a chunk: chunk buffer, confidence gate and admission, one after the other, then the loop.

Guarantees that no tick is followed that was not rehearsed, and that after a refusal the motion under way goes on. It
never arms; where the gate escalates it disarms. Trusts each of the three for its own question only.

Rehearsing a whole plan takes milliseconds. A plan whose beginning passes is handed over up to there, and the whole
follows when it has passed: a good chunk waits for a small part of it, a bad one is withdrawn before its bad part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import ConfidenceSection
from edge_runtime.contracts.errors import Refusal, SafetyError
from edge_runtime.contracts.messages import ActionChunk, GateState
from edge_runtime.control.admission import Admission, Prediction
from edge_runtime.control.chunk_buffer import ChunkBuffer, Offer, Posture, Refused
from edge_runtime.control.confidence import ConfidenceGate
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.plan import Plan, PlanResult, beginning_of
from edge_runtime.safety import Request, State

_FOLLOWS = (State.ACTIVE, State.HOLDING)
BEGINNING_NS = 60_000_000
"""Several times what the usual rehearsal takes. One that takes longer still lets the robot slow down until it ends."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A chunk whose plan the loop has, and what the kernel is expected to do to it."""

    offer: Offer
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Declined:
    """A chunk that was not used, and what the kernel would have done to it if that was asked at all."""

    refused: Refused
    prediction: Prediction


class ChunkPipeline:
    """The way of chunks into one loop.

    Args:
        loop: that gets the plans.
        buffer: makes them.
        admission: rehearses them.
        confidence: settings of the gate.
    """

    def __init__(
        self, loop: ControlLoop, buffer: ChunkBuffer, admission: Admission, confidence: ConfidenceSection
    ) -> None:
        self._loop = loop
        self._buffer = buffer
        self._admission = admission
        self._gate = ConfidenceGate(confidence)
        self._confidence: float | None = None

    @property
    def gate(self) -> GateState:
        """Where the confidence gate stands."""
        return self._gate.state

    @property
    def confidence(self) -> float | None:
        """Of the newest chunk that was judged."""
        return self._confidence

    def answer(self) -> None:
        """A person has answered the policy's question."""
        self._gate.answer()

    def drop(self, now_ns: int) -> None:
        """Let the robot follow nothing any more: it decelerates, holds, and waits for a plan.

        Raises:
            SafetyError: buffer and loop contradict each other; control must not go on.
        """
        if (over := self._buffer.drop(now_ns)) is not None:
            self._give(over)

    def take(self, chunk: ActionChunk, now_ns: int, rest: Posture, active_from_ns: int) -> Taken | Declined:
        """Hand the plan of `chunk` to the loop, or decline it. See `ChunkBuffer.offer` for the arguments.

        With `active_from_ns`, which only virtual time has, the tick of `now_ns` is waited for: what is foreseen then
        depends on nothing but that.

        Raises:
            SafetyError: buffer and loop contradict each other, or the loop does not answer; control must not go on.
        """
        offer = self._buffer.offer(chunk, now_ns, rest, active_from_ns=active_from_ns)
        if isinstance(offer, Refused):
            return Declined(offer, Prediction())
        try:
            state, tick_ns = self._loop.snapshot_at_tick(now_ns if active_from_ns else 0)
        except SafetyError as error:
            return Declined(Refused(Refusal.NOT_ALLOWED_NOW, str(error)), Prediction())
        if state.state not in _FOLLOWS:
            # Nobody moves by it, and arming will forget it: there is nothing to be unsure of, or to foresee.
            return self._hand_over(offer, Prediction())
        decision = self._gate.judge(chunk.confidence)
        self._confidence = chunk.confidence
        if decision.escalates:
            self._loop.request(Request.DISARM)
        if not decision.admits:
            return Declined(Refused(Refusal.UNSURE, f"its policy is {chunk.confidence} sure of it"), Prediction())

        def with_blend(blend_ns: int) -> Offer | Refused:
            return self._buffer.offer(
                chunk,
                now_ns,
                rest,
                active_from_ns=active_from_ns,
                blend_ns=blend_ns,
                speed_scale=decision.speed_scale,
            )

        offer = replace(offer, plan=replace(offer.plan, speed_scale=decision.speed_scale))
        under_way = self._buffer.plans_from(tick_ns)
        # Virtual time stands still meanwhile: nothing is won.
        beginning = beginning_of(offer.plan, tick_ns + BEGINNING_NS) if not active_from_ns else None
        if beginning is not None and not self._admission.passes(state, tick_ns, under_way, beginning):
            beginning = None
        if beginning is not None:
            self._give(beginning)
        judged = self._admission.judge(state, tick_ns, under_way, offer, with_blend)
        if judged.refused is None:
            return self._hand_over(judged.offer, judged.prediction)
        if beginning is not None and (before := self._buffer.withdraw()) is not None:
            self._give(before)
        return Declined(judged.refused, judged.prediction)

    def jog(
        self, number: int, asked_ns: int, t_ns: NDArray[np.int64], knots: NDArray[np.float64], speed_scale: float
    ) -> None:
        """Hand the motion of a person who jogs to the loop, see `ChunkBuffer.offer_motion`; no gate, no rehearsal.

        Who jogs towards something wants to come as near as the limits let her, and the kernel looks at each tick.

        Raises:
            SafetyError: buffer and loop contradict each other; control must not go on.
        """
        self._hand_over(self._buffer.offer_motion(number, asked_ns, t_ns, knots, speed_scale), Prediction())

    def _hand_over(self, offer: Offer, prediction: Prediction) -> Taken:
        self._give(offer.plan)
        self._buffer.take(offer)
        return Taken(offer, prediction)

    def _give(self, plan: Plan) -> None:
        answer = self._loop.set_plan(plan)
        if answer is not PlanResult.OK:
            raise SafetyError(f"the loop refused a plan of the chunk buffer: {answer.name.lower()}")
