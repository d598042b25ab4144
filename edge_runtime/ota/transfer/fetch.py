"""Brings the blobs of a release that a robot lacks into its store, over a network that fails.

Guarantees: every blob is stored as soon as it is whole, into disk that was allocated before, and only if it has the
signed hash; a connection that breaks is taken up at the byte where it broke, and after a restart of this process only
the blob that was under way is sent again; a delta that does not lead to the signed blob is replaced by the blob itself;
memory holds one blob at a time. `fetch` ends with everything stored, or with an `OtaError` that names the reason and
leaves what was stored for the next try. Refuses to know metadata, slots and life cycle. Trusts the release.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import MAX_RELEASE_BYTES, ReleaseManifest, load
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.pack_reader import PackReader
from edge_runtime.ota.transfer.plan import Piece, Run, places_of, runs_of
from edge_runtime.ota.transfer.retry import BUDGETS, USUAL_PATIENCE, Budget, GiveUp, Patience, Retries
from edge_runtime.ota.transfer.schedule import EVERY_HOUR, AllowedHours, Clock, Progress, ProgressMeter, TokenBucket
from edge_runtime.ota.transfer.transport import TransferError, Transport
from edge_runtime.ota.trust.repository import read_whole
from edge_runtime.releases.delta import decode, decode_delta

_LOOK_INTERVAL_NS = 500_000_000


class Destination(Protocol):
    """Where blobs go: a `Staging`, which has allocated the disk for all of them."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Digests of the blobs that are not there yet."""

    def put(self, piece: str, data: bytes | memoryview) -> None:
        """Store a blob; `OtaError` BLOB_ALTERED, and nothing stored, where `data` has another digest.

        The memory of `data` is used again afterwards.
        """


class Held(Protocol):
    """Blobs that the robot has, whichever bundle they belong to: bases of deltas."""

    def __contains__(self, sha256: object) -> bool:
        """Whether it should be there."""

    def read(self, sha256: str) -> bytes | None:
        """The blob, verified; None where the disk does not have it any more."""


class HeldInStore:
    """What a blob store holds at this moment."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._places = store.places()

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._places

    def read(self, sha256: str) -> bytes | None:
        """See `Held.read`."""
        return self._store.read(sha256, self._places)


@dataclass(frozen=True)
class FetchSettings:
    """Where packs are, and how a robot's owner lets it fetch them. `rate_bytes_s` None: as fast as it goes."""

    base_url: str
    hours: AllowedHours = EVERY_HOUR
    rate_bytes_s: float | None = None
    patience: Patience = USUAL_PATIENCE

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError(f"packs are fetched over https or http, not from {self.base_url!r}")
        if self.rate_bytes_s is not None and self.rate_bytes_s <= 0.0:
            raise ValueError("rate_bytes_s must be positive")


@dataclass(frozen=True)
class Fetched:
    """What a fetch took. `planned_bytes` is what the packs hold of it; the rest of `received_bytes` was no use."""

    blobs: int
    planned_bytes: int
    received_bytes: int
    failures: int
    deltas_used: int
    deltas_refused: int


class GaveUpError(OtaError):
    """The reason that was met last, after all retries."""


