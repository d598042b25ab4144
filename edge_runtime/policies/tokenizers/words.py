"""The word-level tokenizer that a bundle carries: the same code turns words into ids in training and on the robot.

Text is lower-cased and cut into runs of a-z, 0-9 and the apostrophe; everything else only separates words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_runtime.contracts.errors import BundleError

_WORD = re.compile(r"[a-z0-9']+")
MAX_SIZE = 1 << 20
"""Rows of the largest embedding that is fed."""


class Tokens(NamedTuple):
    """Ids of one text, padded to the asked length, with the number of words that were unknown or cut off.

    `mask` is true where an id means something.
    """

    ids: tuple[int, ...]
    unknown_words: int
    truncated_words: int
    mask: tuple[bool, ...]


class WordTokenizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Vocabulary as stored in the bundle: ``{"words": {word: id}, "pad": id, "unknown": id}``, ids from 0."""

    words: dict[str, int]
    pad: int
    unknown: int

    def __post_init__(self) -> None:
        if min((self.pad, self.unknown, *self.words.values())) < 0:
            raise ValueError("token ids must not be negative")
        if self.pad == self.unknown or self.pad in self.words.values():
            raise ValueError("the pad id must stand for nothing else")

    @property
    def size(self) -> int:
        """Number of rows an embedding needs: the highest id plus one."""
        return 1 + max((self.pad, self.unknown, *self.words.values()))

    def words_of(self, text: str) -> list[str]:
        """The words of `text` that `encode` sees; what else stands in it only separates them."""
        return _WORD.findall(text.lower())

    def knows(self, word: str) -> bool:
        """Whether `word`, one of `words_of`, has an id that means it."""
        return self.words.get(word, self.unknown) != self.unknown

    def encode(self, text: str, max_tokens: int) -> Tokens:
        """Ids of the words of `text`; exactly `max_tokens` of them, padded at the end or cut."""
        words = self.words_of(text)
        ids = [self.words.get(word, self.unknown) for word in words[:max_tokens]]
        return Tokens(
            ids=tuple(ids + [self.pad] * (max_tokens - len(ids))),
            unknown_words=ids.count(self.unknown),
            truncated_words=max(0, len(words) - max_tokens),
            mask=tuple(number < len(ids) for number in range(max_tokens)),
        )

    def reads(self, word: str) -> tuple[int, bool]:
        """How many tokens `word`, anything between white space, takes, and whether they say all of it."""
        pieces = self.words_of(word)
        return len(pieces), bool(pieces) and "".join(pieces) == word.lower() and all(map(self.knows, pieces))

    def known_words(self) -> list[str]:
        """What it knows, sorted, for a person."""
        return sorted(filter(self.knows, self.words))


def read_tokenizer(path: Path) -> WordTokenizer:
    """Read the vocabulary of a bundle.

    Raises:
        BundleError: missing, unreadable or not a vocabulary, or one that knows no word.
    """
    try:
        tokenizer = msgspec.json.decode(path.read_bytes(), type=WordTokenizer)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {error}") from error
    if not any(map(_WORD.fullmatch, tokenizer.words)):
        raise BundleError(f"{path}: it has no word that a sentence can contain: every instruction would be the same")
    if tokenizer.size > MAX_SIZE:
        raise BundleError(f"{path}: a word has the number {tokenizer.size - 1}, more than {MAX_SIZE} are not read")
    return tokenizer


def write_tokenizer(path: Path, tokenizer: WordTokenizer) -> None:
    """Write the vocabulary with sorted keys, so that the same vocabulary gives the same digest."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(tokenizer, order="sorted"), indent=1) + b"\n")
