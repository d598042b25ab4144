"""Chunks on their way into a real loop: refused ones change nothing, unsure ones wait, and nothing arms by itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from edge_runtime.config.robot_file import ConfidenceSection
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ActionChunk, GateState
from edge_runtime.control.admission import Admission
from edge_runtime.control.chunk_buffer import ChunkBuffer, Posture
from edge_runtime.control.chunk_pipeline import ChunkPipeline, Declined, Taken
from edge_runtime.safety import State
from tests.control import test_chunk_buffer
from tests.control.control_process import make_config
from tests.control.perfect_driver import JOINTS, ROBOT
from tests.control.stepped import SteppedLoop

MS = 1_000_000
N = len(JOINTS)
DT_NS = 50 * MS
EMBODIMENT = ROBOT
SETTINGS = ConfidenceSection(recover_after=3, escalate_after=4, slow_speed_scale=0.25)


class Bench:
    """An armed loop, and a pipeline in front of it."""

    def __init__(self, stepped: SteppedLoop) -> None:
        self.stepped = stepped
        self.buffer = ChunkBuffer(EMBODIMENT, blend_ns=100 * MS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
        self.pipeline = ChunkPipeline(
            stepped.loop,
            self.buffer,
            Admission(make_config(), EMBODIMENT, deviation_max_rad=0.25, blocked_max=0.5),
            SETTINGS,
        )
        self.chunks = 0

    def chunk(self, goal_rad: float, *, confidence: float | None = None, jump_after: int = 16) -> ActionChunk:
        """From where the arm is to `goal_rad` in 0.8 s; from action `jump_after` on, it is 1 rad further at once."""
        self.chunks += 1
        progress = np.arange(1, 17) / 16.0
        now_rad = float(self.stepped.robot.q[0])
        line = now_rad + (goal_rad - now_rad) * progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)
        line[jump_after:] += 1.0
        return msgspec.structs.replace(
            test_chunk_buffer.make_chunk(self.stepped.now_ns, sequence=self.chunks),
            joint_digest=EMBODIMENT.joint_digest,
            position=tuple((*(value,) * N, 0.0) for value in line.tolist()),
            confidence=confidence,
        )

    def offer(self, chunk: ActionChunk, *, latency_ns: int = 0) -> Taken | Declined:
        now_ns = self.stepped.now_ns
        rest = Posture(self.stepped.robot.q)
        active_from_ns = chunk.exposure_ns + latency_ns if latency_ns else 0
        return self.pipeline.take(chunk, now_ns, rest, active_from_ns)

    def refusal(self, chunk: ActionChunk) -> Refusal | None:
        outcome = self.offer(chunk)
        return outcome.refused.refusal if isinstance(outcome, Declined) else None

    def plans(self, ticks: int) -> list[int]:
        """The plans that were followed in the next ticks, in order, each once for as long as it lasted."""
        self.stepped.loop.drain_reports()
        self.stepped.tick(ticks)
        seqs = self.stepped.loop.drain_reports()["plan_seq"]
        return [int(seq) for seq in seqs[np.flatnonzero(np.diff(seqs, prepend=np.uint64(2**63)))]]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with SteppedLoop(priority=0) as stepped:
        stepped.arm()
        stepped.tick()
        yield Bench(stepped)


@pytest.mark.parametrize("latency_ns", [0, 60 * MS], ids=["at once", "after the latency of virtual time"])
def test_a_good_chunk_moves_the_arm_to_its_goal(bench: Bench, latency_ns: int) -> None:
    outcome = bench.offer(bench.chunk(0.3), latency_ns=latency_ns)
    assert isinstance(outcome, Taken)
    assert outcome.prediction.interventions == 0
    assert bench.plans(300) == ([0, 2] if latency_ns else [2])
    bench.stepped.tick(600)
    np.testing.assert_allclose(bench.stepped.robot.joints, 0.3, atol=1e-4)


def test_a_chunk_is_rehearsed_from_where_the_arm_really_is(bench: Bench) -> None:
    bench.offer(bench.chunk(0.4))
    bench.stepped.tick(400)
    outcome = bench.offer(bench.chunk(0.5))
    assert isinstance(outcome, Taken)
    assert outcome.prediction.deviation < 1e-3


def test_a_chunk_that_ends_in_a_jump_never_gets_there(bench: Bench) -> None:
    bench.offer(bench.chunk(0.3))
    bench.stepped.tick(200)
    assert bench.plans(1) == [2]
    before = bench.buffer.plan
    outcome = bench.offer(bench.chunk(0.5, jump_after=10))
    assert isinstance(outcome, Declined)
    assert outcome.refused.refusal is Refusal.PREDICTED_DEVIATION
    assert outcome.prediction.interventions > 0
    assert before is not None
    assert bench.buffer.plan is not None
    np.testing.assert_array_equal(bench.buffer.plan.q, before.q)
    # Number 3 would have been its beginning, number 4 the whole: what is followed again is the plan before it.
    assert bench.plans(600) == [4, 0]
    np.testing.assert_allclose(bench.stepped.robot.joints, 0.3, atol=1e-4)
    assert bench.refusal(bench.chunk(0.4)) is None
    bench.stepped.tick(900)
    np.testing.assert_allclose(bench.stepped.robot.joints, 0.4, atol=1e-4)


def test_without_a_motion_under_way_only_the_good_beginning_of_a_bad_chunk_is_played(bench: Bench) -> None:
    assert bench.refusal(bench.chunk(0.3, jump_after=10)) is Refusal.PREDICTED_DEVIATION
    assert bench.plans(900) == [1, 0]
    assert float(np.abs(bench.stepped.robot.joints).max()) < 0.1
    assert bench.stepped.loop.counters().state is State.HOLDING


def test_a_chunk_that_jumps_at_once_is_not_begun(bench: Bench) -> None:
    bench.stepped.tick(50)
    assert bench.refusal(bench.chunk(0.3, jump_after=0)) is Refusal.PREDICTED_DEVIATION
    assert bench.plans(300) == [0]
    assert not bench.stepped.robot.q.any()


def test_an_unsure_policy_is_not_followed_until_it_has_recovered(bench: Bench) -> None:
    assert bench.refusal(bench.chunk(0.2, confidence=0.9)) is None
    bench.stepped.tick(100)
    refusals = []
    for confidence in (0.2, 0.9, 0.9, 0.9):
        refusals.append(bench.refusal(bench.chunk(0.3, confidence=confidence)))
        bench.stepped.tick(100)
    assert refusals == [Refusal.UNSURE] * 3 + [None]
    assert bench.pipeline.gate is GateState.CAUTIOUS
    assert bench.pipeline.confidence == 0.9


def test_a_policy_that_is_not_quite_sure_moves_the_arm_slowly(bench: Bench) -> None:
    outcome = bench.offer(bench.chunk(0.8, confidence=0.5))
    assert isinstance(outcome, Taken)
    assert outcome.offer.plan.speed_scale == SETTINGS.slow_speed_scale
    bench.stepped.loop.drain_reports()
    bench.stepped.tick(800)
    fastest_rad_s = np.abs(bench.stepped.loop.drain_reports()["dq_command"]).max()
    assert fastest_rad_s <= SETTINGS.slow_speed_scale * 2.0 * (1.0 + 1e-9)


def test_a_policy_unsure_for_too_long_loses_its_power_and_gets_it_back_from_a_person_only(bench: Bench) -> None:
    assert bench.refusal(bench.chunk(0.2, confidence=0.9)) is None
    for _ in range(SETTINGS.escalate_after):
        bench.stepped.tick(100)
        assert bench.refusal(bench.chunk(0.3, confidence=0.1)) is Refusal.UNSURE
    bench.stepped.tick(300)
    assert bench.pipeline.gate is GateState.ESCALATED
    assert bench.stepped.loop.counters().state is State.READY
    rest_rad = bench.stepped.robot.q.copy()
    for _ in range(10):
        bench.offer(bench.chunk(0.5, confidence=1.0))
        bench.stepped.tick(100)
    assert bench.stepped.loop.counters().state is State.READY
    np.testing.assert_array_equal(bench.stepped.robot.q, rest_rad)
    # An answer alone moves nothing either: power is another question.
    bench.pipeline.answer()
    bench.offer(bench.chunk(0.5, confidence=1.0))
    bench.stepped.tick(300)
    assert bench.stepped.loop.counters().state is State.READY
    bench.stepped.arm()
    bench.buffer.restart(bench.stepped.now_ns)
    bench.stepped.tick()
    assert bench.refusal(bench.chunk(0.3, confidence=1.0)) is None
    bench.stepped.tick(900)
    np.testing.assert_allclose(bench.stepped.robot.joints, 0.3, atol=1e-4)


def test_what_an_arm_without_power_is_shown_moves_neither_it_nor_the_gate() -> None:
    with SteppedLoop(priority=0) as stepped:
        stepped.tick(3)
        bench = Bench(stepped)
        for _ in range(SETTINGS.escalate_after + 1):
            assert bench.refusal(bench.chunk(0.3, confidence=0.0)) is None
            stepped.tick(100)
        assert bench.pipeline.gate is GateState.SURE
        assert stepped.loop.counters().state is State.READY
        assert not stepped.robot.q.any()


def test_what_is_dropped_lets_the_arm_come_to_rest_at_once_and_hold(bench: Bench) -> None:
    bench.offer(bench.chunk(1.0))
    bench.stepped.tick(300)
    assert bench.stepped.loop.counters().state is State.ACTIVE
    moved_rad = float(bench.stepped.robot.q[0])
    bench.pipeline.drop(bench.stepped.now_ns)
    bench.stepped.tick(300)
    assert bench.stepped.loop.counters().state is State.HOLDING
    held_rad = float(bench.stepped.robot.q[0])
    assert moved_rad < held_rad < 0.7
    bench.stepped.tick(300)
    assert float(bench.stepped.robot.q[0]) == held_rad
    assert isinstance(bench.offer(bench.chunk(0.5)), Taken), "and another chunk moves it again"
    bench.stepped.tick(1)
    assert bench.stepped.loop.counters().state is State.ACTIVE
