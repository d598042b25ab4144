"""Signing anew what the hub signs by itself, and what people have to sign soon."""

from __future__ import annotations

import msgspec

from hub.services.inventory import Expiry, expiries
from hub.services.unit_of_work import UnitOfWork
from hub.trouble import IMAGE, Trouble

SOON_DAYS = 30


class SignedAnew(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        image_repository: whether the metadata of all releases was signed anew.
        robots: how many robots' assignments were.
        soon: what people have to sign within `SOON_DAYS`.
        troubles: what was not signed anew, and why.
    """

    image_repository: bool
    robots: int
    soon: tuple[Expiry, ...]
    troubles: tuple[Trouble, ...]


def sign_anew(work: UnitOfWork) -> SignedAnew:
    """Sign anew what expires within days, whatever is damaged beside it.

    Raises:
        StorageError: the disk takes no writes.
    """
    report = work.hub.sign_anew(work.now_s)
    return SignedAnew(
        image_repository=all(trouble.what != IMAGE for trouble in report.troubles),
        robots=report.robots,
        soon=tuple(expiry for expiry in expiries(work.hub, work.now_s) if expiry.expires_in_days < SOON_DAYS),
        troubles=report.troubles,
    )
