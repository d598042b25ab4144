"""Reads again in the background what was verified when it was installed, and heals from the hub what the disk altered.

Guarantees: every bundle that may boot (active, committed, previous, staged, shipped) is read to the last byte once in
an interval, however often it is interrupted; what is altered is named until it is healed; a file is replaced as a whole
or not at all, by one that has the released hash. Only pieces that nothing on this robot has come over the network.
Refuses to know which bundle runs and what to do about an update. Trusts the release that a bundle was installed from by
its digest, and the lock it is given to keep the slots as they are.

Reading and fetching happen outside of the lock, so that nothing ever waits for a scrub: a rollback may collect a bundle
while it is read here.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_runtime.bundles.slots import SHIPPED, Slots
from edge_runtime.config.robot_file import ScrubSection
from edge_runtime.contracts.errors import BundleError, OtaError, OtaRefusal, StorageError
from edge_runtime.contracts.manifest import MANIFEST_NAME, read_manifest
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.ota.store.scrub_state import ScrubState, read_state, words_of, write_state
from edge_runtime.ota.transfer.blobs import READ_BYTES, BlobStore, Checked, empty, names_in, release_in
from edge_runtime.ota.transfer.fetch import BlobFetcher, FetchSettings, HeldInStore, fetch_release
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.ota.transfer.schedule import Clock, TokenBucket
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.ota.transfer.transport import TransferError, Transport

FIRST_WAIT_S = 600.0
LONGEST_WAIT_S = 86_400.0
PATIENCE = Patience(many=2, few=2, without_progress_s=120.0)
"""Of one try to heal: there will be another."""

_KEEP_EVERY_BYTES = 256 << 20
_WAIT_SLICE_S = 0.1


class Said(NamedTuple):
    """What a person should know of a run: as in the agent's history."""

    refusal: OtaRefusal
    detail: str


