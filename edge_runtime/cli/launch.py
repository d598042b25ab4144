"""Starts the process table in one terminal, for development; on a robot systemd does it.

Guarantees that no child outlives this process and that nothing stays in shared memory. Restarts a process that dies,
with growing pauses, where that is wanted; what the others do meanwhile is theirs (see the process table). What the
robot moves without is restarted quietly: its death ends nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ProcessError
from edge_runtime.ipc.frames import ring_name
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.needs import require
from edge_runtime.processes import (
    BESIDE,
    CONTROL,
    DRIVER,
    ENGINE,
    OTA,
    PAGE,
    PROCESSES,
    Process,
    command_line,
    port_name,
)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_STEADY_S = 20.0
_QUICK_DEATHS = 3
_STOP_TIMEOUT_S = 5.0
_SHM = Path("/dev/shm")

# The kernel ends the child when this process ends in any way. Set in the child itself, between fork and exec of the
# real program: a preexec_fn could deadlock in a parent that has threads.
_GUARD = (
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(1, 15); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


def guarded(arguments: Sequence[str]) -> list[str]:
    """A command that runs this Python with `arguments`, and ends when this process does, however it does."""
    return [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *arguments]


@dataclass
class _Child:
    process: Process
    popen: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_due_s: float = 0.0
    quick_deaths: int = 0
    starts: int = 0


class ProcessTable:
    """The running processes of one robot.

    Args:
        restart: start a process again when it has died; otherwise any death is an error.
        processes: rows of the table to start here, where others run elsewhere.
        hold: control follows no policy, and holds.
        more: further arguments of some of them.
    """

    def __init__(
        self,
        config: RobotConfig,
        run_dir: Path,
        *,
        lockstep: bool = False,
        restart: bool = True,
        processes: Sequence[Process] = PROCESSES,
        hold: bool = False,
        more: Mapping[Process, Sequence[str]] | None = None,
    ) -> None:
        self._config = config
        self._run_dir = run_dir
        self._lockstep = lockstep
        self._restart = restart
        self._hold = hold
        self._more = dict(more or {})
        self._children = {process: _Child(process) for process in processes}

    def start(self) -> None:
        """Start all, in the order of the table.

        Raises:
            ProcessError: the system refuses.
            MissingPackageError, SharedMemoryError, ConfigError: the robot needs what is not here.
        """
        require(self._config, hold=self._hold)
        try:
            (self._run_dir / "logs").mkdir(parents=True, exist_ok=True)
            for child in self._children.values():
                self.log_path(child.process).write_bytes(b"")
        except OSError as error:
            raise ProcessError(f"{error.filename}: {error.strerror}; use another --run-dir") from error
        for child in self._children.values():
            self._spawn(child)

    def tend(self) -> None:
        """Look after the processes; call often.

        Raises:
            ProcessError: one that the robot needs has died for good, or may not die at all; the message ends with its
                last words.
        """
        now_s = time.monotonic()
        for child in self._children.values():
            if child.popen is None:
                if now_s >= child.start_due_s:
                    self._spawn(child)
            elif child.popen.poll() is not None:
                self._bury(child, now_s)

    def restart(self, process: Process) -> None:
        """End `process` and start it again, as a person would with systemctl."""
        child = self._children[process]
        self._end(child)
        child.start_due_s = time.monotonic()

    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {process.name: max(0, child.starts - 1) for process, child in self._children.items()}

    def pids(self) -> dict[str, int]:
        """Process ids of those that run."""
        return {
            p.name: c.popen.pid for p, c in self._children.items() if c.popen is not None and c.popen.poll() is None
        }

    def log_path(self, process: Process) -> Path:
        """Where the output of `process` goes."""
        return self._run_dir / "logs" / f"{process.name}.log"

    def last_words(self, process: Process, lines: int = 8) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            text = self.log_path(process).read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.rstrip().splitlines()[-lines:])
        return ""

    def stop(self) -> None:
        """End all, control while its driver still lives, and remove what a killed one left in shared memory."""
        # The update agent first: an engine that is ended is not one that a bundle crashed.
        for process in (OTA, ENGINE, CONTROL, DRIVER, PAGE):
            if process in self._children:
                self._end(self._children[process])
        if DRIVER not in self._children:
            return
        port = port_name(self._run_dir)
        names = [port, *(ring_name(self._run_dir, c.name) for c in self._config.embodiment.cameras)]
        for path in (lifeline_path(port), *(_SHM / name for name in names)):
            # What can't be removed was not made by this run, and is no reason to hide why the run ended.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _spawn(self, child: _Child) -> None:
        arguments = command_line(child.process, self._config, self._run_dir, lockstep=self._lockstep, hold=self._hold)
        arguments += self._more.get(child.process, ())
        with self.log_path(child.process).open("ab") as log:
            try:
                # A session of its own: Ctrl-C reaches this process alone, which disarms before it ends the others.
                child.popen = subprocess.Popen(
                    guarded(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessError(f"{child.process.name}: {error.strerror}") from error
        child.started_s = time.monotonic()
        child.starts += 1

    def _bury(self, child: _Child, now_s: float) -> None:
        assert child.popen is not None
        code = child.popen.returncode
        child.popen = None
        child.quick_deaths = child.quick_deaths + 1 if now_s - child.started_s < _STEADY_S else 1
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        # A full disk is no reason to leave it dead.
        with contextlib.suppress(OSError), self.log_path(child.process).open("a", encoding="utf-8") as log:
            log.write(f"-- {child.process.name} ended: {cause}\n")
        if child.process in BESIDE:
            child.start_due_s = now_s + _pause_s(child.quick_deaths)
            return
        # A wrong setting needs a person; starting again would only say the same.
        if code == 2 or child.quick_deaths >= _QUICK_DEATHS or not self._restart:
            raise ProcessError(f"{child.process.name} ended ({cause}):\n{self.last_words(child.process)}")
        child.start_due_s = now_s + _pause_s(child.quick_deaths)

    def _end(self, child: _Child) -> None:
        popen, child.popen = child.popen, None
        if popen is None or popen.poll() is not None:
            return
        popen.terminate()
        try:
            popen.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(_STOP_TIMEOUT_S)

    def __enter__(self) -> ProcessTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


def _pause_s(quick_deaths: int) -> float:
    return min(_FIRST_PAUSE_S * 2.0 ** min(quick_deaths - 1, 16), _LONGEST_PAUSE_S)
