"""A Hugging Face `tokenizer.json`, run by the `tokenizers` library itself: no other would split words the same."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.installation import not_installed
from edge_runtime.contracts.manifest import HuggingFaceTokenizer, SentenceContract, TextInput
from edge_runtime.contracts.manifest.inputs import INSTRUCTION, STATE
from edge_runtime.policies.sentences import Reading, read_sentence
from edge_runtime.policies.tokenizers.words import Tokens

_STATE_TOKENS_EACH = 4
"""A number of up to three digits and the space before it."""


class HuggingFace:
    """See `seam.Tokenizer`.

    Raises:
        BundleError: the file is no tokenizer.
        MissingPackageError: the library is not installed; says how to.
    """

    def __init__(self, path: Path, contract: HuggingFaceTokenizer) -> None:
        try:
            import tokenizers
        except ImportError as error:
            raise not_installed(("tokenizers",), ("language",)) from error
        try:
            self._library = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}") from error
        except Exception as error:  # the library raises no class of its own
            raise BundleError(f"{path}: no tokenizer: {error}") from error
        # A bundle says itself how much is padded and cut.
        self._library.no_padding()
        self._library.no_truncation()
        self._contract = contract
        self.highest = max(max(self._library.get_vocab(with_added_tokens=True).values()), contract.pad)
        unknown = getattr(self._library.model, "unk_token", None)
        self._unknown = None if unknown is None else self._library.token_to_id(unknown)

    def read(self, sentence: str, text: TextInput) -> Reading:
        """See `Tokenizer.read`."""
        fields = 0 if text.state is None else sum(group.width for group in text.state.groups)
        around = text.template.replace(INSTRUCTION, "").replace(STATE, "")
        room = text.max_tokens - len(self._library.encode(around).ids) - _STATE_TOKENS_EACH * fields
        return read_sentence(sentence, self, max(0, room), text.sentences or SentenceContract())

    def reads(self, word: str) -> tuple[int, bool]:
        """See `sentences.Vocabulary.reads`."""
        ids = self._library.encode(f" {word}", add_special_tokens=False).ids
        return len(ids), bool(ids) and self._unknown not in ids

    def known_words(self) -> list[str]:
        """See `sentences.Vocabulary.known_words`: parts of words say nothing to a person."""
        return []

    def encode(self, prompt: str, max_tokens: int) -> Tokens:
        """See `Tokenizer.encode`."""
        ids = self._library.encode(prompt).ids
        kept = ids[:max_tokens]
        missing = max_tokens - len(kept)
        pad, means = [self._contract.pad] * missing, [True] * len(kept)
        if self._contract.padding == "left":
            padded, mask = pad + kept, [False] * missing + means
        else:
            padded, mask = kept + pad, means + [False] * missing
        return Tokens(
            ids=tuple(padded),
            unknown_words=kept.count(self._unknown) if self._unknown is not None else 0,
            truncated_words=len(ids) - len(kept),
            mask=tuple(mask),
        )

    def name_of(self, token: int) -> str:
        """See `Tokenizer.name_of`."""
        return str(self._library.id_to_token(token) or "pad")
