"""Something of a hub that is not as it should be, and concerns some and not all."""

from __future__ import annotations

import msgspec

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