class Scrub:
    """One thread at a time; what it writes is apart from what an update writes.

    Args:
        folder: of the agent; what is kept there is how far the scrub is.
        store, shipped: where bundles lie.
        slots: which of them there are; asked for, like every change of an installed bundle, while `lock` is held.
        lock: of the runner.
        transport, clock, fetch: the way to the hub, when it may be used, and how fast.
        settings: how often everything is read, and how fast at most.
    """

    def __init__(
        self,
        folder: Path,
        store: BlobStore,
        shipped: Path,
        slots: Callable[[], Slots],
        lock: AbstractContextManager[object],
        transport: Transport,
        clock: Clock,
        fetch: FetchSettings,
        settings: ScrubSection,
    ) -> None:
        self._folder = folder
        self._store = store
        self._shipped = shipped
        self._slots = slots
        self._lock = lock
        self._transport = transport
        self._clock = clock
        self._fetch = replace(fetch, patience=PATIENCE)
        self._settings = settings
        self._state = self._kept = read_state(folder)
        rate_bytes_s = self._settings.rate_bytes_s
        self._bucket = TokenBucket(rate_bytes_s, max(1, int(rate_bytes_s)), clock.now_ns())
        self._parts: Iterator[Checked] | None = None
        self._shipped_is_altered = False
        self._unkept_bytes = 0
        self._found: set[str] = set()
        self._healed: list[str] = []

    @property
    def state(self) -> ScrubState:
        """How far it is, and what is altered."""
        return self._state

    def due(self, now_s: float) -> bool:
        """Whether `run` has something to do at `now_s`, Unix time. A clock that was set back makes it due."""
        state = self._state
        known = {SHIPPED, *state.releases, *state.altered}
        return self._may_heal(now_s) or self._may_read(now_s) or any(name not in known for name in self._bundles())

    def run(self, now_s: float, should_end: Callable[[], bool]) -> Said | None:
        """Go on until nothing is due or `should_end` says so, which is asked at least every 16 MiB or 0.1 s.

        Waiting for the network excepted: that ends by the transport's own limits. `now_s` is Unix time. Returns what
        was found or healed, None if there was neither.
        """
        clock = _EndableClock(self._clock, should_end)
        started_ns = clock.now_ns()
        self._found, self._healed = set(), []
        try:
            self._take_stock()
            while True:
                clock.heed()
                at_s = now_s + (clock.now_ns() - started_ns) / 1e9
                if self._may_heal(at_s):
                    self._heal(at_s, clock)
                elif self._may_read(at_s):
                    self._read(at_s, clock)
                else:
                    break
        except _ToldToEndError:
            pass
        finally:
            self._keep()
        return self._said()

    def _bundles(self) -> tuple[str, ...]:
        with self._lock:
            slots = self._slots()
        named = (slots.active, slots.committed, slots.previous, slots.staged)
        installed = dict.fromkeys(slot.bundle for slot in named if slot is not None and slot.bundle != SHIPPED)
        return (*installed, SHIPPED)

    def _may_heal(self, now_s: float) -> bool:
        state = self._state
        reached = now_s >= state.retry_s or state.retry_s - now_s > LONGEST_WAIT_S
        return reached and any(bundle != SHIPPED for bundle in state.altered)

    def _may_read(self, now_s: float) -> bool:
        state = self._state
        under_way = bool(state.bundle or state.read)
        return under_way or not 0.0 <= now_s - state.ended_s < self._settings.interval_s

    def _take_stock(self) -> None:
        """Forget bundles that are gone, and learn of new ones where the hub has what is needed to heal them."""
        bundles = self._bundles()
        state = self._state
        releases = {bundle: path for bundle, path in state.releases.items() if bundle in bundles}
        altered = {bundle: paths for bundle, paths in state.altered.items() if bundle in bundles}
        new = [bundle for bundle in bundles if bundle != SHIPPED and bundle not in releases and bundle not in altered]
        found = {bundle: release_in(self._store.bundles / bundle) for bundle in new}
        releases.update({bundle: release.target_path for bundle, release in found.items() if release is not None})
        self._state = msgspec.structs.replace(state, releases=releases, altered=altered)
        for bundle, release in found.items():
            if release is None:
                self._mark(bundle, "")

    def _read(self, at_s: float, clock: _EndableClock) -> None:
        """Read the bundle that is under way, or the next one, to its end."""
        bundles, state = self._bundles(), self._state
        bundle = state.bundle if state.bundle in bundles else next((b for b in bundles if b not in state.read), "")
        if not bundle:
            self._state = msgspec.structs.replace(state, ended_s=at_s, bundle="", part=0, read=())
            self._forget_leftovers()
            return
        if bundle != state.bundle or self._parts is None:
            part = state.part if bundle == state.bundle else 0
            self._state = msgspec.structs.replace(state, bundle=bundle, part=part)
            self._parts = self._parts_of(bundle, part)
        for checked in self._parts:
            self._state = msgspec.structs.replace(self._state, part=self._state.part + 1)
            if not checked.whole:
                self._mark(bundle, checked.path)
            self._unkept_bytes += checked.size_bytes
            if self._unkept_bytes >= _KEEP_EVERY_BYTES:
                self._keep()
            clock.wait(self._bucket.take(checked.size_bytes, clock.now_ns()))
        self._parts = None
        state, altered = self._state, self._state.altered
        if bundle == SHIPPED and not self._shipped_is_altered:
            altered = {name: paths for name, paths in altered.items() if name != SHIPPED}
        retry_s = 0.0 if bundle in self._found else state.retry_s
        self._state = msgspec.structs.replace(
            state, bundle="", part=0, read=(*state.read, bundle), altered=altered, retry_s=retry_s
        )

    def _parts_of(self, bundle: str, part: int) -> Iterator[Checked]:
        if bundle == SHIPPED:
            # Its files have no pieces, and half a file's hash cannot be kept: a new process begins anew.
            self._shipped_is_altered = False
            return check_shipped(self._shipped)
        release = release_in(self._store.bundles / bundle)
        if release is None or release.target_path != self._state.releases.get(bundle, release.target_path):
            self._mark(bundle, "")
            return iter(())
        return self._store.check(release, part)

    def _mark(self, bundle: str, path: str) -> None:
        """Remember that a file is altered, or with no path that nothing can be said of its files."""
        if bundle not in self._bundles():
            return  # collected while it was read
        altered = dict(self._state.altered)
        before = altered.get(bundle)
        if not path or before == ():
            altered[bundle] = ()
        elif before is None or path not in before:
            altered[bundle] = (*(before or ()), path)
        self._found.add(bundle)
        self._shipped_is_altered |= bundle == SHIPPED
        self._state = msgspec.structs.replace(self._state, altered=altered)

    def _heal(self, at_s: float, clock: _EndableClock) -> None:
        """Try to heal every bundle that is altered, and say when to try again."""
        problem: OtaError | None = None
        for bundle, paths in self._state.altered.items():
            if bundle == SHIPPED:
                continue
            try:
                release = self._heal_bundle(bundle, frozenset(paths), clock)
            except OtaError as error:
                clock.heed()
                problem = error
                continue
            self._healed.append(bundle)
            state = self._state
            self._state = msgspec.structs.replace(
                state,
                releases={**state.releases, bundle: release.target_path},
                altered={name: files for name, files in state.altered.items() if name != bundle},
            )
        if problem is None:
            self._state = msgspec.structs.replace(self._state, tries=0, retry_s=0.0, problem="")
            return
        tries = self._state.tries + 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, 32))
        if problem.refusal is OtaRefusal.OUTSIDE_HOURS:
            wait_s = min(LONGEST_WAIT_S, self._fetch.hours.opens_in_s(clock.local_time()))
        self._state = msgspec.structs.replace(
            self._state, tries=tries, retry_s=at_s + wait_s, problem=str(problem)[:500]
        )

    def _heal_bundle(self, bundle: str, paths: frozenset[str], clock: _EndableClock) -> ReleaseManifest:
        """Put files that are as released in place of those that are not; returns the release."""
        fetcher = BlobFetcher(self._transport, clock, self._fetch)
        release = release_in(self._store.bundles / bundle)
        known = self._state.releases.get(bundle)
        if release is None or release.target_path != known:
            release, paths = self._fetch_release(bundle, known, release, clock), frozenset()
        staging = begin(self._store, release, paths=paths, heed=clock.heed)
        if staging.missing:
            fetcher.fetch(release, staging, HeldInStore(self._store), lambda _: clock.heed())
        staging.verify()
        with self._lock:
            if bundle not in self._slots().bundles:
                raise OtaError(OtaRefusal.NOT_NOW, f"{bundle} is no longer wanted")
            staging.place()
        return release

    def _fetch_release(
        self, bundle: str, path: str | None, own: ReleaseManifest | None, clock: _EndableClock
    ) -> ReleaseManifest:
        """The release of a bundle whose own copy of it, `own`, is gone or another one."""
        if path is None:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{bundle}: its release is not known; install it again")
        if not self._fetch.hours.allow(clock.local_time()):
            raise OtaError(OtaRefusal.OUTSIDE_HOURS, f"{path} is not fetched now")
        try:
            release = fetch_release(self._transport, self._fetch.base_url, path)
        except TransferError as error:
            if own is None or error.refusal is not OtaRefusal.NOT_FOUND:
                raise
            return own
        if release.bundle_digest != bundle:
            raise OtaError(OtaRefusal.BUNDLE_ALTERED, f"{path} is the release of {release.bundle_digest}")
        return release

    def _forget_leftovers(self) -> None:
        """New copies of files that are well again, or of bundles that are gone."""
        with contextlib.suppress(OSError):
            for name in names_in(self._store.healing):
                if name not in self._state.altered:
                    empty(self._store.healing / name)

    def _keep(self) -> None:
        """A disk that does not take it costs reading again, and nothing else."""
        self._unkept_bytes = 0
        if self._state != self._kept:
            with contextlib.suppress(StorageError):
                write_state(self._folder, self._state)
                self._kept = self._state

    def _said(self) -> Said | None:
        if not self._found and not self._healed:
            return None
        said = [f"{bundle} was altered on the disk and is healed" for bundle in self._healed]
        said += [f"altered on the disk and not healed: {line}" for line in words_of(self._state)]
        if self._state.problem:
            said.append(self._state.problem)
        return Said(OtaRefusal.BUNDLE_ALTERED, "; ".join(said))


