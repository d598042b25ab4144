"""Runs `stream.c`: a robot's own kernel under hostile input at C speed, and every command that came of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.native import ffi
from edge_runtime.native.build import FLAGS
from edge_runtime.safety.limits import KernelConfig

Array = NDArray[np.float64]

EPISODE_TICKS = 5_000
_BATCH_EPISODES = 10
_HERE = Path(__file__).resolve().parent
_STREAMS = _HERE.parents[1] / "tests" / "safety"
_KERNEL = _HERE.parents[1] / "edge_runtime" / "safety" / "kernel"
_OPENS, _ARMS = 1, 2


@dataclass(frozen=True)
class Commands:
    """What a kernel commanded in one episode, tick by tick.

    Attributes:
        told: (ticks, axes) commanded positions in rad or m; of a velocity axis its velocity. The first row is where the
            robot stands before anything.
        state: (ticks,) the kernel's state.
        arms: (ticks,) the row is no tick: arming was granted, and the robot rests there.
        margin_m: (ticks,) as the kernel tells it.
        place: (3,) where the base stands at first: x m, y m, yaw rad.
        odometry_noise: of each of the base's measured x, y (m) and yaw (rad), to either side.
    """

    told: Array
    state: NDArray[np.uint32]
    arms: NDArray[np.bool_]
    margin_m: Array
    place: Array
    odometry_noise: float


def build(folder: Path) -> Path:
    """The program, from the kernel's own sources."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("no gcc: sudo apt-get install gcc")
    program = folder / "stream"
    sources = [_HERE / "stream.c", *(_STREAMS / f"fuzz_{part}.c" for part in ("stream", "arm", "geometry"))]
    sources += sorted(_KERNEL.glob("*.c"))
    command = [compiler, *FLAGS, f"-I{_KERNEL}", f"-I{_STREAMS}", *map(str, sources), "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def episodes(
    program: Path, folder: Path, config: KernelConfig, home: Sequence[float], ticks: int, seed: int
) -> Iterator[Commands]:
    """Episodes of together at least so many ticks; `seed` decides them all.

    Args:
        folder: for files in between.
        home: (axes,) where the robot stands at first, in the axes' units.
    """
    native = config.to_native()
    (folder / "config").write_bytes(ffi.buffer(native))
    (folder / "home").write_bytes(np.array(home, np.float64).tobytes())
    left = -(-ticks // EPISODE_TICKS)
    batch = 0
    while left > 0:
        count = min(left, _BATCH_EPISODES)
        with (folder / "records").open("wb") as out:
            arguments = [str(folder / "config"), str(folder / "home"), str(seed * 4099 + batch), str(count)]
            subprocess.run([str(program), *arguments, str(EPISODE_TICKS)], stdout=out, check=True)
        yield from _read(folder / "records", len(home))
        left, batch = left - count, batch + 1


def _read(path: Path, n: int) -> Iterator[Commands]:
    head = [("state", "<u4"), ("flags", "<u4"), ("margin_m", "<f8"), ("noise", "<f8"), ("place", "<f8", 3)]
    records = np.fromfile(path, np.dtype([*head, ("told", "<f8", n)]))
    opens = np.flatnonzero(records["flags"] & _OPENS)
    for one in np.split(records, opens[1:]):
        yield Commands(
            told=np.ascontiguousarray(one["told"]),
            state=one["state"].copy(),
            arms=(one["flags"] & _ARMS) != 0,
            margin_m=one["margin_m"].copy(),
            place=one["place"][0].copy(),
            odometry_noise=float(one["noise"][0]),
        )
