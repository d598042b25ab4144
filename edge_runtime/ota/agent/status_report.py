"""What this robot signs and tells its hub: which bundle runs, and where its update stands.

Guarantees: a report says what journal and pointer say, over a nonce that the hub gave a moment ago, signed with the
robot's own key. Refuses to know what becomes of it: a report that does not arrive changes nothing on the robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from edge_runtime.bundles.slots import SHIPPED as SHIPPED_SLOT
from edge_runtime.bundles.slots import Slot
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.report import (
    FORMAT_VERSION,
    MAX_REASON_CHARACTERS,
    SHIPPED,
    NonceText,
    SignedReport,
    StatusReport,
)
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal
from edge_runtime.ota.transfer.transport import Transport
from edge_runtime.ota.trust.repository import read_whole

_MAX_NONCE_BYTES = 4096


class _Nonce(msgspec.Struct):
    nonce: NonceText


@dataclass(frozen=True)
class Reporting:
    """Where a robot reports, by which name, and with which key."""

    url: str
    robot_id: str
    key: CryptoSigner


class Post(Transport, Protocol):
    """A transport that hands over, too."""

    def post(self, url: str, body: bytes) -> None:
        """Hand over `body`; raises `TransferError` where it is not taken."""


def read_key(data: bytes) -> CryptoSigner:
    """The robot's key, from an unencrypted PEM file.

    Raises:
        ValueError: it is none, or not Ed25519.
    """
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("is no unencrypted key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is no Ed25519 key")
    return CryptoSigner(key)


def report_of(
    robot_id: str, nonce: str, journal: Journal, active: Slot, refusal: str = "", detail: str = ""
) -> StatusReport:
    """What there is to report. `refusal`: why nothing new was begun in the last turn, if something was in the way.

    `detail`, in words, is told with the reason that it belongs to. What was refused before says why then, which is more
    than that it was.
    """
    is_new = refusal and journal.state is UpdateState.IDLE and refusal != OtaRefusal.REFUSED_BEFORE
    reason = refusal if is_new else journal.reason
    if reason and detail and reason == refusal:
        reason = f"{reason}: {detail}"
    return StatusReport(
        format_version=FORMAT_VERSION,
        robot_id=robot_id,
        nonce=nonce,
        running_bundle=SHIPPED if active.bundle == SHIPPED_SLOT else active.bundle,
        running_counter=active.release_counter,
        state=journal.state.value,
        update_counter=journal.update.release_counter,
        refused_counter=journal.refused.release_counter,
        reason=reason[:MAX_REASON_CHARACTERS],
    )


def send_report(
    reporting: Reporting, transport: Post, journal: Journal, active: Slot, refusal: str = "", detail: str = ""
) -> None:
    """Ask for a nonce, sign, send; see `report_of`.

    Raises:
        OtaError: a reason of the network, or METADATA_MALFORMED: the hub gave no nonce.
    """
    base = f"{reporting.url.rstrip('/')}/v1/robots/{reporting.robot_id}"
    data = read_whole(transport, f"{base}/nonce", _MAX_NONCE_BYTES)
    try:
        nonce = msgspec.json.decode(data, type=_Nonce).nonce
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise OtaError(OtaRefusal.METADATA_MALFORMED, f"{base}/nonce: {error}") from error
    report = report_of(reporting.robot_id, nonce, journal, active, refusal, detail)
    signature = reporting.key.sign(report.signed_bytes())
    signed = SignedReport(report=report, key_id=signature.keyid, signature=signature.signature)
    transport.post(f"{base}/reports", signed.canonical_json())
