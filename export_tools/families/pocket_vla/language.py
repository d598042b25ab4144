"""Vocabulary and sentences for training: the tokenizer is the robot's own (`edge_runtime.policies.tokenizers`)."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from edge_runtime.drivers.sim.task import COLOURS, SHAPES, VERBS, SceneObject, all_phrases, phrases_for
from edge_runtime.policies.tokenizers.words import WordTokenizer

MAX_TOKENS = 16
PAD, UNKNOWN = 0, 1


def build_tokenizer() -> WordTokenizer:
    """One id for every word of the training sentences, in alphabetical order."""
    words = sorted({word for sentence in all_phrases("train") for word in re.findall(r"[a-z0-9']+", sentence)})
    return WordTokenizer(words={word: i + 2 for i, word in enumerate(words)}, pad=PAD, unknown=UNKNOWN)


class SentenceTable:
    """Tokenized training sentences by colour, shape and verb, drawn at random while training."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        rows: list[tuple[int, ...]] = []
        self._start = np.zeros((len(COLOURS), len(SHAPES), len(VERBS)), np.int64)
        self._count = np.zeros_like(self._start)
        for c, colour in enumerate(COLOURS):
            for s, shape in enumerate(SHAPES):
                for v, verb in enumerate(VERBS):
                    sentences = phrases_for(verb, SceneObject(colour, shape), "train")
                    self._start[c, s, v] = len(rows)
                    self._count[c, s, v] = len(sentences)
                    rows.extend(tokenizer.encode(sentence, MAX_TOKENS).ids for sentence in sentences)
        self._rows = np.array(rows, np.int64)

    def draw(
        self,
        colour: npt.NDArray[np.int64],
        shape: npt.NDArray[np.int64],
        verb: npt.NDArray[np.int64],
        rng: np.random.Generator,
        dropout: float = 0.0,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Random sentences for B (colour, shape, verb) triples: token ids (S, 16), and for each triple its row (B,).

        Triples of a batch that mean the same share one of two sentences, so S is at most 90: each is read only once.
        Words turn unknown with probability `dropout`.
        """
        wanted = np.stack([colour, shape, verb, rng.integers(0, 2, len(colour))])
        distinct, row = np.unique(wanted, axis=1, return_inverse=True)
        c, s, v, _ = distinct
        count = self._count[c, s, v]
        tokens = self._rows[self._start[c, s, v] + (rng.random(len(count)) * count).astype(np.int64)]
        if dropout > 0.0:
            lost = (rng.random(tokens.shape) < dropout) & (tokens != PAD)
            tokens = np.where(lost, UNKNOWN, tokens)
        return tokens, row.reshape(-1)
