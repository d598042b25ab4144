"""Answers observations: admission, policy, and a chunk that is fit to be sent. Opens no socket.

Sends nothing it is not sure of: no instruction for a policy that reads them, an observation that is not admitted, a
frame that is gone or an output that is not finite give no chunk, and are counted. Control then plays out what it has,
and holds.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import MAX_READING_CHARS, EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import FrameError, Refusal
from edge_runtime.contracts.messages import (
    ActionChunk,
    ChunkReceipt,
    InferenceTiming,
    Observation,
    OperatorCommand,
    OperatorKind,
)
from edge_runtime.contracts.topics import ACTION_CHUNK, OBSERVATION, OPERATOR
from edge_runtime.engine.admission import Admission
from edge_runtime.engine.chunk_consistency import ChunkConsistency
from edge_runtime.engine.latency import LatencyWindow
from edge_runtime.engine.policy import Actions, Policy
from edge_runtime.engine.under_way import UnderWay
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.clock import Clock, MonotonicClock
from edge_runtime.pace import observation_age_max_s
from edge_runtime.policies.context import Context

_log = logging.getLogger(__name__)

_READS_NONE = "this policy follows no instructions: it does what it was trained for as soon as the robot is armed"
_STANDS_STILL = (
    OperatorKind.ARM,
    OperatorKind.DISARM,
    OperatorKind.STOP,
    OperatorKind.RESET,
    OperatorKind.RESUME,
)
_PATIENCE_NS = 10_000_000_000
_PATIENCE_LATENCIES = 10


@dataclass(frozen=True)
class Question:
    """One chunk to be computed, by any thread: `infer` touches nothing of the planner's."""

    policy: Policy
    observation: Observation
    instruction: str
    instruction_id: int
    chunk_sequence: int
    context: Context
    stood_still_id: int
    received_ns: int
    started_ns: int

    def infer(self) -> Actions | FrameError:
        """What the policy wants; or why the pictures could not be read.

        Raises:
            EngineError: the inference library failed.
        """
        try:
            return self.policy.infer(self.observation, self.instruction, self.chunk_sequence, self.context)
        except FrameError as error:
            return error


