"""What the demo types itself, when it is a person's turn, and that it does not wait for her without end."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from edge_runtime.contracts.messages import SceneOutcome, SceneStatus, StopCause
from edge_runtime.contracts.states import ControlState
from scripts.demo import opening
from scripts.demo.opening import Opening


class Person:
    """Types what a test says."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.pending: str | None = ""
        self.is_over = False

    def lines(self) -> list[str]:
        lines, self.waiting = self.waiting, []
        return lines


class Stage:
    """An opening with its robot as it reports itself, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(opening.time, "monotonic", lambda: self.now_s)
        self.person, self.out, self.prepared = Person(), io.StringIO(), 0
        self.opening = Opening(self.person, Console(file=self.out, width=400), self._prepare)
        self.watcher: Any = SimpleNamespace(scene=None, control_state=ControlState.READY)
        self.operator: Any = SimpleNamespace(watcher=self.watcher, stopped_by=None)

    def _prepare(self) -> None:
        self.prepared += 1

    def scene(self, seed: int, outcome: str = "running", reason: str = "", split: str = "eval") -> None:
        self.watcher.scene = SceneStatus(
            stamp_ns=0,
            answered_id=1,
            answer="ok",
            seed=seed,
            split=split,
            instruction=f"touch {seed}",
            swapped_instruction="touch the other",
            outcome=SceneOutcome(outcome),
            reason=reason,
            elapsed_s=0.0,
        )

    def turn(self, seconds: float = 0.5) -> list[str]:
        """Time goes by; what is typed then."""
        typed = []
        for _ in range(round(seconds / 0.1)):
            self.now_s += 0.1
            typed += self.opening.lines()
            self.opening.look(self.operator, ())
        return typed + self.opening.lines()


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_two_sentences_are_the_demos_then_it_is_the_persons_turn(demo: Stage) -> None:
    demo.scene(0, split="train")
    assert demo.turn(1.0) == [], "that scene is the driver's own"
    for seed in (0, 1):
        demo.scene(seed)
        assert demo.turn(1.0) == [f"touch {seed}"]
        demo.scene(seed, "success", f"touched {seed}")
        assert demo.turn(1.0) == [], "the end stays to be seen"
        assert f"✓ touched {seed}" in demo.out.getvalue()
        assert demo.turn(1.0) == ["scene"]
    demo.scene(2)
    assert demo.turn(1.0) == []
    assert "Your turn: " in demo.out.getvalue()
    demo.person.waiting = ["touch the other"]
    assert demo.turn(0.5) == ["touch the other"]
    demo.scene(2, "failed", "touched the other, not the red cube")
    demo.turn(0.5)
    assert "what the arm did: touched the other\n" in demo.out.getvalue(), "another task than the scene's is not judged"
    assert demo.turn(2.0) == ["scene"]
    assert not demo.opening.is_over
    assert demo.prepared > 50


def test_a_person_who_types_at_once_is_not_interrupted(demo: Stage) -> None:
    demo.scene(0)
    demo.person.waiting = ["touch the other"]
    assert demo.turn(0.2) == ["touch the other"]
    demo.scene(0, "success", "touched it")
    demo.turn(0.5)
    assert demo.turn(2.0) == ["scene"]
    demo.scene(1)
    assert demo.turn(1.0) == []
    assert "Your turn: " in demo.out.getvalue()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_minute_without_a_key_goes_on(demo: Stage, stopped: bool) -> None:
    demo.operator.stopped_by = StopCause.OPERATOR_STOP if stopped else None
    demo.scene(0)
    demo.person.waiting = ["touch the other"]
    demo.turn(1.0)
    if stopped:
        assert "stopped by an operator. To continue: `reset`, then `arm`." in demo.out.getvalue()
    else:
        demo.scene(0, "success", "touched it")
        demo.turn(2.5)
        demo.scene(1)
        demo.turn(1.0)
    demo.turn(50.0)
    demo.person.pending = "tou"
    demo.turn(50.0)
    assert not demo.opening.is_over, "a key that is pressed counts"
    demo.turn(20.0)
    assert demo.opening.is_over
    assert demo.opening.stopped_by is demo.operator.stopped_by
    assert "no key for 60 s" in demo.out.getvalue()


def test_a_fault_that_no_person_meant_is_cleared_and_the_demo_goes_on(demo: Stage) -> None:
    demo.scene(0)
    assert demo.turn(1.0) == ["touch 0"]
    demo.watcher.control_state = ControlState.FAULT
    assert demo.turn(12.0) == ["scene"]
    assert "no person did" in demo.out.getvalue()
    demo.watcher.control_state = ControlState.READY
    demo.scene(1)
    assert demo.turn(1.0) == ["touch 1"]


@pytest.mark.parametrize("state", [ControlState.FAULT, ControlState.READY])
def test_a_robot_that_never_goes_on_ends_the_first_part(demo: Stage, state: ControlState) -> None:
    demo.scene(0)
    demo.turn(1.0)
    demo.scene(0, "success", "touched 0")
    demo.turn(2.5)
    demo.watcher.control_state = state
    demo.turn(90.0)
    assert not demo.opening.is_over
    demo.turn(120.0)
    assert demo.opening.is_over


def test_enter_alone_goes_on_and_quit_ends(demo: Stage) -> None:
    demo.scene(0)
    demo.person.waiting = [""]
    demo.turn(0.2)
    assert demo.opening.is_over
    assert not demo.opening.wants_to_end
    demo.person.waiting = ["quit"]
    demo.turn(0.2)
    assert demo.opening.wants_to_end
