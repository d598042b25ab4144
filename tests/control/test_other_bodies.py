"""Robots of many shapes go from a description to an armed kernel that knows their body."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.cli.claims import claims_sheet
from edge_runtime.config.robot_file import load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.start_posture import geometry_problem
from edge_runtime.safety import Kernel, Measurement, Request, Result, State
from edge_runtime.testing.other_bodies import write_settings_with_body
from edge_runtime.testing.other_robots import OTHER_ROBOTS

_FLOOR = '[[geometry.half_spaces]]\nname = "floor"\nnormal = [0.0, 0.0, 1.0]\noffset_m = -0.5\n'


@pytest.mark.parametrize("name", OTHER_ROBOTS)
def test_a_robot_is_armed_at_home_with_its_body(tmp_path: Path, name: str) -> None:
    robot = OTHER_ROBOTS[name]
    config = load_config(write_settings_with_body(tmp_path, robot, geometry=_FLOOR))
    assert geometry_problem(config.safety, robot, robot.home) is None
    kernel = Kernel(kernel_config(config.safety, robot))
    at_home = Measurement(stamp_ns=10**9, seq=1, q=robot.home, dq=(0.0,) * len(robot.axes))
    kernel.step(at_home, None, 10**9)
    assert kernel.request(Request.ARM, at_home, 10**9) is Result.DONE
    armed = kernel.step(replace(at_home, seq=2, stamp_ns=10**9 + 10**6), None, 10**9 + 10**6)
    assert armed.state is State.HOLDING
    assert 0.01 < armed.stop_margin_m < 1e3, "something is watched, and far enough"
    sheet = claims_sheet(config)
    for gripper in robot.grippers:
        covered = {
            "parallel_gripper": f"{gripper.name}_left_finger, 0 to 0.04 m",
            "jaw_gripper": f"{gripper.name}, -0.17",
        }
        assert covered.get(config.safety.axes[gripper.name].kind, "") in sheet
