"""The ceremony: who may sign what, as drafts of root and targets metadata that wait for signatures.

Guarantees: a draft asks for Ed25519 keys only, never for fewer keys than its threshold, and never gives exporter and
approver the same key. What it changes takes effect once the old and the new keys have signed, and the hub has published
it. Pure: takes public keys and the time, returns drafts; touches no file, and no secret key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Key, Metadata, Root, Snapshot, Targets, Timestamp

from edge_runtime.contracts.assignment import SIGNED_AT_FIELD
from edge_runtime.contracts.errors import SigningError
from edge_runtime.releases.sign import RELEASES, expiry, renew
from hub.tuf.repository import ROOT_EXPIRES_DAYS, TARGETS_EXPIRE_DAYS

ROLES = (Root.type, Targets.type, Snapshot.type, Timestamp.type)
ONLINE_ROLES = (Snapshot.type, Timestamp.type)
BUNDLE_PATHS = ["bundles/*/*"]
SIGNERS_OF_A_RELEASE = 2
LEAST_ROOT_THRESHOLD = 2
LEAST_TARGETS_THRESHOLD = 2


def first_root(keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], now_s: float) -> Metadata[Root]:
    """A repository's root, version 1, without signatures. Roles without a threshold need all their keys.

    Raises:
        SigningError: a role has no keys, fewer than its threshold, or a key that is not Ed25519; or one key is enough
            for the root.
    """
    for role in (*keys, *thresholds):
        _require_role(role)
    root = Root(version=1, expires=expiry(now_s, ROOT_EXPIRES_DAYS), consistent_snapshot=True)
    for role in ROLES:
        if not keys.get(role):
            raise SigningError(role, "needs a key")
        for key in keys[role]:
            root.add_key(_checked(key), role)
        root.roles[role].threshold = thresholds.get(role, len(keys[role]))
    _require_thresholds(root)
    return _said_when(root, now_s)


def next_root(
    current: Metadata[Root],
    now_s: float,
    *,
    add: Mapping[str, Iterable[Key]] | None = None,
    remove: Mapping[str, Iterable[str]] | None = None,
    thresholds: Mapping[str, int] | None = None,
) -> Metadata[Root]:
    """The next root with keys added, removed (by id) and thresholds changed, without signatures.

    With nothing to change, the same with a new expiry.

    Raises:
        SigningError: a key to remove is not there, or a threshold can no longer be met.
    """
    draft: Metadata[Root] = Metadata.from_bytes(current.to_bytes())
    root = draft.signed
    for role, keyids in (remove or {}).items():
        _require_role(role)
        for keyid in keyids:
            if keyid not in root.roles[role].keyids:
                raise SigningError(role, f"does not use the key {keyid}")
            root.revoke_key(keyid, role)
    for role, keys in (add or {}).items():
        _require_role(role)
        for key in keys:
            root.add_key(_checked(key), role)
    for role, threshold in (thresholds or {}).items():
        _require_role(role)
        root.roles[role].threshold = threshold
    _require_thresholds(root)
    root.version += 1
    root.expires = expiry(now_s, ROOT_EXPIRES_DAYS)
    return _said_when(root, now_s)


def next_targets(
    current: Metadata[Targets] | None, now_s: float, *, exporter: Key | None = None, approver: Key | None = None
) -> Metadata[Targets]:
    """The next `targets` of the image repository, which only delegates, without signatures.

    With keys, releases need the signatures of both from then on; without, who signs releases stays.

    Raises:
        SigningError: one key is missing, both are the same, or nothing is delegated yet and no keys are given.
    """
    before = current.signed if current is not None else None
    targets = Targets(
        version=before.version + 1 if before is not None else 1, expires=expiry(now_s, TARGETS_EXPIRE_DAYS)
    )
    if exporter is not None and approver is not None:
        if exporter.keyid == approver.keyid:
            raise SigningError(RELEASES, "exporter and approver need a key each; one person alone releases nothing")
        targets.delegations = _delegations(_checked(exporter), _checked(approver))
    elif exporter is not None or approver is not None or before is None:
        raise SigningError(RELEASES, "needs the keys of an exporter and of an approver")
    else:
        targets.delegations = before.delegations
    return Metadata(targets)


def revoke(
    keyid: str,
    replacement: Key,
    *,
    root: Metadata[Root],
    targets: Metadata[Targets] | None,
    releases: Metadata[Any] | None,
    now_s: float,
) -> dict[str, Metadata[Any]]:
    """Drafts, by role, that together put `replacement` in the place of a key that was lost or stolen, wherever it was.

    All of them are to be signed and published together. Whatever the lost key had signed has to be signed again. A
    director has neither `targets` nor `releases` that people sign. No drafts: the key signs nothing here.

    Raises:
        SigningError: the replacement would give one person both halves of a release.
    """
    drafts: dict[str, Metadata[Any]] = {}
    held = [role for role in ROLES if keyid in root.signed.roles[role].keyids]
    if held:
        lost, new = dict.fromkeys(held, (keyid,)), dict.fromkeys(held, (replacement,))
        drafts[Root.type] = next_root(root, now_s, remove=lost, add=new)
    if targets is not None:
        kept = _other_signer(targets, keyid)
        if kept is not None:
            drafts[Targets.type] = next_targets(targets, now_s, exporter=replacement, approver=kept)
            if releases is not None:
                drafts[RELEASES] = renew(releases, now_s)
        elif Targets.type in held:
            drafts[Targets.type] = next_targets(targets, now_s)
    return drafts


def _other_signer(targets: Metadata[Targets], keyid: str) -> Key | None:
    """Who signs releases together with `keyid`, if that one does."""
    delegations = targets.signed.delegations
    if delegations is None or keyid not in delegations.keys:
        return None
    other: Key = next(key for key in delegations.keys.values() if key.keyid != keyid)
    return other


def _delegations(exporter: Key, approver: Key) -> Delegations:
    role = DelegatedRole(
        name=RELEASES,
        keyids=[exporter.keyid, approver.keyid],
        threshold=SIGNERS_OF_A_RELEASE,
        terminating=True,
        paths=list(BUNDLE_PATHS),
    )
    return Delegations(keys={exporter.keyid: exporter, approver.keyid: approver}, roles={RELEASES: role})


def _checked(key: Key) -> Key:
    if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
        raise SigningError(key.keyid, f"is a {key.keytype} key; Ed25519 is asked for")
    return key


def _require_role(role: str) -> None:
    if role not in ROLES:
        raise SigningError(role, f"is no role of a root; there are {', '.join(ROLES)}")


def _require_thresholds(root: Root) -> None:
    for name, role in root.roles.items():
        if not 1 <= role.threshold <= len(role.keyids):
            raise SigningError(name, f"has {len(role.keyids)} keys and a threshold of {role.threshold}")
    if root.roles[Root.type].threshold < LEAST_ROOT_THRESHOLD:
        raise SigningError(Root.type, f"fewer than {LEAST_ROOT_THRESHOLD} signatures would leave all to one person")
    targets = root.roles[Targets.type]
    if targets.threshold < LEAST_TARGETS_THRESHOLD and not _is_directors(root):
        problem = f"with one signature one person could name who releases: {LEAST_TARGETS_THRESHOLD} are needed"
        raise SigningError(Targets.type, problem)


def _is_directors(root: Root) -> bool:
    """Whether a root is a director's, which signs everything but the root by itself, with the hub's own key."""
    online = {keyid for role in ONLINE_ROLES for keyid in root.roles[role].keyids}
    return set(root.roles[Targets.type].keyids) <= online


def require_peoples_targets(root: Root) -> None:
    """Whether a root is one of an image repository: two people, and no key of the hub, say who releases.

    Raises:
        SigningError: it is not.
    """
    _require_thresholds(root)
    if _is_directors(root):
        raise SigningError(Targets.type, "is signed by the hub's own key: right for a director, wrong for releases")


def _said_when(root: Root, now_s: float) -> Metadata[Root]:
    root.unrecognized_fields[SIGNED_AT_FIELD] = int(now_s)
    return Metadata(root)
