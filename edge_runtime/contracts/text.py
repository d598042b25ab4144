"""Words from elsewhere as they may be shown to a person: on a terminal, in a log, on a page.

Guarantees: what comes out is one line of visible characters. Whatever could start a line of its own, move a cursor,
colour what follows, turn the order of reading round or hide (control characters of both sets, line and paragraph
separators, marks of direction, characters without width, lone surrogates, stacks of accents) stands there as Python
would escape it, so that a reader sees that it was there. Letters of every script stay as they are. To do it twice
changes nothing. Pure. Refuses to know markup: whoever writes HTML or console markup escapes that as well.
"""

from __future__ import annotations

import logging
import unicodedata

LIMIT_CHARACTERS = 500
_MARKS_ON_A_LETTER = 3
"""Vietnamese needs two accents on a letter, Thai and Hebrew three signs; more only cover the lines around them."""
# Letters, marks and symbols by their category that nobody sees.
_INVISIBLE = frozenset(
    {
        0x034F,  # combining grapheme joiner
        0x115F,  # Hangul fillers
        0x1160,
        0x17B4,  # Khmer inherent vowels
        0x17B5,
        *range(0x180B, 0x1810),  # Mongolian variation selectors
        0x2800,  # braille without a dot
        0x3164,
        *range(0xFE00, 0xFE10),  # variation selectors
        0xFFA0,
        *range(0xE0100, 0xE01F0),
    }
)


def printable(text: object, limit: int | None = LIMIT_CHARACTERS) -> str:
    """`str(text)` as one line that shows everything; of more than `limit` characters the beginning, and how many.

    `limit` None: all of it.
    """
    words = str(text)
    more = ""
    if limit is not None and len(words) > limit:
        words, more = words[:limit], f"… ({len(words)} characters)"
    if words.isascii() and words.isprintable():
        return words + more
    return "".join(_escaped(words)) + more


def printable_lines(text: object) -> str:
    """The same for words whose line feeds are meant, as those of a message that this program wrote itself."""
    return "\n".join(printable(line, None) for line in str(text).split("\n"))


def printable_json(data: bytes) -> bytes:
    r"""JSON with what hides or commands written as `\uXXXX` inside its strings: the same to programs, safe to look at.

    `data` is JSON in UTF-8, whose strings alone hold anything beyond ASCII.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    return "".join(char if char in "\n\t" or _is_shown(char) else _in_json(char) for char in data.decode()).encode()


class PrintableFormatter(logging.Formatter):
    """Shows what is in the message of a record; a traceback keeps its lines, which are this program's."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """See `logging.Formatter`."""
        record.message = printable(record.message, None)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return printable_lines(super().format(record))


def _escaped(words: str) -> list[str]:
    shown: list[str] = []
    marks = 0
    for char in words:
        marks = marks + 1 if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me") else 0
        is_alone = marks == 1 and not shown
        if _is_shown(char) and marks <= _MARKS_ON_A_LETTER and not is_alone:
            shown.append(char)
        else:
            shown.append(char.encode("unicode_escape").decode())
    return shown


def _is_shown(char: str) -> bool:
    # Of what is no letter, mark, number, sign or plain space, Python calls nothing printable.
    return char.isprintable() and ord(char) not in _INVISIBLE


def _in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
