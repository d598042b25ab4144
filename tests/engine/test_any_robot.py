"""A policy for a robot of any axes: each value goes to its own axis, and a contract that leaves one out is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import HandshakeError
from edge_runtime.contracts.manifest import (
    BaseVelocity,
    GripperOpening,
    GripperSwitch,
    Held,
    JointPositions,
    MeanStd,
    OutputGroup,
    Outputs,
    PolicyContract,
    Unscaled,
    read_manifest,
    verify_bundle,
)
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.policies.golden import observation_of, run_pairs
from edge_runtime.policies.transforms import ActionTransform
from edge_runtime.testing.other_robots import OTHER_ROBOTS, jaw_arm, mobile_manipulator, two_arms
from tests import any_policy

ROBOTS = sorted(OTHER_ROBOTS)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_policy_of_this_robot_runs_and_its_golden_pairs_match(tmp_path: Path, name: str) -> None:
    robot = OTHER_ROBOTS[name]
    folder = any_policy.bundle(tmp_path / "bundle", robot)
    manifest = verify_bundle(folder)
    manifest.require_fit(robot)
    assert manifest.policy.axes == len(robot.axes)
    assert manifest.policy.joints == robot.joint_names
    policy = BundlePolicy.load(folder, robot, threads=1)
    report = run_pairs(policy, manifest, folder, robot)
    assert report.verdict == "matched", report.worst
    home = np.array(robot.home)
    actions = policy.infer(observation_of(robot, home), "", 0)
    np.testing.assert_allclose(actions.position, any_policy.plan(robot, home), atol=1e-5)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_policy_of_this_robot_is_refused_by_every_other_one(tmp_path: Path, name: str) -> None:
    manifest = read_manifest(any_policy.bundle(tmp_path / "bundle", OTHER_ROBOTS[name]))
    for other in OTHER_ROBOTS.values():
        if other.name != name:
            with pytest.raises(HandshakeError):
                manifest.require_fit(msgspec.structs.replace(other, name=name))


def fitted(robot: Embodiment, *groups: OutputGroup) -> None:
    contract: PolicyContract = any_policy.contract(robot)
    outputs = Outputs(horizon=2, action_dt_ns=100_000_000, trained_delay=0, groups=groups)
    msgspec.structs.replace(contract, outputs=outputs).require_fit(robot)


def opening(gripper: str | None, **changes: Any) -> GripperOpening:
    return GripperOpening(**{"unit": "fraction_open", "statistics": Unscaled(), "gripper": gripper, **changes})


def test_each_gripper_is_moved_by_one_group_and_by_its_name() -> None:
    robot = two_arms(6)
    arms = Held(joints=robot.joint_names, gripper=False)
    fitted(robot, arms, opening("left_gripper"), opening("right_gripper", unit="m"))
    fitted(robot, Held(joints=robot.joint_names, gripper=False, grippers=("right_gripper",)), opening("left_gripper"))
    with pytest.raises(HandshakeError, match="one of the grippers left_gripper, right_gripper, by its name"):
        fitted(robot, arms, opening(None), opening("right_gripper"))
    with pytest.raises(HandshakeError, match="left_gripper in 0 groups"):
        fitted(robot, arms, opening("right_gripper"))
    with pytest.raises(HandshakeError, match="right_gripper in 2 groups"):
        fitted(robot, arms, opening("left_gripper"), opening("right_gripper"), opening("right_gripper"))
    with pytest.raises(HandshakeError, match="is told in"):
        fitted(robot, arms, opening("left_gripper", unit="rad"), opening("right_gripper"))


def test_a_robot_without_a_gripper_or_a_base_says_so() -> None:
    bare = OTHER_ROBOTS["bare_arm"]
    arm = Held(joints=bare.joint_names, gripper=False)
    with pytest.raises(HandshakeError, match="this robot has none"):
        fitted(bare, arm, opening(None))
    with pytest.raises(HandshakeError, match="no mobile base"):
        fitted(bare, arm, BaseVelocity(axes=("x",), statistics=Unscaled()))


def test_a_base_is_moved_by_its_own_group_alone() -> None:
    robot = mobile_manipulator()
    arm = tuple(name for name in robot.joint_names if not name.startswith("base"))
    rest = (Held(joints=arm, gripper=True),)
    fitted(robot, *rest, BaseVelocity(axes=("yaw", "x"), statistics=Unscaled()))
    with pytest.raises(HandshakeError, match=r"along x, yaw.*got 'base_velocity along y'"):
        fitted(robot, *rest, BaseVelocity(axes=("y",), statistics=Unscaled()))
    with pytest.raises(HandshakeError, match="base_velocity: it is an axis of the base"):
        fitted(robot, *rest, JointPositions(joints=("base_x", "base_yaw"), relative_to="zero", statistics=Unscaled()))


def to_physical(robot: Embodiment, normalized: Any, *groups: OutputGroup) -> np.ndarray[Any, np.dtype[np.float64]]:
    outputs = Outputs(horizon=2, action_dt_ns=100_000_000, trained_delay=0, groups=groups)
    transform = ActionTransform(outputs, robot)
    observation = observation_of(robot, np.array(robot.home))
    asked = transform.to_physical(np.asarray(normalized, np.float32), observation)
    # Which number stood for a switch is not known.
    if not any(isinstance(group, GripperSwitch) for group in groups):
        np.testing.assert_allclose(transform.to_normalized(asked, observation), normalized, atol=1e-5)
    return asked


def test_values_land_on_their_own_axes_in_their_own_units() -> None:
    robot = mobile_manipulator()
    joints = tuple(f"joint{number}" for number in range(1, 7))
    asked = to_physical(
        robot,
        [[0.5, 0.25, 2.0, *(0.1,) * 6, 1.0], [0.5, 1.0, 0.0, *(0.2,) * 6, 0.25]],
        BaseVelocity(axes=("yaw", "x"), statistics=MeanStd(mean=(0.0, 0.0), std=(2.0, 0.4))),
        JointPositions(joints=("lift",), relative_to="observed", statistics=MeanStd(mean=(0.0,), std=(0.05,))),
        JointPositions(joints=joints, relative_to="previous", statistics=Unscaled()),
        opening(None, unit="fraction_closed"),
    )
    index = {name: place for place, name in enumerate(robot.axis_names)}
    np.testing.assert_allclose(asked[:, index["base_yaw"]], [1.0, 1.0])
    np.testing.assert_allclose(asked[:, index["base_x"]], [0.1, 0.4])
    np.testing.assert_allclose(asked[:, index["lift"]], [0.3, 0.2], atol=1e-9)
    home = np.array(robot.home)[[index[name] for name in joints]]
    np.testing.assert_allclose(asked[:, [index[name] for name in joints]], [home + 0.1, home + 0.3], atol=1e-7)
    np.testing.assert_allclose(asked[:, index["gripper"]], [0.0, 0.06], atol=1e-9)


def test_a_base_that_is_held_stands_still() -> None:
    robot = mobile_manipulator()
    joints = tuple(name for name in robot.joint_names if name != "lift")
    moving = np.array(robot.home)
    moving[:2] = (0.3, -0.2)
    outputs = Outputs(
        horizon=2,
        action_dt_ns=100_000_000,
        trained_delay=0,
        groups=(
            JointPositions(joints=("lift",), relative_to="zero", statistics=Unscaled()),
            Held(joints=joints, gripper=True),
        ),
    )
    asked = ActionTransform(outputs, robot).to_physical(np.full((2, 1), 0.4, np.float32), observation_of(robot, moving))
    np.testing.assert_array_equal(asked[:, :2], 0.0)


def test_a_jaw_opens_whichever_way_its_angle_grows() -> None:
    robot = jaw_arm()
    gripper = robot.grippers[0]
    arm = Held(joints=robot.joint_names, gripper=False)
    for unit, value, expected in (
        ("fraction_open", 0.0, gripper.closed),
        ("fraction_open", 1.0, gripper.open),
        ("fraction_closed", 1.0, gripper.closed),
        ("rad", 0.5, 0.5),
    ):
        asked = to_physical(robot, [[value], [value]], arm, opening(None, unit=unit))
        np.testing.assert_allclose(asked[:, -1], expected, atol=1e-7)
    switch = GripperSwitch(open_is="above", threshold=0.0, statistics=Unscaled(), gripper="gripper")
    np.testing.assert_allclose(to_physical(robot, [[1.0], [-1.0]], arm, switch)[:, -1], [gripper.open, gripper.closed])
