"""A policy that is never sure enough, through the real processes: it asks, loses its power, and a person decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import GateState
from tests.system.conftest import Robot


@pytest.fixture
def robot_toml(robot_toml: Path, tmp_path: Path) -> Path:
    """The drift robot, whose policy agrees with itself perfectly, with lines that perfection can't reach."""
    path = robot_toml.with_name(f"{tmp_path.name}.toml")
    before, _, rest = robot_toml.read_text(encoding="utf-8").partition("[confidence]")
    after = rest[rest.index("[") :]
    settings = "slow_below = 1.0\npause_below = 1.0\nhysteresis = 0.5\nrecover_after = 0\nescalate_after = 5\n"
    path.write_text(f'{before}[confidence]\n{settings}without_score = "pause"\n{after}')
    return path


def test_an_unsure_policy_asks_is_disarmed_and_waits_for_a_person(start_robot: Callable[..., Robot]) -> None:
    robot = start_robot(lockstep=True, restart=False)
    operator, watcher = robot.operator, robot.operator.watcher

    def gate() -> GateState | None:
        return watcher.report.gate if watcher.report is not None else None

    operator.lay_out(3, "eval")
    operator.instruct("touch the red cube")
    operator.arm()
    robot.until(lambda: gate() is GateState.ESCALATED)
    robot.until(lambda: watcher.control_state == "ready")
    # Counted in heartbeats, which virtual time does not wait for.
    robot.until(lambda: robot.refused("control.action_chunk.unsure") >= 5)
    assert watcher.status().gate == "escalated"
    with pytest.raises(OperatorError, match="refused_unsure"):
        operator.arm()
    operator.resume()
    robot.until(lambda: gate() is GateState.SURE)
    assert watcher.control_state == "ready"
    operator.arm()
    robot.until(lambda: gate() is GateState.ESCALATED)
    robot.until(lambda: watcher.control_state == "ready")
    operator.instruct("touch the blue cube")
    robot.until(lambda: gate() is GateState.SURE)
    assert watcher.control_state == "ready"
