"""A person who types a sentence is told how it ended, once."""

from __future__ import annotations

import msgspec

from edge_runtime.cli.prompt import OutcomeTold
from edge_runtime.contracts.messages import SceneAnswer, SceneOutcome, SceneStatus

RUNNING = SceneStatus(
    stamp_ns=1,
    answered_id=1,
    answer=SceneAnswer.OK,
    seed=7,
    split="eval",
    instruction="touch the red cube",
    swapped_instruction="touch the blue ball",
    outcome=SceneOutcome.RUNNING,
    reason="",
    elapsed_s=0.0,
)
DONE = msgspec.structs.replace(RUNNING, outcome=SceneOutcome.SUCCESS, elapsed_s=3.21)
FAILED = msgspec.structs.replace(RUNNING, seed=8, outcome=SceneOutcome.FAILED, reason="touched the blue ball")


def test_the_end_of_a_task_is_told_once() -> None:
    told = OutcomeTold()
    said = [told.since(scene) for scene in (None, RUNNING, RUNNING, DONE, DONE, RUNNING, RUNNING)]
    assert said == ["", "", "", "done, the simulation says: touch the red cube, in 3.2 s", "", "", ""]
    assert told.since(FAILED) == "failed, the simulation says: touch the red cube: touched the blue ball"
    assert told.since(FAILED) == ""


def test_what_had_ended_before_is_no_news() -> None:
    assert OutcomeTold().since(DONE) == ""
