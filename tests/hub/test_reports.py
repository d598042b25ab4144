"""Whose word is taken: every way to say something in a robot's name, or twice, has a refusal of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from sqlalchemy import select

from edge_runtime.contracts.errors import HubError, ReportError, ReportRefusal
from edge_runtime.releases.key_files import create_key, load_signer
from hub.db.connection import open_database
from hub.db.schema import REPORTS
from hub.fleet import reports as reports_module
from hub.fleet.nonces import NONCE_LIFE_S, issued_ns_of, make_nonce
from hub.fleet.reports import Reports
from hub.fleet.robots import Robots
from tests.hub.served import ServedHub, signed

START_NS = 1_800_000_000_000_000_000
S = 1_000_000_000


class Office:
    """Reports on a real database, at a time that the test sets; arm-1 and arm-2 are enrolled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ns = START_NS
        self.held = b""
        self.engine = open_database(folder)
        self.robots = Robots(self.engine)
        self.reports = Reports(self.engine, lambda: self.now_ns)
        self.keys = {name: self.enrol(name) for name in ("arm-1", "arm-2")}

    def enrol(self, robot_id: str, key_name: str | None = None) -> CryptoSigner:
        name = key_name or robot_id
        self.robots.enrol(robot_id, create_key(self.folder / "keys", name), self.now_ns / S)
        return load_signer(self.folder / "keys" / f"{name}.key")

    def said(self, robot_id: str = "arm-1", nonce: str | None = None, key: CryptoSigner | None = None) -> bytes:
        fresh = self.reports.nonce(robot_id) if nonce is None else nonce
        return signed(key or self.keys[robot_id], robot_id, fresh).canonical_json()

    def refusal(self, data: bytes, robot_id: str = "arm-1") -> ReportRefusal:
        with pytest.raises(ReportError) as caught:
            self.reports.accept(robot_id, data)
        return caught.value.refusal

    def stored(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(select(REPORTS.c.number)).all())


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def wrong_signature(office: Office) -> bytes:
    told = msgspec.json.decode(office.said())
    told["report"]["running_counter"] = 9
    return msgspec.json.encode(told, order="sorted")


def other_robots_key(office: Office) -> bytes:
    return office.said(key=office.keys["arm-2"])


def other_robots_key_under_a_false_name(office: Office) -> bytes:
    told = msgspec.json.decode(office.said(key=office.keys["arm-2"]))
    told["key_id"] = office.keys["arm-1"].public_key.keyid
    return msgspec.json.encode(told, order="sorted")


def signature_of_something_else(office: Office) -> bytes:
    told = msgspec.json.decode(office.said())
    bare = msgspec.json.encode(told["report"], order="sorted")
    told["signature"] = office.keys["arm-1"].sign(bare).signature
    return msgspec.json.encode(told, order="sorted")


def other_robots_report(office: Office) -> bytes:
    return office.said("arm-2")


def other_robots_nonce(office: Office) -> bytes:
    return office.said(nonce=office.reports.nonce("arm-2"))


def invented_nonce(office: Office) -> bytes:
    return office.said(nonce=make_nonce(b"x" * 32, "arm-1", office.now_ns))


def short_nonce(office: Office) -> bytes:
    return office.said(nonce="0" * 32)


def odd_nonce(office: Office) -> bytes:
    return office.said(nonce="0" * 33)


def late(office: Office) -> bytes:
    data = office.said()
    office.now_ns += NONCE_LIFE_S * S + 1
    return data


def repeated(office: Office) -> bytes:
    data = office.said()
    office.reports.accept("arm-1", data)
    return data


def repeated_later(office: Office) -> bytes:
    data = repeated(office)
    office.now_ns += NONCE_LIFE_S * S + 1
    return data


def overtaken(office: Office) -> bytes:
    held_back = office.said()
    office.now_ns += S
    office.reports.accept("arm-1", office.said())
    return held_back


def retired(office: Office) -> bytes:
    data = office.said()
    office.robots.retire("arm-1")
    return data


def key_replaced(office: Office) -> bytes:
    data = office.said()
    office.enrol("arm-1", "arm-1-second")
    return data


def not_canonical(office: Office) -> bytes:
    return office.said() + b"\n"


@pytest.mark.parametrize(
    ("forge", "refusal"),
    [
        (wrong_signature, ReportRefusal.WRONG_SIGNATURE),
        (other_robots_key, ReportRefusal.OTHER_KEY),
        (other_robots_key_under_a_false_name, ReportRefusal.WRONG_SIGNATURE),
        (signature_of_something_else, ReportRefusal.WRONG_SIGNATURE),
        (other_robots_report, ReportRefusal.OTHER_ROBOT),
        (other_robots_nonce, ReportRefusal.FOREIGN_NONCE),
        (invented_nonce, ReportRefusal.FOREIGN_NONCE),
        (short_nonce, ReportRefusal.FOREIGN_NONCE),
        (odd_nonce, ReportRefusal.FOREIGN_NONCE),
        (late, ReportRefusal.EXPIRED_NONCE),
        (repeated, ReportRefusal.SPENT_NONCE),
        (repeated_later, ReportRefusal.SPENT_NONCE),
        (overtaken, ReportRefusal.SPENT_NONCE),
        (retired, ReportRefusal.UNKNOWN_ROBOT),
        (key_replaced, ReportRefusal.OTHER_KEY),
        (not_canonical, ReportRefusal.MALFORMED),
    ],
)
def test_what_is_declined_is_not_stored(
    office: Office, forge: Callable[[Office], bytes], refusal: ReportRefusal
) -> None:
    data = forge(office)
    before = office.stored()
    assert office.refusal(data) is refusal
    assert office.stored() == before


