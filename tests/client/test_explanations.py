"""Every name that can reach a person has its words, once, and each next step is a command that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from edge_runtime.cli import build_parser
from edge_runtime.client import explanations
from edge_runtime.client.explanations import (
    ANSWERS,
    GATES,
    IN_STATE,
    MESSAGES,
    REASONS,
    STATES,
    STOPS,
    Explanation,
    explain,
    in_full,
    refused_because,
)
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ControlState, GateState, OperatorKind, StopCause
from edge_runtime.control.request_ledger import AFTER_STOP, OVERTAKEN, RESTARTED
from edge_runtime.safety import Reason, Result

TABLES = (STATES, STOPS, REASONS, ANSWERS, MESSAGES, GATES)
ALL: list[Explanation] = [entry for table in TABLES for entry in table.values()]


def test_every_state_reason_and_refusal_is_explained() -> None:
    assert set(STATES) == {state.value for state in ControlState} | {"unknown"}
    assert set(STOPS) == set(StopCause)
    assert set(REASONS) == {reason.name.lower() for reason in Reason if reason.name}
    refusals = {result.name.lower() for result in Result} - {"done"}
    by_control = {"refused_jitter", "refused_calibration", "refused_unsure", AFTER_STOP, RESTARTED, OVERTAKEN}
    assert set(ANSWERS) >= refusals | by_control
    assert set(MESSAGES) == {refusal.value for refusal in Refusal}
    assert set(GATES) == {state.value for state in GateState} - {"off", "sure"}


def test_answers_of_control_are_in_no_second_place() -> None:
    """Whatever control's code answers by name is in the table."""
    folder = Path(explanations.__file__).parents[1] / "control"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("refused_"):
                assert node.value in ANSWERS, f"{path.name}: {node.value}"


def test_whatever_latches_says_how_to_go_on() -> None:
    faults = [REASONS[name] for name in REASONS if REASONS[name].next_step.endswith("[arm].")]
    assert len(faults) >= 15
    for name in ("operator_stop", "stop_line", "tracking_error", "feedback_stale", "driver_fault", "torque", "force"):
        assert "[reset], then [arm]" in REASONS[name].next_step, name
        assert REASONS[name].is_alarming
    for name in ("setpoint_none", "limit_jerk", "limit_acceleration", "limit_gripper"):
        assert not REASONS[name].is_alarming, f"{name} is part of ordinary work"


def test_next_steps_are_commands_that_exist() -> None:
    parser = build_parser()
    steps = [entry.next_step for entry in ALL] + list(IN_STATE.values())
    named = {name for step in steps for name in re.findall(r"\[([a-z]+)\]", step)}
    assert named >= {"reset", "arm", "resume", "disarm", "status"}
    for name in named:
        options = parser.parse_args(["operator", name])
        assert options.action == name
    assert {request for request, _ in IN_STATE} <= {kind.value for kind in OperatorKind}
    assert {state for _, state in IN_STATE} <= {state.value for state in ControlState}


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.meaning[:30])
def test_words_are_half_a_sentence_and_steps_are_whole_ones(entry: Explanation) -> None:
    assert entry.meaning
    assert not entry.meaning.endswith(".")
    assert not entry.next_step or entry.next_step.endswith((".", "?"))
    assert "power" not in entry.meaning + entry.next_step, "nothing here switches power"


def test_a_next_step_names_the_robots_folder_where_it_is_not_the_local_one() -> None:
    assert in_full("[reset], then [arm].") == "`edge-runtime operator reset`, then `edge-runtime operator arm`."
    assert in_full("[arm]", Path(".run")) == "`edge-runtime operator arm`"
    assert in_full("[arm]", Path("/run/x")) == "`edge-runtime operator arm --run-dir /run/x`"


def test_what_the_table_lacks_is_said_as_it_came() -> None:
    assert explain("stop_line", REASONS) == "stop_line: the stop line is or was open"
    assert explain("of_tomorrow", REASONS) == "of_tomorrow"
    assert refused_because("of_tomorrow", "why") == "of_tomorrow: why"
    said = refused_because("refused_geometry", "hand is 4 mm from table")
    assert said.startswith("refused_geometry: a link is nearer to something than it may be; hand is 4 mm from table. ")
