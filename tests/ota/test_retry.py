"""What follows on a failure, as a table, and that everything ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.ota.transfer.retry import BUDGETS, Budget, GiveUp, Patience, Retries, Wait

PATIENCE = Patience(
    many=4,
    few=2,
    first_wait_s=1.0,
    longest_wait_s=3.0,
    longest_retry_after_s=60.0,
    without_progress_s=100.0,
    progress_bytes=1000,
)
MANY = OtaRefusal.DISCONNECTED
FEW = OtaRefusal.WRONG_RANGE
S = 1_000_000_000

# What happened before, what fails now, what the server asks for, and what follows with the largest draw.
TABLE: dict[str, tuple[list[str], OtaRefusal, float | None, Wait | GiveUp]] = {
    "first of the network": ([], MANY, None, Wait(1.0)),
    "second": (["many"], MANY, None, Wait(2.0)),
    "third, no longer than the longest": (["many"] * 2, MANY, None, Wait(3.0)),
    "fourth": (["many"] * 3, MANY, None, GiveUp("4 failures in a row")),
    "too few bytes between": (["many"] * 3 + ["999 bytes"], MANY, None, GiveUp("4 failures in a row")),
    "bytes between": (["many"] * 3 + ["1000 bytes"], MANY, None, Wait(1.0)),
    "bytes over several connections": (["many", "600 bytes", "many", "600 bytes"], MANY, None, Wait(1.0)),
    "first contradiction": ([], FEW, None, Wait(1.0)),
    "second contradiction": (["few"], FEW, None, GiveUp("2 wrong answers without a whole blob between them")),
    "bytes do not excuse it": (
        ["few", "5000 bytes"],
        FEW,
        None,
        GiveUp("2 wrong answers without a whole blob between them"),
    ),
    "a blob does": (["few", "blob"], FEW, None, Wait(1.0)),
    "both kinds are counted apart": (["few", "many"], MANY, None, Wait(2.0)),
    "asked for time": ([], OtaRefusal.SERVER_BUSY, 30.0, Wait(31.0)),
    "asked for too much": ([], OtaRefusal.SERVER_BUSY, 61.0, GiveUp("asked to wait 61 s, the limit is 60 s")),
    "no progress": (["many", "99 s"], MANY, None, GiveUp("no progress for 99 s, the limit is 100 s")),
    "a blob is progress": (["many", "99 s", "blob"], MANY, None, Wait(1.0)),
    "bytes are progress": (["many", "99 s", "1000 bytes"], MANY, None, Wait(1.0)),
    "not after a contradiction": (
        ["few", "100 s", "1000 bytes"],
        MANY,
        None,
        GiveUp("no progress for 100 s, the limit is 100 s"),
    ),
    "quiet before the first failure": (["500 s"], MANY, None, Wait(1.0)),
    "endless data": ([], OtaRefusal.ENDLESS_DATA, None, GiveUp("trying again is no use")),
    "a full disk": ([], OtaRefusal.NO_SPACE, None, GiveUp("trying again is no use")),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_follows(case: str) -> None:
    before, failure, retry_after_s, expected = TABLE[case]
    retries, now_ns = Retries(PATIENCE), 7 * S
    for step in before:
        if step == "blob":
            retries.stored()
        elif step.endswith(" bytes"):
            retries.received(int(step.split()[0]))
        elif step.endswith(" s"):
            now_ns += int(step.split()[0]) * S
        else:
            assert isinstance(retries.after(MANY if step == "many" else FEW, now_ns, draw=1.0), Wait)
    assert retries.after(failure, now_ns, draw=1.0, retry_after_s=retry_after_s) == expected


def test_waits_are_drawn_between_half_and_all_so_that_a_fleet_does_not_come_back_at_once() -> None:
    waits = {draw: Retries(PATIENCE).after(MANY, 0, draw=draw) for draw in (0.0, 0.5, 1.0)}
    assert waits == {0.0: Wait(0.5), 0.5: Wait(0.75), 1.0: Wait(1.0)}


def test_what_is_no_failure_of_the_network_or_a_server_is_never_tried_again() -> None:
    tried = {refusal for refusal, budget in BUDGETS.items() if budget is not Budget.NONE}
    assert tried == {
        OtaRefusal.UNREACHABLE,
        OtaRefusal.DISCONNECTED,
        OtaRefusal.SLOW_RETRIEVAL,
        OtaRefusal.SERVER_BUSY,
        OtaRefusal.SERVER_ERROR,
        OtaRefusal.FORBIDDEN,
        OtaRefusal.NOT_FOUND,
        OtaRefusal.RANGE_IGNORED,
        OtaRefusal.WRONG_RANGE,
        OtaRefusal.WRONG_LENGTH,
        OtaRefusal.WRONG_ENCODING,
        OtaRefusal.OBJECT_CHANGED,
        OtaRefusal.BLOB_ALTERED,
        OtaRefusal.BLOB_MALFORMED,
        OtaRefusal.BLOB_OVERSIZED,
    }


@given(
    st.lists(
        st.tuples(st.sampled_from(list(OtaRefusal)), st.floats(0.0, 1.0), st.none() | st.floats(0.0, 1e9)),
        min_size=PATIENCE.many + PATIENCE.few,
        max_size=40,
    )
)
def test_it_ends_whatever_fails_and_within_its_time(
    failures: list[tuple[OtaRefusal, float, float | None]],
) -> None:
    retries, now_ns = Retries(PATIENCE), 0
    for count, (failure, draw, retry_after_s) in enumerate(failures):
        verdict = retries.after(failure, now_ns, draw=draw, retry_after_s=retry_after_s)
        if isinstance(verdict, GiveUp):
            assert count < PATIENCE.many + PATIENCE.few
            return
        assert verdict.wait_s > 0.0
        now_ns += int(verdict.wait_s * S)
        assert now_ns <= PATIENCE.without_progress_s * S
    raise AssertionError("never gave up")


@pytest.mark.parametrize(
    "wrong",
    [
        {"many": 0},
        {"few": 0},
        {"progress_bytes": 0},
        {"first_wait_s": 0.0},
        {"first_wait_s": 2.0, "longest_wait_s": 1.0},
        {"longest_retry_after_s": -1.0},
    ],
)
def test_patience_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Patience(**wrong)  # type: ignore[arg-type]


def test_the_guide_lists_every_refusal_with_its_budget() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "ota_network.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (none|few|many) \|$", guide, flags=re.MULTILINE)
    assert dict(rows) == {refusal.value: budget.value for refusal, budget in BUDGETS.items()}
