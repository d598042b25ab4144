"""The tokenizer seam, and which one a bundle asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edge_runtime.contracts.manifest import SentenceContract, TextInput, WordList
from edge_runtime.contracts.manifest.inputs import INSTRUCTION, STATE
from edge_runtime.policies.sentences import Reading, read_sentence
from edge_runtime.policies.tokenizers.words import Tokens, WordTokenizer, read_tokenizer


class Tokenizer(Protocol):
    """Reads what a policy is told.

    Attributes:
        highest: the highest id that it gives.
    """

    highest: int

    def read(self, sentence: str, text: TextInput) -> Reading:
        """What a policy that is told `text` can make of `sentence`."""

    def encode(self, prompt: str, max_tokens: int) -> Tokens:
        """Exactly `max_tokens` ids of `prompt`, padded or cut."""

    def name_of(self, token: int) -> str:
        """What `token` stands for, for a person."""


class Words:
    """A word list as a `Tokenizer`."""

    def __init__(self, words: WordTokenizer) -> None:
        self._words = words
        self.highest = words.size - 1

    def read(self, sentence: str, text: TextInput) -> Reading:
        """See `Tokenizer.read`. Words of the template count as well."""
        around = len(self._words.words_of(text.template.replace(INSTRUCTION, "").replace(STATE, "")))
        return read_sentence(sentence, self._words, text.max_tokens - around, text.sentences or SentenceContract())

    def encode(self, prompt: str, max_tokens: int) -> Tokens:
        """See `Tokenizer.encode`."""
        return self._words.encode(prompt, max_tokens)

    def name_of(self, token: int) -> str:
        """See `Tokenizer.name_of`."""
        return ", ".join(word for word, number in self._words.words.items() if number == token) or "pad or unknown"


def open_tokenizer(text: TextInput, folder: Path) -> Tokenizer:
    """The tokenizer that a bundle in `folder` asks for.

    Raises:
        BundleError: it can't be read, or is none.
        MissingPackageError: the library that reads it is not installed.
    """
    path = folder / text.tokenizer.path
    if isinstance(text.tokenizer, WordList):
        return Words(read_tokenizer(path))
    from edge_runtime.policies.tokenizers.huggingface import HuggingFace

    return HuggingFace(path, text.tokenizer)
