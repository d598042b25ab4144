"""What an operator has ordered and only a person may lift: a stop, a disarm, reduced speed.

Guarantees that after a person's stop no program resets or arms the robot, and that neither the death of control nor a
new start of everything lifts an order: it is kept in a file of the run's folder. One that can't be kept is told, and
still holds for this process. Refuses to know what stops. Trusts the run's folder, and what a request says of its asker.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import StorageError
from edge_runtime.contracts.messages import Asker, OperatorCommand, OperatorKind, StopCause
from edge_runtime.safety import Reason
from edge_runtime.storage.durable import replace_file

_NAME = "standing_orders.json"
_PERSONS_ALONE = (OperatorKind.RESET, OperatorKind.RESET_MOVED, OperatorKind.ARM)
_CAUSES = {Reason.OPERATOR_STOP: StopCause.OPERATOR_STOP, Reason.STOP_LINE: StopCause.STOP_LINE}


class _Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    stopped_by: StopCause | None = None
    is_latched: bool = False
    is_reduced: bool = False


_UNREADABLE = _Orders(stopped_by=StopCause.OPERATOR_STOP, is_latched=True, is_reduced=True)
"""What can't be read may have been anything: the strictest of all."""


class StandingOrders:
    """The orders of one run's folder.

    Attributes:
        problem: why they could not be kept; empty while they can.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / _NAME
        self._kept = self._now = self._read()
        self.problem = ""

    @property
    def stopped_by(self) -> StopCause | None:
        """The stop after which only a person arms; None without one."""
        return self._now.stopped_by

    @property
    def is_latched(self) -> bool:
        """Whether that stop was not reset yet: a kernel that starts now has to begin stopped."""
        return self._now.is_latched

    @property
    def is_reduced(self) -> bool:
        """Whether reduced speed was ordered."""
        return self._now.is_reduced

    def refuse(self, command: OperatorCommand) -> bool:
        """Whether `command` is a program's, and only a person may ask for that now."""
        asks_as_program = command.asker is not Asker.PERSON and command.kind in _PERSONS_ALONE
        return asks_as_program and self._now.stopped_by is not None

    def follow(self, faults: Reason) -> None:
        """Take over what is latched in the kernel; call before and after every request, and often."""
        cause = next((cause for reason, cause in _CAUSES.items() if reason & faults), None)
        if cause is None:
            self._order(is_latched=False)
        elif not self._now.is_latched:
            self._order(stopped_by=cause, is_latched=True)
        else:
            self._order()

    def disarmed(self) -> None:
        """A person wants the robot not to follow commands."""
        self._order(stopped_by=self._now.stopped_by or StopCause.OPERATOR_DISARM)

    def armed(self) -> None:
        """A person has armed."""
        self._order(stopped_by=None, is_latched=False)

    def reduce(self, wanted: bool) -> None:
        """Reduced speed was ordered, or full speed again."""
        self._order(is_reduced=wanted)

    def _order(self, **changes: object) -> None:
        self._now = msgspec.structs.replace(self._now, **changes)
        if self._now == self._kept:
            return
        try:
            # Not made to last, which may take long here: after a power cut nothing is armed anyway.
            replace_file(self._path, msgspec.json.encode(self._now), to_last=False)
        except StorageError as error:
            self.problem = f"standing orders of the operator can't be kept: {error.reason}"
            return
        self._kept = self._now
        self.problem = ""

    def _read(self) -> _Orders:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Orders)
        except FileNotFoundError:
            return _Orders()
        except (OSError, msgspec.MsgspecError):
            return _UNREADABLE
