"""The policy's process for the one who injects faults: started ahead of time, told to go, and made to go wrong."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.faults.policy import PAGE, STUCK, Orders

_ROOM_BYTES = 64 << 20


class PolicyProcess:
    """One life of the policy; it stands by until `go`."""

    def __init__(self, run_dir: Path) -> None:
        descriptor, path = tempfile.mkstemp(suffix=".page", dir=run_dir)
        self._page = Path(path)
        os.write(descriptor, bytes(PAGE.size))
        os.close(descriptor)
        command = [sys.executable, "-m", "benchmarks.faults.policy", str(run_dir), str(self._page)]
        with (run_dir / "policy.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def go(self, orders: Orders, cgroup: Path | None = None) -> None:
        """Be the policy from now on, as a member of that group."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("the policy does not start")
        if cgroup is not None:
            (cgroup / "cgroup.procs").write_text(str(self.process.pid))
        self.process.stdin.write(msgspec.json.encode(orders) + b"\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> int:
        """Stamp of the moment before the system call."""
        now_ns = time.monotonic_ns()
        os.kill(self.process.pid, number)
        return now_ns

    def exhaust_memory(self, *, by_limit: bool) -> None:
        """Let it take memory until it is refused some (`by_limit`), or until the system ends it."""
        if by_limit:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + _ROOM_BYTES
            resource.prlimit(self.process.pid, resource.RLIMIT_AS, (most, most))
        self.signal(signal.SIGUSR2)

    def get_stuck(self) -> int:
        """Let it repeat itself; stamp of the moment before."""
        return self.signal(STUCK)

    def page(self) -> tuple[int, int]:
        """When it last sent a heartbeat, and when it last took memory."""
        beat_ns, memory_ns = PAGE.unpack(self._page.read_bytes())
        return beat_ns, memory_ns

    def end(self) -> None:
        """Kill it, whatever it is doing, and reap it."""
        self.process.kill()
        self.process.wait(10.0)
        self._page.unlink(missing_ok=True)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
