"""What a robot says of itself to its hub: which bundle runs, under which counter, and where its update stands.

Signed with the robot's own Ed25519 key, over a nonce that the hub gave it a moment ago. `load` guarantees types, caps
and canonical bytes (JSON, keys sorted, no spaces); whether the signature holds and the nonce is fresh is for the hub to
find out. What is signed begins with `SIGNED_CONTEXT`: no signature made for anything else passes for a report.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edge_runtime.contracts.assignment import MAX_RELEASE_COUNTER
from edge_runtime.contracts.errors import ReportError, ReportRefusal
from edge_runtime.contracts.release import Digest, Name
from edge_runtime.contracts.states import UpdateState

FORMAT_VERSION: Literal[1] = 1
MAX_REPORT_BYTES = 4096
MAX_REASON_CHARACTERS = 500
SHIPPED = "shipped"
"""In place of a digest: the bundle that the software was delivered with."""
SIGNED_CONTEXT = b"edge status report\n"

NonceText = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32,128}\Z")]
_Bundle = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|shipped)\Z")]
_CounterOrNone = Annotated[int, msgspec.Meta(ge=0, le=MAX_RELEASE_COUNTER)]
_Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARACTERS)]
_Signature = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class StatusReport(_Part, frozen=True):
    """One robot at one moment. A counter of 0 means none.

    Attributes:
        running_bundle: digest of the bundle that acts, or "shipped".
        running_counter: release counter under which it was installed.
        state: of the update that `update_counter` names.
        refused_counter: the last update that failed here or was left.
        reason: why; empty if all is well.
    """

    format_version: Literal[1]
    robot_id: Name
    nonce: NonceText
    running_bundle: _Bundle
    running_counter: _CounterOrNone
    state: UpdateState
    update_counter: _CounterOrNone = 0
    refused_counter: _CounterOrNone = 0
    reason: _Reason = ""

    def signed_bytes(self) -> bytes:
        """What the robot's key signs."""
        return SIGNED_CONTEXT + msgspec.json.encode(self, order="sorted")


class SignedReport(_Part, frozen=True):
    """A report with its Ed25519 signature (hex), and the id of the key that is said to have made it."""

    report: StatusReport
    key_id: Digest
    signature: _Signature

    def canonical_json(self) -> bytes:
        """The bytes that are sent."""
        return msgspec.json.encode(self, order="sorted")


def load(data: bytes) -> SignedReport:
    """Read what came from a robot; the signature is not looked at.

    Raises:
        ReportError: OVERSIZED or MALFORMED.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise ReportError(ReportRefusal.OVERSIZED, f"{len(data)} bytes, the cap is {MAX_REPORT_BYTES}")
    try:
        signed = msgspec.json.decode(data, type=SignedReport)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(ReportRefusal.MALFORMED, str(error)) from error
    if signed.canonical_json() != data:
        raise ReportError(ReportRefusal.MALFORMED, "written again, the report has other bytes")
    return signed
