"""Arguments that a release manifest holds, judged by its reader's own rules: an hour of packing does not end in a
release that no robot reads.
"""

from __future__ import annotations

import argparse
from typing import TypeVar

import msgspec

from edge_runtime.contracts.release import Name

_T = TypeVar("_T")


def name(text: str) -> str:
    """A name as releases have them, for argparse."""
    return converted(text, Name)


def converted(given: object, kind: type[_T]) -> _T:
    """`given` as a `kind`, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(f"{given!r}: {error}") from error
