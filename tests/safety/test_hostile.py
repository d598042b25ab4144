"""Robots of every shape under hostile input, as somebody else sees it: their own shapes in MuJoCo, and commands alone.

`python -m benchmarks.hostile` does the same for robots that others described, a million ticks each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.hostile.drive import EPISODE_TICKS, build
from benchmarks.hostile.run import judged, judged_with
from edge_runtime.config.robot_file import load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety.kinematics import GeometryModel
from edge_runtime.testing.other_bodies import write_settings_with_body
from edge_runtime.testing.other_robots import OTHER_ROBOTS

_TICKS = 20_000
_FLOOR = '[[geometry.half_spaces]]\nname = "floor"\nnormal = [0.0, 0.0, 1.0]\noffset_m = -0.5\n'


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("stream"))


def _folder(tmp_path: Path, name: str) -> Path:
    robot = OTHER_ROBOTS[name]
    base = "odometry = true\n" if robot.base_axes else ""
    write_settings_with_body(tmp_path, robot, geometry=f"{base}{_FLOOR}")
    return tmp_path


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_nothing_hostile_takes_a_robot_beyond_its_limits_or_brings_its_links_together(
    tmp_path: Path, program: Path, name: str
) -> None:
    folder = _folder(tmp_path, name)
    verdict = judged(name, folder, folder / "robot.urdf", program, _TICKS, seed=2, every=5)
    found = verdict.found
    assert verdict.is_clean, found.examples
    # Worth something only where the limits were met, and most of the time the robot was armed.
    assert found.armed > 0.5 * _TICKS
    assert found.armings > _TICKS // EPISODE_TICKS, "a trip, and armed again"
    assert min(found.most[what] for what in ("acceleration", "jerk")) > 0.99, found.most
    assert found.most["velocity"] > 0.6
    assert found.nearest_m < (1.0 if name == "gantry" else 1e-6), "nothing of the gantry can meet"
    assert found.meshes > 500
    assert verdict.shapes > 0
    assert found.kinematics_m < 1e-9


def test_the_judge_sees_what_a_kernel_that_is_blind_does(tmp_path: Path, program: Path) -> None:
    folder = _folder(tmp_path, "hand_16")
    robot = load_config(folder / "robot.toml")
    config = kernel_config(robot.safety, robot.embodiment)
    body = config.geometry
    assert isinstance(body, GeometryModel)
    blind = replace(config, geometry=msgspec.structs.replace(body, pairs=(), nearer=(), planes=()))
    found = judged_with("hand_16", robot, config, folder / "robot.urdf", program, 10_000, 1, driven=blind).found
    assert found.violations > 0
    assert found.contacts > 0
    assert found.nearest_m < -0.01


@pytest.mark.parametrize("field", ["dq_max", "ddq_max", "dddq_max", "q_max", "tool_speed_max_m_s"])
def test_the_judge_sees_a_kernel_with_another_limit(tmp_path: Path, program: Path, field: str) -> None:
    folder = _folder(tmp_path, "two_arms_6")
    robot = load_config(folder / "robot.toml")
    config = kernel_config(robot.safety, robot.embodiment)
    limits: tuple[float, ...] = getattr(config, field)
    changed: dict[str, Any] = {field: tuple(0.9 * limit for limit in limits)}
    tighter = replace(config, **changed)
    found = judged_with("two_arms_6", robot, tighter, None, program, 10_000, 1, driven=config).found
    assert found.violations > 0
