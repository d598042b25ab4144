"""A fleet whose hub's files come to harm: the hub, its robots, and the ways in which a file is damaged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_runtime.contracts.assignment import Assignment, AssignmentTerms
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust, TrustSettings
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.sign import draft_release, sign_draft
from hub.hub import Hub, make_development_hub
from tests.ota.repositories import HARDWARE, NETWORK, Site, packed_release

ROBOTS = ("arm-1", "arm-2", "arm-3")


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def other_json(path: Path) -> None:
    path.write_text('{"signed": [1, 2], "signatures": "none"}')


def deep_json(path: Path) -> None:
    path.write_text("[" * 100_000)


def one_letter(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 2').replace('"version":1', '"version":2'))


def of_another_role(path: Path) -> None:
    path.write_bytes((path.parent / "1.root.json").read_bytes())


def a_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def without_end(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_terabyte(path: Path) -> None:
    os.truncate(path, 1 << 40)


HARM: tuple[Callable[[Path], None], ...] = (
    gone,
    cut,
    empty,
    garbage,
    other_json,
    deep_json,
    one_letter,
    of_another_role,
    a_folder,
    a_link_to_nothing,
    a_pipe,
    without_end,
    a_terabyte,
)
FILES = ("timestamp.json", "1.snapshot.json", "1.targets.json")


class Fleet:
    """A hub with three robots that were told something and know it."""

    def __init__(self, folder: Path, release: ReleaseManifest, later: ReleaseManifest) -> None:
        self.folder, self.release, self.later = folder, release, later
        self.hub = Hub(folder / "hub")
        self.site = Site(folder / "hub")

    def check(self, robot: str) -> Assignment:
        """What a robot makes of it, which remembers what it has seen."""
        delivered = self.hub.folder / "robot"
        settings = TrustSettings(
            robot_id=robot,
            hardware=HARDWARE,
            image_url=f"{self.site.url}/image",
            director_url=f"{self.site.url}/director/robots",
            image_root=(delivered / "image.root.json").read_bytes(),
            director_root=(delivered / "director.root.json").read_bytes(),
            folder=self.folder / "known" / robot,
        )
        with HttpTransport(NETWORK, SystemClock()) as transport:
            return Trust(settings, transport, Floor(self.folder / "floors" / robot)).check(time.time())

    def metadata(self, robot: str) -> Path:
        return self.hub.folder / "director" / "robots" / robot / "metadata"

    def timestamp(self, robot: str) -> int:
        return int(json.loads((self.metadata(robot) / "timestamp.json").read_text())["signed"]["version"])

    def assign(self, release: ReleaseManifest, counter: int) -> dict[str, str]:
        told = [
            AssignmentTerms(
                robot_id=robot,
                release_counter=counter,
                hardware=HARDWARE,
                not_before_s=0,
                rollout_id="manual",
                probation_s=600,
            )
            for robot in ROBOTS
        ]
        return self.hub.director.assign_all(release.target_path, told, self.hub.image, self.hub.online(), time.time())


@cache
def first_fleet() -> tuple[Path, ReleaseManifest, ReleaseManifest, TemporaryDirectory[str]]:
    """Made once: its folder, the release that its robots were told, a later one, and what keeps the folder there."""
    kept = TemporaryDirectory()
    folder = Path(kept.name)
    hub = make_development_hub(folder / "hub", time.time())
    releases = []
    for words in ("first", "later"):
        release = packed_release(folder / "packed", words)
        draft, _ = draft_release(hub.image.releases(), release.canonical_json(), (HARDWARE,), time.time())
        for name in ("exporter", "approver"):
            sign_draft(draft, load_signer(hub.development_keys / f"{name}.key"))
        hub.image.publish_release(draft, folder / "packed", hub.online(), time.time())
        releases.append(release)
    fleet = Fleet(folder, releases[0], releases[1])
    with closing(fleet.site):
        assert fleet.assign(releases[0], 1) == {}
        for robot in ROBOTS:
            fleet.check(robot)
    return folder, releases[0], releases[1], kept
