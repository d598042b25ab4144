"""One metadata repository as a folder of static files, which any web server, CDN or object store can serve.

Guarantees: what `publish` puts in place is verified against the root as a robot would, in one step for a robot: all
files that a new state needs lie there before the one file that announces it (`timestamp.json`) is replaced. Every file
but that one keeps its bytes from the moment it is announced. What is damaged is named by its file, and `rebuild` makes
it anew under numbers above all that robots have seen. Files that are none of its own change nothing. Refuses to hold
offline keys: it signs snapshot and timestamp with the online keys it is given, everything else comes signed. Trusts its
folder, to which one process writes at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from edge_runtime.contracts.assignment import ROBOT_FIELD, SIGNED_AT_FIELD
from edge_runtime.contracts.errors import SigningError, StorageError
from edge_runtime.releases.sign import expiry, read_signed
from edge_runtime.storage.durable import replace_file
from hub.tuf.ledger import Ledger, read_ledger, write_ledger
from hub.tuf.metadata_checks import is_signed, lasts, names_of, require_announced, require_signed, require_size, role_of
from hub.tuf.metadata_names import highest_near, newest_in_turn, versions_of
from hub.tuf.online_keys import Online
from hub.tuf.set_aside import make_way

ROOT_EXPIRES_DAYS = 365
TARGETS_EXPIRE_DAYS = 180
SNAPSHOT_EXPIRES_DAYS = 7
TIMESTAMP_EXPIRES_DAYS = 1
KEPT_VERSIONS = 8
"""Of what is signed online this many versions stay: a robot may be reading a state that was replaced meanwhile."""
UNKNOWN_TIMESTAMPS = 10_000
"""How many times a timestamp may have been signed since the ledger was written, which is at least twice a week."""
_TIMESTAMP = "timestamp.json"


class Published(NamedTuple):
    """All that a repository announces, each as announced."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    roles: Mapping[str, Metadata[Targets]]


class MetadataRepository:
    """Metadata under `folder`. `robot_id`: of a director; its timestamps name that robot.

    `ledger` remembers, elsewhere, what was published last; without, `rebuild` has the files alone to go by.
    """

    def __init__(self, folder: Path, *, robot_id: str | None = None, ledger: Path | None = None) -> None:
        self.folder = folder
        self._robot_id = robot_id
        self._ledger = ledger

    @property
    def exists(self) -> bool:
        """Whether something was published, whatever became of it."""
        return any(os.path.lexists(path) for path in (self.folder / _TIMESTAMP, self._ledger) if path is not None)

    @property
    def ledger(self) -> Ledger | None:
        """What was published last, as far as that was written down and can be read."""
        return None if self._ledger is None else read_ledger(self._ledger)

    def root(self) -> Metadata[Root]:
        """The newest root: the last of those that follow each other without a gap.

        Raises:
            SigningError: there is none yet, or it is damaged.
        """
        newest = newest_in_turn(self.folder, Root.type)
        if newest is None:
            raise SigningError(str(self.folder), "holds no root yet")
        return read_signed(self.folder / f"{newest}.root.json", Root, newest)

    def announces(self, name: str) -> bool:
        """Whether a role was ever published.

        Raises:
            SigningError: what would say so is damaged.
        """
        return f"{name}.json" in self._announced()

    def role(self, name: str) -> Metadata[Targets]:
        """`targets` or a role it delegates to, as the snapshot announces it.

        Raises:
            SigningError: it was never published, or is damaged.
        """
        meta = self._announced().get(f"{name}.json")
        if meta is None:
            raise SigningError(name, f"was never published in {self.folder}")
        return self._role(name, meta)

    def published(self) -> Published:
        """Everything that is published, read as a robot would.

        Raises:
            SigningError: names the first file that is missing, damaged, or not what is announced.
        """
        root = self.root()
        timestamp = self._sound_timestamp()
        snapshot = self._read_snapshot(timestamp)
        roles = {}
        for file_name, meta in snapshot.signed.meta.items():
            roles[role_of(file_name)] = self._role(role_of(file_name), meta)
        return Published(root, timestamp, snapshot, roles)

    def files_of(self, there: Published) -> tuple[Path, ...]:
        """The files of what is published but its roots, and the folder that they lie in."""
        names = names_of(there.snapshot, there.roles)
        return (
            self.folder,
            self.folder / _TIMESTAMP,
            *(self.folder / f"{at}.{name}.json" for name, at in names.items()),
        )

    def check(self, drafts: Mapping[str, Metadata[Any]]) -> tuple[Metadata[Root], dict[str, Metadata[Targets]]]:
        """The root and all roles as they will be once `drafts`, by role, are published; nothing is written.

        Raises:
            SigningError: a draft is not the next version, lacks signatures, is larger than robots take, or leaves the
                repository inconsistent.
        """
        for name, draft in drafts.items():
            require_size(name, draft)
        new_root = drafts.get(Root.type)
        root = self.check_root(new_root) if new_root is not None else self.root()
        return root, self._next_roles(root.signed, {name: draft for name, draft in drafts.items() if name != Root.type})

    def publish(self, drafts: Iterable[Metadata[Any]], names: Iterable[str], online: Online, now_s: float) -> None:
        """Put signed drafts in place, then a snapshot and a timestamp that announce them.

        Raises:
            SigningError: as `check`; or an online key is missing. Nothing was published.
        """
        by_name = dict(zip(names, drafts, strict=True))
        root, roles = self.check(by_name)
        last = self._read_timestamp().signed if self.exists else None
        snapshot_version = 1 if last is None else last.snapshot_meta.version + 1
        timestamp_version = 1 if last is None else last.version + 1
        snapshot, timestamp = self._announce(root.signed, roles, (snapshot_version, timestamp_version), online, now_s)
        if Root.type in by_name:
            replace_file(self.folder / f"{root.signed.version}.root.json", root.to_bytes())
        self._put(by_name, snapshot, timestamp)
        for leftover in self.folder.glob(".*.new"):
            leftover.unlink(missing_ok=True)
        self._prune(Snapshot.type, snapshot.signed.version)
        if self._robot_id is not None:
            self._prune(Targets.type, roles[Targets.type].signed.version)

    def refresh(self, online: Online, now_s: float, there: Published | None = None) -> None:
        """Sign the timestamp anew, and the snapshot once half of its life is over; the content stays.

        `there`: what `published` said just now.

        To be done well before the timestamp expires.

        Raises:
            SigningError: an online key is missing, or a file is damaged; nothing was signed.
        """
        there = there or self.published()
        root, last = there.root.signed, there.timestamp.signed
        if not lasts(there.snapshot, SNAPSHOT_EXPIRES_DAYS / 2, now_s) or not is_signed(
            root, Snapshot.type, there.snapshot
        ):
            self.publish((), (), online, now_s)
            return
        timestamp = self._timestamp(root, last.version + 1, last.snapshot_meta, online, now_s)
        replace_file(self.folder / _TIMESTAMP, timestamp.to_bytes())
        ledger = self.ledger
        if ledger is None or ledger.names != names_of(there.snapshot, there.roles):
            self._remember(there.roles, there.snapshot, timestamp)

    def signed_at_s(self) -> float:
        """When the timestamp was signed, by its own word, Unix time; 0 where that can't be read."""
        try:
            said = self._read_timestamp().signed.unrecognized_fields.get(SIGNED_AT_FIELD)
        except SigningError:
            return 0.0
        return float(said) if isinstance(said, int) else 0.0

    def next_version(self, name: str) -> int:
        """A version of a role above all that robots may have seen, whatever is damaged."""
        ledger = self.ledger
        known = 0 if ledger is None else ledger.versions.get(name, 0)
        with contextlib.suppress(SigningError):
            known = max(known, self._announced()[f"{name}.json"].version if self.announces(name) else 0)
        return max(known, highest_near(self.folder, name, known)) + 1

    def rebuild(self, roles: Mapping[str, Metadata[Targets]], online: Online, now_s: float) -> None:
        """Announce `roles` anew, whatever is damaged, under numbers above all that robots have seen.

        What is in the way of a file is set aside, as `.damaged.NAME`.

        Raises:
            SigningError: the root or an online key is missing, or a role lacks signatures; nothing was announced.
        """
        root = self.root()
        top = roles[Targets.type].signed
        for name, metadata in roles.items():
            require_signed(root.signed if name == Targets.type else top, name, metadata)
        ledger = self.ledger
        known = 0 if ledger is None else ledger.versions.get(_TIMESTAMP, 0)
        try:
            known = max(known, self._sound_timestamp().signed.version)
        except SigningError:
            known += UNKNOWN_TIMESTAMPS
        numbers = (self.next_version(Snapshot.type), known + 1)
        snapshot, timestamp = self._announce(root.signed, roles, numbers, online, now_s)
        for name, metadata in roles.items():
            make_way(self.folder / f"{metadata.signed.version}.{name}.json")
        make_way(self.folder / _TIMESTAMP)
        self._put(roles, snapshot, timestamp)

    def forget_content(self) -> None:
        """Leave nothing in the ledger but numbers.

        Raises:
            StorageError: it could not be written.
        """
        if self._ledger is not None:
            numbers = {Snapshot.type: self.next_version(Snapshot.type), Targets.type: self.next_version(Targets.type)}
            with contextlib.suppress(SigningError):
                numbers[_TIMESTAMP] = self._sound_timestamp().signed.version
            versions = {**(self.ledger or Ledger()).versions, **numbers}
            write_ledger(self._ledger, Ledger(versions=versions), is_to_last=True)

    def check_root(self, draft: Metadata[Any]) -> Metadata[Root]:
        """Return `draft` if it is the next root, signed by enough of the old and of the new keys.

        Also if it is the one that is there: whoever was interrupted after putting it in place comes with it again.

        Raises:
            SigningError: it is not.
        """
        if not isinstance(draft.signed, Root):
            raise SigningError("root", "the draft is of another role")
        newest = self.root() if newest_in_turn(self.folder, Root.type) is not None else None
        if newest is not None and newest.to_bytes() == draft.to_bytes():
            return newest
        before = newest.signed if newest is not None else None
        expected = before.version + 1 if before is not None else 1
        if draft.signed.version != expected:
            raise SigningError("root", f"the draft is version {draft.signed.version}, the next is {expected}")
        result = draft.signed.get_root_verification_result(before, draft.signed_bytes, draft.signatures)
        if not result:
            missing = max(result.first.missing, result.second.missing)
            whose = "" if before is None else ", of the old and of the new keys"
            raise SigningError("root", f"{missing} more signature{'s are' if missing > 1 else ' is'} needed{whose}")
        return draft

    def _roots(self) -> Iterable[Root]:
        """Every root, the newest first."""
        newest = newest_in_turn(self.folder, Root.type)
        for version in range(newest or 0, 0, -1):
            path = self.folder / f"{version}.root.json"
            if not path.exists():
                return
            yield read_signed(path, Root, version).signed

    def _sound_timestamp(self) -> Metadata[Timestamp]:
        """The timestamp, if it was signed here and for this robot: only then its version is one that was given out."""
        timestamp = self._read_timestamp()
        if not any(is_signed(root, Timestamp.type, timestamp) for root in self._roots()):
            raise SigningError(str(self.folder / _TIMESTAMP), "is not signed by a key that a root here names")
        said_of = timestamp.signed.unrecognized_fields.get(ROBOT_FIELD)
        if said_of != self._robot_id:
            raise SigningError(str(self.folder / _TIMESTAMP), f"is of {said_of!r}, not of {self._robot_id!r}")
        return timestamp

    def _read_timestamp(self) -> Metadata[Timestamp]:
        return read_signed(self.folder / _TIMESTAMP, Timestamp)

    def _read_snapshot(self, timestamp: Metadata[Timestamp]) -> Metadata[Snapshot]:
        meta = timestamp.signed.snapshot_meta
        path = self.folder / f"{meta.version}.snapshot.json"
        snapshot = read_signed(path, Snapshot, meta.version)
        require_announced(path, meta)
        return snapshot

    def _announced(self) -> Mapping[str, MetaFile]:
        if not self.exists:
            return {}
        announced: Mapping[str, MetaFile] = self._read_snapshot(self._read_timestamp()).signed.meta
        return announced

    def _role(self, name: str, meta: MetaFile) -> Metadata[Targets]:
        path = self.folder / f"{meta.version}.{name}.json"
        role = read_signed(path, Targets, meta.version)
        require_announced(path, meta)
        return role

    def _next_roles(self, root: Root, drafts: Mapping[str, Metadata[Any]]) -> dict[str, Metadata[Targets]]:
        """All roles as they will be; each is checked under the keys that will then hold."""
        announced = self._announced()
        roles = {role_of(file): self._role(role_of(file), meta) for file, meta in announced.items()}
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
            require_signed(delegator, name, metadata)
        return roles

    def _announce(
        self,
        root: Root,
        roles: Mapping[str, Metadata[Targets]],
        versions: tuple[int, int],
        online: Online,
        now_s: float,
    ) -> tuple[Metadata[Snapshot], Metadata[Timestamp]]:
        """Snapshot and timestamp under these versions."""
        meta = {
            f"{name}.json": MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])
            for name, metadata in roles.items()
        }
        version, timestamp_version = versions
        snapshot = Metadata(Snapshot(version=version, expires=expiry(now_s, SNAPSHOT_EXPIRES_DAYS), meta=meta))
        online.sign(root, Snapshot.type, snapshot)
        announced = MetaFile.from_data(version, snapshot.to_bytes(), ["sha256"])
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

    def _put(
        self, drafts: Mapping[str, Metadata[Any]], snapshot: Metadata[Snapshot], timestamp: Metadata[Timestamp]
    ) -> None:
        """Write what is announced, and what announces it last."""
        roles = {name: draft for name, draft in drafts.items() if name != Root.type}
        for name, metadata in roles.items():
            replace_file(self.folder / f"{metadata.signed.version}.{name}.json", metadata.to_bytes())
        replace_file(self.folder / f"{snapshot.signed.version}.snapshot.json", snapshot.to_bytes())
        replace_file(self.folder / _TIMESTAMP, timestamp.to_bytes())
        self._remember(roles, snapshot, timestamp)

    def _remember(
        self, roles: Mapping[str, Metadata[Any]], snapshot: Metadata[Snapshot], timestamp: Metadata[Timestamp]
    ) -> None:
        if self._ledger is None:
            return
        before = self.ledger or Ledger()
        top = roles.get(Targets.type)
        directed = before.directed if top is None or self._robot_id is None else top.to_bytes().decode()
        versions = {**names_of(snapshot, roles), _TIMESTAMP: timestamp.signed.version}
        # It is published already: a ledger that can't be written now is written when it is signed anew.
        with contextlib.suppress(StorageError):
            write_ledger(self._ledger, Ledger(versions=versions, directed=directed), is_to_last=False)

    def _prune(self, role: str, newest: int) -> None:
        for version in versions_of(self.folder, role):
            if version <= newest - KEPT_VERSIONS:
                with contextlib.suppress(OSError):  # a folder under such a name is nobody's
                    (self.folder / f"{version}.{role}.json").unlink()

    def _said_of(self, now_s: float) -> dict[str, Any]:
        robot = {} if self._robot_id is None else {ROBOT_FIELD: self._robot_id}
        return {SIGNED_AT_FIELD: int(now_s), **robot}
