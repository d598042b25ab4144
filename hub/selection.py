"""Which robots somebody means who names them one by one, by patterns, or all. Only `read_names` reads a file."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from contracts.errors import SigningError

EVERY = "*"
_MARKS = frozenset("*?[")


def select(asked: Iterable[str], known: Iterable[str]) -> list[str]:
    """Robots by name, each once, in the order asked. A pattern (`*`, `?`, `[…]`) stands for the known that match.

    Raises:
        SigningError: a pattern that no known robot matches.
    """
    names = sorted(known)
    chosen: dict[str, None] = {}
    for words in asked:
        if not _MARKS & set(words):
            chosen[words] = None
            continue
        matching = [name for name in names if fnmatchcase(name, words)]
        if not matching:
            raise SigningError(words, f"matches none of the {len(names)} robots that are enrolled")
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


def read_names(path: Path) -> list[str]:
    """Names and patterns in a file, one a line; what follows a # is for people."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]
