"""The image repository: what exporter and approver released, as static files.

`metadata/` is TUF metadata, `targets/` holds release manifests (under the names that carry their hash) and `packs/`.
Guarantees: nothing is written before two people's signatures and every path and hash were looked at; a release becomes
public only when the robot's own code can install it out of its packs; what was refused leaves nothing. Refuses to say
who gets it; that is the director's. Trusts the keys that its root names.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from edge_runtime.contracts.assignment import ReleaseTerms, read_terms
from edge_runtime.contracts.errors import BundleError, HubError, HubRefusal, OtaError, SigningError
from edge_runtime.contracts.release import Pack, load
from edge_runtime.releases.installable import require_installable
from edge_runtime.releases.packs import bring_pack
from edge_runtime.releases.sign import RELEASES, counters_of, read_signed, releases_of
from edge_runtime.releases.unpack import PackReader
from edge_runtime.storage.durable import make_folder, put_in_place, replace_file
from hub.tuf.admission import copy_plain, read_plain, require_target
from hub.tuf.metadata_names import versions_of
from hub.tuf.online_keys import Online
from hub.tuf.repository import MetadataRepository
from hub.tuf.roots import require_roots

_READ_BYTES = 1 << 20


class ImageRepository:
    """The image repository under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.metadata = MetadataRepository(folder / "metadata", ledger=folder / "ledger.json")
        self._targets = folder / "targets"
        self._spool = folder / "spool"

    def set_up(self, root: Metadata[Root], targets: Metadata[Targets], online: Online, now_s: float) -> None:
        """Publish the first root and targets, signed by their holders.

        Raises:
            SigningError: signatures or online keys are missing.
        """
        self.metadata.publish((root, targets), (Root.type, Targets.type), online, now_s)

    def releases(self) -> Metadata[Any] | None:
        """The `releases` that is published, None before the first.

        Raises:
            SigningError: it is damaged.
        """
        return self.metadata.role(RELEASES) if self.metadata.announces(RELEASES) else None

    def released(self, path: str) -> TargetFile:
        """A release that exporter and approver signed.

        Raises:
            HubError: NEVER_RELEASED: there is none at `path`.
        """
        releases = self.releases()
        target: TargetFile | None = releases.signed.targets.get(path) if releases is not None else None
        if target is None:
            raise HubError(HubRefusal.NEVER_RELEASED, path, "was never released")
        return target

    def newest(self, path: str) -> int:
        """The highest counter that was approved for a release.

        Raises:
            HubError: NEVER_RELEASED: there is no release at `path`.
        """
        return max(read_terms(self.released(path).custom, ReleaseTerms).release_counters)

    def manifest(self, path: str) -> bytes:
        """The release manifest at `path`.

        Raises:
            HubError: NEVER_RELEASED.
            SigningError: no longer there as it was signed.
        """
        target = self.released(path)
        place = self._targets / target.get_prefixed_paths()[0]
        try:
            data = place.read_bytes()
            target.verify_length_and_hashes(data)
        except (OSError, LengthOrHashMismatchError) as error:
            raise SigningError(str(place), f"is no longer what was published: {error}") from error
        return data

    def publish_release(self, draft: Metadata[Any], packed: Path, online: Online, now_s: float) -> tuple[str, ...]:
        """Publish a `releases` that both signed, with what `edge-export pack` left in `packed`; return what is new.

        Raises:
            SigningError: signatures are missing, what was released before is gone or changed, a path is none of a
                release, a file is missing or altered, or no robot could install it. Nothing was announced or written.
            StorageError: nothing was announced.
        """
        fresh = self._fresh(draft)
        self.metadata.check({RELEASES: draft})
        self.clear_spool()
        placed: list[Path] = []
        try:
            for path in fresh:
                self._admit(draft.signed.targets[path], packed)
            for path in fresh:
                placed += self._place(draft.signed.targets[path])
            self.metadata.publish((draft,), (RELEASES,), online, now_s)
        except BaseException:
            if not self._is_announced(fresh):
                for place in placed:
                    place.unlink(missing_ok=True)
            raise
        finally:
            self.clear_spool()
        return fresh

    def clear_spool(self) -> None:
        """Remove what a publication that was refused or cut short has left; for whoever holds the hub's lock."""
        shutil.rmtree(self._spool, ignore_errors=True)
        for leftover in (self._targets / "packs").glob(".*.new"):
            leftover.unlink(missing_ok=True)

    def look(self) -> tuple[Path, ...]:
        """Read all metadata as a robot would; returns the files.

        Raises:
            SigningError: names the first that is damaged.
        """
        return (*require_roots(self.metadata.folder), *self.metadata.files_of(self.metadata.published()))

    def repair(self, online: Online, now_s: float) -> None:
        """Announce anew what people signed, under numbers above all that robots have seen.

        Raises:
            SigningError: the newest of what people signed is damaged itself: it has to be put back from a copy.
        """
        targets = self._newest(Targets.type)
        roles = {Targets.type: targets}
        delegations = targets.signed.delegations
        if delegations is not None and versions_of(self.metadata.folder, RELEASES):
            roles[RELEASES] = self._newest(RELEASES)
        self.metadata.rebuild(roles, online, now_s)

    def _newest(self, role: str) -> Metadata[Targets]:
        """What the ledger or else the numbers of the files say is the newest of what people signed."""
        ledger = self.metadata.ledger
        known = 0 if ledger is None else ledger.versions.get(role, 0)
        # A power cut leaves a version that was never announced; people make that one again.
        version = known or self.metadata.next_version(role) - 1
        path = self.metadata.folder / f"{version}.{role}.json"
        try:
            return read_signed(path, Targets, version)
        except SigningError as error:
            problem = f"{error.problem}; people signed it: put the signed draft back there"
            raise SigningError(str(path), problem) from error

    def install(self, drafts: Mapping[str, Metadata[Any]], online: Online, now_s: float) -> None:
        """Publish signed drafts, by role, together: new keys, or what is there for longer.

        Raises:
            SigningError: signatures or online keys are missing; or the releases are not those that are there. Nothing
                was announced.
        """
        releases = drafts.get(RELEASES)
        if releases is not None and self._fresh(releases):
            raise SigningError(
                RELEASES, "the draft has a new release, which has to bring its files: `edge-hub publish`"
            )
        self.metadata.publish(drafts.values(), drafts, online, now_s)

    def _fresh(self, draft: Metadata[Any]) -> tuple[str, ...]:
        """What is new in a draft of `releases`, which loses nothing and spends no counter twice."""
        current = self.releases()
        old = dict(current.signed.targets) if current is not None else {}
        signed = releases_of(draft)
        for path, target in signed.targets.items():
            require_target(path, target)
        _require_kept(old, signed.targets)
        if len(counters_of(signed)) != sum(map(_approvals, signed.targets.values())):
            raise SigningError(RELEASES, "two releases share a counter")
        return tuple(path for path in signed.targets if path not in old)

    def _admit(self, target: TargetFile, packed: Path) -> None:
        """Copy a release into the spool, which is not served, and try all that a robot will do with it."""
        source = packed / target.path
        manifest = read_plain(source, target.length)
        try:
            target.verify_length_and_hashes(manifest)
        except LengthOrHashMismatchError as error:
            raise SigningError(str(source), f"is not what was signed: {error}") from error
        release = load(manifest)
        if release.target_path != target.path:
            raise SigningError(target.path, f"holds the release {release.target_path}")
        for pack in release.packs:
            self._spool_pack(pack, packed)
        # Packs can be just as they were signed and still not hold what the manifest says.
        try:
            require_installable(release, PackReader(release, self._spool), self._find_blob)
        except (BundleError, OtaError) as error:
            raise SigningError(target.path, f"can't be installed by any robot: {error}") from error
        replace_file(self._spool / target.path, manifest)

    def _place(self, target: TargetFile) -> list[Path]:
        """Make public what was admitted; returns what was not there before."""
        manifest = (self._spool / target.path).read_bytes()
        placed = []
        for pack in load(manifest).packs:
            spooled, place = self._spool / pack.path, self._targets / pack.path
            if spooled.exists():  # two releases may share it
                make_folder(place.parent)
                if not place.exists():
                    placed.append(place)
                put_in_place(spooled, place)
        for path in target.get_prefixed_paths():
            place = self._targets / path
            if not place.exists():
                placed.append(place)
            replace_file(place, manifest)
        return placed

    def _is_announced(self, fresh: tuple[str, ...]) -> bool:
        """Whether robots may know of a release already, as where the disk failed after that; in doubt they may."""
        try:
            releases = self.releases()
        except SigningError:
            return True
        return releases is not None and any(path in releases.signed.targets for path in fresh)

    def _spool_pack(self, pack: Pack, packed: Path) -> None:
        spooled, place = self._spool / pack.path, self._targets / pack.path
        if spooled.exists():
            return
        make_folder(spooled.parent)
        if place.is_file() and _sha256(place) == pack.sha256:
            bring_pack(pack, self._targets, self._spool)
            return
        source = packed / pack.path
        if copy_plain(source, spooled, pack.size_bytes) != pack.sha256:
            raise SigningError(str(source), "is missing, or is not the pack that the release names")

    def _find_blob(self, digest: str) -> bytes | None:
        """A blob of a release that is published: what a delta may start from."""
        releases = self.releases()
        for path in () if releases is None else releases.signed.targets:
            release = load(self.manifest(path))
            if digest in release.blobs:
                return PackReader(release, self._targets).blob(digest)
        return None


def _approvals(target: TargetFile) -> int:
    return len(read_terms(target.custom, ReleaseTerms).release_counters)


def _require_kept(old: dict[str, TargetFile], new: dict[str, TargetFile]) -> None:
    """A release is never withdrawn: robots may be on their way to it, and going back is a new counter."""
    for path, before in old.items():
        after = new.get(path)
        if after is None or (after.length, after.hashes) != (before.length, before.hashes):
            raise SigningError(path, "was released and is gone or changed in the draft")
        had, has = (read_terms(target.custom, ReleaseTerms) for target in (before, after))
        if had.hardware != has.hardware or not set(had.release_counters) <= set(has.release_counters):
            raise SigningError(path, "lost a counter or changed its hardware in the draft")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
