"""The exporter's signature on a release, and signatures on drafts in general.

A draft is one metadata file that waits for signatures: it is carried from person to person, each adds a signature, and
the hub takes it once there are enough. Guarantees that a release draft changes nothing but what it says: one release
more, or one more counter for a release that is there. A draft holds whatever signatures it has; it never loses one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from edge_runtime.contracts.assignment import MAX_RELEASE_COUNTER, ReleaseTerms, custom_of, read_terms
from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.release import load
from edge_runtime.storage.durable import replace_file

RELEASES = "releases"
RELEASES_EXPIRE_DAYS = 90
_DIGESTS = ["sha256"]

MAX_METADATA_BYTES = 64 << 20
"""Larger than any metadata that a robot takes; a file that never ends is not read to its end."""

SignedKind = TypeVar("SignedKind", Root, Timestamp, Snapshot, Targets)


def read_metadata(path: Path) -> bytes:
    """What lies in a file of metadata, whatever was put in its place.

    Raises:
        SigningError: not there, no plain file, or larger than metadata is.
    """
    try:
        # Before it is opened: to open a pipe waits for whoever writes into it.
        if path.exists() and not path.is_file():
            raise SigningError(str(path), "is no plain file")
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > MAX_METADATA_BYTES:
                raise SigningError(str(path), f"is larger than {MAX_METADATA_BYTES} bytes, which no metadata is")
            return file.read(size_bytes)
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error


def read_draft(path: Path) -> Metadata[Any]:
    """Read a draft, or published metadata.

    Raises:
        SigningError: not there, or no metadata.
    """
    try:
        return Metadata.from_bytes(read_metadata(path))
    except RepositoryError as error:
        raise SigningError(str(path), f"is no metadata: {error}") from error


def read_signed(path: Path, kind: type[SignedKind], version: int | None = None) -> Metadata[SignedKind]:
    """Read metadata of one kind, and of one version where the name of its file says which.

    Raises:
        SigningError: not there, no metadata, or other metadata.
    """
    metadata = read_draft(path)
    signed = metadata.signed
    if not isinstance(signed, kind):
        raise SigningError(str(path), f"is {signed.type} metadata instead of {kind.type}")
    if version is not None and signed.version != version:
        raise SigningError(str(path), f"holds version {signed.version}")
    return metadata


def write_draft(path: Path, metadata: Metadata[Any]) -> None:
    """Write a draft, for people to read and pass on; signatures that it had are not lost if that fails.

    Raises:
        StorageError: as `replace_file`.
    """
    replace_file(path, metadata.to_bytes())


def sign_draft(metadata: Metadata[Any], signer: CryptoSigner) -> None:
    """Add a signature to a draft, beside those it has."""
    metadata.sign(signer, append=True)


def releases_of(metadata: Metadata[Any]) -> Targets:
    """The signed part of the `releases` role.

    Raises:
        SigningError: it is another role, or delegates, which `releases` may not.
    """
    if not isinstance(metadata.signed, Targets) or metadata.signed.delegations is not None:
        raise SigningError("releases", "this metadata is of another role")
    return metadata.signed


def counters_of(releases: Targets) -> set[int]:
    """Every release counter that was ever approved."""
    return {
        counter
        for target in releases.targets.values()
        for counter in read_terms(target.custom, ReleaseTerms).release_counters
    }


def newest_releases(folder: Path) -> Metadata[Any] | None:
    """The `releases` that a folder of published metadata announces; None before the first release.

    One that lies there unannounced is what a publication left that never came to its end.

    Raises:
        SigningError: the folder holds no published metadata, or not all of it.
    """
    meta = announced_in(folder).get(f"{RELEASES}.json")
    return None if meta is None else read_draft(folder / f"{meta.version}.{RELEASES}.json")


def announced_in(folder: Path) -> Mapping[str, MetaFile]:
    """What the timestamp in a folder of published metadata announces, by file name without version.

    Raises:
        SigningError: there is none, or what it announces is not there.
    """
    version = read_signed(folder / "timestamp.json", Timestamp).signed.snapshot_meta.version
    snapshot = read_signed(folder / f"{version}.snapshot.json", Snapshot, version)
    announced: Mapping[str, MetaFile] = snapshot.signed.meta
    return announced


def draft_release(
    current: Metadata[Any] | None,
    manifest: bytes,
    hardware: tuple[str, ...],
    now_s: float,
    *,
    release_counter: int | None = None,
) -> tuple[Metadata[Targets], int]:
    """The next `releases` with one release more, without signatures, and the release's counter.

    `current` is the `releases` that is published, None for the first release of all.

    For a release that is there already, the counter is added and `hardware` must be as it was: that is how a fleet goes
    back to an older bundle. Without `release_counter`, the next free one.

    Raises:
        OtaError: the manifest is no sound release, or no robot would read these terms.
        SigningError: the counter is spent or not above all others, or the hardware of a release would change.
    """
    draft = renew(current, now_s)
    releases = draft.signed
    release = load(manifest)
    highest = max(counters_of(releases), default=0)
    counter = highest + 1 if release_counter is None else release_counter
    if not highest < counter <= MAX_RELEASE_COUNTER:
        raise SigningError(f"release counter {counter}", f"must be above {highest}, the highest that was approved")
    before = releases.targets.get(release.target_path)
    counters: tuple[int, ...] = (counter,)
    if before is not None:
        terms = read_terms(before.custom, ReleaseTerms)
        if terms.hardware != hardware:
            raise SigningError(release.target_path, f"was released for {', '.join(terms.hardware)}; that stays")
        counters = (*terms.release_counters, counter)
    target = TargetFile.from_data(release.target_path, manifest, _DIGESTS)
    custom = custom_of(ReleaseTerms(hardware=hardware, release_counters=counters))
    read_terms(custom, ReleaseTerms)
    target.unrecognized_fields["custom"] = custom
    releases.targets[release.target_path] = target
    return draft, counter


def renew(current: Metadata[Any] | None, now_s: float) -> Metadata[Targets]:
    """The next `releases` with the same content and a new expiry, without signatures."""
    expires = expiry(now_s, RELEASES_EXPIRE_DAYS)
    if current is None:
        return Metadata(Targets(version=1, expires=expires))
    releases_of(current)
    draft: Metadata[Targets] = Metadata.from_bytes(current.to_bytes())
    draft.signatures.clear()
    draft.signed.version += 1
    draft.signed.expires = expires
    return draft


def expiry(now_s: float, days: float) -> datetime:
    """`days` from now, in whole seconds of UTC, as metadata has it."""
    return datetime.fromtimestamp(now_s, tz=timezone.utc).replace(microsecond=0) + timedelta(days=days)
