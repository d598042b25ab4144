"""What a robot may be called: its name becomes a folder's, a part of an address, and a line in logs. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.release import Name
from edge_runtime.contracts.text import printable


def is_robot_name(name: str) -> bool:
    """Whether a robot may have that name."""
    try:
        msgspec.convert(name, type=Name)
    except msgspec.ValidationError:
        return False
    return True


def require_robot_names(names: Iterable[str]) -> None:
    """Whether robots may have all of these names.

    Raises:
        HubError: NO_ROBOT_NAME: those that they may not have, each of them.
    """
    wrong = [printable(name, 80) for name in names if not is_robot_name(name)]
    if wrong:
        are = "is no robot's name" if len(wrong) == 1 else "are no robots' names"
        rule = "letters, digits and . _ + -, at most 64, the first a letter, a digit or _"
        raise HubError(HubRefusal.NO_ROBOT_NAME, ", ".join(wrong), f"{are}: {rule}")
