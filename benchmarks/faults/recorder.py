"""Every command that control writes, with what the robot made of it, and whether a sequence of them is a motion.

Guarantees that a command that was missed is counted, never guessed. Trusts `driver.c`, which writes the record from the
other side of the port; knows nothing of the loop that wrote the commands, nor of its kernel.
"""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge_runtime.ipc
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.control.limits import TICK_S
from edge_runtime.ipc.port import CommandState

RING_ENTRIES = 65536
RING_AXES = 8
_AXES = ("f8", (RING_AXES,))
ENTRY = np.dtype(
    [
        ("seen_ns", "i8"),
        ("stamp_ns", "i8"),
        ("seq", "u8"),
        ("reasons", "u8"),
        ("faults", "u8"),
        ("plan_seq", "u8"),
        ("state", "u4"),
        ("moves", "u4"),
        ("q", *_AXES),
        ("dq", *_AXES),
        ("q_measured", *_AXES),
        ("dq_measured", *_AXES),
    ]
)
_HEAD = np.dtype(
    [("count", "u8"), ("watchdog_stops", "u8"), ("stopped_ns", "i8"), ("feedback_ns", "i8"), ("dq", *_AXES)]
)
_ROUNDING = 1e-9
_ARMED = tuple(int(state) for state in CommandState if state.follows)


def build_driver(folder: Path) -> Path:
    """Compile `driver.c` into `folder`.

    Raises:
        FileNotFoundError: there is no C compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("a C compiler is needed: apt-get install gcc")
    program = folder / "fault_driver"
    header = Path(edge_runtime.ipc.__file__).parent
    source = Path(__file__).with_name("driver.c")
    subprocess.run([compiler, "-O2", "-Wall", "-Werror", f"-I{header}", "-o", program, source], check=True)
    return program


class Recorder:
    """A running `driver.c`: the robot itself, or one that looks on. A context manager.

    Args:
        program: from `build_driver`.
        port: name of the driver port.
        drive: arguments of `driver drive` after the ring; None looks on at the port of another driver.
    """

    def __init__(self, program: Path, port: str, drive: Sequence[str] | None) -> None:
        self._path = Path("/dev/shm") / f"{port}-record"
        self._path.write_bytes(b"")
        os.truncate(self._path, _HEAD.itemsize + RING_ENTRIES * ENTRY.itemsize)
        with self._path.open("r+b") as file:
            room = mmap.mmap(file.fileno(), 0)
        self._head = np.frombuffer(room, dtype=_HEAD, count=1)
        self._ring = np.frombuffer(room, dtype=ENTRY, offset=_HEAD.itemsize)
        self._port = Path("/dev/shm") / port
        self._is_driver = drive is not None
        mode = "watch" if drive is None else "drive"
        self.process = subprocess.Popen([str(program), mode, port, str(self._path), *(drive or ())])
        self._taken = 0

    def take(self) -> NDArray[Any]:
        """`ENTRY` of all commands since the last call, oldest first; the caller's own.

        Raises:
            RuntimeError: the driver has ended, or nobody has called for a minute.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"the recording driver ended with {self.process.returncode}")
        count = int(self._head["count"][0])
        # The oldest entry may be overwritten while it is read.
        if count - self._taken >= RING_ENTRIES:
            raise RuntimeError("commands were overwritten before they were read")
        places = np.arange(self._taken, count) % RING_ENTRIES
        self._taken = count
        return self._ring[places]

    @property
    def watchdog_stops(self) -> int:
        """How often the robot stood still by itself."""
        return int(self._head["watchdog_stops"][0])

    @property
    def stopped_ns(self) -> int:
        """When it last did."""
        return int(self._head["stopped_ns"][0])

    def measured(self) -> tuple[int, NDArray[np.float64]]:
        """Stamp of the newest feedback and the axes' speeds, also while no command comes."""
        return int(self._head["feedback_ns"][0]), np.array(self._head["dq"][0])

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self._path.unlink(missing_ok=True)
        if self._is_driver:
            self._port.unlink(missing_ok=True)


class Continuity:
    """Whether the commands of a whole run are one motion inside its limits.

    Velocity, acceleration and jerk are differences of consecutive commands, not what control says they are. The limits
    hold from one tick to the next; the time between two ticks is the machine's.

    Args:
        config: of the robot.

    Attributes:
        joints: places of the axes that are judged: a gripper may change its speed at once.
        limits: of each of these, rad/s, rad/s², rad/s³.
        ticks: looked at.
        missed: commands that the record lacks, because the machine withheld the processor from the robot's side.
        worst: largest share of each limit, 1 is the limit.
        jumps: positions that are not the last one plus the commanded speed.
        armings: how often a robot that was not to move was to move.
    """

    def __init__(self, config: RobotConfig) -> None:
        self.ticks = self.missed = self.jumps = self.armings = 0
        self.joints = list(config.embodiment.joint_indices)
        joints = [config.safety.axes[name] for name in config.embodiment.joint_names]
        self.limits = {
            "velocity": np.array([joint.speed_max for joint in joints]),
            "acceleration": np.array([joint.acceleration_max for joint in joints]),
            "jerk": np.array([joint.jerk_max for joint in joints]),
        }
        self.worst = dict.fromkeys(self.limits, 0.0)
        self._last: NDArray[Any] = np.empty(0, ENTRY)

    def add(self, entries: NDArray[Any]) -> None:
        """Take in the next commands, without a gap to those before."""
        if len(entries) == 0:
            return
        whole = np.concatenate([self._last, entries])
        new = len(entries)
        self._last = whole[-3:].copy()
        self.ticks += new
        armed = np.isin(whole["state"], _ARMED)
        q, dq = whole["q"][:, self.joints], whole["dq"][:, self.joints]
        steps = np.diff(whole["seq"]).astype(np.int64)
        # A robot that is not to move is where it is measured, which is no motion of anybody's making.
        moves = armed[:-1] & armed[1:]
        in_row = moves & (steps == 1)
        ddq = np.diff(dq, axis=0) / TICK_S
        dddq = np.diff(ddq, axis=0) / TICK_S
        # The commands before are judged once more, which changes no maximum.
        self._judge("velocity", dq[armed])
        self._judge("acceleration", ddq[in_row])
        self._judge("jerk", dddq[in_row[:-1] & in_row[1:]])
        way = np.abs(np.diff(q, axis=0))
        off = np.abs(np.diff(q, axis=0) - TICK_S * dq[1:]).max(axis=1)
        # Over a gap: no further than so many ticks at the highest speed.
        far = (way > steps[:, None] * TICK_S * self.limits["velocity"] + _ROUNDING).any(axis=1)
        jumped = (in_row & (off > _ROUNDING)) | (moves & far)
        since = len(steps) - min(new, len(steps))
        self.jumps += int(np.count_nonzero(jumped[since:]))
        self.armings += int(np.count_nonzero((~armed[:-1] & armed[1:])[since:]))
        self.missed += int((steps[since:] - 1).sum())

    def _judge(self, name: str, values: NDArray[np.float64]) -> None:
        if len(values):
            self.worst[name] = max(self.worst[name], float((np.abs(values) / self.limits[name]).max()))
