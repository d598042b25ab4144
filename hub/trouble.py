"""Something of a hub that is not as it should be, and concerns some and not all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import EdgeError, HubError, HubRefusal
from edge_runtime.contracts.text import printable

IMAGE = "image repository"
DIRECTOR_ROOT = "director root"
SIGNING = "signing anew"


class Trouble(msgspec.Struct, frozen=True):
    """`what` is a robot's name or one of the names above; `problem` says what is wrong with it, and with which file."""

    what: str
    problem: str


class TroubleReport(msgspec.Struct, frozen=True):
    """What came of a turn over the whole hub: how many robots it reached, and what kept it from the others."""

    robots: int
    troubles: tuple[Trouble, ...] = ()


def looked(look: Callable[[], tuple[Path, ...]]) -> tuple[tuple[Path, ...], str | None]:
    """The files that `look` found whole, or else what is wrong, in words: whatever it raises."""
    try:
        return look(), None
    except Exception as error:  # damage can look like anything; it concerns what was looked at alone
        return (), words_of(error)


def words_of(error: Exception) -> str:
    """What went wrong, in words."""
    return str(error) if isinstance(error, EdgeError | OSError) else f"{type(error).__name__}: {error}"


def troubled(what: str, troubles: Iterable[Trouble]) -> HubError:
    """The error that names all of them, for the end of a command that has done the rest."""
    named = "; ".join(f"{trouble.what}: {printable(trouble.problem)}" for trouble in troubles)
    return HubError(HubRefusal.DAMAGED, what, f"{named}. `edge-hub repair` makes anew what can be")


def robots_in_words(count: int) -> str:
    """ "1 robot", "2 robots"."""
    return f"{count} robot{'' if count == 1 else 's'}"
