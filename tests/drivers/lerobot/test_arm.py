"""The adapter against LeRobot's interface: units, velocities, ends, and a robot that doesn't answer as it should."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.embodiment import Camera
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.lerobot import arm as arm_module
from edge_runtime.drivers.lerobot.arm import LeRobotArm
from edge_runtime.drivers.lerobot.settings import settings_of
from edge_runtime.drivers.lerobot.units import Motor, axis_maps
from edge_runtime.testing.feetech_servos import FeetechServos
from edge_runtime.testing.so101 import write_so101
from tests.drivers.lerobot.own_robot import JOINTS, OwnRobot

FRONT = Camera(name="front", width_px=64, height_px=48, rate_hz=30.0)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RobotConfig]:
    with FeetechServos() as servos:
        yield load_config(write_so101(tmp_path, servos, cameras=[FRONT]))


def arm_of(config: RobotConfig, robot: OwnRobot) -> LeRobotArm:
    motors = {f"{name}.pos": Motor("degrees", 3.0) for name in JOINTS} | {"gripper.pos": Motor("percent", 2.0)}
    maps = axis_maps(config.embodiment, settings_of(config), robot.observation_features, robot.action_features, motors)
    return LeRobotArm(config, robot, maps)


def follow(arm: LeRobotArm, q: list[float], dq: float = 0.0) -> None:
    arm.follow(np.array(q), np.full(len(q), dq))


def test_it_measures_in_si_units_at_the_instant_of_the_question(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    robot.places.update({"elbow_flex.pos": 45.0, "gripper.pos": 100.0})
    before_ns = time.monotonic_ns()
    sample = arm.read()
    assert before_ns <= sample.stamp_ns <= time.monotonic_ns()
    assert np.allclose(sample.q, [0.0, 0.0, math.pi / 4.0, 0.0, 0.0, 1.75])


def test_velocity_is_what_positions_differ_by(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    begun_s = time.monotonic()
    speeds = []
    while time.monotonic() - begun_s < 0.4:
        robot.places["shoulder_pan.pos"] = math.degrees(0.5 * (time.monotonic() - begun_s))
        speeds.append(arm.read().dq[0])
        time.sleep(0.01)
    assert np.allclose(speeds[20:], 0.5, atol=0.08)


def test_what_was_written_is_not_written_again(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    for _ in range(3):
        follow(arm, [0.1] * 6)
    assert len(robot.told) == 1
    assert math.isclose(robot.told[0]["shoulder_pan.pos"], math.degrees(0.1))
    assert math.isclose(robot.told[0]["gripper.pos"], 100.0 * (0.1 + 0.17) / 1.92)


def test_held_before_it_was_ever_driven_it_is_told_nothing(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    for _ in range(5):
        arm.hold()
    assert robot.told == []


def test_held_in_motion_it_runs_down_within_its_acceleration_and_stays(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    follow(arm, [0.0] * 6, dq=1.0)
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < 0.3:
        arm.hold()
        time.sleep(0.005)
    last = math.radians(robot.told[-1]["elbow_flex.pos"])
    # v^2 / 2a with 20 rad/s^2; the gripper, which has no acceleration, stops at once.
    assert math.isclose(last, 1.0 / 40.0, rel_tol=0.01)
    assert math.isclose(robot.told[-1]["gripper.pos"], 100.0 * 0.17 / 1.92)
    count = len(robot.told)
    arm.hold()
    assert len(robot.told) == count


def test_a_hold_that_was_not_heard_is_told_again(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    follow(arm, [0.0] * 6, dq=1.0)
    robot.refuses = True
    arm.hold()
    time.sleep(0.1)
    arm.hold()
    robot.refuses = False
    arm.hold()
    assert math.isclose(math.radians(robot.told[-1]["elbow_flex.pos"]), 1.0 / 40.0, rel_tol=0.01)


class Wrong:
    """For so many answers."""

    def __init__(self, kind: str, answers: float) -> None:
        self.kind, self.left = kind, answers

    def __call__(self, observed: dict[str, Any]) -> None:
        self.left -= 1
        if self.left < 0:
            return
        if self.kind == "nan":
            observed["elbow_flex.pos"] = float("nan")
        elif self.kind == "none":
            observed["elbow_flex.pos"] = None
        elif self.kind == "missing":
            del observed["elbow_flex.pos"]
        else:
            raise ConnectionError("There is no status packet!")


@pytest.mark.parametrize("kind", ["nan", "none", "missing", "silent"])
def test_an_answer_that_is_none_is_asked_for_again_and_never_made_up(config: RobotConfig, kind: str) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    robot.places["elbow_flex.pos"] = 10.0
    before = arm.read()
    robot.wrong = Wrong(kind, 3)
    sample = arm.read()
    assert sample.stamp_ns > before.stamp_ns
    assert np.allclose(sample.q, before.q)
    assert arm.note == ""


@pytest.mark.parametrize("kind", ["nan", "silent"])
def test_a_robot_that_stays_away_ends_the_driver_with_its_words(
    config: RobotConfig, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    robot.wrong = Wrong(kind, math.inf)
    monkeypatch.setattr(arm_module, "LOST_S", 0.2)
    with pytest.raises(
        DriverError, match=r"robot has not answered for 0.2 s: (elbow_flex.pos is no number|There is no)"
    ):
        arm.read()
    assert "does not answer" in arm.note


def test_it_keeps_the_rate_that_the_robot_takes(config: RobotConfig) -> None:
    robot = OwnRobot()
    robot.wrong = lambda _observed: time.sleep(0.02)
    arm = arm_of(config, robot)
    assert arm.answer_s >= 0.02
    assert arm.rate_hz == pytest.approx(0.8 / arm.answer_s)


def test_a_robot_that_is_too_slow_for_its_safety_file_is_refused(config: RobotConfig) -> None:
    robot = OwnRobot()
    robot.wrong = lambda _observed: time.sleep(0.04)
    with pytest.raises(ConfigError, match=r"feedback_timeout_s: is 0.2 s, but the robot takes \d+ ms to answer"):
        arm_of(config, robot)


def test_a_robot_that_is_too_slow_to_be_driven_is_refused(config: RobotConfig) -> None:
    robot = OwnRobot()
    robot.wrong = lambda _observed: time.sleep(0.1)
    with pytest.raises(DriverError, match="10 at least are needed"):
        arm_of(config, robot)


def test_a_picture_of_its_own_comes_with_the_instant_of_its_question(config: RobotConfig) -> None:
    robot = OwnRobot()
    arm = arm_of(config, robot)
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    # Another thread's part: a new observation while it waits.
    reader = threading.Timer(0.05, arm.read)
    reader.start()
    before_ns = time.monotonic_ns()
    exposure_ns = arm.picture("front", pixels)
    reader.join()
    assert exposure_ns is not None
    assert exposure_ns >= before_ns
    assert (pixels == 7).all()


def test_a_picture_of_another_size_ends_the_driver(config: RobotConfig) -> None:
    arm = arm_of(config, OwnRobot())
    threading.Timer(0.05, arm.read).start()
    with pytest.raises(DriverError, match="is 64 x 48 px, the embodiment says 32 x 24"):
        arm.picture("front", np.zeros((24, 32, 3), dtype=np.uint8))


class OwnCamera:
    """Has LeRobot's interface, and a picture that came a while ago."""

    latest_timestamp: float | None = None

    def connect(self) -> None:
        """Nothing to open."""

    def async_read(self, timeout_ms: float) -> Any:
        if self.latest_timestamp is None:
            raise TimeoutError(f"no picture within {timeout_ms} ms")
        return np.full((48, 64, 3), 9, dtype=np.uint8)

    def disconnect(self) -> None:
        raise OSError("gone")


def test_a_camera_beside_the_bus_says_when_its_picture_was_exposed(config: RobotConfig) -> None:
    robot, camera = OwnRobot(), OwnCamera()
    arm = arm_of(config, robot)
    arm = LeRobotArm(config, robot, arm._maps, cameras={"front": camera}, camera_latency_s={"front": 0.02})
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    assert arm.picture("front", pixels) is None
    assert "camera front: no picture" in arm.note
    camera.latest_timestamp = 1000.0
    assert arm.picture("front", pixels) == 999_980_000_000
    assert arm.note == ""
    # One that can't be closed keeps the rest from nothing.
    arm.close()
    assert robot.closed
