"""Receipts name the first tick that followed a chunk, once for each chunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_runtime.contracts.errors import Refusal
from edge_runtime.control.admission import Prediction
from edge_runtime.control.chunk_buffer import ChunkBuffer, Offer, Refused
from edge_runtime.control.chunk_pipeline import Declined, Taken
from edge_runtime.control.receipts import Receipts
from edge_runtime.safety import Reason
from tests.control.test_chunk_buffer import BLEND_NS, EMBODIMENT, MS, REST, make_chunk

FORESEEN = Prediction(
    ticks=800,
    interventions=3,
    reasons=Reason.LIMIT_VELOCITY | Reason.LIMIT_JERK,
    first_ns=70 * MS,
    deviation=0.25,
)


def follow(receipts: Receipts, *plans: int, start_ms: int = 0) -> list[tuple[int, int | None]]:
    ticks = np.arange(start_ms, start_ms + len(plans), dtype=np.int64) * MS
    return [(r.chunk_sequence, r.first_command_ns) for r in receipts.followed(ticks, np.array(plans, np.uint64))]


def take(receipts: Receipts, sequence: int, plan: int, received_ns: int) -> None:
    offer = ChunkBuffer(EMBODIMENT, blend_ns=BLEND_NS, max_age_ns=1000 * MS, reach_ns=2000 * MS).offer(
        make_chunk(0, sequence=sequence), 60 * MS, REST, speed_scale=0.5
    )
    assert isinstance(offer, Offer)
    taken = Taken(replace(offer, plan=replace(offer.plan, seq=plan)), FORESEEN)
    receipts.taken(make_chunk(0, sequence=sequence), taken, received_ns)


def test_the_first_tick_under_a_plan_is_the_chunk_s_first_command() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 10 * MS)
    assert follow(receipts, 0, 0, 2, 2) == [(7, 2 * MS)]
    assert follow(receipts, 2, 2, start_ms=4) == []


def test_a_change_right_at_the_border_of_two_batches_is_seen() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 0)
    assert follow(receipts, 0, 0) == []
    assert follow(receipts, 2, start_ms=2) == [(7, 2 * MS)]


def test_a_plan_s_beginning_counts_and_the_whole_is_no_second_time() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 0)
    take(receipts, 8, 4, 0)
    assert follow(receipts, 0, 1, 1, 2, 2, 3, 4) == [(7, 1 * MS), (8, 5 * MS)]


def test_a_chunk_that_was_overtaken_gets_a_receipt_without_a_command() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 0)
    take(receipts, 8, 4, 0)
    assert follow(receipts, 0, 4) == [(7, None), (8, 1 * MS)]


def test_arming_forgets_chunks_that_were_never_followed() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 0)
    receipts.restart()
    take(receipts, 8, 4, 0)
    assert follow(receipts, 0, 4) == [(8, 1 * MS)]


def test_a_refused_chunk_says_why() -> None:
    declined = Declined(Refused(Refusal.PREDICTED_DEVIATION, "too far"), FORESEEN)
    receipt = Receipts().declined(make_chunk(0), declined, 5)
    assert (receipt.refusal, receipt.first_command_ns) == ("predicted_deviation", None)
    assert (receipt.predicted_interventions, receipt.predicted_deviation) == (3, 0.25)


def test_a_receipt_tells_what_was_foreseen_and_done() -> None:
    receipts = Receipts()
    take(receipts, 7, 2, 10 * MS)
    receipt, *_ = receipts.followed(np.array([20 * MS]), np.array([2], np.uint64))
    assert receipt.predicted_limits == ("limit_velocity", "limit_jerk")
    assert (receipt.predicted_interventions, receipt.predicted_first_ns) == (3, 70 * MS)
    assert (receipt.blend_ns, receipt.speed_scale, receipt.expired_actions) == (BLEND_NS, 0.5, 1)
