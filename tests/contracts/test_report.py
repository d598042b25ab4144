"""The report is one sequence of bytes, small, and speaks of states that a robot has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from edge_runtime.contracts.errors import ReportError, ReportRefusal
from edge_runtime.contracts.report import (
    MAX_REPORT_BYTES,
    SHIPPED,
    SIGNED_CONTEXT,
    SignedReport,
    StatusReport,
    load,
)
from edge_runtime.contracts.states import UpdateState

REPORT = StatusReport(
    format_version=1,
    robot_id="arm-1",
    nonce="0" * 80,
    running_bundle="a" * 64,
    running_counter=3,
    state=UpdateState.PROBATION,
    update_counter=4,
    reason="ä" * 500,
)
SIGNED = SignedReport(report=REPORT, key_id="b" * 64, signature="c" * 128)


def test_there_and_back() -> None:
    assert load(SIGNED.canonical_json()) == SIGNED
    assert REPORT.signed_bytes().startswith(SIGNED_CONTEXT + b'{"format_version":1,')
    shipped = msgspec.structs.replace(REPORT, running_bundle=SHIPPED, running_counter=0)
    assert load(msgspec.structs.replace(SIGNED, report=shipped).canonical_json()).report == shipped


def test_what_is_signed_and_sent_are_these_bytes() -> None:
    """Robot and hub may be of different versions: both must come to the same bytes."""
    report = StatusReport(
        format_version=1,
        robot_id="arm-1",
        nonce="0" * 32,
        running_bundle=SHIPPED,
        running_counter=0,
        state=UpdateState.IDLE,
    )
    said = (
        b'{"format_version":1,"nonce":"00000000000000000000000000000000","reason":"","refused_counter":0,'
        b'"robot_id":"arm-1","running_bundle":"shipped","running_counter":0,"state":"idle","update_counter":0}'
    )
    assert report.signed_bytes() == b"edge status report\n" + said
    sent = SignedReport(report=report, key_id="b" * 64, signature="c" * 128).canonical_json()
    assert sent == b'{"key_id":"%s","report":%s,"signature":"%s"}' % (b"b" * 64, said, b"c" * 128)


def change(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["report"].update(values)


@pytest.mark.parametrize(
    "spoil",
    [
        change(format_version=2),
        change(robot_id="../evil"),
        change(robot_id=""),
        change(nonce="0" * 31),
        change(nonce="0" * 32 + "\n"),
        change(running_bundle="A" * 64),
        change(running_bundle="other"),
        change(running_counter=-1),
        change(running_counter=2**53),
        change(running_counter=1.5),
        change(state="finished"),
        change(reason="x" * 501),
        change(surprise=1),
        lambda told: told.update(signature="0" * 127),
        lambda told: told.update(key_id="0"),
        lambda told: told.update(surprise=1),
        lambda told: told.pop("key_id"),
        lambda told: told["report"].pop("nonce"),
    ],
)
def test_malformed(spoil: Callable[[dict[str, Any]], None]) -> None:
    told = msgspec.json.decode(SIGNED.canonical_json())
    spoil(told)
    with pytest.raises(ReportError) as caught:
        load(msgspec.json.encode(told, order="sorted"))
    assert caught.value.refusal is ReportRefusal.MALFORMED


def test_a_refusal_says_what_is_wrong() -> None:
    told = msgspec.json.decode(SIGNED.canonical_json())
    told["report"]["state"] = "finished"
    with pytest.raises(ReportError, match="finished"):
        load(msgspec.json.encode(told, order="sorted"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 4000,
        SIGNED.canonical_json() + b" ",
        SIGNED.canonical_json().replace(b":", b": ", 1),
        SIGNED.canonical_json().replace(b'{"key_id"', b'{"key_id":"' + b"d" * 64 + b'","key_id"'),
    ],
)
def test_other_bytes(data: bytes) -> None:
    with pytest.raises(ReportError) as caught:
        load(data)
    assert caught.value.refusal is ReportRefusal.MALFORMED


def test_oversized() -> None:
    with pytest.raises(ReportError) as caught:
        load(b" " * (MAX_REPORT_BYTES + 1))
    assert caught.value.refusal is ReportRefusal.OVERSIZED
    with pytest.raises(ReportError) as caught:
        load(b" " * MAX_REPORT_BYTES)
    assert caught.value.refusal is ReportRefusal.MALFORMED
    assert len(SIGNED.canonical_json()) < MAX_REPORT_BYTES
