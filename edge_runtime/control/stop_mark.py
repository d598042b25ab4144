"""A stop that a person meant, kept outside of this process: whoever comes after it begins with the same stop latched.

Guarantees that a control process which dies, and is started again, does not end a stop that only a person may end. One
that can't be kept is told, and still stops the robot. Refuses to know what stops. Trusts the run's folder.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.safety import Reason

_NAME = "stopped"
_A_PERSONS = Reason.OPERATOR_STOP | Reason.STOP_LINE


class StopMark:
    """A file in the run's folder, there while such a stop is latched.

    Attributes:
        problem: why it could not be kept; empty while it can.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / _NAME
        self._is_set: bool | None = None
        self.problem = ""

    def is_set(self) -> bool:
        """Whether a process before this one has left it."""
        return self._path.exists()

    def follow(self, faults: Reason) -> None:
        """Be there if one of the latched `faults` is a person's stop; call after every request, and often."""
        wanted = bool(faults & _A_PERSONS)
        if wanted == self._is_set:
            return
        try:
            if wanted:
                self._path.touch()
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self.problem = f"stop mark: {error.strerror}"
            return
        self._is_set = wanted
        self.problem = ""


def forget_stop(run_dir: Path) -> None:
    """For a person who starts everything anew.

    Raises:
        OSError: the folder can't be written.
    """
    (run_dir / _NAME).unlink(missing_ok=True)
