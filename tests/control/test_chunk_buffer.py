"""The chunk buffer: nothing is ever moved in time, and every refusal has its reason."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import MAX_HORIZON, ActionChunk, InferenceTiming
from edge_runtime.control.chunk_buffer import ChunkBuffer, Offer, Posture, Refused
from edge_runtime.control.plan import MAX_KNOTS, Plan, evaluate_plan, straight_axes

MS = 1_000_000
DT_NS = 50 * MS
BLEND_NS = 100 * MS
EMBODIMENT: Embodiment = load_config(SIM_CONFIG).embodiment
HOME = np.array([*EMBODIMENT.home[:-1], 0.04])
MOVES = np.array([*np.ones(len(HOME) - 1), 0.0])
"""The joints; the gripper stays."""
REST = Posture(HOME)


def positions_at(plan: Plan, *t_ns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(instants, axes), as the loop would ask of the kernel."""
    return evaluate_plan(plan, np.array(t_ns, np.int64), straight_axes(EMBODIMENT))


def make_chunk(exposure_ns: int, *, sequence: int = 1, horizon: int = 16, offset_rad: float = 0.1) -> ActionChunk:
    """A straight line of `horizon` actions from home, ending `offset_rad` away from it."""
    rows = tuple(tuple((HOME + offset_rad * (k + 1) / horizon * MOVES).tolist()) for k in range(horizon))
    return ActionChunk(
        sequence=sequence,
        observation_sequence=sequence,
        exposure_ns=exposure_ns,
        published_ns=exposure_ns,
        dt_ns=DT_NS,
        joint_digest=EMBODIMENT.joint_digest,
        bundle_digest="b" * 64,
        instruction_id=1,
        position=rows,
        timing=InferenceTiming(received_ns=exposure_ns, preprocess_ns=1, model_ns=1, postprocess_ns=1),
    )


def push(buffer: ChunkBuffer, chunk: ActionChunk, now_ns: int, rest: Posture) -> Offer | Refused:
    """What control does with a chunk that nothing speaks against."""
    offer = buffer.offer(chunk, now_ns, rest)
    if isinstance(offer, Offer):
        buffer.take(offer)
    return offer


