"""The planner with a real policy seam: what is sent, what is not, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import MAX_READING_CHARS, InstructionAnswer
from edge_runtime.contracts.errors import FrameError, Refusal
from edge_runtime.contracts.golden import Proof, ProofVerdict
from edge_runtime.contracts.messages import (
    ActionChunk,
    ChunkReceipt,
    FrameRef,
    Observation,
    OperatorCommand,
    OperatorKind,
)
from edge_runtime.engine.chunk_consistency import Float64
from edge_runtime.engine.planner import Planner
from edge_runtime.engine.policy import Actions
from edge_runtime.ipc.bus import Refusals
from edge_runtime.policies.context import Context
from edge_runtime.policies.sentences import Reading, read_sentence
from edge_runtime.policies.tokenizers.words import WordTokenizer

STEP_NS = 50_000_000
MS = 1_000_000
VOCABULARY = ("touch", "push", "the", "red", "blue", "cube", "not")


def tokenizer(words: tuple[str, ...] = VOCABULARY) -> WordTokenizer:
    return WordTokenizer(words={word: number for number, word in enumerate(words, 2)}, pad=0, unknown=1)


@dataclass
class HandClock:
    """A clock that stands where it is put."""

    virtual: bool = False
    time_ns: int = 1_000_000_000

    def now_ns(self) -> int:
        return self.time_ns


@dataclass
class StillPolicy:
    """Wants the robot to stay where it is; remembers what it was asked."""

    asked: list[tuple[int, str, int]] = field(default_factory=list)
    digest: str = "d" * 64
    action_dt_ns: int = STEP_NS
    cameras: tuple[str, ...] = ("scene",)
    fault: FrameError | None = None
    value_of_nowhere: float = 0.0
    offset_rad: float = 0.0
    strangeness: float | None = None
    proof: Proof = field(default_factory=lambda: Proof(ProofVerdict.MATCHED))
    vocabulary: tuple[str, ...] = VOCABULARY
    horizon: int = 4
    trial_ns: int = 7 * MS
    reads_instructions: bool = True

    def read(self, sentence: str) -> Reading:
        return read_sentence(sentence, tokenizer(self.vocabulary), 6)

    @property
    def action_scale(self) -> Float64:
        return np.full(7, 0.1)

    @property
    def counters(self) -> Mapping[str, int]:
        return {"words_unknown": 3}

    def begin_anew(self) -> None:
        """It does not look back."""

    def remember(self, observation: Observation) -> None:
        """It does not look back."""

    def context_of(self, _observation: Observation, _under_way: ActionChunk | None) -> Context | None:
        return Context()

    def infer(
        self, observation: Observation, instruction: str, chunk_sequence: int, _context: Context | None = None
    ) -> Actions:
        self.asked.append((observation.sequence, instruction, chunk_sequence))
        if self.fault is not None:
            raise self.fault
        position = np.tile(np.array(observation.position), (4, 1)) + self.offset_rad
        position[2, 3] += self.value_of_nowhere
        position[:, -1] = 0.01
        return Actions(
            position,
            preprocess_ns=1,
            model_ns=2,
            postprocess_ns=3,
            strangeness=self.strangeness,
        )


@dataclass
class Bench:
    """One planner with everything around it."""

    embodiment: Embodiment
    clock: HandClock
    policy: StillPolicy
    refusals: Refusals
    planner: Planner

    def observe(self, sequence: int, **changes: object) -> Observation:
        exposure_ns = self.clock.time_ns
        ref = FrameRef(
            camera="scene",
            ring="edge-frames-x",
            slot=0,
            generation=2,
            width_px=128,
            height_px=128,
            exposure_ns=exposure_ns,
        )
        fields = {
            "sequence": sequence,
            "exposure_ns": exposure_ns,
            "published_ns": exposure_ns,
            "joint_digest": self.embodiment.joint_digest,
            "position": (*self.embodiment.home[:-1], 0.02),
            "velocity": (0.0,) * 8,
            "frames": (ref,),
            **changes,
        }
        return Observation(**fields)  # type: ignore[arg-type]

    def instruct(self, number: int = 1, text: str = "touch the red cube") -> bool:
        return self.planner.instruct(
            OperatorCommand(id=number, kind=OperatorKind.INSTRUCT, stamp_ns=0, instruction=text)
        )


def _bench(embodiment: Embodiment, *, virtual: bool = False) -> Bench:
    clock, policy, refusals = HandClock(virtual), StillPolicy(), Refusals()
    planner = Planner(policy, embodiment, clock, replan_interval_ns=2 * STEP_NS, refusals=refusals)
    return Bench(embodiment, clock, policy, refusals, planner)


@pytest.fixture
def bench(embodiment: Embodiment) -> Bench:
    return _bench(embodiment)


def test_a_chunk_carries_everything_that_control_checks(bench: Bench) -> None:
    assert bench.instruct(7)
    observation = bench.observe(41)
    chunk = bench.planner.answer([observation])
    assert chunk is not None
    assert (chunk.sequence, chunk.observation_sequence, chunk.instruction_id) == (0, 41, 7)
    assert (chunk.exposure_ns, chunk.dt_ns) == (observation.exposure_ns, STEP_NS)
    assert (chunk.joint_digest, chunk.bundle_digest) == (bench.embodiment.joint_digest, "d" * 64)
    assert chunk.position == ((*bench.embodiment.home[:-1], 0.01),) * 4
    assert (chunk.timing.preprocess_ns, chunk.timing.model_ns, chunk.timing.postprocess_ns) == (1, 2, 3)


def test_nothing_is_sent_before_an_instruction(bench: Bench) -> None:
    assert bench.planner.answer([bench.observe(1)]) is None
    assert bench.policy.asked == []
    assert bench.refusals.as_dict() == {"observation.no_instruction": 1}


def test_the_newest_admitted_observation_is_used_and_every_refused_one_is_counted(bench: Bench) -> None:
    bench.instruct()
    first = bench.observe(1)
    bench.clock.time_ns += STEP_NS
    second, foreign = bench.observe(2), bench.observe(3, joint_digest="0" * 64)
    chunk = bench.planner.answer([first, second, second, foreign])
    assert chunk is not None
    assert chunk.observation_sequence == 2
    assert bench.refusals.as_dict() == {"observation.duplicate": 1, "observation.joint_order": 1}
    assert bench.planner.counters["observations_skipped"] == 1


def test_replanning_is_throttled_between_exposures(bench: Bench) -> None:
    bench.instruct()
    answered = []
    for sequence in range(6):
        if bench.planner.answer([bench.observe(sequence)]) is not None:
            answered.append(sequence)
        bench.clock.time_ns += STEP_NS - 1_000_000 * (sequence % 2)
    assert answered == [0, 2, 4]


def test_on_a_virtual_clock_every_observation_is_answered(embodiment: Embodiment) -> None:
    bench = _bench(embodiment, virtual=True)
    bench.instruct()
    for sequence in range(4):
        chunk = bench.planner.answer([bench.observe(sequence)])
        assert chunk is not None
        assert chunk.sequence == sequence
        bench.clock.time_ns += 1
    assert [asked[2] for asked in bench.policy.asked] == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_answer_that_is_not_finite_is_not_sent(bench: Bench, value: float) -> None:
    bench.instruct()
    bench.policy.value_of_nowhere = value
    assert bench.planner.answer([bench.observe(1)]) is None
    assert bench.refusals.as_dict() == {"action_chunk.not_finite": 1}
    assert bench.planner.status().not_finite == 1
    bench.planner.change(StillPolicy())
    assert bench.planner.status().not_finite == 0, "of the one that acts"
    assert bench.planner.counters["inferences"] == 0


def test_a_frame_that_is_gone_costs_one_observation(bench: Bench) -> None:
    bench.instruct()
    bench.policy.fault = FrameError(Refusal.FRAME_GONE, "reused")
    assert bench.planner.answer([bench.observe(1)]) is None
    assert bench.refusals.as_dict() == {"observation.frame_gone": 1}
    bench.policy.fault = None
    bench.clock.time_ns += 1_000_000
    assert bench.planner.answer([bench.observe(2)]) is not None


def test_only_a_new_instruction_is_taken_over(bench: Bench) -> None:
    assert bench.instruct(5, "touch the red cube")
    assert not bench.instruct(5, "touch the red cube")
    assert not bench.instruct(4, "an old one")
    assert not bench.planner.instruct(OperatorCommand(id=9, kind=OperatorKind.ARM, stamp_ns=0))
    assert bench.refusals.as_dict() == {"operator.out_of_order": 1}
    assert bench.instruct(6, "  push the cube ")
    assert (bench.planner.instruction, bench.planner.status().instruction_id) == ("push the cube", 6)


def test_gauges_split_the_latency(bench: Bench) -> None:
    assert bench.planner.gauges == {}
    bench.instruct()
    bench.planner.answer([bench.observe(1)])
    gauges = bench.planner.gauges
    assert set(gauges) == {f"{part}_{p}_ms" for part in ("inference", "model", "overhead") for p in ("p50", "p99")}
    assert gauges["inference_p50_ms"] >= gauges["overhead_p50_ms"] >= 0
    assert bench.planner.counters == {
        "inferences": 1,
        "observations_skipped": 0,
        "chunks_declined": 0,
        "chunks_clipped": 0,
        "words_unknown": 3,
    }


def _confidence(bench: Bench, sequence: int) -> float | None:
    chunk = bench.planner.answer([bench.observe(sequence)])
    bench.clock.time_ns += 2 * STEP_NS
    assert chunk is not None
    return chunk.confidence


def test_the_first_chunk_of_a_policy_that_knows_no_pictures_has_no_confidence(bench: Bench) -> None:
    bench.instruct()
    assert _confidence(bench, 1) is None
    assert _confidence(bench, 2) == 1.0
    bench.instruct(2, "touch the blue cube")
    assert _confidence(bench, 3) is None


def test_confidence_is_what_the_worse_of_agreement_and_pictures_says(bench: Bench) -> None:
    bench.instruct()
    bench.policy.strangeness = 0.25
    assert _confidence(bench, 1) == pytest.approx(np.exp(-0.25))
    bench.policy.offset_rad = 0.05
    assert _confidence(bench, 2) == pytest.approx(np.exp(-0.5))
    assert bench.planner.gauges["disagreement"] == pytest.approx(0.5)
    assert bench.planner.gauges["strangeness"] == 0.25
    bench.policy.strangeness = 4.0
    assert _confidence(bench, 3) == pytest.approx(np.exp(-4.0))


def test_what_control_foresaw_comes_back_and_is_counted(bench: Bench) -> None:
    plain = ChunkReceipt(
        chunk_sequence=1,
        exposure_ns=1,
        observation_published_ns=None,
        chunk_published_ns=2,
        received_ns=3,
        model_ns=1,
        refusal=None,
        expired_actions=0,
        first_command_ns=4,
    )
    bench.planner.learn(plain)
    bench.planner.learn(msgspec.structs.replace(plain, predicted_interventions=9, predicted_deviation=0.02))
    bench.planner.learn(msgspec.structs.replace(plain, refusal="predicted_deviation", predicted_interventions=400))
    counters = bench.planner.counters
    assert (counters["chunks_declined"], counters["chunks_clipped"]) == (1, 2)
    assert bench.planner.gauges["predicted_deviation"] == 0.0
    bench.planner.learn(msgspec.structs.replace(plain, predicted_deviation=0.02))
    assert bench.planner.gauges["predicted_deviation"] == 0.02


def test_a_sentence_that_is_not_understood_is_refused_and_ends_the_task_before(bench: Bench) -> None:
    bench.instruct(1)
    assert bench.planner.answer([bench.observe(1)]) is not None
    bench.clock.time_ns += 2 * STEP_NS
    assert bench.instruct(2, "touch the mug")
    assert bench.planner.answer([bench.observe(2)]) is None, "neither the old task nor half of the new one"
    status = bench.planner.status()
    assert (status.instruction_id, status.answer) == (2, InstructionAnswer.REFUSED_UNREADABLE)
    assert (status.asked, status.instruction) == ("touch the mug", "")
    assert "does not know: mug; it knows: blue, cube" in status.detail
    assert len(bench.policy.asked) == 1
    assert bench.refusals.as_dict() == {"observation.no_instruction": 1}
    bench.instruct(3, "touch the blue cube")
    bench.clock.time_ns += STEP_NS
    assert bench.planner.status().answer is InstructionAnswer.FOLLOWED
    assert bench.planner.answer([bench.observe(3)]) is not None


@pytest.mark.parametrize("text", ["do not touch the cube", "not touch the cube", "触碰红色方块", "touch " * 7, "!?"])
def test_no_kind_of_unreadable_sentence_reaches_the_policy(bench: Bench, text: str) -> None:
    bench.instruct(1, text)
    assert bench.planner.answer([bench.observe(1)]) is None
    assert bench.policy.asked == []
    assert bench.planner.status().answer is InstructionAnswer.REFUSED_UNREADABLE


@pytest.mark.parametrize("text", ["touch the blue cube", "touch the mug"])
def test_a_chunk_that_was_begun_for_another_instruction_is_not_sent(bench: Bench, text: str) -> None:
    bench.instruct(1)
    question = bench.planner.begin([bench.observe(1)])
    assert question is not None
    actions = question.infer()
    bench.instruct(2, text)
    assert bench.planner.finish(question, actions) is None
    assert bench.refusals.as_dict() == {"action_chunk.instruction_changed": 1}


def test_in_virtual_time_the_plant_gets_the_answer_that_it_waits_for(embodiment: Embodiment) -> None:
    bench = _bench(embodiment, virtual=True)
    bench.instruct(1)
    question = bench.planner.begin([bench.observe(1)])
    assert question is not None
    bench.instruct(2, "touch the blue cube")
    chunk = bench.planner.finish(question, question.infer())
    assert chunk is not None
    assert chunk.instruction_id == 1


def test_the_latency_is_that_of_the_trials_and_then_the_median_of_what_was_measured(bench: Bench) -> None:
    before = bench.planner.status()
    assert (before.answer, before.latency_ns) == (InstructionAnswer.NONE, 7 * MS)
    assert before.horizon_ns == 4 * STEP_NS
    assert bench.planner.patience_ns == 10_000 * MS
    bench.instruct()
    bench.planner.answer([bench.observe(1)])
    assert 0 < bench.planner.status().latency_ns < 7 * MS
    bench.planner.change(StillPolicy(digest="e" * 64, trial_ns=1500 * MS))
    assert bench.planner.patience_ns == 15_000 * MS


def test_a_detail_that_is_too_long_for_the_bus_is_cut(embodiment: Embodiment) -> None:
    bench = _bench(embodiment)
    bench.policy.vocabulary = tuple(f"word{number:04}" for number in range(2000))
    bench.instruct(1, " ".join(f"unknownandratherlong{number:03}" for number in range(20)))
    assert 0 < len(bench.planner.status().detail) <= MAX_READING_CHARS