@pytest.mark.parametrize(
    ("meanwhile", "refusal"),
    [
        (lambda office: office.robots.retire("arm-1"), ReportRefusal.UNKNOWN_ROBOT),
        (lambda office: office.enrol("arm-1", "arm-1-second"), ReportRefusal.OTHER_KEY),
        (
            lambda office: Reports(office.engine, lambda: START_NS).accept("arm-1", office.held),
            ReportRefusal.SPENT_NONCE,
        ),
    ],
)
def test_what_changes_while_a_report_is_looked_at_counts(
    office: Office, meanwhile: Callable[[Office], object], refusal: ReportRefusal
) -> None:
    data = office.held = office.said()

    def clock() -> int:
        # Read after the signature was found good and before anything is stored.
        meanwhile(office)
        return START_NS

    office.reports = Reports(office.engine, clock)
    stored_meanwhile = refusal is ReportRefusal.SPENT_NONCE
    assert office.refusal(data) is refusal
    assert office.stored() == int(stored_meanwhile)


def test_a_report_is_kept_as_it_was_signed(office: Office) -> None:
    data = office.said()
    report = office.reports.accept("arm-1", data)
    newest = office.reports.newest("arm-1")
    assert newest is not None
    assert (newest.report, newest.received_s) == (report, START_NS / S)
    with office.engine.connect() as connection:
        assert connection.execute(select(REPORTS.c.signed)).scalar_one() == data
    assert office.reports.newest("arm-2") is None


def test_a_clock_that_is_set_back_locks_nobody_out(office: Office) -> None:
    spent = office.said()
    office.reports.accept("arm-1", spent)
    office.now_ns -= 3600 * S
    assert office.refusal(spent) is ReportRefusal.SPENT_NONCE
    office.reports.accept("arm-1", office.said())
    office.reports.accept("arm-1", office.said())
    assert office.stored() == 3


def test_the_oldest_reports_go(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "KEPT_REPORTS", 3)
    office.reports.accept("arm-2", office.said("arm-2"))
    for _ in range(6):
        office.now_ns += S
        office.reports.accept("arm-1", office.said())
    assert office.stored() == 4
    newest = office.reports.newest("arm-1")
    assert newest is not None
    assert newest.received_s == office.now_ns / S
    assert office.reports.newest("arm-2") is not None


def test_a_key_is_of_one_robot(office: Office) -> None:
    key = office.keys["arm-1"].public_key
    with pytest.raises(HubError, match="is the key of arm-1"):
        office.robots.enrol("arm-3", key, 0.0)  # type: ignore[arg-type]
    assert office.robots.get("arm-3") is None
    with pytest.raises(HubError, match="no robot's name"):
        office.robots.enrol("../arm", key, 0.0)  # type: ignore[arg-type]
    with pytest.raises(HubError, match="never enrolled"):
        office.robots.retire("arm-3")


def test_a_new_key_takes_over_and_what_was_spent_stays_spent(office: Office) -> None:
    old = office.said()
    office.reports.accept("arm-1", old)
    second = office.enrol("arm-1", "arm-1-second")
    nonce = office.reports.nonce("arm-1")
    office.reports.accept("arm-1", office.said(nonce=nonce, key=second))
    assert office.refusal(office.said(nonce=nonce, key=second)) is ReportRefusal.SPENT_NONCE


def test_a_nonce_is_of_one_hub_and_one_robot() -> None:
    nonce = make_nonce(b"s" * 32, "arm-1", START_NS)
    assert issued_ns_of(b"s" * 32, "arm-1", nonce) == START_NS
    assert issued_ns_of(b"s" * 32, "arm-2", nonce) is None
    assert issued_ns_of(b"t" * 32, "arm-1", nonce) is None
    assert issued_ns_of(b"s" * 32, "arm-1", "") is None


def test_refusals_are_answered_by_name(served: ServedHub) -> None:
    key, other = served.enrol("arm-1"), served.enrol("arm-2")
    sound = signed(key, "arm-1", served.nonce("arm-1"))
    nonce, data = sound.report.nonce, sound.canonical_json()
    unsigned = msgspec.structs.replace(sound, signature="0" * 128).canonical_json()
    of_other, of_nobody = (signed(by, name, nonce).canonical_json() for by, name in ((other, "arm-1"), (key, "arm-9")))
    for robot_id, said, expected in (
        ("arm-1", unsigned, (403, "wrong_signature")),
        ("arm-1", of_other, (403, "other_key")),
        ("arm-2", data, (403, "other_robot")),
        ("arm-9", of_nobody, (404, "unknown_robot")),
        ("arm-1", b"{}", (422, "malformed")),
        ("arm-1", data, (200, None)),
        ("arm-1", data, (409, "spent_nonce")),
    ):
        answer = served.send(robot_id, said)
        assert (answer.status_code, answer.json().get("refusal")) == expected
    assert served.report(key, "arm-1").status_code == 200