@pytest.fixture
def buffer() -> ChunkBuffer:
    made = ChunkBuffer(EMBODIMENT, blend_ns=BLEND_NS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
    made.restart(armed_since_ns=1000 * MS)
    return made


def test_after_the_cross_fade_every_action_is_met_at_its_due_time(buffer: ChunkBuffer) -> None:
    chunk = make_chunk(1000 * MS)
    outcome = push(buffer, chunk, 1060 * MS, REST)
    assert isinstance(outcome, Offer)
    assert outcome.expired_actions == 1
    for k in range(3, 16):
        due_ns = chunk.exposure_ns + (k + 1) * DT_NS
        np.testing.assert_allclose(positions_at(outcome.plan, due_ns)[0], chunk.position[k], atol=1e-12)


def test_the_seam_starts_where_the_arm_rests(buffer: ChunkBuffer) -> None:
    outcome = push(buffer, make_chunk(1000 * MS, offset_rad=0.3), 1060 * MS, REST)
    assert isinstance(outcome, Offer)
    np.testing.assert_allclose(positions_at(outcome.plan, 1060 * MS)[0], HOME, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(
    latencies_ms=st.lists(st.integers(1, 300), min_size=2, max_size=12),
    pauses_ms=st.lists(st.integers(1, 900), min_size=12, max_size=12),
)
def test_random_latency_and_starvation_never_shift_an_action(latencies_ms: list[int], pauses_ms: list[int]) -> None:
    buffer = ChunkBuffer(EMBODIMENT, blend_ns=BLEND_NS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
    buffer.restart(0)
    exposure_ns = 0
    for sequence, latency_ms in enumerate(latencies_ms):
        exposure_ns += pauses_ms[sequence] * MS
        now_ns = exposure_ns + latency_ms * MS
        chunk = make_chunk(exposure_ns, sequence=sequence, offset_rad=0.05 * (sequence + 1))
        outcome = push(buffer, chunk, now_ns, REST)
        assert isinstance(outcome, Offer)
        due_ns = exposure_ns + DT_NS * np.arange(1, 17)
        assert outcome.expired_actions == np.count_nonzero(due_ns <= now_ns)
        assert np.all(np.diff(outcome.plan.t_ns) > 0)
        settled = due_ns[due_ns >= now_ns + BLEND_NS]
        expected = np.array(chunk.position)[due_ns >= now_ns + BLEND_NS]
        np.testing.assert_allclose(positions_at(outcome.plan, *settled), expected, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(offsets=st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=8), latency_ms=st.integers(20, 200))
def test_no_seam_jumps(offsets: list[float], latency_ms: int) -> None:
    buffer = ChunkBuffer(EMBODIMENT, blend_ns=BLEND_NS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
    buffer.restart(0)
    previous = None
    for sequence, offset in enumerate(offsets):
        exposure_ns = (sequence + 1) * 200 * MS
        now_ns = exposure_ns + latency_ms * MS
        outcome = push(buffer, make_chunk(exposure_ns, sequence=sequence, offset_rad=offset), now_ns, REST)
        assert isinstance(outcome, Offer)
        if previous is not None:
            at_ns = (now_ns, now_ns + 1 * MS)
            step_rad = np.abs(positions_at(outcome.plan, *at_ns) - positions_at(previous, *at_ns)).max()
            assert step_rad < 2e-3
        previous = outcome.plan


def test_the_longest_chunk_behind_the_longest_cross_fade_is_one_plan() -> None:
    buffer = ChunkBuffer(EMBODIMENT, blend_ns=1000 * MS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
    for exposure_ns in (100 * MS, 300 * MS):
        outcome = push(buffer, make_chunk(exposure_ns, horizon=MAX_HORIZON), exposure_ns + 60 * MS, REST)
        assert isinstance(outcome, Offer)
        assert len(outcome.plan.t_ns) <= MAX_KNOTS


@pytest.mark.parametrize(
    ("change", "now_ms", "expected"),
    [
        ({"joint_digest": "0" * 64}, 1060, Refusal.JOINT_ORDER),
        ({"bundle_digest": "no digest"}, 1060, Refusal.WRONG_BUNDLE),
        ({"bundle_digest": "b" * 63 + "\n"}, 1060, Refusal.WRONG_BUNDLE),
        ({"exposure_ns": 1061 * MS}, 1060, Refusal.FUTURE),
        ({"published_ns": 1061 * MS}, 1060, Refusal.FUTURE),
        ({"exposure_ns": 999 * MS}, 1060, Refusal.BEFORE_ARMING),
        ({}, 2001, Refusal.STALE),
        ({"position": ((0.0,) * 7,) * 16}, 1060, Refusal.SHAPE),
        ({"position": ((9.0,) * 8,) * 16}, 1060, Refusal.OUT_OF_RANGE),
        ({"position": ((*HOME[:-1], 1.7e308),) * 8 + ((*HOME[:-1], -1.7e308),) * 8}, 1060, Refusal.OUT_OF_RANGE),
        ({"dt_ns": 1 * MS}, 1060, Refusal.STALE),
    ],
)
def test_what_is_refused_and_why(
    buffer: ChunkBuffer, change: dict[str, object], now_ms: int, expected: Refusal
) -> None:
    chunk = msgspec.structs.replace(make_chunk(1000 * MS), **change)
    outcome = push(buffer, chunk, now_ms * MS, REST)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is expected
    assert buffer.plan is None


def test_duplicates_and_older_observations_are_refused_and_change_nothing(buffer: ChunkBuffer) -> None:
    assert isinstance(push(buffer, make_chunk(1200 * MS), 1260 * MS, REST), Offer)
    plan = buffer.plan
    for chunk, expected in (
        (make_chunk(1200 * MS, sequence=2), Refusal.DUPLICATE),
        (make_chunk(1100 * MS, sequence=3), Refusal.OUT_OF_ORDER),
    ):
        outcome = push(buffer, chunk, 1300 * MS, REST)
        assert isinstance(outcome, Refused)
        assert outcome.refusal is expected
    assert buffer.plan is plan


def test_an_engine_that_restarts_its_numbers_is_taken_up_again(buffer: ChunkBuffer) -> None:
    assert isinstance(push(buffer, make_chunk(1200 * MS, sequence=500), 1260 * MS, REST), Offer)
    assert isinstance(push(buffer, make_chunk(1400 * MS, sequence=1), 1460 * MS, REST), Offer)


def test_each_plan_names_the_bundle_of_its_own_chunk(buffer: ChunkBuffer) -> None:
    for exposure_ns, digest in ((1000 * MS, "b" * 64), (1100 * MS, "0c" * 32), (1200 * MS, "b" * 64)):
        chunk = msgspec.structs.replace(make_chunk(exposure_ns), bundle_digest=digest)
        assert isinstance(push(buffer, chunk, exposure_ns + 60 * MS, REST), Offer)
        assert buffer.plan is not None
        assert buffer.plan.bundle_digest == bytes.fromhex(digest)


def test_an_offer_changes_nothing_until_it_is_taken(buffer: ChunkBuffer) -> None:
    assert isinstance(push(buffer, make_chunk(1000 * MS), 1060 * MS, REST), Offer)
    plan, chunk = buffer.plan, make_chunk(1200 * MS, sequence=2)
    first = buffer.offer(chunk, 1260 * MS, REST)
    longer = buffer.offer(chunk, 1260 * MS, REST, blend_ns=4 * BLEND_NS, speed_scale=0.5)
    assert isinstance(first, Offer)
    assert isinstance(longer, Offer)
    assert buffer.plan is plan
    assert (first.plan.speed_scale, longer.plan.speed_scale) == (1.0, 0.5)
    assert (first.blend_ns, longer.blend_ns) == (BLEND_NS, 4 * BLEND_NS)
    assert first.plan.seq == longer.plan.seq
    buffer.take(longer)
    assert buffer.plan is longer.plan
    with pytest.raises(ValueError, match="was offered before"):
        buffer.take(first)


def test_plans_that_the_loop_still_needs_are_known(buffer: ChunkBuffer) -> None:
    taken = []
    for k in range(9):
        exposure_ns = (1000 + 50 * k) * MS
        offer = buffer.offer(make_chunk(exposure_ns), exposure_ns, REST, active_from_ns=exposure_ns + 100 * MS)
        assert isinstance(offer, Offer)
        buffer.take(offer)
        taken.append(offer.plan)
    assert buffer.plans_from(1400 * MS) == tuple(taken[-3:])
    assert buffer.plans_from(2000 * MS) == (taken[-1],)
    buffer.restart(2000 * MS)
    assert buffer.plans_from(2000 * MS) == ()


def test_no_action_is_followed_later_than_its_observation_allows(buffer: ChunkBuffer) -> None:
    chunk = make_chunk(1000 * MS, horizon=MAX_HORIZON)
    outcome = push(buffer, chunk, 1060 * MS, REST)
    assert isinstance(outcome, Offer)
    assert outcome.plan.t_ns[-1] == 3000 * MS, "two seconds, although the chunk reaches further"
    buffer.allow(max_age_ns=3000 * MS, reach_ns=2500 * MS)
    outcome = push(buffer, make_chunk(1100 * MS, sequence=1, horizon=MAX_HORIZON), 3500 * MS, REST)
    assert isinstance(outcome, Offer), "a slow policy's chunk is 2.4 s old when it comes"
    assert outcome.plan.t_ns[-1] == 3600 * MS
    late = buffer.offer(make_chunk(1200 * MS, sequence=2, horizon=MAX_HORIZON), 4201 * MS, REST)
    assert isinstance(late, Refused)
    assert late.refusal is Refusal.STALE


def test_a_chunk_whose_first_action_is_due_too_late_is_refused(buffer: ChunkBuffer) -> None:
    chunk = msgspec.structs.replace(make_chunk(1000 * MS), dt_ns=2001 * MS)
    outcome = buffer.offer(chunk, 1060 * MS, REST)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.STALE


def test_what_is_dropped_is_over_and_the_next_chunk_begins_at_rest(buffer: ChunkBuffer) -> None:
    assert buffer.drop(1000 * MS) is None, "there was nothing"
    first = push(buffer, make_chunk(1000 * MS, offset_rad=0.3), 1060 * MS, REST)
    assert isinstance(first, Offer)
    over = buffer.drop(1200 * MS)
    assert over is not None
    assert over.seq > first.plan.seq
    assert np.isnan(positions_at(over, 1200 * MS)).all()
    assert (buffer.plan, buffer.plans_from(1200 * MS)) == (None, ())
    outcome = push(buffer, make_chunk(1300 * MS, sequence=1, offset_rad=0.3), 1360 * MS, REST)
    assert isinstance(outcome, Offer)
    np.testing.assert_allclose(positions_at(outcome.plan, 1360 * MS)[0], HOME, atol=1e-12)
