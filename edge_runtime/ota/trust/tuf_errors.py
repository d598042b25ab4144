"""Gives what python-tuf rejected the name of the attack, and rejects what python-tuf would let through.

`inspect` sees fetched bytes before python-tuf does, and only speaks of metadata that is signed well enough. `name`
turns python-tuf's exception into one `OtaError`, after looking at what was fetched. Both read values only; neither
opens a file, a socket or a clock, and neither accepts anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

import msgspec
from tuf.api.exceptions import (
    BadVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edge_runtime.contracts.assignment import ROBOT_FIELD, SIGNED_AT_FIELD
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.trust.versions import MAX_VERSION_LEAP, Versions

CLOCK_TOLERANCE_S = 86_400
"""A clock may be this far behind what the repository says of itself."""
LONGEST_SILENCE_S = 365 * 86_400
"""Metadata that expired and was signed longer ago than this speaks of the clock, not of the repository."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """One metadata file as it came, before anybody believed it, and what the server's clock said then."""

    role: str
    data: bytes
    server_s: float | None = None

    def metadata(self) -> Metadata[Any] | None:
        """What the bytes say, or None if they say nothing."""
        try:
            return Metadata.from_bytes(self.data)
        except DeserializationError:
            return None


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository's metadata is compared with: the floor, the time (Unix seconds) and the robot it must name."""

    repository: str
    floor: Versions
    now_s: float
    robot_id: str | None

    def refuse(self, refusal: OtaRefusal, detail: str) -> OtaError:
        """An error that names the repository."""
        return OtaError(refusal, f"{self.repository} repository: {detail}")

    def inspect(self, fetched: Fetched, root: Root) -> None:
        """Refuse what python-tuf would accept and keep: a robot that is not named, a leap, a clock that is behind.

        Raises:
            OtaError: OTHER_ROBOT, FAST_FORWARD or CLOCK.
        """
        if fetched.role not in (Timestamp.type, Snapshot.type):
            return
        metadata = fetched.metadata()
        if metadata is None or metadata.signed.type != fetched.role:
            return
        if not root.get_verification_result(fetched.role, metadata.signed_bytes, metadata.signatures):
            return
        signed: Timestamp | Snapshot = metadata.signed
        if isinstance(signed, Timestamp):
            self._require_robot(signed)
            self._require_near(Timestamp.type, self.floor.timestamp, signed.version)
            self._require_near(Snapshot.type, self.floor.snapshot, signed.snapshot_meta.version)
            self.require_clock(signed_at_s(signed))
        else:
            for file_name, meta in signed.meta.items():
                role = file_name.removesuffix(".json")
                self._require_near(role, self.floor.roles.get(role, 0), meta.version)

    def require_clock(self, signed_at: int) -> None:
        """Refuse if the clock is behind the moment at which something was signed.

        Raises:
            OtaError: CLOCK.
        """
        if self.now_s < signed_at - CLOCK_TOLERANCE_S:
            days = (signed_at - self.now_s) / 86_400
            raise self.refuse(
                OtaRefusal.CLOCK,
                f"this robot's clock is {days:.0f} days behind the signing of what it was offered: set it",
            )

    def _require_robot(self, timestamp: Timestamp) -> None:
        named = timestamp.unrecognized_fields.get(ROBOT_FIELD)
        if self.robot_id is not None and named != self.robot_id:
            raise self.refuse(OtaRefusal.OTHER_ROBOT, f"the metadata is for {named!r:.80}, this is {self.robot_id!r}")

    def _require_near(self, role: str, floor: int, version: int) -> None:
        if version - floor > MAX_VERSION_LEAP:
            raise self.refuse(
                OtaRefusal.FAST_FORWARD,
                f"{role} leaps from version {floor} to {version}, further than {MAX_VERSION_LEAP}",
            )

    def expired(self, signed: Signed | None, server_s: float | None = None) -> OtaError:
        """Name expiry: a repository that stands still, or a clock that is ahead.

        `server_s` is what the server's own clock says. Nobody vouches for it, so it only chooses between two names:
        nothing is installed under either.
        """
        newest = max(self.floor.signed_at_s, signed_at_s(signed) if signed is not None else 0)
        days = (self.now_s - newest) / 86_400
        if newest and self.now_s - newest > LONGEST_SILENCE_S:
            return self.refuse(OtaRefusal.CLOCK, f"signed {days:.0f} days ago by this clock, which must be ahead")
        clock = f"this robot's clock says {_utc(self.now_s)}"
        if (
            signed is not None
            and server_s is not None
            and self.now_s - server_s > CLOCK_TOLERANCE_S
            and signed.expires.timestamp() > server_s
        ):
            return self.refuse(
                OtaRefusal.CLOCK,
                f"{clock}, the server's says {_utc(server_s)}, by which its metadata is fresh: set the clock that is "
                "wrong; if this one is right, the server's answer is old metadata",
            )
        expiry = "" if signed is None else f" on {_utc(signed.expires.timestamp())}"
        return self.refuse(
            OtaRefusal.FREEZE,
            f"the newest metadata on offer has expired{expiry}, and {clock}: the hub has stopped signing, or newer "
            "metadata is held back; or this clock is ahead",
        )

    def name(self, error: Exception, fetched: Fetched | None, trusted: Mapping[str, Signed]) -> OtaError:
        """The one `OtaError` for what python-tuf raised; `trusted` is what was believed so far, by role name."""
        if isinstance(error, OtaError):
            return error
        metadata = fetched.metadata() if fetched is not None else None
        if isinstance(error, ExpiredMetadataError):
            return self.expired(
                metadata.signed if metadata is not None else None, None if fetched is None else fetched.server_s
            )
        if isinstance(error, UnsignedMetadataError):
            return self._unsigned(error, fetched, metadata, trusted)
        if isinstance(error, LengthOrHashMismatchError):
            return self.refuse(OtaRefusal.MIX_AND_MATCH, f"{_role(fetched)} is not what was announced: {error}")
        if metadata is None or (fetched is not None and _is_other_type(fetched.role, metadata.signed)):
            return self.refuse(OtaRefusal.METADATA_MALFORMED, f"{_role(fetched)}: {error}")
        if isinstance(error, BadVersionNumberError):
            mixed = _is_not_what_was_announced(metadata.signed, trusted)
            return self.refuse(OtaRefusal.MIX_AND_MATCH if mixed else OtaRefusal.ROLLBACK, f"{_role(fetched)}: {error}")
        # A snapshot that is signed and whole is rejected like this only if it forgot a role it used to list.
        refusal = OtaRefusal.ROLLBACK if isinstance(metadata.signed, Snapshot) else OtaRefusal.MIX_AND_MATCH
        return self.refuse(refusal, f"{_role(fetched)}: {error}")

    def _unsigned(
        self,
        error: Exception,
        fetched: Fetched | None,
        metadata: Metadata[Any] | None,
        trusted: Mapping[str, Signed],
    ) -> OtaError:
        signatures = _valid_signatures(fetched, metadata, trusted)
        refusal = OtaRefusal.UNDER_THRESHOLD if signatures else OtaRefusal.WRONG_KEY
        return self.refuse(refusal, str(error))


