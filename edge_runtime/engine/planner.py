"""Answers observations: admission, policy, and a chunk that is fit to be sent. Opens no socket.

Sends nothing it is not sure of: no instruction, an observation that is not admitted, a frame that is gone or an output
that is not finite give no chunk, and are counted. Control then plays out what it has, and holds.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from contracts.embodiment import Embodiment
from contracts.errors import FrameError, Refusal
from contracts.messages import ActionChunk, ChunkReceipt, InferenceTiming, Observation, OperatorCommand, OperatorKind
from contracts.topics import ACTION_CHUNK, OBSERVATION, OPERATOR
from edge_runtime.bus import Refusals
from edge_runtime.clock import Clock, MonotonicClock
from edge_runtime.engine.admission import Admission
from edge_runtime.engine.agreement import Agreement
from edge_runtime.engine.latency import LatencyWindow
from edge_runtime.engine.policy import Actions, Policy

_log = logging.getLogger(__name__)


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
        self._admission = Admission(embodiment, policy.cameras, round(OBSERVATION.max_age_s * 1e9))
        self._words: Counter[str] = Counter()
        self._begin_with(policy)
        self._clock = clock
        self._stopwatch = MonotonicClock()
        # A tenth of slack: cameras jitter, and waiting for the next frame costs a whole interval.
        self._replan_interval_ns = 0 if clock.virtual else replan_interval_ns * 9 // 10
        self._refusals = refusals
        self._instruction = ""
        self._instruction_id = 0
        self._used_exposure_ns: int | None = None
        self._chunks = 0
        self._skipped = 0
        self._declined = self._clipped = 0

    def change(self, policy: Policy) -> None:
        """From the next chunk on `policy` acts. The instruction stays, and chunks count on.

        Everything in the old one's measures is forgotten: what it wanted, how sure and how fast it was.
        """
        self._words.update(self._policy.counters)
        self._admission.look_at(policy.cameras)
        self._begin_with(policy)
        # One that acted before has counted before.
        self._words.subtract(policy.counters)

    def _begin_with(self, policy: Policy) -> None:
        self._policy = policy
        self._agreement = Agreement(policy.action_scale_rad, policy.action_dt_ns)
        self._confidence: dict[str, float] = {}
        self._deviation_rad: float | None = None
        self._inference, self._model, self._overhead = LatencyWindow(), LatencyWindow(), LatencyWindow()

    def instruct(self, command: OperatorCommand) -> bool:
        """Take over a new instruction; False for another kind of command, or one that is known or overtaken."""
        if command.kind is not OperatorKind.INSTRUCT or command.id == self._instruction_id:
            return False
        if command.id < self._instruction_id:
            self._refuse(OPERATOR.name, Refusal.OUT_OF_ORDER, f"id {command.id} after {self._instruction_id}")
            return False
        self._instruction, self._instruction_id = command.instruction.strip(), command.id
        _log.info("instruction %d: %s", command.id, self._instruction)
        return True

    def answer(self, observations: Sequence[Observation]) -> ActionChunk | None:
        """A chunk for the newest of `observations` (oldest first) that is admitted.

        None if all were refused, or a new plan is not wanted yet.

        Raises:
            EngineError: the inference library failed.
        """
        received_ns, started_ns = self._clock.now_ns(), self._stopwatch.now_ns()
        admitted = [observation for observation in observations if self._admits(observation, received_ns)]
        if not admitted or not self._is_due(admitted[-1]):
            self._skipped += len(admitted)
            return None
        self._skipped += len(admitted) - 1
        observation = admitted[-1]
        try:
            actions = self._policy.infer(observation, self._instruction, self._chunks)
        except FrameError as error:
            self._refuse(OBSERVATION.name, error.refusal, str(error))
            return None
        self._used_exposure_ns = observation.exposure_ns
        if not (np.isfinite(actions.position_rad).all() and np.isfinite(actions.gripper_opening_m).all()):
            self._refuse(ACTION_CHUNK.name, Refusal.NOT_FINITE, f"not finite, {observation.sequence}")
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
            instruction_id=self._instruction_id,
            position_rad=tuple(map(tuple, actions.position_rad.tolist())),
            gripper_opening_m=tuple(actions.gripper_opening_m.tolist()),
            timing=InferenceTiming(
                received_ns=received_ns,
                preprocess_ns=actions.preprocess_ns,
                model_ns=actions.model_ns,
                postprocess_ns=actions.postprocess_ns,
            ),
            confidence=self._confidence_in(actions, observation.exposure_ns),
        )
        self._chunks += 1
        took_ns = self._stopwatch.now_ns() - started_ns
        self._inference.add(took_ns)
        self._model.add(actions.model_ns)
        self._overhead.add(took_ns - actions.model_ns)
        return chunk

    def learn(self, receipt: ChunkReceipt) -> None:
        """What control made of a chunk, and what the safety kernel was foreseen to do to it."""
        self._declined += receipt.refusal is not None
        self._clipped += receipt.predicted_interventions > 0
        self._deviation_rad = receipt.predicted_deviation_rad

    @property
    def instruction(self) -> str:
        """The instruction that is followed, empty without one."""
        return self._instruction

    @property
    def counters(self) -> dict[str, int]:
        """Counts since the start; `instruction_id` is the id of the instruction that is followed, 0 without one.

        `chunks_declined` were not used by control, `chunks_clipped` would have been altered by the safety kernel.
        """
        return {
            "inferences": self._chunks,
            "observations_skipped": self._skipped,
            "chunks_declined": self._declined,
            "chunks_clipped": self._clipped,
            "instruction_id": self._instruction_id,
            **{name: self._words[name] + count for name, count in self._policy.counters.items()},
        }

    @property
    def gauges(self) -> dict[str, float]:
        """Percentiles in ms over the last 100 inferences, and what makes up its confidence.

        `inference_*` is from receiving an observation to the finished chunk, `model_*` the part inside the inference
        library and `overhead_*` the rest. Of the last chunk alone `disagreement` and `strangeness`, where known, see
        `agreement` and `familiarity`; of the last receipt `predicted_deviation_rad`.
        """
        return {
            **self._inference.gauges("inference"),
            **self._model.gauges("model"),
            **self._overhead.gauges("overhead"),
            **self._confidence,
            **({} if self._deviation_rad is None else {"predicted_deviation_rad": self._deviation_rad}),
        }

    def _confidence_in(self, actions: Actions, exposure_ns: int) -> float | None:
        """1 for a chunk that agrees with the one before it and was made from familiar pictures; the worse part counts.

        exp(-x), x being the larger of the disagreement (in the policy's usual motion) and the strangeness of the
        pictures (in widths of what training showed); None if neither is known.
        """
        disagreement = self._agreement.disagreement(exposure_ns, self._instruction_id, actions.position_rad)
        parts = {"disagreement": disagreement, "strangeness": actions.strangeness}
        self._confidence = {name: value for name, value in parts.items() if value is not None}
        return math.exp(-max(self._confidence.values())) if self._confidence else None

    def _admits(self, observation: Observation, now_ns: int) -> bool:
        refusal = self._admission.judge(observation, now_ns)
        if refusal is None and not self._instruction:
            refusal = Refusal.NO_INSTRUCTION
        if refusal is not None:
            self._refuse(OBSERVATION.name, refusal, f"{refusal}, sequence {observation.sequence}")
        return refusal is None

    def _is_due(self, observation: Observation) -> bool:
        if self._used_exposure_ns is None:
            return True
        return observation.exposure_ns - self._used_exposure_ns >= self._replan_interval_ns

    def _refuse(self, topic: str, refusal: Refusal, detail: str) -> None:
        self._refusals.count(topic, refusal)
        count = self._refusals.as_dict()[f"{topic}.{refusal}"]
        if count == 1 or count % 100 == 0:
            _log.warning("%s refused (%d so far): %s", topic, count, detail)
