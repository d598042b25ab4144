"""The processes of a robot, and what they share."""

from __future__ import annotations

from edge_runtime.contracts.errors.base import EdgeError
from edge_runtime.contracts.errors.refusals import Refusal


class EngineError(EdgeError):
    """An inference session that cannot be built or fails to run."""


class FrameError(EdgeError):
    """A camera frame that is gone, torn or not as its reference says.

    Attributes:
        refusal: the kind of fault, for counting.
    """

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal


class PortError(EdgeError):
    """The shared memory between control and driver is missing, of another version, torn or already owned."""


class DriverError(EdgeError):
    """A driver that breaks a rule of its port; it ends, and the robot holds by its own means.

    Attributes:
        value: what of the driver is at fault.
        problem: what is wrong with it, and what was expected.
    """

    def __init__(self, value: str, problem: str) -> None:
        super().__init__(f"{value} {problem}")
        self.value = value
        self.problem = problem


class SharedMemoryError(EdgeError):
    """Shared memory that can't be made, written or removed on this machine.

    Attributes:
        problem: what was tried, and what the system said.
        remedy: what to do, in words.
        command: a line that does it.
    """

    def __init__(self, problem: str, remedy: str, command: str) -> None:
        super().__init__(f"{problem}; it takes {remedy}: {command}")
        self.problem = problem
        self.remedy = remedy
        self.command = command


class SafetyError(EdgeError):
    """Limits that contradict each other, or an arming that was refused."""


class StopLineError(EdgeError):
    """A stop line that is configured and can't be had, can't be read, or takes too long to read.

    Attributes:
        chip: path of the GPIO chip.
        line: number of the line on it.
        problem: what is wrong and what to do about it.
    """

    def __init__(self, chip: str, line: int, problem: str) -> None:
        super().__init__(f"stop_line: line {line} of {chip}: {problem}")
        self.chip = chip
        self.line = line
        self.problem = problem


class RecordingError(EdgeError):
    """A file of the black box that is none, is altered, is of another build, or contradicts itself.

    Attributes:
        part: what is at fault: the file, or a part or field of it.
        problem: what is wrong with it.
    """

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(f"{part}: {problem}")
        self.part = part
        self.problem = problem


class LockstepError(EdgeError):
    """A process that did not answer while virtual time stood still."""


class ProcessError(EdgeError):
    """A process of the table that cannot be started or died for good."""


_CALLED = {"ota": "the update agent"}
"""What people call a process where its name says nothing to them."""


class OperatorError(EdgeError):
    """A request of the operator that was refused, or that a process did not answer in time.

    Attributes:
        process: who refused or kept silent, by its name in the process table.
        request: what was asked.
        answered: whether there was an answer at all.
        answer: its name, such as "refused_moving"; empty where there was none.
    """

    def __init__(self, process: str, request: str, problem: str, *, answered: bool, answer: str = "") -> None:
        super().__init__(f"{request}: {_CALLED.get(process, process)} {problem}")
        self.process = process
        self.request = request
        self.answered = answered
        self.answer = answer
