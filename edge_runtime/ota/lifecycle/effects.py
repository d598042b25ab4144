"""What the life cycle of an update asks of this robot: fetch, build, compare, and have the engine change over.

Guarantees that each of them ends, and soon once `should_end` says so, which says nothing about the bundle. What has to
wait while the robot is at work stands still, and goes on from there. Refuses to know why. Trusts each part with what it
guarantees itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.lifecycle.child import Asked, never
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import BlobFetcher, HeldInStore
from edge_runtime.ota.transfer.schedule import Clock, Progress, SystemClock
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.ota.transfer.transport import Transport

_WAIT_SLICE_S = 0.2
_NO_PROGRESS = Progress(0, 0, 0.0, None)


class Engine(Protocol):
    """The engine of this robot, as whoever gives it orders sees it. Bundles are named by their digests."""

    def serve(self, bundle: str, standby: str) -> None:
        """Have it run `bundle`, with `standby` beside it; it does when this returns.

        Raises:
            OtaError: ENGINE_ABSENT, ENGINE_REFUSED, ENGINE_SLOW; ROLLBACK_ASKED: a person wants none of it.
        """

    def return_to(self, bundle: str) -> None:
        """Have it run `bundle` again. Where there is no engine, the next one begins with what the pointer says.

        Raises:
            OtaError: ENGINE_REFUSED, ENGINE_SLOW.
        """


class Effects:
    """See `runner.Robot`.

    Args:
        engine: takes the orders.
        shipped: digest of the bundle that came with the software.
        should_end: whether to leave off what takes long.
        must_wait: whether the robot is at work, and not to be disturbed by a build or a check, which stand still then.
    """

    def __init__(
        self,
        settings: AgentSettings,
        transport: Transport,
        clock: Clock,
        engine: Engine,
        shipped: Callable[[], str],
        *,
        should_end: Asked = never,
        must_wait: Asked = never,
    ) -> None:
        self.words = ""
        self._progress, self._fetching = _NO_PROGRESS, ""
        self._settings = settings
        self._store = BlobStore(settings.root)
        self._fetcher = BlobFetcher(transport, clock, settings.fetch)
        self._engine = engine
        self._shipped = shipped
        self._should_end = should_end
        self._must_wait = must_wait

    def fetch(self, staging: Staging) -> None:
        """See `Robot.fetch`."""
        self.heed()
        self._progress, self._fetching = _NO_PROGRESS, staging.release.target_path
        self._fetcher.fetch(staging.release, staging, HeldInStore(self._store), self._look)

    def heed(self) -> None:
        """See `Robot.heed`."""
        if self._should_end():
            raise OtaError(OtaRefusal.NOT_NOW, "the agent has something else to do")

    def progress_of(self, release: str) -> Progress:
        """Of its download, under way or over; nothing where nothing of it was fetched since this process began."""
        return self._progress if release == self._fetching else _NO_PROGRESS

    def build(self, folder: Path) -> None:
        """See `Robot.build`."""
        self.heed()
        try:
            self._settings.build.run(folder, folder.parent.name, self._should_end, self._must_wait)
        except OtaError as error:
            self.words = error.detail
            raise

    def golden_check(self, folder: Path) -> None:
        """See `Robot.golden_check`; `words` say what came of it."""
        self.heed()
        try:
            report = self._settings.golden.run(folder, folder.parent.name, self._should_end, self._must_wait)
        except OtaError as error:
            self.words = error.detail
            raise
        if report.verdict == "no_data":
            self.words = "without golden pairs"
        else:
            self.words = f"{report.cases} golden pairs within {max(report.error_p99_rad):.4f} rad"

    def serve(self, folder: Path, standby: Path) -> None:
        """See `Robot.serve`."""
        try:
            self._engine.serve(self._digest(folder), self._digest(standby))
        except OtaError as error:
            self.words = error.detail
            raise

    def return_to(self, folder: Path) -> None:
        """See `Robot.return_to`."""
        try:
            self._engine.return_to(self._digest(folder))
        except OtaError as error:
            self.words = error.detail
            raise

    def _look(self, progress: Progress) -> None:
        self._progress = progress
        self.heed()

    def _digest(self, folder: Path) -> str:
        return self._shipped() if folder == self._settings.shipped else folder.parent.name


class EndableClock(SystemClock):
    """This machine's clocks, with waits that end when they should."""

    def __init__(self, should_end: Asked) -> None:
        self._should_end = should_end

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            OtaError: NOT_NOW: told to end.
        """
        while seconds > 0.0:
            if self._should_end():
                raise OtaError(OtaRefusal.NOT_NOW, "the agent has something else to do")
            super().wait(min(_WAIT_SLICE_S, seconds))
            seconds -= _WAIT_SLICE_S
