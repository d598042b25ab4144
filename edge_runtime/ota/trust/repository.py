"""One metadata repository as this robot trusts it: python-tuf decides, and nothing that it once decided is forgotten.

Guarantees: after `refresh` and `target` return, what they accepted is on disk to stay and in the floor; what is older
than the floor is refused, whatever became of the metadata folder. Every refusal is an `OtaError` with the attack's
name. Refuses to fetch targets and to know what they mean. Trusts python-tuf for signatures, thresholds, expiry and
delegations, the pinned root it is given, and its caller for the time; python-tuf reads the same clock by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.ota.transfer.transport import Span, TransferError, Transport, portal_error
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.tuf_errors import Fetched, Judge, role_of, signed_at_s
from edge_runtime.ota.trust.versions import RoleKeys, Seen, Versions, first_below
from edge_runtime.storage.durable import make_folder, sync_file, sync_folder

METADATA_CEILING_BYTES = 5_000_000
_NO_NEWER_ROOT = (403, 404)


class TrustedRepository:
    """A repository under `url`, its metadata in `folder`; good for one refresh, as python-tuf's updater is.

    `robot_id` is for a director's repository: its timestamp must name this robot, or nothing of it is kept.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        url: str,
        root: bytes,
        transport: Transport,
        floor: Floor,
        robot_id: str | None = None,
    ) -> None:
        self.name = name
        self._folder = folder
        self._url = url
        self._root = root
        self._transport = transport
        self._floor = floor
        self._robot_id = robot_id
        self._fresh: tuple[Updater, _Fetcher] | None = None

    def refresh(self, now_s: float) -> None:
        """Bring root, timestamp, snapshot and targets up to date. `now_s` is Unix time.

        Raises:
            OtaError: names what was wrong: of the network, of the repository, of this clock, of the state on disk, or
                of the disk, which could not be written to.
        """
        self._fresh = None
        with disk_refusals(self._folder):
            self._refresh(now_s)

    def _refresh(self, now_s: float) -> None:
        floor = self._floor.versions(self.name)
        judge = Judge(repository=self.name, floor=floor, now_s=now_s, robot_id=self._robot_id)
        judge.require_clock(max(floor.signed_at_s, _signed_at_s(self._root)))
        make_folder(self._folder)
        _remove_leftovers(self._folder)
        before = seen_in(self._folder)
        was_torn = floor != Versions() and (before is None or first_below(floor, before) is not None)
        fetcher = _Fetcher(self._transport, judge, self._folder)
        try:
            updater = Updater(
                metadata_dir=str(self._folder),
                metadata_base_url=self._url,
                fetcher=fetcher,
                config=UpdaterConfig(app_user_agent="edge-runtime-ota"),
                bootstrap=self._root,
            )
            updater.refresh()
        except (OtaError, RepositoryError, ValueError) as error:
            self._keep(floor)
            raise fetcher.name(error) from error
        below = self._keep(floor)
        if below is not None:
            refusal = OtaRefusal.TORN_STATE if was_torn else OtaRefusal.ROLLBACK
            raise judge.refuse(refusal, f"{below}, though this robot had accepted the newer one")
        _require_fresh(self._folder, judge, fetcher.last)
        self._fresh = (updater, fetcher)

    def target(self, path: str) -> TargetFile | None:
        """What the repository says of a target, or None if nobody who may speak of it does. Comes after `refresh`.

        Raises:
            OtaError: as `refresh`.
        """
        updater, fetcher = self._ready()
        with disk_refusals(self._folder):
            try:
                return updater.get_targetinfo(path)
            except (OtaError, RepositoryError, ValueError) as error:
                raise fetcher.name(error) from error
            finally:
                _sync(self._folder)

    def listed(self) -> dict[str, TargetFile]:
        """The targets that the top-level targets role lists itself. Comes after `refresh`."""
        self._ready()
        targets = _verified(self._folder, Targets.type, _root_of(self._folder))
        if targets is None:
            raise OtaError(OtaRefusal.TORN_STATE, f"{self.name} repository: its targets are no longer on disk")
        listed: dict[str, TargetFile] = targets.signed.targets
        return dict(listed)

    def hashed_path(self, target: TargetFile) -> str:
        """Where the target lies below the URL of the targets: with consistent snapshots, its hash is in the name."""
        self._ready()
        root = _root_of(self._folder)
        if root is None or not root.consistent_snapshot:
            return str(target.path)
        return str(target.get_prefixed_paths()[0])

    def _ready(self) -> tuple[Updater, _Fetcher]:
        if self._fresh is None:
            raise RuntimeError("refresh comes first")
        return self._fresh

    def _keep(self, floor: Versions) -> str | None:
        """Make last what python-tuf accepted, also where it failed later on, and raise the floor to it.

        Where it accepted what lies below the floor, the floor stays as it is, and what is below is returned.
        """
        _sync(self._folder)
        seen = seen_in(self._folder)
        if seen is None:
            return None
        below = first_below(floor, seen)
        if below is None:
            self._floor.raise_versions(self.name, seen)
        return below


