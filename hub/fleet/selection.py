"""Which robots are meant by names, by patterns, or by all. Only `read_names` reads a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from edge_runtime.contracts.errors import HubError, HubRefusal, SigningError
from edge_runtime.contracts.text import printable

EVERY = "*"
_MARKS = frozenset("*?[")


def select(asked: Iterable[str], known: Iterable[str], *, also_unknown: bool = False) -> list[str]:
    """Robots by name, each once, in the order asked. A pattern (`*`, `?`, `[…]`) stands for the known that match.

    Raises:
        HubError: NOT_ENROLLED: names that are not known, unless `also_unknown`, and patterns that no known robot
            matches: all of them, each with what it may have been meant to be.
    """
    names = sorted(known)
    chosen: dict[str, None] = {}
    wrong: dict[str, str] = {}
    for words in asked:
        if _MARKS & set(words):
            matching = [name for name in names if fnmatchcase(name, words)]
            if not matching:
                wrong[words] = f"matches none of the {len(names)} robots that are enrolled"
            chosen.update(dict.fromkeys(matching))
        elif words in names or also_unknown:
            chosen[words] = None
        else:
            wrong[words] = f"is not enrolled{did_you_mean(words, names)}"
    if wrong:
        named = "; ".join(f"{printable(words, 80)} {problem}" for words, problem in wrong.items())
        raise HubError(HubRefusal.NOT_ENROLLED, "robots", named)
    return list(chosen)


def did_you_mean(words: str, names: Sequence[str]) -> str:
    """A question about the names that are most like `words`, to be put after a refusal; empty where none is."""
    near = get_close_matches(words, names, n=3, cutoff=0.7)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def read_names(path: Path) -> list[str]:
    """Names and patterns in a file, one a line; what follows a # is for people.

    Raises:
        SigningError: it can't be read, or is no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SigningError(str(path), f"is no text in UTF-8: {error}") from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
