"""What a robot has already accepted of one metadata repository, and whether something else lies below that.

Pure values: no file, no clock. `Versions` is a floor: each number only grows, with one exception that the keys decide.
Where the root has taken so many keys away that what was once accepted could no longer be signed, the numbers that those
keys vouched for may fall: that is how a repository recovers after a stolen key had pushed them to the sky.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MAX_VERSION_LEAP = 1_000_000
"""Furthest that a version or counter may be ahead of the last one accepted: one a minute for nearly two years."""


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Versions of one repository. `roles` are those that the snapshot lists, by role name.

    `timestamp_signers` and `snapshot_signers` are the ids of the keys whose signatures were accepted. `signed_at_s` is
    when the newest timestamp was signed, by its own word (Unix seconds; 0: it does not say).
    """

    root: int = 0
    timestamp: int = 0
    snapshot: int = 0
    roles: Mapping[str, int] = msgspec.field(default_factory=dict)
    timestamp_signers: tuple[str, ...] = ()
    snapshot_signers: tuple[str, ...] = ()
    signed_at_s: int = 0


class RoleKeys(msgspec.Struct, frozen=True):
    """What the root asks of a role: this many of these keys."""

    keyids: tuple[str, ...]
    threshold: int

    def accept(self, signers: tuple[str, ...]) -> bool:
        """Whether signatures of `signers` are enough."""
        return len(set(signers) & set(self.keyids)) >= self.threshold


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Versions as they are on disk or on offer, verified, with the keys that the root asks for now."""

    versions: Versions
    timestamp_keys: RoleKeys
    snapshot_keys: RoleKeys


def first_below(floor: Versions, seen: Seen) -> str | None:
    """The first role of `seen` that is older than `floor` allows, in words; None if there is none."""
    now = seen.versions
    if now.root < floor.root:
        return f"root {now.root} after {floor.root}"
    if seen.timestamp_keys.accept(floor.timestamp_signers):
        if now.timestamp < floor.timestamp:
            return f"timestamp {now.timestamp} after {floor.timestamp}"
        if now.snapshot < floor.snapshot:
            return f"snapshot {now.snapshot} after {floor.snapshot}"
    if seen.snapshot_keys.accept(floor.snapshot_signers):
        for role, version in floor.roles.items():
            if now.roles.get(role, 0) < version:
                return f"{role} {now.roles.get(role, 0)} after {version}"
    return None


def raised(floor: Versions, seen: Seen) -> Versions:
    """The floor after `seen` was accepted.

    Raises:
        ValueError: `seen` lies below the floor; a floor does not fall.
    """
    below = first_below(floor, seen)
    if below is not None:
        raise ValueError(f"the floor does not fall: {below}")
    kept = floor.signed_at_s if seen.timestamp_keys.accept(floor.timestamp_signers) else 0
    return msgspec.structs.replace(seen.versions, signed_at_s=max(seen.versions.signed_at_s, kept))
