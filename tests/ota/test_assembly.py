"""The update agent is put together in one place, calls go down, and nobody is called back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.ota.agent.agent_bus import AgentBus
from edge_runtime.ota.agent.assembly import Keeper
from tests.ota.kept_robot import KeptRobot

ROOT = Path(__file__).parents[2]
BUILDER = ROOT / "edge_runtime" / "ota" / "agent" / "assembly.py"
PARTS = frozenset({"Activation", "Agent", "AgentBus", "Effects", "HttpTransport", "Runner", "Scrub", "Trial", "Worker"})
LOWER = frozenset({"HttpTransport", "Scrub", "Trial"})
"""What tests and benchmarks of lower rooms also make for themselves."""


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def called(tree: ast.AST) -> set[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_the_builder_makes_all_parts() -> None:
    assert called(ast.parse(BUILDER.read_text(encoding="utf-8"))) >= PARTS


@pytest.mark.parametrize("folder", ["edge_runtime", "benchmarks", "tests", "scripts"])
def test_nobody_else_makes_one(folder: str) -> None:
    parts = PARTS if folder == "edge_runtime" else PARTS - LOWER
    for path in modules(folder):
        if path != BUILDER and path.name != "conformance.py":
            made = called(ast.parse(path.read_text(encoding="utf-8"))) & parts
            assert not made, f"{path.relative_to(ROOT)} makes {made}"


def test_no_attribute_of_another_object_is_set_to_something_that_is_called() -> None:
    """A callback is an argument; whoever is given one after it was made can be called before that, or twice."""
    for path in modules("edge_runtime/ota"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign):
                continue
            value = node.value
            name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
            for target in node.targets:
                is_foreign = isinstance(target, ast.Attribute) and ast.unparse(target.value) != "self"
                if is_foreign and (isinstance(value, ast.Lambda) or name in functions):
                    raise AssertionError(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")


def held_by(part: object) -> dict[int, object]:
    """All objects of the runtime that can be reached from `part`, itself among them."""
    found: dict[int, object] = {}
    left = [part]
    while left:
        one = left.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        if callable(one) and hasattr(one, "__closure__"):
            left += [cell.cell_contents for cell in one.__closure__ or ()]
        if hasattr(one, "__self__"):
            left.append(one.__self__)
        if type(one).__module__.startswith("edge_runtime."):
            names = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            left += [*getattr(one, "__dict__", {}).values(), *(getattr(one, name, None) for name in names)]
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            left += one
    return found


def test_a_turn_within_a_turn_cannot_be_because_nobody_below_holds_the_bus(tmp_path: Path) -> None:
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent():
        keeper = kept.keeper
        assert any(isinstance(one, AgentBus) for one in held_by(keeper).values()), "the walk sees it where it is"
        for part in vars(keeper).values():
            if isinstance(part, AgentBus):
                continue
            reached = held_by(part).values()
            assert not any(isinstance(one, AgentBus | Keeper) for one in reached), type(part).__name__


def test_each_part_gets_along_without_the_one_above(tmp_path: Path) -> None:
    """A part that held the one that holds it could call it back, in the middle of what that is doing."""
    kept = KeptRobot(tmp_path)
    with kept.robot, kept.agent():
        parts = kept.keeper.installer
        above = [kept.keeper, kept.activation, parts.agent, parts.runner]
        for number, part in enumerate(above[1:], 1):
            reached = held_by(part)
            for higher in above[:number]:
                if (type(higher), type(part)) != (type(kept.activation), type(parts.agent)):
                    assert id(higher) not in reached, f"{type(part).__name__} holds {type(higher).__name__}"
        reached = held_by(parts.effects)
        assert id(parts.runner) not in reached
        assert id(kept.activation) not in reached
