"""Can a policy read this sentence? One judge, run by the engine before it acts and by the exporter before it ships.

A sentence that is only half understood moves nothing: every word counts, also one of another script, which the
tokenizer would pass over in silence, and every word behind the last one that fits. Negation is refused by name unless
the bundle says that its policy was trained for it, also where "not" happens to be in the vocabulary: a policy that
reads "do not touch the red cube" as "touch the red cube" is the worst reader of all.

Negation is looked for in English, by the words of `NEGATIONS` and by the ending n't, and nowhere else: "leave the red
cube alone" passes if its words are known. Pure; knows no message and no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from edge_runtime.contracts.manifest import SentenceContract

NEGATIONS = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nothing",
        "nobody",
        "nowhere",
        "neither",
        "nor",
        "without",
        "except",
        "excluding",
        "unless",
        "avoid",
        "refrain",
        "cannot",
        "dont",
        "doesnt",
        "didnt",
        "isnt",
        "arent",
        "wasnt",
        "cant",
        "couldnt",
        "wont",
        "wouldnt",
        "shouldnt",
        "mustnt",
    ]
)

_SEPARATORS = frozenset('.,;:!?"()-' + "…–—“”„«»¿¡。，！？、")
"""What may stand between words without a meaning of its own. Any other sign is read as a word, an unknown one."""

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})
_SHOWN_WORDS = 8
_SHOWN_CHARS = 24
_SHOWN_VOCABULARY_CHARS = 300


class SentenceProblem(str, Enum):
    """Why a policy can't read a sentence. Stable strings."""

    NO_WORDS = "no_words"
    NEGATION = "negation"
    UNKNOWN_WORDS = "unknown_words"
    TOO_LONG = "too_long"


@dataclass(frozen=True)
class Reading:
    """What a policy can make of one sentence; words are as they were written, in order, each as often as it stands.

    Attributes:
        words: all of them, other scripts and signs included.
        unknown: those that its vocabulary lacks, or that its tokenizer would pass over.
        cut: those behind the last one that it reads.
        negations: those that turn the meaning round, where the policy was not trained for that.
        problems: what keeps it from acting; none: it may.
        detail: that for a person, with a part of the vocabulary; empty if there is no problem.
    """

    words: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    problems: tuple[SentenceProblem, ...] = ()
    detail: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether the policy may act on it."""
        return not self.problems


class Vocabulary(Protocol):
    """What a policy knows of words."""

    def reads(self, word: str) -> tuple[int, bool]:
        """How many tokens `word`, anything between white space, takes, and whether they say all of it."""

    def known_words(self) -> list[str]:
        """What it knows, sorted, for a person; empty where that is no list that a person could read."""


def read_sentence(
    text: str, tokenizer: Vocabulary, max_tokens: int, contract: SentenceContract | None = None
) -> Reading:
    """What a policy with this vocabulary, which reads `max_tokens` words, can make of `text`."""
    contract = contract or SentenceContract()
    words, unknown, cut = _split(text), [], []
    tokens = known = 0
    for word in words:
        taken, is_known = tokenizer.reads(word)
        # A sign that gives no token takes no place, but what it says is lost.
        tokens += taken
        if tokens > max_tokens:
            cut.append(word)
        if is_known:
            known += tokens <= max_tokens
        else:
            unknown.append(word)
    negations = [] if contract.negation else [word for word in words if _negates(word)]
    problems = []
    if not known:
        problems.append(SentenceProblem.NO_WORDS)
    if negations:
        problems.append(SentenceProblem.NEGATION)
    if len(unknown) > contract.unknown_words_max:
        problems.append(SentenceProblem.UNKNOWN_WORDS)
    if len(cut) > contract.cut_words_max:
        problems.append(SentenceProblem.TOO_LONG)
    reading = Reading(tuple(words), tuple(unknown), tuple(cut), tuple(negations), tuple(problems))
    return reading if not problems else _explained(reading, tokenizer, max_tokens)


def _split(text: str) -> list[str]:
    """Words between white space and punctuation; a character of any other kind belongs to its word."""
    return "".join(" " if c.isspace() or c in _SEPARATORS else c for c in text).split()


def _negates(word: str) -> bool:
    word = word.translate(_APOSTROPHES).lower().strip("'")
    return word in NEGATIONS or word.endswith("n't")


def _explained(reading: Reading, tokenizer: Vocabulary, max_tokens: int) -> Reading:
    parts = []
    if not reading.words:
        parts.append("there is no word in it")
    if SentenceProblem.NEGATION in reading.problems:
        parts.append(
            f"the policy was not trained to understand negation ({_shown(reading.negations)}): say what it shall do"
        )
    if reading.unknown:
        parts.append(f"the policy does not know: {_shown(reading.unknown)}")
    if SentenceProblem.TOO_LONG in reading.problems:
        parts.append(f"it reads {max_tokens} words and would not see: {_shown(reading.cut)}")
    if (reading.unknown or not reading.words) and (known := tokenizer.known_words()):
        parts.append(f"it knows: {_vocabulary(known)}")
    return Reading(reading.words, reading.unknown, reading.cut, reading.negations, reading.problems, "; ".join(parts))


def _shown(words: tuple[str, ...]) -> str:
    """A few of `words`, each once, none longer than a line, and nothing that a terminal would obey."""
    distinct = list(dict.fromkeys(words))
    shown = [_printable(word) for word in distinct[:_SHOWN_WORDS]]
    more = len(distinct) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _printable(word: str) -> str:
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in word)
    return plain if len(plain) <= _SHOWN_CHARS else plain[: _SHOWN_CHARS - 1] + "…"


def _vocabulary(words: list[str]) -> str:
    shown, length = 0, 0
    for word in words:
        length += len(word) + 2
        if length > _SHOWN_VOCABULARY_CHARS:
            break
        shown += 1
    more = len(words) - shown
    return ", ".join(map(_printable, words[:shown])) + (f" and {more} more" if more else "")
