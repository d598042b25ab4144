"""What the life cycle of an update asks of this robot: fetch, build, compare, and have the engine change over.

Guarantees that each of them ends, and soon once `should_end` says so, which says nothing about the bundle. What has to
wait while the robot is at work stands still, and goes on from there. Refuses to know why. Trusts each part with what it
guarantees itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import Held, HeldInStore
from edge_runtime.ota.transfer.schedule import Progress, SystemClock
from edge_runtime.ota.transfer.staging import Staging

_WAIT_SLICE_S = 0.2
_NO_PROGRESS = Progress(0, 0, 0.0, None)


class Engine(Protocol):
    """The engine of this robot, as whoever gives it orders sees it. Bundles are named by their digests."""

    def serve(self, bundle: str, standby: str, /) -> bool:
        """Order it to run `bundle`, with `standby` beside it; whether it does already. See `Robot.serve`."""

    def return_to(self, bundle: str, /) -> bool:
        """Order it to run `bundle` again; whether it does already. See `Robot.return_to`."""


class Fetcher(Protocol):
    """Brings the pieces of a release here."""

    def fetch(
        self, release: ReleaseManifest, staging: Staging, held: Held, report: Callable[[Progress], None], /
    ) -> object:
        """See `BlobFetcher.fetch`."""


class Build(Protocol):
    """Has the engines of a bundle built."""

    def run(self, folder: Path, bundle: str, should_end: Asked, must_pause: Asked, /) -> object:
        """See `EngineBuild.run`."""


class Check(Protocol):
    """Has the golden pairs of a bundle run."""

    def run(self, folder: Path, bundle: str, should_end: Asked, must_pause: Asked, /) -> GoldenReport:
        """See `GoldenCheck.run`."""


class Effects:
    """See `robot.Robot`.

    Args:
        root: folder of the runner.
        installed: names what lies in a folder.
        engine: takes the orders.
        should_end: whether to leave off what takes long.
        must_wait: whether the robot is at work, and not to be disturbed by a build or a check, which stand still then.
    """

    def __init__(
        self,
        root: Path,
        installed: Installed,
        fetcher: Fetcher,
        build: Build,
        golden: Check,
        engine: Engine,
        *,
        should_end: Asked,
        must_wait: Asked,
    ) -> None:
        self._progress, self._fetching = _NO_PROGRESS, ""
        self._store = BlobStore(root)
        self._installed = installed
        self._fetcher = fetcher
        self._build = build
        self._golden = golden
        self._engine = engine
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
        self._build.run(folder, folder.parent.name, self._should_end, self._must_wait)

    def golden_check(self, folder: Path) -> str:
        """See `Robot.golden_check`."""
        self.heed()
        report = self._golden.run(folder, folder.parent.name, self._should_end, self._must_wait)
        if report.verdict == "no_data":
            return "without golden pairs"
        return f"{report.cases} golden pairs within {max(report.error_p99_rad):.4f} rad"

    def serve(self, folder: Path, standby: Path) -> bool:
        """See `Robot.serve`."""
        return self._engine.serve(self._installed.digest_in(folder), self._installed.digest_in(standby))

    def return_to(self, folder: Path) -> bool:
        """See `Robot.return_to`."""
        return self._engine.return_to(self._installed.digest_in(folder))

    def _look(self, progress: Progress) -> None:
        self._progress = progress
        self.heed()


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
