"""What a hub holds: who may sign what and until when, what is released, and which robots are to run it.

What is damaged is named beside the rest. Changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from tuf.api.metadata import Metadata, Root, Targets

from edge_runtime.contracts.assignment import Assignment
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.releases.sign import RELEASES
from hub.fleet.overview import ReleaseView, releases
from hub.hub import Hub
from hub.services.assignments import assignments
from hub.trouble import Trouble

IMAGE = "image"
DIRECTOR = "director"
_DAY_S = 86_400


class Signers(msgspec.Struct, frozen=True):
    """Whose signatures a role needs: so many of these keys, by their ids."""

    threshold: int
    key_ids: tuple[str, ...]


class RootView(msgspec.Struct, frozen=True):
    """The newest root of a repository (`image` or `director`), and who may sign each role under it."""

    repository: str
    version: int
    expires_in_days: int
    roles: dict[str, Signers]


class Expiry(msgspec.Struct, frozen=True):
    """Something that people signed, and in how many days it expires; below 0 it has."""

    what: str
    version: int
    expires_in_days: int


class Delegation(msgspec.Struct, frozen=True):
    """Who releases, exporter and approver, and for how long."""

    signers: Signers
    expires_in_days: int


class ReleaseList(msgspec.Struct, frozen=True):
    """What exporter and approver released, and for how long that holds."""

    version: int
    expires_in_days: int
    listed: tuple[ReleaseView, ...]


class Inventory(msgspec.Struct, frozen=True):
    """All that a hub holds, as far as it can be read; `troubles` names what can't."""

    development_keys: bool
    roots: tuple[RootView, ...]
    delegation: Delegation | None
    releases: ReleaseList | None
    assignments: tuple[Assignment, ...]
    troubles: tuple[Trouble, ...]


def inventory(hub: Hub, now_s: float) -> Inventory:
    """What a hub holds as of `now_s`, Unix time."""
    return Inventory(
        development_keys=hub.has_development_keys,
        roots=tuple(_roots(hub, now_s)),
        delegation=_delegation(hub, now_s),
        releases=_releases(hub, now_s),
        assignments=tuple(assignments(hub)),
        troubles=hub.troubles(),
    )


def expiries(hub: Hub, now_s: float) -> tuple[Expiry, ...]:
    """When what people signed expires, as far as it can be read."""
    found: tuple[tuple[str, Callable[[], Metadata[Any] | None]], ...] = (
        ("the image root", hub.image.metadata.root),
        ("the director root", hub.director.root),
        ("the delegation to releases", lambda: hub.image.metadata.role(Targets.type)),
        ("the list of releases", hub.image.releases),
    )
    listed = []
    for what, read in found:
        with contextlib.suppress(EdgeError):
            metadata = read()
            if metadata is not None:
                listed.append(Expiry(what, metadata.signed.version, _days(metadata, now_s)))
    return tuple(listed)


def _roots(hub: Hub, now_s: float) -> Iterator[RootView]:
    reads: tuple[tuple[str, Callable[[], Metadata[Root]]], ...] = (
        (DIRECTOR, hub.director.root),
        (IMAGE, hub.image.metadata.root),
    )
    for repository, read in reads:
        with contextlib.suppress(EdgeError):
            root = read()
            roles = {role: Signers(asked.threshold, tuple(asked.keyids)) for role, asked in root.signed.roles.items()}
            yield RootView(repository, root.signed.version, _days(root, now_s), roles)


def _delegation(hub: Hub, now_s: float) -> Delegation | None:
    with contextlib.suppress(EdgeError):
        targets = hub.image.metadata.role(Targets.type)
        delegations = targets.signed.delegations
        if delegations is not None and delegations.roles is not None:
            role = delegations.roles[RELEASES]
            return Delegation(Signers(role.threshold, tuple(role.keyids)), _days(targets, now_s))
    return None


def _releases(hub: Hub, now_s: float) -> ReleaseList | None:
    with contextlib.suppress(EdgeError):
        signed = hub.image.releases()
        if signed is not None:
            return ReleaseList(signed.signed.version, _days(signed, now_s), tuple(releases(hub)))
    return None


def _days(metadata: Metadata[Any], now_s: float) -> int:
    return int((metadata.signed.expires.timestamp() - now_s) // _DAY_S)
