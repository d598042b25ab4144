"""Reports of robots, accepted only if the robot signed them, for now, and for the first time.

Guarantees: a stored report was signed by the key that is enrolled for its robot, over a nonce that this hub gave that
robot at most `NONCE_LIFE_S` before; a robot's reports are stored in the order in which their nonces were given, so an
old one that arrives late changes nothing; what was accepted has lasted. Refuses to know assignments.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine, delete, func, insert, select, update

from edge_runtime.contracts.errors import ReportError, ReportRefusal
from edge_runtime.contracts.report import SignedReport, StatusReport, load
from hub.db.connection import nonce_secret
from hub.db.schema import REPORTS, ROBOTS
from hub.fleet.nonces import NONCE_LIFE_S, issued_ns_of, make_nonce
from hub.fleet.robots import Robot, Robots

KEPT_REPORTS = 1000
"""Of each robot; the oldest go first."""
_NS = 1_000_000_000


class StoredReport(msgspec.Struct, frozen=True):
    """A report that was accepted, and when; without it where the database has it altered, and why."""

    received_s: float
    report: StatusReport | None
    problem: str = ""


class Reports:
    """The reports in the hub's database. `now_ns` is Unix time."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._robots = Robots(engine)
        self._secret = nonce_secret(engine)
        self._now_ns = now_ns

    def nonce(self, robot_id: str) -> str:
        """A nonce for the next report of a robot.

        Raises:
            ReportError: UNKNOWN_ROBOT.
        """
        robot = self._robot(robot_id)
        # Also after a clock that was set back, a new nonce is younger than the last one that was spent.
        return make_nonce(self._secret, robot_id, max(self._now_ns(), robot.spent_nonce_ns + 1))

    def accept(self, robot_id: str, data: bytes) -> StatusReport:
        """Verify and store what came as a report of `robot_id`.

        Raises:
            ReportError: why it was declined.
        """
        signed = load(data)
        report = signed.report
        if report.robot_id != robot_id:
            raise ReportError(ReportRefusal.OTHER_ROBOT, f"is of {report.robot_id}, and was sent as of {robot_id}")
        robot = self._robot(robot_id)
        _require_signature(robot, signed)
        now_ns = self._now_ns()
        issued_ns = issued_ns_of(self._secret, robot_id, report.nonce)
        if issued_ns is None:
            raise ReportError(ReportRefusal.FOREIGN_NONCE, f"this hub never gave that nonce to {robot_id}")
        if issued_ns > robot.spent_nonce_ns and now_ns - issued_ns > NONCE_LIFE_S * _NS:
            raise ReportError(ReportRefusal.EXPIRED_NONCE, f"the nonce is older than {NONCE_LIFE_S} s; ask for one")
        if not self._store(robot, issued_ns, data, now_ns / _NS):
            # Retired or given a new key in this moment, or else the nonce was spent.
            _require_signature(self._robot(robot_id), signed)
            raise ReportError(ReportRefusal.SPENT_NONCE, "this nonce, or a younger one, was in a report before")
        return report

    def newest(self, robot_id: str) -> StoredReport | None:
        """The last report of a robot; None before the first."""
        statement = select(REPORTS.c.received_s, REPORTS.c.signed).where(REPORTS.c.robot_id == robot_id)
        with self._engine.connect() as connection:
            row = connection.execute(statement.order_by(REPORTS.c.number.desc()).limit(1)).first()
        return None if row is None else _stored(row.received_s, row.signed)

    def newest_of_all(self) -> dict[str, StoredReport]:
        """The last report of each robot that ever reported."""
        last = select(func.max(REPORTS.c.number)).group_by(REPORTS.c.robot_id)
        statement = select(REPORTS.c.robot_id, REPORTS.c.received_s, REPORTS.c.signed).where(REPORTS.c.number.in_(last))
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return {row.robot_id: _stored(row.received_s, row.signed) for row in rows}

    def _robot(self, robot_id: str) -> Robot:
        robot = self._robots.get(robot_id)
        if robot is None or robot.public_key is None:
            raise ReportError(ReportRefusal.UNKNOWN_ROBOT, f"{robot_id!r} is not enrolled: edge-hub robots enrol")
        return robot

    def _store(self, robot: Robot, issued_ns: int, data: bytes, now_s: float) -> bool:
        with self._engine.begin() as connection:
            # One statement decides: of two reports that arrive together under one nonce, one is stored. The key is
            # looked at again, for it may have been retired meanwhile.
            spend = (
                update(ROBOTS)
                .where(ROBOTS.c.robot_id == robot.robot_id, ROBOTS.c.spent_nonce_ns < issued_ns)
                .where(ROBOTS.c.key_id == robot.key_id)
                .values(spent_nonce_ns=issued_ns)
            )
            if not connection.execute(spend).rowcount:
                return False
            connection.execute(insert(REPORTS).values(robot_id=robot.robot_id, received_s=now_s, signed=data))
            theirs = REPORTS.c.robot_id == robot.robot_id
            last_kept = select(REPORTS.c.number).where(theirs).order_by(REPORTS.c.number.desc())
            oldest = last_kept.limit(1).offset(KEPT_REPORTS - 1).scalar_subquery()
            connection.execute(delete(REPORTS).where(theirs, REPORTS.c.number < func.coalesce(oldest, 0)))
        return True


def _stored(received_s: float, signed: bytes) -> StoredReport:
    try:
        return StoredReport(received_s, load(signed).report)
    except ReportError as error:
        return StoredReport(received_s, None, f"its newest report is altered in the database: {error.detail}")


def _require_signature(robot: Robot, signed: SignedReport) -> None:
    if signed.key_id != robot.key_id:
        raise ReportError(ReportRefusal.OTHER_KEY, f"signed with the key {signed.key_id}, enrolled is {robot.key_id}")
    assert robot.public_key is not None
    try:
        key = Ed25519PublicKey.from_public_bytes(robot.public_key)
        key.verify(bytes.fromhex(signed.signature), signed.report.signed_bytes())
    except (InvalidSignature, ValueError) as error:
        raise ReportError(
            ReportRefusal.WRONG_SIGNATURE, f"the signature is not by the key of {robot.robot_id}"
        ) from error