class Planner:
    """One policy after another at work on one robot.

    Args:
        policy: what turns observations into actions, until `change`.
        embodiment: the robot.
        clock: source of stamps, monotonic or virtual.
        replan_interval_ns: observations are used at most this often, counted between exposures. Without effect on a
            virtual clock, where the plant waits for an answer to each.
        refusals: where to count what is declined.
    """

    def __init__(
        self,
        policy: Policy,
        embodiment: Embodiment,
        clock: Clock,
        *,
        replan_interval_ns: int,
        refusals: Refusals,
    ) -> None:
        self._joint_digest = embodiment.joint_digest
        self._joints = list(embodiment.joint_indices)
        self._instruction = self._asked = self._unreadable = ""
        self._instruction_id = 0
        self._admission = Admission(embodiment, policy.cameras, round(OBSERVATION.max_age_s * 1e9))
        self._words: Counter[str] = Counter()
        self._under_way = UnderWay()
        self._stood_still_id = 0
        self._begin_with(policy)
        self._clock = clock
        self._stopwatch = MonotonicClock()
        # A tenth of slack: cameras jitter, and waiting for the next frame costs a whole interval.
        self._replan_interval_ns = 0 if clock.virtual else replan_interval_ns * 9 // 10
        self._refusals = refusals
        self._used_exposure_ns: int | None = None
        self._chunks = 0
        self._skipped = 0
        self._declined = self._clipped = 0

    def change(self, policy: Policy) -> None:
        """From the next chunk on `policy` acts. The instruction stays if it can be read, and chunks count on.

        One that only the old policy could read is refused as a new one would be, and stays so: what a person was told
        is refused does not begin to act by itself when bundles change again. Everything in the old one's measures is
        forgotten: what it wanted, how sure and how fast it was.
        """
        self._words.update(self._policy.counters)
        self._admission.look_at(policy.cameras)
        self._begin_with(policy)
        # One that acted before has counted before.
        self._words.subtract(policy.counters)
        if self._instruction:
            self._read(self._instruction)

    @property
    def _may_act(self) -> bool:
        """Whether the policy has all that it has to be told; arming the robot is for control."""
        return bool(self._instruction) or not self._policy.reads_instructions

    def _begin_with(self, policy: Policy) -> None:
        self._policy = policy
        self._latency_ns = policy.trial_ns
        self._consistency = ChunkConsistency(policy.action_scale, policy.action_dt_ns)
        self._confidence: dict[str, float] = {}
        self._deviation: float | None = None
        self._not_finite = 0
        self._inference, self._model, self._overhead = LatencyWindow(), LatencyWindow(), LatencyWindow()

    def instruct(self, command: OperatorCommand) -> bool:
        """Take in a new instruction; False for another kind of command, or one that is known or overtaken.

        One that the policy can't read is refused, and ends the one before it as well: whoever said something new does
        not expect the old task to go on.
        """
        self._begin_anew(command)
        if command.kind is not OperatorKind.INSTRUCT or command.id == self._instruction_id:
            return False
        if command.id < self._instruction_id:
            self._refuse(OPERATOR.name, Refusal.OUT_OF_ORDER, f"id {command.id} after {self._instruction_id}")
            return False
        self._asked, self._instruction_id = command.instruction.strip(), command.id
        self._read(self._asked)
        return True

    def _begin_anew(self, command: OperatorCommand) -> None:
        """Before and after these the robot stands still; and whoever arms it begins what a policy was trained to do."""
        if command.kind not in _STANDS_STILL or command.id <= self._stood_still_id:
            return
        self._stood_still_id = command.id
        self._under_way.end()
        if command.kind is OperatorKind.ARM:
            self._policy.begin_anew()

    def _read(self, sentence: str) -> None:
        if not self._policy.reads_instructions:
            self._instruction, self._unreadable = "", _READS_NONE
            _log.info("instruction %d, %r: %s", self._instruction_id, sentence, _READS_NONE)
            return
        reading = self._policy.read(sentence)
        self._instruction = sentence if reading.is_readable else ""
        detail = reading.detail
        self._unreadable = detail if len(detail) <= MAX_READING_CHARS else detail[: MAX_READING_CHARS - 1] + "…"
        verdict = "followed" if reading.is_readable else f"refused: {self._unreadable}"
        _log.info("instruction %d, %r: %s", self._instruction_id, sentence, verdict)

    def answer(self, observations: Sequence[Observation]) -> ActionChunk | None:
        """A chunk for the newest of `observations` (oldest first) that is admitted: `begin` and `finish` in one.

        None if all were refused, or a new plan is not wanted yet.

        Raises:
            EngineError: the inference library failed.
        """
        question = self.begin(observations)
        return None if question is None else self.finish(question, question.infer())

    def pass_over(self, observations: Sequence[Observation]) -> None:
        """These came while a chunk was computed, and others after them. A policy that looks back remembers them."""
        now_ns = self._clock.now_ns()
        for observation in observations:
            if self._admits(observation, now_ns):
                self._remember(observation)
        self._skipped += len(observations)

    def begin(self, observations: Sequence[Observation]) -> Question | None:
        """What is to be computed for the newest of `observations` (oldest first) that is admitted, if anything."""
        received_ns, started_ns = self._clock.now_ns(), self._stopwatch.now_ns()
        admitted = [observation for observation in observations if self._admits(observation, received_ns)]
        remembered = [self._remember(observation) for observation in admitted]
        if not admitted or not remembered[-1] or not self._is_due(admitted[-1]):
            self._skipped += len(admitted)
            return None
        self._skipped += len(admitted) - 1
        context = self._policy.context_of(admitted[-1], self._under_way.chunk)
        if context is None:
            detail = f"what was observed before {admitted[-1].sequence} is missing, and its policy looks back"
            self._refuse(OBSERVATION.name, Refusal.HISTORY_MISSING, detail)
            return None
        return Question(
            policy=self._policy,
            observation=admitted[-1],
            instruction=self._instruction,
            instruction_id=self._instruction_id,
            chunk_sequence=self._chunks,
            context=context,
            stood_still_id=self._stood_still_id,
            received_ns=received_ns,
            started_ns=started_ns,
        )

    def finish(self, question: Question, actions: Actions | FrameError) -> ActionChunk | None:
        """The chunk that comes of `actions`, if it may be sent: its instruction has to be in force still."""
        observation = question.observation
        if isinstance(actions, FrameError):
            self._refuse(OBSERVATION.name, actions.refusal, str(actions))
            return None
        self._used_exposure_ns = observation.exposure_ns
        if not np.isfinite(actions.position).all():
            self._not_finite += 1
            self._refuse(ACTION_CHUNK.name, Refusal.NOT_FINITE, f"not finite, {observation.sequence}")
            return None
        # In virtual time the plant waits for an answer to what was asked before.
        is_overtaken = question.instruction_id != self._instruction_id and not self._clock.virtual
        if not self._may_act or (is_overtaken and self._policy.reads_instructions):
            self._refuse(ACTION_CHUNK.name, Refusal.INSTRUCTION_CHANGED, f"of instruction {question.instruction_id}")
            self._measure(question, actions)
            return None
        chunk = ActionChunk(
            sequence=self._chunks,
            observation_sequence=observation.sequence,
            exposure_ns=observation.exposure_ns,
            published_ns=self._clock.now_ns(),
            observation_published_ns=observation.published_ns,
            dt_ns=self._policy.action_dt_ns,
            joint_digest=self._joint_digest,
            bundle_digest=self._policy.digest,
            instruction_id=question.instruction_id,
            position=tuple(map(tuple, actions.position.tolist())),
            timing=InferenceTiming(
                received_ns=question.received_ns,
                preprocess_ns=actions.preprocess_ns,
                model_ns=actions.model_ns,
                postprocess_ns=actions.postprocess_ns,
            ),
            confidence=self._confidence_in(actions, observation.exposure_ns, question.instruction_id),
        )
        self._chunks += 1
        if question.stood_still_id == self._stood_still_id:
            self._under_way.sent(chunk)
        self._measure(question, actions)
        return chunk

    def _measure(self, question: Question, actions: Actions) -> None:
        took_ns = self._stopwatch.now_ns() - question.started_ns
        self._inference.add(took_ns)
        self._model.add(actions.model_ns)
        self._overhead.add(took_ns - actions.model_ns)
        self._latency_ns = self._inference.median_ns()
        self._admission.allow_age(round(observation_age_max_s(self._latency_ns * 1e-9) * 1e9))

    def learn(self, receipt: ChunkReceipt) -> None:
        """What control made of a chunk, and what the safety kernel was foreseen to do to it."""
        self._under_way.learn(receipt)
        self._declined += receipt.refusal is not None
        self._clipped += receipt.predicted_interventions > 0
        self._deviation = receipt.predicted_deviation

    @property
    def instruction(self) -> str:
        """The instruction that is followed, empty without one."""
        return self._instruction

    def status(self) -> EngineStatus:
        """What became of the newest instruction, and how long a chunk takes."""
        if not self._policy.reads_instructions:
            answer = InstructionAnswer.READS_NONE
        elif self._instruction:
            answer = InstructionAnswer.FOLLOWED
        else:
            answer = InstructionAnswer.REFUSED_UNREADABLE if self._instruction_id else InstructionAnswer.NONE
        return EngineStatus(
            stamp_ns=self._clock.now_ns(),
            pid=os.getpid(),
            bundle=self._policy.digest,
            instruction_id=self._instruction_id,
            answer=answer,
            latency_ns=self._latency_ns,
            horizon_ns=self._policy.horizon * self._policy.action_dt_ns,
            not_finite=self._not_finite,
            asked=self._asked,
            instruction=self._instruction,
            detail=self._unreadable if self._policy.reads_instructions else _READS_NONE,
        )

    @property
    def patience_ns(self) -> int:
        """An inference that takes longer than this does not come back."""
        return max(_PATIENCE_NS, _PATIENCE_LATENCIES * self._latency_ns)

    @property
    def counters(self) -> dict[str, int]:
        """Counts since the start.

        `chunks_declined` were not used by control, `chunks_clipped` would have been altered by the safety kernel.
        """
        return {
            "inferences": self._chunks,
            "observations_skipped": self._skipped,
            "chunks_declined": self._declined,
            "chunks_clipped": self._clipped,
            **{name: self._words[name] + count for name, count in self._policy.counters.items()},
        }

    @property
    def gauges(self) -> dict[str, float]:
        """Percentiles in ms over the last 100 inferences, and what makes up its confidence.

        `inference_*` is from receiving an observation to the finished chunk, `model_*` the part inside the inference
        library and `overhead_*` the rest. Of the last chunk alone `disagreement` and `strangeness`, where known, see
        `agreement` and `familiarity`; of the last receipt `predicted_deviation`.
        """
        return {
            **self._inference.gauges("inference"),
            **self._model.gauges("model"),
            **self._overhead.gauges("overhead"),
            **self._confidence,
            **({} if self._deviation is None else {"predicted_deviation": self._deviation}),
        }

    def _confidence_in(self, actions: Actions, exposure_ns: int, instruction_id: int) -> float | None:
        """1 for a chunk that agrees with the one before it and was made from familiar pictures; the worse part counts.

        exp(-x), x being the larger of the disagreement (in the policy's usual motion) and the strangeness of the
        pictures (in widths of what training showed); None if neither is known.
        """
        wanted = actions.position[actions.under_way :, self._joints]
        disagreement = self._consistency.disagreement(exposure_ns, instruction_id, wanted)
        parts = {"disagreement": disagreement, "strangeness": actions.strangeness}
        self._confidence = {name: value for name, value in parts.items() if value is not None}
        return math.exp(-max(self._confidence.values())) if self._confidence else None

    def _admits(self, observation: Observation, now_ns: int) -> bool:
        refusal = self._admission.judge(observation, now_ns)
        if refusal is None and not self._may_act:
            refusal = Refusal.NO_INSTRUCTION
        if refusal is not None:
            self._refuse(OBSERVATION.name, refusal, f"{refusal}, sequence {observation.sequence}")
        return refusal is None

    def _remember(self, observation: Observation) -> bool:
        try:
            self._policy.remember(observation)
        except FrameError as error:
            self._refuse(OBSERVATION.name, error.refusal, str(error))
            return False
        return True

    def _is_due(self, observation: Observation) -> bool:
        if self._used_exposure_ns is None:
            return True
        return observation.exposure_ns - self._used_exposure_ns >= self._replan_interval_ns

    def _refuse(self, topic: str, refusal: Refusal, detail: str) -> None:
        self._refusals.count(topic, refusal)
        count = self._refusals.as_dict()[f"{topic}.{refusal}"]
        if count == 1 or count % 100 == 0:
            _log.warning("%s refused (%d so far): %s", topic, count, detail)
