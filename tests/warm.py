"""Processes of a test that a warm one forks: loading Python and its libraries for each takes longer than all the rest.

``python -m tests.warm MODULE:FUNCTION`` is the warm one. Each process that it forks calls the function with some words,
and its exit status is what that returns, as for `main()`. strace can take hold of one before it begins.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_LONGEST_S = 60
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1


class Ended(NamedTuple):
    """How a process ended: its exit status, below zero the signal that killed it, and its standard error."""

    status: int
    said: str


class Warm:
    """`count` warm processes, each for one caller at a time; the first call starts them, and they end with their owner.

    Attributes:
        program: ``module:function``.
    """

    def __init__(self, program: str, count: int = 1) -> None:
        self.program = program
        self._free: queue.SimpleQueue[subprocess.Popen[str] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def run(self, words: list[str], *strace: str) -> Ended:
        """Call the function in a process of its own, held by strace from its first line on if there are options for it.

        Raises PermissionError where strace may not take hold of it.
        """
        with self._process() as process:
            asking, saying = process.stdin, process.stdout
            assert asking is not None
            assert saying is not None
            asking.write(shlex.join(words) + "\n")
            asking.flush()
            pid = int(saying.readline())
            with _held_by_strace(pid, strace) if strace else contextlib.nullcontext():
                asking.write("go\n")
                asking.flush()
                return Ended(*json.loads(saying.readline()))

    @contextlib.contextmanager
    def _process(self) -> Iterator[subprocess.Popen[str]]:
        process = self._free.get()
        try:
            if process is None:
                command = [sys.executable, "-B", "-m", "tests.warm", self.program]
                pipe = subprocess.PIPE
                process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
            yield process
        except BaseException:
            # What it was about to do is unknown: the next caller gets a new one.
            if process is not None:
                process.kill()
                process.communicate()
            process = None
            raise
        finally:
            self._free.put(process)


@contextlib.contextmanager
def _held_by_strace(pid: int, options: tuple[str, ...]) -> Iterator[None]:
    with subprocess.Popen(["strace", "-f", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            raise PermissionError(said)
        yield
        tracer.communicate(timeout=30.0)


def _serve(called: Callable[[list[str]], int]) -> None:
    """Fork for each line, let the child go on the next one, and say how it ended."""
    for line in sys.stdin:
        held, go = os.pipe()
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(go)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(writing, 2)
            os.close(writing)
            os._exit(_child(held, called, shlex.split(line)))
        os.close(writing)
        print(pid, flush=True)
        if not sys.stdin.readline():
            return
        os.write(go, b"!")
        with open(reading, encoding="utf-8", errors="replace") as standard_error:
            said = standard_error.read()
        status = os.waitpid(pid, 0)[1]
        os.close(held)
        os.close(go)
        print(json.dumps([os.waitstatus_to_exitcode(status), said]), flush=True)


def _child(held: int, called: Callable[[list[str]], int], words: list[str]) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANYBODY), 0, 0, 0)
    signal.alarm(_LONGEST_S)
    try:
        return called(words) if os.read(held, 1) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()


def main() -> None:
    """Be the warm one, until standard input closes."""
    module, _, name = sys.argv[1].partition(":")
    _serve(getattr(importlib.import_module(module), name))


if __name__ == "__main__":
    main()
