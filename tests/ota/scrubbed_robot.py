"""A robot with bundles on its disk, the hub that they came from, and the scrub between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edge_runtime.bundles.slots import Slot, Slots
from edge_runtime.config.robot_file import ScrubSection
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.store.scrub import Said, Scrub
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.transfer.fetch import FetchSettings
from edge_runtime.ota.transfer.schedule import AllowedHours, Clock
from edge_runtime.ota.transfer.staging import begin
from edge_runtime.ota.transfer.transport import HttpTransport, NetworkSettings
from edge_runtime.testing.small_bundles import release_of, small_bundle
from edge_runtime.testing.web_server import Source
from tests.ota.packed_releases import LeapingClock

VERSIONS = ("previous", "committed", "staged")
NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
NETWORK = NetworkSettings(connect_s=5.0)


class ScrubbedRobot:
    """Below `folder`: what was released, the shipped bundle, and a store with one bundle for each slot.

    Attributes:
        releases, objects: what the hub has, by version and by path of a URL.
        hours, settings: of the scrub.
        slots: of the robot; a test may change them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shipped = folder / "shipped"
        self.home = folder / "robot"
        self.store = BlobStore(self.home / "bundles")
        self.releases: dict[str, ReleaseManifest] = {}
        self.objects: dict[str, Source] = {}
        self.hours = AllowedHours()
        self.settings = ScrubSection(rate_bytes_s=1e9)
        self.lock = threading.RLock()
        self.clock = LeapingClock()
        self._transport = HttpTransport(NETWORK, self.clock)
        for version in VERSIONS:
            release, pieces = release_of(folder / "made" / version)
            self.releases[version] = release
            directory, _, name = release.target_path.rpartition("/")
            self.objects[f"/{directory}/{release.digest}.{name}"] = release.canonical_json()
            self.objects[f"/{release.packs[0].path}"] = b"".join(pieces.values())
        slots = {name: Slot(self.digest(name), number) for number, name in enumerate(VERSIONS, 1)}
        self.slots = Slots(
            active=slots["committed"],
            committed=slots["committed"],
            previous=slots["previous"],
            staged=slots["staged"],
        )

    @classmethod
    def made(cls, folder: Path) -> ScrubbedRobot:
        """With all of it written, and everything as released."""
        small_bundle(folder / "shipped", "0")
        for version in VERSIONS:
            small_bundle(folder / "made" / version, version)
        robot = cls(folder)
        robot.store.create()
        for version in VERSIONS:
            staging = begin(robot.store, robot.releases[version])
            for piece in staging.missing:
                staging.put(piece, release_of(folder / "made" / version)[1][piece])
            staging.finish()
        return robot

    def digest(self, version: str) -> str:
        """Of the bundle of a slot."""
        return self.releases[version].bundle_digest

    def path(self, version: str, name: str) -> Path:
        """Of a file of a bundle."""
        return self.store.folder(self.digest(version)) / name

    def scrub(self, url: str, clock: Clock | None = None) -> Scrub:
        """As a process that has just started has it."""
        return Scrub(
            self.home,
            self.store,
            self.shipped,
            lambda: self.slots,
            self.lock,
            self._transport,
            clock or self.clock,
            FetchSettings(url, self.hours),
            self.settings,
        )

    def run(self, url: str, now_s: float = NOW_S, should_end: Callable[[], bool] = never) -> Said | None:
        """One run of a process that has just started."""
        return self.scrub(url).run(now_s, should_end)

    def require_whole(self) -> None:
        """Every bundle is as released, and nothing is left over of making it so."""
        for version in VERSIONS:
            assert verify_bundle(self.store.folder(self.digest(version))).digest == self.digest(version)
            assert self.store.installed()[self.digest(version)] == self.releases[version]
        for folder in (self.store.staging, self.store.trash, self.store.healing):
            assert not list(folder.iterdir())


def flip(path: Path, at: int) -> None:
    """Alter one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def spoil(robot: ScrubbedRobot, version: str) -> Path:
    """Alter a piece that no other file has."""
    path = robot.path(version, "denoise.onnx")
    flip(path, -1)
    return path
