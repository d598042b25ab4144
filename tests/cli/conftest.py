"""The `edge-runtime` command as a person starts it, on a robot with the drift policy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.ipc.frames import ring_name
from edge_runtime.processes import port_name
from tests.system.conftest import run_dir
from tests.system.drift_bundle import write_robot

__all__ = ["run_dir"]

Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def robot_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_robot(tmp_path_factory.mktemp("robot") / "config")


@pytest.fixture
def edge_runtime() -> Iterator[Command]:
    """Starts the command; whatever a test leaves behind is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from edge_runtime.cli import main; main()", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def traces(run_dir: Path, robot_toml: Path) -> list[str]:
    """What a run has left behind: processes that name its folder, and shared memory."""
    left = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(run_dir) in line and process.info["pid"] != os.getpid():
            left.append(line)
    names = [port_name(run_dir)]
    names += [ring_name(run_dir, camera.name) for camera in load_config(robot_toml).embodiment.cameras]
    return left + [name for name in names if (Path("/dev/shm") / name).exists()]
