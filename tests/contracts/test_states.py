"""A state is an enum with its properties: nothing decides by its spelling, or by what a heartbeat counts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.contracts.states import (
    ControlState,
    GateState,
    KernelReason,
    PolicySign,
    PolicyState,
    RequestResult,
    UpdateState,
)

ROOT = Path(__file__).parents[2]
ROOMS = ("edge_runtime", "hub", "export_tools", "benchmarks", "scripts")
ENUMS = (ControlState, GateState, PolicyState, PolicySign, UpdateState, RequestResult, KernelReason)
SPELLED = {member.value for enum in ENUMS for member in enum}
HOLD_STATES = {"state", "control_state", "gate", "policy", "policy_watch", "how", "answer", "outcome", "refusal"}


def sources() -> Iterator[tuple[Path, ast.AST]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def decided_by_spelling(tree: ast.AST) -> Iterator[ast.Compare]:
    """Comparisons of something that holds a state with the string of one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        spelled = {leaf.value for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Constant)}
        asked = {leaf.attr for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Attribute)}
        if spelled & SPELLED and asked & HOLD_STATES:
            yield node


def decided_by_heartbeat(tree: ast.AST) -> Iterator[ast.AST]:
    """Reads of one counter, or one refusal, of a heartbeat by its name, and of its note."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            of, name = node.value, node.slice.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            of, name = node.func.value, getattr(node.args[0], "value", None) if node.args else None
        else:
            continue
        if isinstance(of, ast.Attribute) and of.attr in ("counters", "refusals") and isinstance(name, str):
            yield node


def test_nothing_decides_by_the_spelling_of_a_state() -> None:
    found = [
        f"{path}:{node.lineno}: {ast.unparse(node)}" for path, tree in sources() for node in decided_by_spelling(tree)
    ]
    assert found == []


def test_nothing_reads_a_counter_of_a_heartbeat_by_its_name() -> None:
    found = [f"{path}:{node.lineno}" for path, tree in sources() for node in decided_by_heartbeat(tree)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'watcher.control_state == "fault"',
        'report.state.value in ("active", "holding")',
        'receipt.refusal != "done"',
    ],
)
def test_the_test_sees_a_spelling(line: str) -> None:
    assert list(decided_by_spelling(ast.parse(line)))


@pytest.mark.parametrize("line", ['beat.counters["ticks"]', 'watcher.heartbeats["engine"].refusals.get("x.y", 0)'])
def test_the_test_sees_a_counter(line: str) -> None:
    assert list(decided_by_heartbeat(ast.parse(line)))


@pytest.mark.parametrize("enum", ENUMS)
def test_a_state_is_shown_as_it_is_spelled(enum: type[ControlState]) -> None:
    for member in enum:
        assert f"{member}" == str(member) == member.value == member.name.lower()
