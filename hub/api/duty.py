"""A duty of the server that comes again and again beside its requests: signing anew, looking at files, tidying up.

Guarantees: whatever it meets, it comes again, after a failure sooner and then less and less often; how it went last can
be asked. Refuses to know what it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from edge_runtime.contracts.text import printable

FIRST_AGAIN_S = 1.0
LONGEST_AGAIN_S = 60.0
LONGEST_TURN_S = 900.0
"""A turn that lasts longer is a failure to whoever asks."""

Say = Callable[[str], None]


class Duty:
    """While entered: calls `act` on a thread of its own, every `every_s`.

    `act` returns what is wrong and has to be tried again soon, empty if nothing; it may raise anything.
    """

    def __init__(self, name: str, act: Callable[[], str], every_s: float, say: Say) -> None:
        self.name = name
        self._act = act
        self._every_s = every_s
        self._say = say
        self._ending = threading.Event()
        self._problem = ""
        self._began_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Duty:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def problem(self) -> str:
        """What went wrong in the last turn, in words; empty if it went well."""
        if self._problem:
            return self._problem
        began_s = self._began_s
        if began_s is not None and time.monotonic() - began_s > LONGEST_TURN_S:
            return f"has not come to its end for {time.monotonic() - began_s:.0f} s"
        return "" if self._thread.is_alive() or self._ending.is_set() else "has ended"

    def _run(self) -> None:
        again_s = FIRST_AGAIN_S
        while True:
            problem = self._turn()
            if problem and problem != self._problem:
                self._say(f"{self.name}: {problem}")
            elif self._problem and not problem:
                self._say(f"{self.name}: done again")
            self._problem = problem
            wait_s = self._every_s
            if problem:
                wait_s, again_s = min(again_s, self._every_s), min(2.0 * again_s, LONGEST_AGAIN_S)
            else:
                again_s = FIRST_AGAIN_S
            if self._ending.wait(wait_s):
                return

    def _turn(self) -> str:
        self._began_s = time.monotonic()
        try:
            return self._act()
        except BaseException as error:  # nothing may end this thread but its owner
            return printable(f"{type(error).__name__}: {error}")
        finally:
            self._began_s = None
