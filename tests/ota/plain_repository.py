"""A TUF repository of no particular layout, built with `tuf.repository`, to drive the conformance client against."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.repository import Repository

_TOP_LEVEL: dict[str, type[Any]] = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot, "targets": Targets}


class PlainRepository(Repository):
    """Metadata in `folder/metadata`, targets in `folder/targets`; every change is written at once."""

    def __init__(self, folder: Path, *, consistent: bool = True, hashed: bool = False) -> None:
        self.metadata, self.targets_folder = folder / "metadata", folder / "targets"
        self.metadata.mkdir(parents=True)
        self.targets_folder.mkdir()
        self.hashed = hashed
        self.expires = timedelta(days=1)
        self.signers: dict[str, list[CryptoSigner]] = defaultdict(list)
        self._now: dict[str, list[Metadata[Any]]] = defaultdict(list)
        self._infos: dict[str, MetaFile] = {}
        self._snapshot = MetaFile(1)
        with self.edit_root() as root:
            root.consistent_snapshot = consistent
            for role in _TOP_LEVEL:
                self.add_key(root, role, CryptoSigner.generate_ed25519())
        with self.edit_targets():
            pass
        self.announce()

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        return self._infos

    @property
    def snapshot_info(self) -> MetaFile:
        return self._snapshot

    def open(self, role: str) -> Metadata[Any]:
        """The newest version, or a first one."""
        if self._now[role]:
            return Metadata.from_bytes(self._now[role][-1].to_bytes())
        fresh = Metadata(_TOP_LEVEL.get(role, Targets)())
        fresh.signed.version = 0
        return fresh

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign and write the next version."""
        md.signed.version += 1
        md.signed.expires = datetime.now(timezone.utc).replace(microsecond=0) + self.expires
        self.write(role, md)

    def write(self, role: str, md: Metadata[Any]) -> None:
        """Sign and write `md` as it is."""
        md.signatures.clear()
        for signer in self.signers[role]:
            md.sign(signer, append=True)
        self._now[role].append(md)
        data = md.to_bytes()
        algorithms = ["sha256"] if self.hashed else None
        info = MetaFile.from_data(md.signed.version, data, algorithms) if algorithms else MetaFile(md.signed.version)
        if role == "snapshot":
            self._snapshot = info
        elif role not in ("root", "timestamp"):
            self._infos[f"{role}.json"] = info
        is_versioned = role == "root" or (role != "timestamp" and self._now["root"][-1].signed.consistent_snapshot)
        place = self.metadata / (f"{md.signed.version}.{role}.json" if is_versioned else f"{role}.json")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)

    def add_key(self, root: Root, role: str, signer: CryptoSigner) -> None:
        """Let a key sign for a role."""
        root.add_key(signer.public_key, role)
        self.signers[role].append(signer)

    def announce(self) -> None:
        """A snapshot and a timestamp of how things are."""
        self.do_snapshot()
        self.do_timestamp()

    def delegate(self, role: str, paths: list[str], delegator: str = "targets", *, terminating: bool = False) -> None:
        """Let `role` speak of `paths`."""
        signer = CryptoSigner.generate_ed25519()
        self.signers[role].append(signer)
        delegated = DelegatedRole(
            name=role, keyids=[signer.public_key.keyid], threshold=1, terminating=terminating, paths=paths
        )
        with self.edit_targets(delegator) as targets:
            if targets.delegations is None:
                targets.delegations = Delegations(keys={}, roles={})
            assert targets.delegations.roles is not None
            targets.delegations.keys[signer.public_key.keyid] = signer.public_key
            targets.delegations.roles[role] = delegated
        with self.edit_targets(role):
            pass

    def add_target(
        self, path: str, data: bytes, role: str = "targets", algorithms: tuple[str, ...] = ("sha256",)
    ) -> None:
        """Sign a target and put it where clients look."""
        target = TargetFile.from_data(path, data, list(algorithms))
        with self.edit_targets(role) as targets:
            targets.targets[path] = target
        consistent = self._now["root"][-1].signed.consistent_snapshot
        for name in target.get_prefixed_paths() if consistent else [path]:
            (self.targets_folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.targets_folder / name).write_bytes(data)
