"""One metadata repository as a folder of static files, which any web server, CDN or object store can serve.

Guarantees: what `publish` puts in place is verified against the root as a robot would, in one step for a robot: all
files that a new state needs lie there before the one file that announces it (`timestamp.json`) is replaced. Every file
but that one keeps its bytes from the moment it is announced. Refuses to hold offline keys: it signs snapshot and
timestamp with the online keys it is given, everything else comes signed. Trusts its folder, to which one process writes
at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from contracts.assignment import ROBOT_FIELD, SIGNED_AT_FIELD
from contracts.errors import SigningError
from export_tools.lasting import replace_file
from export_tools.sign import announced_in, expiry, read_draft, sign_draft

ROOT_EXPIRES_DAYS = 365
TARGETS_EXPIRE_DAYS = 180
SNAPSHOT_EXPIRES_DAYS = 7
TIMESTAMP_EXPIRES_DAYS = 1
KEPT_VERSIONS = 8
"""Of what is signed online this many versions stay: a robot may be reading a state that was replaced meanwhile."""


class MetadataRepository:
    """Metadata under `folder`. `robot_id`: of a director; its timestamps name that robot."""

    def __init__(self, folder: Path, *, robot_id: str | None = None) -> None:
        self.folder = folder
        self._robot_id = robot_id

    @property
    def exists(self) -> bool:
        """Whether something was published."""
        return (self.folder / "timestamp.json").exists()

    def root(self) -> Metadata[Root]:
        """The newest root.

        Raises:
            SigningError: there is none yet.
        """
        versions = [int(path.name.split(".")[0]) for path in self.folder.glob("*.root.json")]
        if not versions:
            raise SigningError(str(self.folder), "holds no root yet")
        return read_draft(self.folder / f"{max(versions)}.root.json")

    def role(self, name: str) -> Metadata[Targets]:
        """`targets` or a role it delegates to, as the snapshot announces it.

        Raises:
            SigningError: it was never published.
        """
        meta = self._announced().get(f"{name}.json")
        if meta is None:
            raise SigningError(name, f"was never published in {self.folder}")
        return read_draft(self.folder / f"{meta.version}.{name}.json")

    def publish(self, drafts: Iterable[Metadata[Any]], names: Iterable[str], online: Online, now_s: float) -> None:
        """Put signed drafts in place, then a snapshot and a timestamp that announce them.

        Raises:
            SigningError: a draft is not the next version, lacks signatures, or leaves the repository inconsistent; or
                an online key is missing. Nothing was published.
        """
        by_name = dict(zip(names, drafts, strict=True))
        new_root = by_name.pop(Root.type, None)
        root = self.check_root(new_root) if new_root is not None else self.root()
        roles = self._next_roles(root.signed, by_name)
        snapshot, timestamp = self._announce(root.signed, roles, online, now_s)
        if new_root is not None:
            replace_file(self.folder / f"{root.signed.version}.root.json", root.to_bytes())
        for name, metadata in by_name.items():
            replace_file(self.folder / f"{metadata.signed.version}.{name}.json", metadata.to_bytes())
        replace_file(self.folder / f"{snapshot.signed.version}.snapshot.json", snapshot.to_bytes())
        replace_file(self.folder / "timestamp.json", timestamp.to_bytes())
        for leftover in self.folder.glob(".*.new"):
            leftover.unlink(missing_ok=True)
        self._prune(Snapshot.type, snapshot.signed.version)
        if self._robot_id is not None:
            self._prune(Targets.type, roles[Targets.type].signed.version)

    def refresh(self, online: Online, now_s: float) -> None:
        """Sign the timestamp anew, and the snapshot once half of its life is over; the content stays.

        To be done well before the timestamp expires.

        Raises:
            SigningError: an online key is missing.
        """
        last, root = read_draft(self.folder / "timestamp.json").signed, self.root().signed
        snapshot = read_draft(self.folder / f"{last.snapshot_meta.version}.snapshot.json")
        if not lasts(snapshot, SNAPSHOT_EXPIRES_DAYS / 2, now_s) or not is_signed(root, Snapshot.type, snapshot):
            self.publish((), (), online, now_s)
            return
        timestamp = self._timestamp(root, last.version + 1, last.snapshot_meta, online, now_s)
        replace_file(self.folder / "timestamp.json", timestamp.to_bytes())

    def _announced(self) -> Mapping[str, MetaFile]:
        return announced_in(self.folder) if self.exists else {}

    def check_root(self, draft: Metadata[Any]) -> Metadata[Root]:
        """Return `draft` if it is the next root, signed by enough of the old and of the new keys.

        Also if it is the one that is there: whoever was interrupted after putting it in place comes with it again.

        Raises:
            SigningError: it is not.
        """
        if not isinstance(draft.signed, Root):
            raise SigningError("root", "the draft is of another role")
        newest = self.root() if any(self.folder.glob("*.root.json")) else None
        if newest is not None and newest.to_bytes() == draft.to_bytes():
            return newest
        before = newest.signed if newest is not None else None
        expected = before.version + 1 if before is not None else 1
        if draft.signed.version != expected:
            raise SigningError("root", f"the draft is version {draft.signed.version}, the next is {expected}")
        result = draft.signed.get_root_verification_result(before, draft.signed_bytes, draft.signatures)
        if not result:
            missing = max(result.first.missing, result.second.missing)
            raise SigningError("root", f"{missing} more signatures are needed, of the old and of the new keys")
        return draft

    def _next_roles(self, root: Root, drafts: Mapping[str, Metadata[Any]]) -> dict[str, Metadata[Targets]]:
        """All roles as they will be; each is checked under the keys that will then hold."""
        announced = self._announced()
        roles: dict[str, Metadata[Targets]] = {}
        for file_name in announced:
            name = file_name.removesuffix(".json")
            roles[name] = self.role(name)
        for name, draft in drafts.items():
            meta = announced.get(f"{name}.json")
            expected = meta.version + 1 if meta is not None else 1
            if not isinstance(draft.signed, Targets) or draft.signed.version != expected:
                raise SigningError(name, f"the draft is version {draft.signed.version}, the next is {expected}")
            roles[name] = draft
        top = roles.get(Targets.type)
        if top is None:
            raise SigningError(Targets.type, "comes with the first root")
        for name, metadata in roles.items():
            delegator: Root | Targets = root if name == Targets.type else top.signed
            _require_signed(delegator, name, metadata)
        return roles

    def _announce(
        self, root: Root, roles: Mapping[str, Metadata[Targets]], online: Online, now_s: float
    ) -> tuple[Metadata[Snapshot], Metadata[Timestamp]]:
        last = read_draft(self.folder / "timestamp.json").signed if self.exists else None
        meta = {
            f"{name}.json": MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])
            for name, metadata in roles.items()
        }
        version = last.snapshot_meta.version + 1 if last is not None else 1
        snapshot = Metadata(Snapshot(version=version, expires=expiry(now_s, SNAPSHOT_EXPIRES_DAYS), meta=meta))
        online.sign(root, Snapshot.type, snapshot)
        announced = MetaFile.from_data(version, snapshot.to_bytes(), ["sha256"])
        timestamp_version = last.version + 1 if last is not None else 1
        return snapshot, self._timestamp(root, timestamp_version, announced, online, now_s)

    def _timestamp(
        self, root: Root, version: int, snapshot: MetaFile, online: Online, now_s: float
    ) -> Metadata[Timestamp]:
        timestamp = Metadata(
            Timestamp(
                version=version,
                expires=expiry(now_s, TIMESTAMP_EXPIRES_DAYS),
                snapshot_meta=snapshot,
                unrecognized_fields=self._said_of(now_s),
            )
        )
        online.sign(root, Timestamp.type, timestamp)
        return timestamp

    def _prune(self, role: str, newest: int) -> None:
        for path in self.folder.glob(f"[0-9]*.{role}.json"):
            if int(path.name.partition(".")[0]) <= newest - KEPT_VERSIONS:
                path.unlink()

    def _said_of(self, now_s: float) -> dict[str, Any]:
        robot = {} if self._robot_id is None else {ROBOT_FIELD: self._robot_id}
        return {SIGNED_AT_FIELD: int(now_s), **robot}


class Online:
    """The keys that a hub signs with by itself: whichever of them the root asks for."""

    def __init__(self, signers: Iterable[CryptoSigner]) -> None:
        self._signers = {signer.public_key.keyid: signer for signer in signers}

    def require(self, root: Root, role: str) -> None:
        """Whether `sign` would do for `role`.

        Raises:
            SigningError: too few of its keys are here.
        """
        asked = root.get_delegated_role(role)
        here = sum(keyid in self._signers for keyid in asked.keyids)
        if here < asked.threshold:
            raise SigningError(role, f"the hub holds {here} of the {asked.threshold} keys that have to sign it")

    def sign(self, root: Root, role: str, metadata: Metadata[Any]) -> None:
        """Sign with every key that the root names for `role` and that is here.

        Raises:
            SigningError: too few of them are here.
        """
        self.require(root, role)
        for keyid in root.get_delegated_role(role).keyids:
            if keyid in self._signers:
                sign_draft(metadata, self._signers[keyid])


def lasts(metadata: Metadata[Any], days: float, now_s: float) -> bool:
    """Whether metadata expires more than `days` from now."""
    expires: float = metadata.signed.expires.timestamp()
    return expires - now_s > days * 86_400


def is_signed(root: Root, role: str, metadata: Metadata[Any]) -> bool:
    """Whether metadata is signed by the keys that the root asks for now."""
    return root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified


def _require_signed(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> None:
    try:
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (ValueError, RepositoryError) as error:
        raise SigningError(role, f"nobody delegates to it: {error}") from error
    if not result:
        raise SigningError(
            role, f"{len(result.signed)} of the {result.threshold} signatures that it needs by the keys that now hold"
        )