def _utc(at_s: float) -> str:
    """To the minute; a moment that no calendar has as it is."""
    try:
        return datetime.fromtimestamp(at_s, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_s:.0f} s"


def signed_at_s(signed: Signed) -> int:
    """When metadata was signed, by its own word; 0 if it does not say."""
    value = signed.unrecognized_fields.get(SIGNED_AT_FIELD, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _is_other_type(role: str, signed: Signed) -> bool:
    expected = role if role in (Root.type, Timestamp.type, Snapshot.type) else Targets.type
    return bool(signed.type != expected)


def _role(fetched: Fetched | None) -> str:
    return fetched.role if fetched is not None else "metadata"


def _valid_signatures(fetched: Fetched | None, metadata: Metadata[Any] | None, trusted: Mapping[str, Signed]) -> int:
    """How many of a role's keys signed; for a new root, under the keys of the root before it."""
    if fetched is None or metadata is None:
        return 0
    for delegator in trusted.values():
        if not isinstance(delegator, (Root, Targets)):
            continue
        try:
            result = delegator.get_verification_result(fetched.role, metadata.signed_bytes, metadata.signatures)
        except ValueError:
            continue
        return len(result.signed)
    return 0


def _is_not_what_was_announced(signed: Signed, trusted: Mapping[str, Signed]) -> bool:
    timestamp = trusted.get(Timestamp.type)
    if isinstance(signed, Snapshot) and isinstance(timestamp, Timestamp):
        return bool(signed.version != timestamp.snapshot_meta.version)
    return isinstance(signed, Targets)


def role_of(url: str) -> str:
    """The role that a metadata URL asks for, without the version in front of it."""
    name = unquote(url.rsplit("/", 1)[-1]).removesuffix(".json")
    version, dot, role = name.partition(".")
    return role if dot and version.isdecimal() else name