class _Fetcher(FetcherInterface):
    """python-tuf's seam to the network, on ours. Remembers what came last, for whoever names a failure."""

    def __init__(self, transport: Transport, judge: Judge, folder: Path) -> None:
        self.last: Fetched | None = None
        self._transport = transport
        self._judge = judge
        self._folder = folder

    def name(self, error: Exception) -> OtaError:
        """What to call an exception of python-tuf's, after what came last."""
        return self._judge.name(error, self.last, _trusted(self._folder))

    def _fetch(self, url: str) -> Iterator[bytes]:
        raise DownloadError(f"{url}: targets are not fetched by python-tuf")

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """In memory, for no temporary file is wanted; metadata is small."""
        self.last = Fetched(role=role_of(url), data=b"")
        try:
            data, server_s = _read(self._transport, url, min(max_length, METADATA_CEILING_BYTES))
        except TransferError as error:
            if error.status in _NO_NEWER_ROOT and self.last.role == Root.type:
                raise DownloadHTTPError(str(error), error.status) from error
            raise
        self.last = Fetched(role=self.last.role, data=data, server_s=server_s)
        root = _root_of(self._folder)
        if root is None:
            raise self._judge.refuse(OtaRefusal.TORN_STATE, "the root that was just accepted cannot be read back")
        self._judge.inspect(self.last, root)
        return data


def read_whole(transport: Transport, url: str, ceiling_bytes: int) -> bytes:
    """All bytes of a small object.

    Raises:
        TransferError: it could not be had, is larger than `ceiling_bytes`, or a web page came instead.
    """
    return _read(transport, url, ceiling_bytes)[0]


def _read(transport: Transport, url: str, ceiling_bytes: int) -> tuple[bytes, float | None]:
    """The bytes, and what the server's clock said."""
    data = bytearray()
    with transport.open(Span(url), ceiling_bytes=ceiling_bytes) as reply:
        for part in reply:
            data += part
        server_s = reply.server_s
    # What is read whole is JSON, which never begins like that; a portal need not say that its page is one.
    if data.lstrip()[:1] == b"<":
        raise portal_error(url)
    return bytes(data), server_s


def _load(path: Path) -> Metadata[Any] | None:
    try:
        return Metadata.from_bytes(path.read_bytes())
    except (OSError, RepositoryError):
        return None


def _root_of(folder: Path) -> Root | None:
    """The root that python-tuf linked last; it checked the chain from the pinned one."""
    metadata = _load(folder / "root.json")
    return metadata.signed if metadata is not None and isinstance(metadata.signed, Root) else None


def _verified(folder: Path, role: str, root: Root | None) -> Metadata[Any] | None:
    """A top-level role on disk, if it is whole and signed under `root`."""
    metadata = _load(folder / f"{quote(role, '')}.json")
    if root is None or metadata is None or metadata.signed.type != role:
        return None
    is_signed = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified
    return metadata if is_signed else None


def _trusted(folder: Path) -> dict[str, Signed]:
    """Root, timestamp, snapshot and targets on disk, as far as they are whole and signed."""
    root = _root_of(folder)
    if root is None:
        return {}
    found: dict[str, Signed] = {Root.type: root}
    for role in (Timestamp.type, Snapshot.type, Targets.type):
        metadata = _verified(folder, role, root)
        if metadata is not None:
            found[role] = metadata.signed
    return found


def _signed_at_s(root: bytes) -> int:
    """When the pinned root was signed: a robot cannot be older. 0 if it does not say, or is none."""
    metadata = Fetched(role=Root.type, data=root).metadata()
    return signed_at_s(metadata.signed) if metadata is not None else 0


def _require_fresh(folder: Path, judge: Judge, last: Fetched | None) -> None:
    """Hold all that was accepted against the time that the judge was told; python-tuf asked the clock by itself."""
    for signed in _trusted(folder).values():
        if signed.expires.timestamp() <= judge.now_s:
            raise judge.expired(signed, None if last is None else last.server_s)


def seen_in(folder: Path) -> Seen | None:
    """The versions on disk; what is torn or not signed under the root counts as not there."""
    root = _root_of(folder)
    if root is None:
        return None
    timestamp, snapshot = _verified(folder, Timestamp.type, root), _verified(folder, Snapshot.type, root)
    versions = Versions(
        root=root.version,
        timestamp=timestamp.signed.version if timestamp is not None else 0,
        snapshot=timestamp.signed.snapshot_meta.version if timestamp is not None else 0,
        roles=_roles(snapshot),
        timestamp_signers=_signers(root, Timestamp.type, timestamp),
        snapshot_signers=_signers(root, Snapshot.type, snapshot),
        signed_at_s=signed_at_s(timestamp.signed) if timestamp is not None else 0,
    )
    return Seen(versions=versions, timestamp_keys=_keys(root, Timestamp.type), snapshot_keys=_keys(root, Snapshot.type))


def _roles(snapshot: Metadata[Any] | None) -> dict[str, int]:
    if snapshot is None:
        return {}
    return {name.removesuffix(".json"): meta.version for name, meta in snapshot.signed.meta.items()}


def _signers(root: Root, role: str, metadata: Metadata[Any] | None) -> tuple[str, ...]:
    if metadata is None:
        return ()
    return tuple(sorted(root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).signed))


def _keys(root: Root, role: str) -> RoleKeys:
    asked = root.get_delegated_role(role)
    return RoleKeys(keyids=tuple(asked.keyids), threshold=asked.threshold)


def _remove_leftovers(folder: Path) -> None:
    """Files that python-tuf was about to rename when the power went; nothing refers to them."""
    for path in folder.glob("tmp*"):
        if path.suffix != ".json":
            path.unlink()


def _sync(folder: Path) -> None:
    """Make all metadata last: python-tuf renames its files without asking the disk to keep them."""
    for place in (folder / "root_history", folder):
        if not place.is_dir():
            continue
        for path in place.iterdir():
            if path.is_file() and not path.is_symlink():
                sync_file(path)
        sync_folder(place)
