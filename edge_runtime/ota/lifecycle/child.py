"""Runs a bundle's code in a process of its own, so that one that crashes, hangs or babbles harms nothing else.

Guarantees an answer or a named refusal within the time limit, in which pauses do not count. The child runs only when
nothing else wants the processor, stands still while it must pause and goes on from there, ends with this process, and
nothing that it says is kept beyond a bound. Needs no disk. Refuses to know what the child does.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ipc.clock import MonotonicClock

_REPORT_BYTES_MAX = 65_536
_WORDS_BYTES_MAX = 2000
_LOOK_S = 0.2
Asked = Callable[[], bool]
PAUSE_MAX_S = 900.0
"""A child that stands still for longer gives its memory back, and begins anew later."""

# In the child itself, between start and the real program: idle priority, and an end with its parent.
_GUARD = (
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); "
    "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


def never() -> bool:
    """No."""
    return False


def run_child(
    what: str,
    command: Sequence[str],
    *,
    failed: OtaRefusal,
    limit_s: float,
    should_end: Asked = never,
    must_pause: Asked = never,
    pause_max_s: float = PAUSE_MAX_S,
) -> bytes:
    """What `command` printed, once it has ended well; `what` and `failed` name it in refusals.

    Args:
        limit_s: how long it may run.
        should_end: asked again and again; True ends it.
        must_pause: likewise; the child stands still for as long as it is True.
        pause_max_s: the longest that it stands still.

    Raises:
        OtaError: `failed`: it crashed, hung or said too much; its last line on stderr is quoted. NOT_NOW if
            `should_end` cut it short, AT_WORK if it stood still for too long. STORAGE_FAULT: it could not be started.
    """
    guard = (sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()))
    try:
        child = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise OtaError(OtaRefusal.STORAGE_FAULT, f"{what} cannot be started: {error.strerror}") from error
    try:
        said, words = _hear(child, what, failed, limit_s, should_end, _Pause(child.pid, must_pause, pause_max_s))
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    if child.returncode:
        code = child.returncode
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = words.decode(errors="replace").strip().splitlines()[-1:]
        raise OtaError(failed, f"{what} ended with {cause}: {''.join(last)[:300]}")
    return said


class _Pause:
    """Lets a process group stand still, and counts for how long."""

    def __init__(self, group: int, must_pause: Asked, pause_max_s: float) -> None:
        self._group = group
        self._must_pause = must_pause
        self._pause_max_ns = round(pause_max_s * 1e9)
        self._clock = MonotonicClock()
        self._since_ns: int | None = None
        self._over_ns = 0

    @property
    def paused_ns(self) -> int:
        """For how long it has stood still in all."""
        return self._over_ns + (0 if self._since_ns is None else self._clock.now_ns() - self._since_ns)

    @property
    def is_too_long(self) -> bool:
        """Whether it stands still for longer than it may."""
        return self._since_ns is not None and self._clock.now_ns() - self._since_ns > self._pause_max_ns

    def look(self) -> None:
        """Stop it or let it go on, as it must."""
        must_pause = self._must_pause()
        if must_pause == (self._since_ns is not None):
            return
        if self._since_ns is None:
            self._since_ns = self._clock.now_ns()
        else:
            self._over_ns, self._since_ns = self.paused_ns, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGSTOP if must_pause else signal.SIGCONT)


def _hear(
    child: subprocess.Popen[bytes],
    what: str,
    failed: OtaRefusal,
    limit_s: float,
    should_end: Asked,
    pause: _Pause,
) -> tuple[bytes, bytes]:
    """All that it said, and the end of its words on stderr, when it has ended."""
    assert child.stdout is not None
    assert child.stderr is not None
    clock = MonotonicClock()
    end_ns = clock.now_ns() + round(limit_s * 1e9)
    said, words = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, heard in ((child.stdout, said), (child.stderr, words)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, heard)
        while True:
            # Asked before it is listened to: what it said before it ended is then all in the pipes.
            has_ended = child.poll() is not None
            for key, _ in selector.select(0.0 if has_ended else _LOOK_S):
                data = os.read(key.fd, _REPORT_BYTES_MAX)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data)
            del words[:-_WORDS_BYTES_MAX]
            if len(said) > _REPORT_BYTES_MAX:
                raise OtaError(failed, f"{what} said more than {_REPORT_BYTES_MAX} bytes")
            if has_ended:
                return bytes(said), bytes(words)
            if clock.now_ns() - pause.paused_ns >= end_ns:
                raise OtaError(failed, f"{what} was not done within {limit_s:g} s")
            if should_end():
                raise OtaError(OtaRefusal.NOT_NOW, f"{what} was cut short")
            pause.look()
            if pause.is_too_long:
                raise OtaError(OtaRefusal.AT_WORK, f"{what} waits: the robot has not been at rest for too long")
