"""An instruction, and what else stands in a prompt, as token ids."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import TextInput
from edge_runtime.contracts.manifest.inputs import INSTRUCTION, STATE
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.sentences import Reading
from edge_runtime.policies.tokenizers.seam import Tokenizer
from edge_runtime.policies.transforms.state import StateTransform


class Prompt(NamedTuple):
    """Token ids and where they mean something, (1, max_tokens) each."""

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]


class InstructionTransform:
    """Turns an instruction into token ids, and keeps those of the last prompt.

    Attributes:
        unknown_words, truncated_words: summed over all different instructions in a row.
    """

    def __init__(self, text: TextInput, tokenizer: Tokenizer, embodiment: Embodiment | None = None) -> None:
        self._text, self._tokenizer = text, tokenizer
        self._state: StateTransform | None = None
        if text.state is not None and embodiment is not None:
            self._state = StateTransform(text.state.groups, embodiment)
        self._instruction: str | None = None
        self._said: str | None = None
        self._prompt = Prompt(
            np.zeros((1, text.max_tokens), dtype=np.int64), np.zeros((1, text.max_tokens), dtype=np.bool_)
        )
        self.unknown_words = 0
        self.truncated_words = 0

    def read(self, instruction: str) -> Reading:
        """What the policy can make of `instruction`."""
        return self._tokenizer.read(instruction, self._text)

    def prompt(self, instruction: str, observation: Observation) -> Prompt:
        """Token ids of the prompt with `instruction`, padded or cut."""
        said = self._text.template.replace(INSTRUCTION, instruction)
        if self._state is not None and self._text.state is not None:
            # LIBERO's and π0.5's way: the bin of each value among equal ones over -1 … 1, counted from 0.
            edges = np.linspace(-1.0, 1.0, self._text.state.bins + 1)[:-1]
            numbers = np.digitize(self._state(observation), edges) - 1
            said = said.replace(STATE, " ".join(map(str, numbers.tolist())))
        if said != self._said:
            tokens = self._tokenizer.encode(said, self._text.max_tokens)
            self._said = said
            self._prompt = Prompt(np.array([tokens.ids], dtype=np.int64), np.array([tokens.mask], dtype=np.bool_))
            # A prompt that differs in the state alone has been counted.
            if instruction != self._instruction:
                self._instruction = instruction
                self.unknown_words += tokens.unknown_words
                self.truncated_words += tokens.truncated_words
        return self._prompt
