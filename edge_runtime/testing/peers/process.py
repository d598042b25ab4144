"""A simulated peer in a process of its own, and what it is told."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from types import TracebackType
from typing import Any

_ANSWER_MAX_S = 20.0


class Peer:
    """One peer. A context manager; its end is the peer's.

    Args:
        module: of `edge_runtime.testing.peers`, that is run.
        arguments: of its command line.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"edge_runtime.testing.peers.{module}", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self) -> Peer:
        try:
            self._answer()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tell(self, *words: object) -> dict[str, Any]:
        """Have it do something; what is then true of the robot that it is.

        Raises:
            RuntimeError: it has ended, or does not answer.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], _ANSWER_MAX_S)[0]:
            raise RuntimeError(f"the peer does not answer for {_ANSWER_MAX_S:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer has ended: its own words stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer
