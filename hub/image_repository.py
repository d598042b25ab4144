"""The image repository: what exporter and approver released, as static files.

`metadata/` is TUF metadata, `targets/` holds release manifests (under the names that carry their hash) and `packs/`.
Guarantees: a release is announced only when two people signed it and every file of it comes out of the packs that lie
there. Refuses to say who gets it; that is the director's. Trusts the keys that its root names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from contracts.assignment import ReleaseTerms, read_terms
from contracts.errors import BundleError, SigningError
from contracts.release import Pack, load
from export_tools import unpack
from export_tools.lasting import copy_beside, put_in_place, replace_file
from export_tools.sign import RELEASES, counters_of, releases_of
from hub.repository import MetadataRepository, Online

_READ_BYTES = 1 << 20


class ImageRepository:
    """The image repository under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.metadata = MetadataRepository(folder / "metadata")
        self._targets = folder / "targets"

    def set_up(self, root: Metadata[Root], targets: Metadata[Targets], online: Online, now_s: float) -> None:
        """Publish the first root and targets, signed by their holders.

        Raises:
            SigningError: signatures or online keys are missing.
        """
        self.metadata.publish((root, targets), (Root.type, Targets.type), online, now_s)

    def releases(self) -> Metadata[Any] | None:
        """The `releases` that is published, None before the first."""
        try:
            return self.metadata.role(RELEASES)
        except SigningError:
            return None

    def released(self, path: str) -> TargetFile:
        """A release that exporter and approver signed.

        Raises:
            SigningError: there is none at `path`.
        """
        releases = self.releases()
        target: TargetFile | None = releases.signed.targets.get(path) if releases is not None else None
        if target is None:
            raise SigningError(path, "was never released")
        return target

    def newest(self, path: str) -> int:
        """The highest counter that was approved for a release.

        Raises:
            SigningError: there is no release at `path`.
        """
        return max(read_terms(self.released(path).custom, ReleaseTerms).release_counters)

    def manifest(self, path: str) -> bytes:
        """The release manifest at `path`.

        Raises:
            SigningError: never released, or no longer there as it was signed.
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
            SigningError: signatures are missing, what was released before is gone or changed, or a file is missing or
                altered. Nothing was announced.
        """
        fresh = self._fresh(draft)
        for leftover in (self._targets / "packs").glob(".*.new"):
            leftover.unlink(missing_ok=True)  # of a publication that was cut short
        for path in fresh:
            self._take(draft.signed.targets[path], packed)
        self.metadata.publish((draft,), (RELEASES,), online, now_s)
        return fresh

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
        _require_kept(old, signed.targets)
        if len(counters_of(signed)) != sum(map(_approvals, signed.targets.values())):
            raise SigningError(RELEASES, "two releases share a counter")
        return tuple(path for path in signed.targets if path not in old)

    def _take(self, target: TargetFile, packed: Path) -> None:
        source = packed / target.path
        try:
            manifest = source.read_bytes()
            target.verify_length_and_hashes(manifest)
        except OSError as error:
            raise SigningError(str(source), f"{error.strerror}") from error
        except LengthOrHashMismatchError as error:
            raise SigningError(str(source), f"is not what was signed: {error}") from error
        release = load(manifest)
        for pack in release.packs:
            self._take_pack(pack, packed)
        # Packs can be just as they were signed and still not hold what the manifest says: no robot could install that.
        try:
            unpack.verify(release, self._targets)
        except BundleError as error:
            raise SigningError(target.path, f"can't be installed by any robot: {error}") from error
        for path in target.get_prefixed_paths():
            replace_file(self._targets / path, manifest)

    def _take_pack(self, pack: Pack, packed: Path) -> None:
        place = self._targets / pack.path
        if place.exists() and _sha256(place) == pack.sha256:
            return
        source = packed / pack.path
        if not source.exists() or _sha256(source) != pack.sha256:
            raise SigningError(str(source), "is missing, or is not the pack that the release names")
        beside = copy_beside(source, place)
        # The copy is looked at too, and has to last: it is announced next.
        if _sha256(beside) != pack.sha256:
            raise SigningError(str(source), "changed while it was copied")
        put_in_place(beside, place)


def _approvals(target: TargetFile) -> int:
    return len(read_terms(target.custom, ReleaseTerms).release_counters)


def _require_kept(old: dict[str, TargetFile], new: dict[str, TargetFile]) -> None:
    """A release is never taken back: robots may be on their way to it, and going back is a new counter."""
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
