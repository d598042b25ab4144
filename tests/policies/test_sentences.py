"""Which sentences a policy may act on: all of a sentence is understood, or it moves nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.config.robot_file import SIM_BUNDLE as SHIPPED
from edge_runtime.contracts.manifest import SentenceContract, read_manifest, write_manifest
from edge_runtime.drivers.sim.task import all_phrases
from edge_runtime.policies.sentences import NEGATIONS, SentenceProblem, read_sentence
from edge_runtime.policies.tokenizers.words import WordTokenizer, read_tokenizer
from edge_runtime.testing.golden_bundles import altered

WORDS = ("touch", "the", "red", "cube", "not", "don't", "robot's", "and")
TOKENIZER = WordTokenizer(
    words={**{word: number for number, word in enumerate(WORDS, 2)}, "placeholder": 1}, pad=0, unknown=1
)
MAX_TOKENS = 6
NO_WORDS, NEGATION = SentenceProblem.NO_WORDS, SentenceProblem.NEGATION
UNKNOWN, TOO_LONG = SentenceProblem.UNKNOWN_WORDS, SentenceProblem.TOO_LONG


@pytest.mark.parametrize(
    "text",
    ["touch the red cube", " TOUCH the Red cube! ", "touch: the red-cube.", "touch\u00a0the\tred\ncube", "the robot's"],
)
def test_what_is_understood_as_a_whole_is_readable(text: str) -> None:
    reading = read_sentence(text, TOKENIZER, MAX_TOKENS)
    assert (reading.is_readable, reading.problems, reading.detail) == (True, (), "")


@pytest.mark.parametrize(
    ("text", "problems", "named"),
    [
        ("触碰红色方块", {NO_WORDS, UNKNOWN}, "触碰红色方块"),
        ("touch the 红色 cube", {UNKNOWN}, "红色"),
        ("touch the réd cube", {UNKNOWN}, "réd"),
        ("тouch the red cube", {UNKNOWN}, "тouch"),
        ("ｔｏｕｃｈ the red cube", {UNKNOWN}, "ｔｏｕｃｈ"),
        ("touch the 🔴 cube", {UNKNOWN}, "🔴"),
        ("touch the red cube 2", {UNKNOWN}, "2"),
        ("touch the red/cube", {UNKNOWN}, "red/cube"),
        ("touch the re\u200bd cube", {UNKNOWN}, r"re\u200bd"),
        ("\x1b[31mtouch the red cube", {UNKNOWN}, r"\u001b[31mtouch"),
        ("touch the robot’s cube", {UNKNOWN}, "robot’s"),
        ("touch the placeholder", {UNKNOWN}, "placeholder"),
        ("pick up the mug and the cube", {UNKNOWN, TOO_LONG}, "pick, up, mug"),
        ("...", {NO_WORDS}, "no word in it"),
        ("mug shelf", {NO_WORDS, UNKNOWN}, "mug, shelf"),
        ("touch the red cube and touch the red cube", {TOO_LONG}, "the, red, cube"),
        ("not touch the red cube", {NEGATION}, "not"),
        ("don't touch the cube", {NEGATION}, "don't"),
        ("don’t touch the cube", {NEGATION, UNKNOWN}, "don’t"),
        ("touch the red cube and the red and not the cube", {NEGATION, TOO_LONG}, "not"),
    ],
)
def test_what_is_half_understood_is_named(text: str, problems: set[SentenceProblem], named: str) -> None:
    reading = read_sentence(text, TOKENIZER, MAX_TOKENS)
    assert set(reading.problems) == problems
    assert named in reading.detail
    assert reading.detail.isprintable()
    if UNKNOWN in problems:
        assert "it knows: and, cube, don't, not, red, robot's, the, touch" in reading.detail


@pytest.mark.parametrize("word", [*sorted(NEGATIONS), "NOT", "hasn't", "n't"])
def test_negation_is_refused_also_where_its_words_are_known(word: str) -> None:
    tokenizer = WordTokenizer(words={word.lower(): 2, "touch": 3, "it": 4}, pad=0, unknown=1)
    assert read_sentence(f"{word} touch it", tokenizer, MAX_TOKENS).problems == (NEGATION,)
    trained = SentenceContract(negation=True)
    assert read_sentence(f"{word} touch it", tokenizer, MAX_TOKENS, trained).is_readable


def test_what_a_bundle_allows_is_allowed_and_no_more() -> None:
    def problems(text: str, **allowed: int) -> tuple[SentenceProblem, ...]:
        return read_sentence(text, TOKENIZER, MAX_TOKENS, SentenceContract(**allowed)).problems  # type: ignore[arg-type]

    assert problems("kindly touch the red cube", unknown_words_max=1) == ()
    assert problems("kindly touch the red mug", unknown_words_max=1) == (UNKNOWN,)
    assert problems("touch the red cube and the cube", cut_words_max=1) == ()
    assert problems("touch the red cube and the red cube", cut_words_max=1) == (TOO_LONG,)
    assert problems("触碰 红色", unknown_words_max=512) == (NO_WORDS,), "nothing at all is never enough"


def test_every_sentence_of_the_simulated_tasks_is_readable_for_the_shipped_policy() -> None:
    policy = read_manifest(SHIPPED).policy
    text = policy.inputs.text
    assert text is not None
    tokenizer = read_tokenizer(SHIPPED / text.tokenizer.path)
    assert text.sentences is None, "it is as strict as a bundle that says nothing"
    for split in ("train", "eval"):
        for sentence in all_phrases(split):
            reading = read_sentence(sentence, tokenizer, text.max_tokens, text.sentences)
            assert reading.is_readable, (sentence, reading)


def test_the_contract_travels_in_the_manifest_and_its_absence_changes_no_digest(tmp_path: Path) -> None:
    plain = read_manifest(SHIPPED)
    assert b"sentences" not in plain.canonical_json()
    lenient = SentenceContract(unknown_words_max=2, negation=True)
    write_manifest(tmp_path, msgspec.structs.replace(plain, policy=altered(plain.policy, sentences=lenient)))
    text = read_manifest(tmp_path).policy.inputs.text
    assert text is not None
    assert text.sentences == lenient
    assert read_manifest(tmp_path).digest != plain.digest


@pytest.mark.parametrize("field", ["unknown_words_max", "cut_words_max"])
def test_a_threshold_is_a_count(field: str) -> None:
    for value in (-1, 513):
        with pytest.raises(ValueError, match=field):
            SentenceContract(**{field: value})  # type: ignore[arg-type]


@given(text=st.text(max_size=512), max_tokens=st.integers(1, 8))
def test_whatever_is_readable_loses_nothing_on_its_way_to_the_graph(text: str, max_tokens: int) -> None:
    reading = read_sentence(text, TOKENIZER, max_tokens)
    tokens = TOKENIZER.encode(text, max_tokens)
    if reading.is_readable:
        assert (tokens.unknown_words, tokens.truncated_words) == (0, 0)
        assert any(token != TOKENIZER.pad for token in tokens.ids)
        kept = {c for c in text if c.isalnum()}
        assert all(c in "abcdefghijklmnopqrstuvwxyz0123456789" for c in "".join(kept).lower())
    else:
        assert reading.detail.isprintable()