class BlobFetcher:
    """Fetches releases, one at a time."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        settings: FetchSettings,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._draw = draw

    def fetch(
        self,
        release: ReleaseManifest,
        destination: Destination,
        held: Held,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Fetched:
        """Fetch what `destination` lacks of `release`; `on_progress` is called about twice a second and at the end.

        Raises:
            OtaError: why it ended; what was stored stays.
        """
        download = _Download(
            self._transport, self._clock, self._settings, self._draw, release, destination, held, on_progress
        )
        return download.run()


def fetch_release(transport: Transport, targets_url: str, path: str) -> ReleaseManifest:
    """Fetch again a release that was verified once. `path` is that among the targets, which has its digest.

    Raises:
        OtaError: a reason of the network; TARGET_ALTERED; a `RELEASE_...` reason.
    """
    folder, _, name = path.rpartition("/")
    digest = name.removesuffix(".json")
    data = read_whole(transport, f"{targets_url.rstrip('/')}/{folder}/{digest}.{name}", MAX_RELEASE_BYTES)
    if hashlib.sha256(data).hexdigest() != digest:
        raise OtaError(OtaRefusal.TARGET_ALTERED, f"{path} came altered")
    return load(data)


class _Download:
    """One call of `fetch`: its counters, and the gate that every received byte passes."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        settings: FetchSettings,
        draw: Callable[[], float],
        release: ReleaseManifest,
        destination: Destination,
        held: Held,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        now_ns = clock.now_ns()
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._draw = draw
        self._release = release
        self._destination = destination
        self._held = held
        self._on_progress = on_progress
        self._retries = Retries(settings.patience)
        rate = settings.rate_bytes_s
        self._bucket = None if rate is None else TokenBucket(rate, max(1, int(rate)), now_ns)
        self._meter = ProgressMeter(now_ns)
        self._looked_ns = now_ns
        self._planned_bytes = self._received_bytes = self._again_bytes = 0
        self._failures = self._blobs = self._deltas = 0
        self._refused: set[str] = set()
        self._lost_packs: set[int] = set()
        self._blob = memoryview(b"")

    def run(self) -> Fetched:
        self._fetch(())
        if self._refused:
            self._fetch(self._refused)
        self._report(self._clock.now_ns())
        return Fetched(
            blobs=self._blobs,
            planned_bytes=self._planned_bytes,
            received_bytes=self._received_bytes,
            failures=self._failures,
            deltas_used=self._deltas,
            deltas_refused=len(self._refused),
        )

    def _fetch(self, without_delta: Collection[str]) -> None:
        missing = self._destination.missing
        pieces = places_of(self._release, missing, self._held.__contains__, without_delta=without_delta)
        # One buffer for all blobs: fresh memory for each would cost about as much time as hashing it.
        self._blob = memoryview(bytearray(max((piece.size_bytes for piece in pieces), default=0)))
        self._planned_bytes += sum(piece.stored_bytes for piece in pieces)
        for run in runs_of(pieces):
            self._fetch_run(run)

    def _fetch_run(self, run: Run) -> None:
        pack = self._release.packs[run.pack]
        url = f"{self._settings.base_url.rstrip('/')}/{pack.path}"
        with contextlib.closing(PackReader(self._transport, url, run.end, pack.size_bytes, self)) as reader:
            for piece in run.pieces:
                while not self._take(piece, reader):
                    pass

    def _take(self, piece: Piece, reader: PackReader) -> bool:
        """Try to store one blob; False to try again. Ends: every False has spent some of the patience."""
        if piece.delta is not None and piece.pack in self._lost_packs:
            self._refused.add(piece.sha256)
            return True
        try:
            reader.seek(piece.offset)
            self._put(piece, reader)
        except GaveUpError:
            raise
        except OtaError as error:
            budget = BUDGETS.get(error.refusal, Budget.NONE)
            if budget is Budget.NONE:
                raise
            if piece.delta is not None and budget is Budget.FEW:
                # A hint that is wrong, or a server that does not have it: the blob itself will do.
                self._refused.add(piece.sha256)
                if isinstance(error, TransferError):
                    self._lost_packs.add(piece.pack)
                return True
            self._again_bytes += max(0, reader.reached - piece.offset)
            reader.drop()
            self.failed(error)
            return False
        self._retries.stored()
        self._blobs += 1
        self._deltas += piece.delta is not None
        return True

    def _put(self, piece: Piece, reader: PackReader) -> None:
        blob = self._blob[: piece.size_bytes]
        if piece.codec == "none":
            reader.fill(blob)
        else:
            filled = 0
            for part in self._decoded(piece, reader):
                blob[filled : filled + len(part)] = part
                filled += len(part)
        self._destination.put(piece.sha256, blob)

    def _decoded(self, piece: Piece, reader: PackReader) -> Iterator[bytes]:
        stored = cast(BinaryIO, reader.limited(piece.end))
        delta = piece.delta
        if delta is None:
            return decode(stored, piece.codec, piece.size_bytes)
        base = self._held.read(delta.base)
        if base is None:
            raise OtaError(OtaRefusal.BLOB_MALFORMED, f"the base of a delta, {delta.base}, is gone")
        return decode_delta(stored, io.BytesIO(base), delta.element_bytes, piece.size_bytes)

    def admit(self) -> None:
        """Called before every request.

        Raises:
            OtaError: OUTSIDE_HOURS.
        """
        local = self._clock.local_time()
        if not self._settings.hours.allow(local):
            opens_in_s = self._settings.hours.opens_in_s(local)
            raise OtaError(OtaRefusal.OUTSIDE_HOURS, f"allowed again in {opens_in_s} s")

    def flowed(self, size_bytes: int) -> None:
        """Called for bytes that came; waits as the rate limit asks.

        Raises:
            OtaError: OUTSIDE_HOURS.
        """
        self._received_bytes += size_bytes
        self._retries.received(size_bytes)
        now_ns = self._clock.now_ns()
        if self._bucket is not None:
            wait_s = self._bucket.take(size_bytes, now_ns)
            if wait_s > 0.0:
                self._clock.wait(wait_s)
                now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns >= _LOOK_INTERVAL_NS:
            self._looked_ns = now_ns
            self._report(now_ns)
            self.admit()

    def _report(self, now_ns: int) -> None:
        if self._on_progress is not None:
            done_bytes = self._received_bytes - self._again_bytes
            self._on_progress(self._meter.take(done_bytes, self._planned_bytes, now_ns))

    def failed(self, error: OtaError) -> None:
        """Called for a failure; returns when it is time to try again.

        Raises:
            GaveUpError: it is not worth it.
        """
        self._failures += 1
        retry_after_s = error.retry_after_s if isinstance(error, TransferError) else None
        verdict = self._retries.after(
            error.refusal, self._clock.now_ns(), draw=self._draw(), retry_after_s=retry_after_s
        )
        if isinstance(verdict, GiveUp):
            raise GaveUpError(error.refusal, f"{error.detail}; {verdict.why}") from error
        self._clock.wait(verdict.wait_s)
