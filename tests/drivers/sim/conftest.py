"""The real driver process, and control's side of its port."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.messages import Message, SceneCommand, SceneStatus
from edge_runtime.contracts.topics import HEARTBEAT_DRIVER, OBSERVATION, SCENE_COMMAND, SCENE_STATUS
from edge_runtime.ipc.bus import Sender, Subscriber
from edge_runtime.ipc.port import CommandState, DriverPort, Feedback, PortRole
from edge_runtime.processes import port_name

HERE = Path(__file__).parent
HEADERS = Path(__file__).parents[3] / "edge_runtime" / "ipc"


@pytest.fixture(scope="session")
def command_writer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    library = tmp_path_factory.mktemp("native") / "command_writer.so"
    source = HERE / "command_writer.c"
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{HEADERS}"]
    subprocess.run(["gcc", *flags, source, "-o", library, "-lrt"], check=True)
    writer = ctypes.CDLL(str(library))
    doubles = ctypes.POINTER(ctypes.c_double)
    writer.open_region.restype = ctypes.c_void_p
    writer.write_command.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_uint32,
        doubles,
        doubles,
        ctypes.c_uint32,
    ]
    return writer


@pytest.fixture
def robot_toml(tmp_path: Path) -> Path:
    """The shipped settings with an empty bundle folder: a driver does not look into it."""
    folder = tmp_path / "config"
    (folder / "bundle").mkdir(parents=True)
    for source in SIM_CONFIG.parent.glob("*.toml"):
        text = re.sub(r"(?m)^bundle = .*$", 'bundle = "bundle"', source.read_text(encoding="utf-8"))
        (folder / source.name).write_text(text, encoding="utf-8")
    return folder / "robot.toml"


@dataclass
class Cell:
    """A running driver process with everything a test needs to talk to it."""

    process: subprocess.Popen[bytes]
    run_dir: Path
    port: DriverPort
    subscriber: Subscriber
    scene: Sender
    writer: Any
    region: int

    def command(self, stamp_ns: int, state: CommandState, q: Sequence[float], dq: Sequence[float] = (0.0,) * 7) -> None:
        """Write one command, as control does in every tick."""
        vector = ctypes.c_double * 8
        self.writer.write_command(self.region, stamp_ns, state, vector(*q[:7], 0.04), vector(*dq), 8)

    def collect(self, kind: type[Message], count: int, timeout_s: float = 20.0) -> list[Any]:
        """The next `count` messages of a kind."""
        found: list[Any] = []
        deadline = time.monotonic() + timeout_s
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} {kind.__name__} within {timeout_s} s"
            found += [m for m in self.subscriber.receive(0.05) if isinstance(m, kind)]
        return found[:count]

    def lay_out(self, scene_id: int, seed: int) -> SceneStatus:
        """Send a scene command until it is answered."""
        command = SceneCommand(id=scene_id, seed=seed, split="eval", stamp_ns=time.monotonic_ns())
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            self.scene.send(command)
            for status in self.collect(SceneStatus, 1):
                if status.answered_id == scene_id:
                    return status
        raise AssertionError("the driver did not answer")

    def feedback(self) -> Feedback:
        """The newest sample; read again when the driver is just writing one."""
        for _ in range(1000):
            feedback = self.port.read_feedback()
            if feedback is not None:
                return feedback
        raise AssertionError("no feedback")

    def position(self) -> list[float]:
        return self.feedback().q.tolist()


StartCell = Callable[..., Cell]


@pytest.fixture
def start_cell(tmp_path: Path, robot_toml: Path, command_writer: Any) -> Iterator[StartCell]:
    run_dir = tmp_path / "run"
    cells: list[Cell] = []

    def start(*, lockstep: bool) -> Cell:
        arguments = ["-m", "edge_runtime.drivers", "--config", str(robot_toml), "--run-dir", str(run_dir)]
        process = subprocess.Popen([sys.executable, *arguments, *(["--lockstep"] if lockstep else [])])
        port = DriverPort.attach(port_name(run_dir), timeout_s=30.0)
        port.claim(PortRole.CONTROL)
        region = command_writer.open_region(port_name(run_dir).encode())
        assert region
        subscriber = Subscriber((OBSERVATION, SCENE_STATUS, HEARTBEAT_DRIVER), run_dir)
        cell = Cell(process, run_dir, port, subscriber, Sender(SCENE_COMMAND, run_dir), command_writer, region)
        cells.append(cell)
        cell.collect(SceneStatus, 1, timeout_s=30.0)
        return cell

    yield start
    for cell in cells:
        if cell.process.poll() is None:
            os.kill(cell.process.pid, signal.SIGTERM)
        cell.process.wait(10.0)
        cell.subscriber.close()
        cell.scene.close()
        cell.port.close()
