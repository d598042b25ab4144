"""A robot that can't be armed is told why: which joint, link, plane or zone, how far, and what to do."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, RobotConfig, load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.start_posture import geometry_problem
from edge_runtime.safety import Kernel, Request, Result
from tests.safety.robot import Robot
from tests.settings import copy_settings, replace

_SURROUNDINGS = """
[geometry.workspace]
min_m = [-0.6, -0.9, -0.1]
max_m = [0.9, 0.9, 1.0]

[[geometry.keep_out]]
name = "pole"
min_m = [0.4, 0.4, 0.0]
max_m = [0.4, 0.4, 1.0]
radius_m = 0.1
"""


@pytest.fixture
def config(tmp_path: Path) -> RobotConfig:
    """The shipped robot between its table, a workspace and a pole."""
    path = copy_settings(tmp_path)
    replace(tmp_path / "safety.toml", r"^\[joints.joint1\]", f"{_SURROUNDINGS}\n[joints.joint1]")
    return load_config(path)


def arming(config: RobotConfig, posture_rad: tuple[float, ...]) -> Result:
    robot = Robot(Kernel(kernel_config(config.safety, config.embodiment)), posture_rad)
    robot.step()
    return robot.request(Request.ARM)


def problem(config: RobotConfig, posture_rad: tuple[float, ...]) -> str | None:
    return geometry_problem(config.safety, config.embodiment, posture_rad)


def test_it_says_what_the_kernel_decides(config: RobotConfig) -> None:
    generator = random.Random(5)
    kinds = set()
    for _ in range(400):
        posture = tuple(
            generator.uniform(limits.low or 0.0, limits.high or 0.0) for limits in config.safety.axes.values()
        )
        said = problem(config, posture)
        assert arming(config, posture) is (Result.DONE if said is None else Result.REFUSED_GEOMETRY)
        kinds |= {word for word in ("table top", "pole", "workspace", "apart") if said and word in said}
        assert said is None or len(said) <= 240
    assert kinds == {"table top", "pole", "workspace", "apart"}


def test_home_of_the_shipped_robot_can_be_armed() -> None:
    shipped = load_config(SIM_CONFIG)
    assert problem(shipped, shipped.embodiment.home) is None


@pytest.mark.usefixtures("config")
def test_a_shoulder_on_its_table_is_named_with_the_distance_and_what_to_do(tmp_path: Path) -> None:
    """Lowered onto the table, the arm stands with its first link in it, whatever its posture."""
    replace(tmp_path / "safety.toml", r"(name = \"table top\"\nnormal = .*\noffset_m = )0.0", r"\g<1>0.3")
    raised = load_config(tmp_path / "robot.toml")
    said = problem(raised, raised.embodiment.home)
    assert said is not None
    found = re.search(r"^(\S+) is ([0-9.]+) mm into table top, 10 mm must be kept: move the robot away", said)
    assert found is not None, said
    assert f"set in_world = false for {found[1]} in kinematics.toml" in said


@pytest.mark.usefixtures("config")
def test_without_geometry_nothing_is_too_near(tmp_path: Path) -> None:
    text = (tmp_path / "safety.toml").read_text(encoding="utf-8")
    without = re.sub(r"\[geometry\].*?(?=\[joints)", "", text, flags=re.DOTALL)
    without = re.sub(r"\n\[\[geometry.half_spaces\]\].*?(?=\n\[)", "", without, flags=re.DOTALL)
    (tmp_path / "safety.toml").write_text(without, encoding="utf-8")
    bare = load_config(tmp_path / "robot.toml")
    assert bare.safety.geometry is None
    assert problem(bare, (0.0,) * 8) is None


def test_a_posture_of_another_robot_is_a_mistake_of_the_caller(config: RobotConfig) -> None:
    with pytest.raises(ValueError, match="8 values, got 6"):
        problem(config, (0.0,) * 6)
