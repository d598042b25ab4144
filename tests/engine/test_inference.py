"""Chunks are computed beside the thread that listens: one at a time, and what goes wrong there is raised here."""

from __future__ import annotations

import gc
import select
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from contracts.embodiment import Embodiment
from contracts.errors import EngineError, FrameError, Refusal
from edge_runtime.engine.inference import Inference
from edge_runtime.engine.planner import Question
from tests.engine.test_planner import StillPolicy, _bench


@dataclass
class FailingPolicy(StillPolicy):
    """Raises what it is told to."""

    error: BaseException = field(default_factory=lambda: EngineError("the library failed"))

    def infer(self, *_arguments: Any) -> Any:
        raise self.error


@pytest.fixture
def ask(embodiment: Embodiment) -> Callable[[StillPolicy], Question]:
    bench = _bench(embodiment)

    def ask(policy: StillPolicy) -> Question:
        return Question(
            policy=policy,
            observation=bench.observe(1),
            instruction="touch the red cube",
            instruction_id=1,
            chunk_sequence=0,
            received_ns=1,
            started_ns=1,
        )

    return ask


def wait(inference: Inference) -> None:
    assert select.select([inference], [], [], 10.0)[0]


def test_an_answer_wakes_whoever_waits_and_comes_with_its_question(ask: Callable[[StillPolicy], Question]) -> None:
    inference = Inference()
    assert (inference.busy, inference.take()) == (False, None)
    question = ask(StillPolicy())
    inference.begin(question, 5)
    assert inference.busy
    assert inference.busy_ns(12) == 7
    with pytest.raises(ValueError, match="one question at a time"):
        inference.begin(question, 5)
    wait(inference)
    assert inference.busy, "until it is taken"
    done = inference.take()
    assert done is not None
    assert done[0] is question
    assert not inference.busy
    assert inference.busy_ns(12) == 0
    assert select.select([inference], [], [], 0.0)[0] == []


def test_what_the_library_raises_is_raised_and_a_frame_that_is_gone_is_an_answer(
    ask: Callable[[StillPolicy], Question],
) -> None:
    inference = Inference()
    for error in (EngineError("the library failed"), MemoryError()):
        inference.begin(ask(FailingPolicy(error=error)), 5)
        wait(inference)
        with pytest.raises(type(error)):
            inference.take()
        assert not inference.busy
    gone = FrameError(Refusal.FRAME_GONE, "overwritten")
    inference.begin(ask(FailingPolicy(error=gone)), 5)
    wait(inference)
    done = inference.take()
    assert done is not None
    assert done[1] is gone


def test_no_policy_stays_in_memory_because_it_was_asked_last(ask: Callable[[StillPolicy], Question]) -> None:
    inference = Inference()
    policy = StillPolicy()
    gone = weakref.ref(policy)
    inference.begin(ask(policy), 5)
    wait(inference)
    assert inference.take() is not None
    del policy
    gc.collect()
    assert gone() is None
