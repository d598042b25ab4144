"""Receipts name the first tick that followed a chunk, once for each chunk."""

from __future__ import annotations

import numpy as np

from contracts.errors import Refusal
from edge_runtime.control.receipts import Receipts
from tests.control.test_chunk_buffer import MS, make_chunk


def follow(receipts: Receipts, *plans: int, start_ms: int = 0) -> list[tuple[int, int | None]]:
    ticks = np.arange(start_ms, start_ms + len(plans), dtype=np.int64) * MS
    return [(r.chunk_sequence, r.first_command_ns) for r in receipts.followed(ticks, np.array(plans, np.uint64))]


def test_the_first_tick_under_a_plan_is_the_chunk_s_first_command() -> None:
    receipts = Receipts()
    receipts.accepted(make_chunk(0, sequence=7), 1, 0, 10 * MS)
    assert follow(receipts, 0, 0, 1, 1) == [(7, 2 * MS)]
    assert follow(receipts, 1, 1, start_ms=4) == []


def test_a_change_right_at_the_border_of_two_batches_is_seen() -> None:
    receipts = Receipts()
    receipts.accepted(make_chunk(0, sequence=7), 1, 0, 0)
    assert follow(receipts, 0, 0) == []
    assert follow(receipts, 1, start_ms=2) == [(7, 2 * MS)]


def test_a_chunk_that_was_overtaken_gets_a_receipt_without_a_command() -> None:
    receipts = Receipts()
    receipts.accepted(make_chunk(0, sequence=7), 1, 0, 0)
    receipts.accepted(make_chunk(0, sequence=8), 2, 0, 0)
    assert follow(receipts, 0, 2) == [(7, None), (8, 1 * MS)]


def test_arming_forgets_chunks_that_were_never_followed() -> None:
    receipts = Receipts()
    receipts.accepted(make_chunk(0, sequence=7), 1, 0, 0)
    receipts.restart()
    receipts.accepted(make_chunk(0, sequence=8), 2, 0, 0)
    assert follow(receipts, 0, 2) == [(8, 1 * MS)]


def test_a_refused_chunk_says_why() -> None:
    receipt = Receipts().refused(make_chunk(0), Refusal.STALE, 5)
    assert (receipt.refusal, receipt.first_command_ns) == ("stale", None)
