"""Has the engine of this robot run a staged bundle's golden pairs, in a process of its own, before anything trusts it.

Guarantees an answer or a named refusal within `limit_s`: a child that crashes, hangs, talks too much or says something
else is GOLDEN_FAILED, a bundle that answers differently GOLDEN_DIFFERS, and one without golden pairs passes only where
the robot's owner lets it. The child runs only when nothing else wants the processor. Refuses to know engines; trusts
the report of the child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from contracts.errors import OtaError, OtaRefusal
from contracts.golden import GoldenReport

LIMIT_S = 300.0
_REPORT_BYTES_MAX = 65_536
_WORDS_BYTES_MAX = 2000
_LOOK_S = 0.2

# In the child itself, between start and the real program: idle priority, and an end with its parent.
_GUARD = (
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True)
class GoldenCheck:
    """How a robot checks. `command` gets the bundle's folder as its last argument; `required`: no pairs, no update."""

    command: Sequence[str]
    required: bool = True
    limit_s: float = LIMIT_S

    @classmethod
    def of(cls, config_path: Path, *, required: bool) -> GoldenCheck:
        """With the engine of this installation."""
        command = (sys.executable, "-m", "edge_runtime.engine.golden", "--config", str(config_path))
        return cls(command, required)

    def run(self, folder: Path, bundle: str, should_end: Callable[[], bool] = lambda: False) -> GoldenReport:
        """Check the bundle with digest `bundle` in `folder`; the report if it may be trusted.

        Raises:
            OtaError: GOLDEN_DIFFERS, GOLDEN_MISSING, GOLDEN_FAILED; NOT_NOW if `should_end` cut it short, which says
                nothing about the bundle; NO_SPACE or STORAGE_FAULT.
        """
        report = self._report(folder, should_end)
        if report.bundle != bundle:
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check was of bundle {report.bundle}, not of {bundle}")
        if report.verdict == "differs":
            worst = max(range(len(report.error_p99_rad)), key=report.error_p99_rad.__getitem__)
            raise OtaError(
                OtaRefusal.GOLDEN_DIFFERS,
                f"joint {worst + 1} is off by {report.error_p99_rad[worst]:.3g} rad (p99), "
                f"{report.bound_p99_rad:g} is allowed; {report.gripper_flips} gripper flips, in {report.cases} cases",
            )
        if report.verdict == "no_data" and self.required:
            raise OtaError(OtaRefusal.GOLDEN_MISSING, "the bundle has no golden pairs, and this robot asks for them")
        return report

    def _report(self, folder: Path, should_end: Callable[[], bool]) -> GoldenReport:
        guard = (sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()))
        try:
            with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as words:
                code = _run([*guard, *self.command, str(folder)], said, words, self.limit_s, should_end)
                said.seek(0)
                data = said.read(_REPORT_BYTES_MAX + 1)
                words.seek(max(0, words.seek(0, os.SEEK_END) - _WORDS_BYTES_MAX))
                last = words.read().decode(errors="replace").strip().splitlines()[-1:]
        except OSError as error:
            raise OtaError(OtaRefusal.STORAGE_FAULT, f"golden check: {error.strerror}") from error
        if code:
            cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check ended with {cause}: {''.join(last)[:300]}")
        if len(data) > _REPORT_BYTES_MAX:
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check said more than {_REPORT_BYTES_MAX} bytes")
        try:
            return msgspec.json.decode(data, type=GoldenReport)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check's report: {error}") from error


def _run(
    command: Sequence[str], said: IO[bytes], words: IO[bytes], limit_s: float, should_end: Callable[[], bool]
) -> int:
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=words,
        start_new_session=True,
    )
    try:
        left_s = limit_s
        while left_s > 0.0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(min(_LOOK_S, left_s))
            left_s -= _LOOK_S
            if should_end():
                raise OtaError(OtaRefusal.NOT_NOW, "the golden check was cut short")
        raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check was not done within {limit_s:g} s")
    finally:
        child.kill()
        child.wait()
