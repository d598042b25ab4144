"""A light policy in the engine's place, on the engine's sockets, that does what is asked of it: move, or go wrong.

``python -m benchmarks.faults.policy RUN_DIR PAGE``: imports, says "ready" on standard output, and becomes the engine on
the line of JSON (`Orders`) that it is then given. Ten chunks and fifty heartbeats a second, a swing of all joints from
wherever the robot rests. On SIGUSR1 it computes for ever and says nothing more, on SIGUSR2 it takes memory until there
is none left, on SIGRTMIN it says the same thing again and again. Ends with the process that started it.

What it did last stands in PAGE, a file of two 64-bit integers: stamp of the last heartbeat, stamp of the last memory.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path

import msgspec

from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import ActionChunk, ControlState, Heartbeat, InferenceTiming, SafetyReport
from edge_runtime.contracts.topics import ACTION_CHUNK, HEARTBEAT_ENGINE, POLICY_STATUS, SAFETY_REPORT
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.ipc.lifeline import lifeline
from edge_runtime.processes import port_name

DT_NS = 20_000_000
BEAT_NS = 20_000_000
CHUNK_NS = 100_000_000
STUCK = signal.SIGRTMIN
PAGE = struct.Struct("<qq")
_HOG_BYTES = 4 << 20


class Orders(msgspec.Struct, frozen=True):
    """What to do.

    Attributes:
        start: where the robot rests.
        centre: between the ends of the swing, more or less.
        swing, rate: of each axis, end to end, and how fast.
        horizon: actions of a chunk, 20 ms apart.
        ballast_bytes: memory to hold, as a large model would.
    """

    joint_digest: str
    bundle_digest: str
    start: tuple[float, ...]
    centre: tuple[float, ...]
    swing: tuple[float, ...]
    rate: tuple[float, ...]
    horizon: int
    ballast_bytes: int = 0


class Policy:
    """Answers no observation: where the robot is commanded to be is all it looks at."""

    def __init__(self, orders: Orders, run_dir: Path, page: mmap.mmap, ballast: bytearray) -> None:
        self._orders = orders
        self._ballast = ballast
        self._page = page
        self._chunks = Publisher(ACTION_CHUNK, run_dir)
        self._beats = Publisher(HEARTBEAT_ENGINE, run_dir)
        self._statuses = Publisher(POLICY_STATUS, run_dir)
        self._since_ns = time.monotonic_ns()
        self._reports = Subscriber((SAFETY_REPORT,), run_dir)
        self._base, self._base_ns = orders.start, time.monotonic_ns()
        self._sequence = 0
        self._is_stuck = False
        self._last: ActionChunk | None = None
        signal.signal(signal.SIGUSR1, self._spin)
        signal.signal(signal.SIGUSR2, self._hog)
        signal.signal(STUCK, self._get_stuck)

    def run(self) -> None:
        """For ever."""
        beat_ns = chunk_ns = time.monotonic_ns()
        chunk_ns += BEAT_NS
        while True:
            now_ns = time.monotonic_ns()
            if now_ns >= beat_ns:
                self._beat(now_ns)
                beat_ns = now_ns + BEAT_NS
            if now_ns >= chunk_ns:
                self._say(now_ns)
                chunk_ns = now_ns + CHUNK_NS
            wait_ns = min(beat_ns, chunk_ns) - time.monotonic_ns()
            for message in self._reports.receive(max(wait_ns, 1_000_000) * 1e-9):
                if isinstance(message, SafetyReport) and message.state is not ControlState.ACTIVE:
                    self._base, self._base_ns = message.position_commanded, time.monotonic_ns()

    def _beat(self, now_ns: int) -> None:
        self._sequence += 1
        beat = Heartbeat(
            process="engine",
            pid=os.getpid(),
            stamp_ns=now_ns,
            sequence=self._sequence,
            counters={},
            refusals={},
            gauges={},
        )
        self._page[:8] = now_ns.to_bytes(8, "little")
        self._beats.send(beat)
        status = PolicyStatus(
            stamp_ns=now_ns,
            pid=os.getpid(),
            order_id=0,
            serving=self._orders.bundle_digest,
            serving_since_ns=self._since_ns,
            proof=ProofVerdict.MATCHED,
        )
        self._statuses.send(status)

    def _say(self, now_ns: int) -> None:
        if not self._is_stuck or self._last is None:
            self._last = self._chunk(now_ns)
        self._chunks.send(self._last)

    def _chunk(self, now_ns: int) -> ActionChunk:
        orders = self._orders
        rows = []
        for k in range(1, orders.horizon + 1):
            t_s = max(now_ns + k * DT_NS - self._base_ns, 0) * 1e-9
            row = []
            for base, centre, swing, rate in zip(self._base, orders.centre, orders.swing, orders.rate, strict=True):
                way = math.copysign(swing, centre - base)
                row.append(base + way * (1.0 - math.cos(rate * t_s)) / 2.0)
            rows.append(tuple(row))
        return ActionChunk(
            sequence=self._sequence,
            observation_sequence=self._sequence,
            exposure_ns=now_ns,
            published_ns=now_ns,
            dt_ns=DT_NS,
            joint_digest=orders.joint_digest,
            bundle_digest=orders.bundle_digest,
            instruction_id=1,
            position=tuple(rows),
            timing=InferenceTiming(received_ns=now_ns, preprocess_ns=0, model_ns=0, postprocess_ns=0),
        )

    def _spin(self, _number: int, _frame: object) -> None:
        while True:
            math.sqrt(2.0)

    def _hog(self, _number: int, _frame: object) -> None:
        """Each piece is touched, so that it is really there. What a C++ runtime does without memory: it aborts."""
        held = []
        try:
            while True:
                piece = mmap.mmap(-1, _HOG_BYTES)
                held.append(piece)
                for at in range(0, _HOG_BYTES, mmap.PAGESIZE):
                    piece[at] = 1
                    self._page[8:16] = time.monotonic_ns().to_bytes(8, "little")
        except (MemoryError, OSError):
            os.abort()

    def _get_stuck(self, _number: int, _frame: object) -> None:
        self._is_stuck = True


def main() -> None:
    """Wait for the orders, then be the policy."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    run_dir, page_path = Path(sys.argv[1]), Path(sys.argv[2])
    print("ready", flush=True)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    orders = msgspec.json.decode(line, type=Orders)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = bytearray(b"\1") * orders.ballast_bytes
    with page_path.open("r+b") as file:
        policy = Policy(orders, run_dir, mmap.mmap(file.fileno(), PAGE.size), held)
        with lifeline(port_name(run_dir)):
            policy.run()


if __name__ == "__main__":
    main()