def check_shipped(folder: Path) -> Iterator[Checked]:
    """Look at a bundle that has no release, by its own manifest; the last part of a file says whether it is whole."""
    try:
        manifest = read_manifest(folder)
    except BundleError:
        yield Checked(MANIFEST_NAME, 0, whole=False)
        return
    for blob in manifest.blobs:
        digest = hashlib.sha256()
        try:
            with (folder / blob.path).open("rb", buffering=0) as file:
                while part := file.read(READ_BYTES):
                    digest.update(part)
                    yield Checked(blob.path, len(part), whole=True)
        except OSError:
            yield Checked(blob.path, 0, whole=False)
            continue
        yield Checked(blob.path, 0, whole=digest.hexdigest() == blob.sha256)


class _ToldToEndError(Exception):
    """Somebody else's turn."""


class _EndableClock:
    """A clock whose waits end when somebody says so."""

    def __init__(self, clock: Clock, should_end: Callable[[], bool]) -> None:
        self._clock = clock
        self._should_end = should_end

    def heed(self) -> None:
        """Raise if it is time to end."""
        if self._should_end():
            raise _ToldToEndError

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return self._clock.now_ns()

    def local_time(self) -> datetime:
        """See `Clock.local_time`."""
        return self._clock.local_time()

    def wait(self, seconds: float) -> None:
        """See `Clock.wait`."""
        self.heed()
        while seconds > 0.0:
            try:
                self._clock.wait(min(_WAIT_SLICE_S, seconds))
            except OtaError as error:
                raise _ToldToEndError from error
            seconds -= _WAIT_SLICE_S
            self.heed()
