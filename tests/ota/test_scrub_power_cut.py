"""Healing is killed, and fails, at system calls that change the disk; what it reads is a disk that gives errors."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.ota.store.scrub_state import read_state
from edge_runtime.ota.transfer.blobs import sha256_of
from edge_runtime.testing.web_server import WebServer
from tests.ota import power_cut
from tests.ota.scrubbed_robot import NOW_S, ScrubbedRobot, spoil
from tests.warm import Warm

LATER_S = NOW_S + 90_000.0
SCRUBS = Warm("tests.ota.scrub_exercise:main", power_cut.WORKERS)


@pytest.fixture(scope="module")
def damaged() -> Iterator[ScrubbedRobot]:
    """A robot with one altered piece in the bundle that runs."""
    if not power_cut.have_strace():
        pytest.skip(power_cut.HOW_TO_GET_STRACE)
    with power_cut.scratch_folder() as folder:
        robot = ScrubbedRobot.made(folder)
        spoil(robot, "committed")
        yield robot


@pytest.fixture(scope="module")
def hub(damaged: ScrubbedRobot) -> Iterator[WebServer]:
    with WebServer(damaged.objects) as server:
        yield server


def scrubs(folder: Path, hub: WebServer, *strace: str) -> int:
    """Scrub in a process of its own under strace; the exit code."""
    done = SCRUBS.run([str(folder), hub.url], *strace)
    assert done.status in (0, -9), done.said
    return done.status


def points_of(damaged: ScrubbedRobot, hub: WebServer, scratch: Path) -> list[power_cut.Point]:
    """Every system call of healing that changes the disk."""
    log = scratch / "strace"
    shutil.copytree(damaged.folder, scratch / "watched", symlinks=True)
    assert scrubs(scratch / "watched", hub, "-o", str(log), "-e", f"trace={power_cut.CHANGING}") == 0
    seen: dict[str, int] = {}
    points = []
    for name in re.findall(r"^\d+ +(\w+)\(", log.read_text(), flags=re.MULTILINE):
        seen[name] = seen.get(name, 0) + 1
        points.append((name, seen[name]))
    return points


def at_each(points: list[power_cut.Point], body: Callable[[power_cut.Point], None]) -> None:
    with ThreadPoolExecutor(power_cut.WORKERS) as pool:
        for _ in pool.map(body, points):
            pass


def require_no_worse(robot: ScrubbedRobot, damaged: ScrubbedRobot) -> None:
    """The altered file is as it was or as released; every other one is as released."""
    path, before = (where.path("committed", "denoise.onnx") for where in (robot, damaged))
    for file in robot.releases["committed"].files:
        digest = sha256_of(robot.path("committed", file.path))
        assert digest == file.sha256 or (file.path == "denoise.onnx" and path.read_bytes() == before.read_bytes())
    for version in ("previous", "staged"):
        verify_bundle(robot.store.folder(robot.digest(version)))


def test_killed_at_every_system_call_of_healing(damaged: ScrubbedRobot, hub: WebServer) -> None:
    with power_cut.scratch_folder() as scratch:
        points = points_of(damaged, hub, scratch)
        assert ("rename", 2) in points

        def cut(point: power_cut.Point) -> None:
            name, number = point
            folder = scratch / f"{name}-{number}"
            shutil.copytree(damaged.folder, folder, symlinks=True)
            inject = ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
            assert scrubs(folder, hub, *inject) != 0, point
            robot = ScrubbedRobot(folder)
            require_no_worse(robot, damaged)
            robot.run(hub.url, LATER_S)
            robot.require_whole()

        at_each(points, cut)


def test_a_system_call_of_each_kind_fails(damaged: ScrubbedRobot, hub: WebServer) -> None:
    with power_cut.scratch_folder() as scratch:
        points = points_of(damaged, hub, scratch)

        def fail(point: power_cut.Point) -> None:
            name, _ = point
            folder = scratch / name
            shutil.copytree(damaged.folder, folder, symlinks=True)
            # All of them: what is tried again fails again.
            inject = ("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:error=EIO")
            assert scrubs(folder, hub, *inject) == 0, point
            robot = ScrubbedRobot(folder)
            require_no_worse(robot, damaged)
            robot.run(hub.url, LATER_S)
            robot.require_whole()

        at_each([point for point in points if point[1] == 1], fail)


def test_a_file_that_gives_errors_is_replaced(damaged: ScrubbedRobot, hub: WebServer) -> None:
    with power_cut.scratch_folder() as scratch:
        folder = scratch / "unreadable"
        shutil.copytree(damaged.folder, folder, symlinks=True)
        robot = ScrubbedRobot(folder)
        unreadable = robot.path("previous", "encode.onnx")
        before = unreadable.stat().st_ino
        assert scrubs(folder, hub, "-o", "/dev/null", "-P", str(unreadable), "-e", "inject=pread64,read:error=EIO") == 0
        assert read_state(robot.home).altered == {}
        assert unreadable.stat().st_ino != before
        robot.require_whole()
