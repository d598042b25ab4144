"""What exporter and approver say of a release, and what the director says to one robot: the signed terms of an update.

Both ride as `custom` of a TUF target, in two repositories that share no key. `read_terms` guarantees types and caps;
whether the two agree is for the robot to find out. A release counter orders releases: it only ever grows on a robot,
and going back to an older bundle is that bundle under a new counter.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import Name

MAX_RELEASE_COUNTER = 2**53 - 1
MAX_APPROVALS = 256
MAX_PROBATION_S = 30 * 86400
LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z as a Unix time: where calendars end."""

SIGNED_AT_FIELD = "x-edge-signed-at"
"""Of root and timestamp metadata: when it was signed, Unix seconds; what a robot holds its clock against."""
ROBOT_FIELD = "x-edge-robot"
"""Of a director's timestamp metadata: the one robot it is for."""

Counter = Annotated[int, msgspec.Meta(ge=1, le=MAX_RELEASE_COUNTER)]
UnixSeconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ReleaseTerms(_Part, frozen=True):
    """What exporter and approver sign with a release: the hardware it is for, and the counters it may run under."""

    hardware: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=64)]
    release_counters: Annotated[tuple[Counter, ...], msgspec.Meta(min_length=1, max_length=MAX_APPROVALS)]


class AssignmentTerms(_Part, frozen=True):
    """What the director signs for one robot. It may be installed from `not_before_s` on, then has to prove itself."""

    robot_id: Name
    release_counter: Counter
    hardware: Name
    not_before_s: UnixSeconds
    rollout_id: Name
    probation_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_PROBATION_S)]


class Assignment(_Part, frozen=True):
    """An assignment that both repositories agree on: the release manifest at `path`, and the director's terms."""

    path: str
    length_bytes: int
    sha256: str
    terms: AssignmentTerms


Terms = TypeVar("Terms", ReleaseTerms, AssignmentTerms)


def read_terms(custom: Any, kind: type[Terms]) -> Terms:
    """Turn the `custom` of a target into typed terms.

    Raises:
        OtaError: METADATA_MALFORMED, names the field.
    """
    try:
        return msgspec.convert(custom, type=kind)
    except msgspec.ValidationError as error:
        raise OtaError(OtaRefusal.METADATA_MALFORMED, f"terms of the target: {error}") from error


def custom_of(terms: ReleaseTerms | AssignmentTerms) -> dict[str, Any]:
    """The terms as they are put into a target's `custom`."""
    built: dict[str, Any] = msgspec.to_builtins(terms)
    return built
