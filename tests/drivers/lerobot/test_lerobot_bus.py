"""The real LeRobot on a serial line that misbehaves: what comes of each trouble, and that the arm never falls."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.ipc.port import FeedbackFlag
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.feetech_servos import STEP_RAD, STEPS, FeetechServos
from edge_runtime.testing.other_robots import bare_arm, safety_toml, write_settings
from edge_runtime.testing.so101 import ID, JOINTS, step_of, write_so101

pytestmark = [pytest.mark.lerobot, pytest.mark.realtime]

MIDDLE = 2050


@pytest.fixture
def servos() -> Iterator[FeetechServos]:
    with FeetechServos() as found:
        for number in range(1, 7):
            found.tell(f"move {number} {MIDDLE}")
        yield found


@pytest.fixture
def config(servos: FeetechServos, tmp_path: Path, lerobot_python: Path) -> Path:
    return write_so101(tmp_path, servos, python=lerobot_python)


@pytest.fixture
def robot(config: Path) -> Iterator[DrivenRobot]:
    with DrivenRobot(config) as found:
        found.wait_rest()
        yield found


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def ended(config: Path, run_dir: Path) -> tuple[int, str]:
    """Start a driver that has to end by itself; its exit code and what it said."""
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(config), f"--run-dir={run_dir}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_positions_are_those_of_the_servos(robot: DrivenRobot, servos: FeetechServos) -> None:
    steps, _ = servos.tell("look")
    feedback = robot.feedback()
    for at, name in enumerate(JOINTS):
        assert abs(step_of(name, servos, feedback.q[at]) - steps[at]) <= 1.0
    # The jaw by its share of what was calibrated.
    low, high = servos.calibration()["gripper"]["range_min"], servos.calibration()["gripper"]["range_max"]
    assert abs(feedback.q[5] - (-0.17 + 1.92 * (steps[5] - low) / (high - low))) < 0.003


def test_it_is_not_let_go_of_by_any_end_of_its_driver(robot: DrivenRobot, servos: FeetechServos) -> None:
    before, holds = servos.tell("look")
    assert all(holds)
    robot.process.kill()
    robot.process.wait()
    assert servos.tell("look") == (before, holds)
    robot.start_again()
    time.sleep(0.5)
    after, holds = servos.tell("look")
    assert all(holds)
    # LeRobot's own connect sets the motors up without their torque: the arm would have fallen by hundreds of steps.
    assert np.max(np.abs(np.array(after) - before)) <= 2.0


@pytest.mark.parametrize("trouble", ["garbage 0.3", "late 0.08", "silent", "short"])
def test_a_bus_in_trouble_for_a_moment_makes_up_nothing_and_ends_nothing(
    robot: DrivenRobot, servos: FeetechServos, trouble: str
) -> None:
    truth = robot.feedback().q
    servos.tell(trouble)
    end_s, seen = time.monotonic() + 0.6, []
    while time.monotonic() < end_s:
        feedback = robot.feedback()
        seen.append(feedback.q)
        time.sleep(0.005)
    servos.tell("well")
    assert until(lambda: time.monotonic_ns() - robot.feedback().stamp_ns < 50_000_000), robot.last_words()
    fresh = [feedback for _, feedback in robot._watch(1.0).samples]
    assert len(fresh) > 20, "it has not found its rate again"
    for q in [*seen, *(feedback.q for feedback in fresh)]:
        assert np.max(np.abs(q - truth)) < 0.02, f"it never was at {q}"


def test_answers_that_come_late_are_not_taken_for_the_next_ones(robot: DrivenRobot, servos: FeetechServos) -> None:
    servos.tell("late 0.07")
    time.sleep(0.4)
    servos.tell("well")
    time.sleep(0.3)
    # A question's own answer is there within a cycle or two; the one before it would be told a cycle late for ever.
    for number in range(10):
        before = robot.feedback()
        servos.tell(f"jump 1 {20 * (number + 1)}")
        told_ns = time.monotonic_ns()
        moved = 20 * STEP_RAD

        def is_told(before: float = float(before.q[0]), moved: float = moved) -> bool:
            return abs(robot.feedback().q[0] - before - moved) < 0.002

        assert until(is_told, 1.0), robot.last_words()
        assert robot.feedback().stamp_ns - told_ns < 60_000_000


def test_a_leap_of_a_servo_is_told_on(robot: DrivenRobot, servos: FeetechServos) -> None:
    before = robot.feedback().q
    servos.tell("jump 2 400")
    assert until(lambda: abs(robot.feedback().q[1] - before[1] - 400 * STEP_RAD) < 0.01), robot.feedback().q


def test_frozen_readings_stop_the_robot(robot: DrivenRobot, servos: FeetechServos) -> None:
    servos.tell("frozen")
    target = robot.feedback().q.copy()
    target[0] += 0.6
    with pytest.raises(AssertionError, match=r"tracking_error|encoder_frozen"):
        robot.move(target)


def test_motors_that_lost_their_power_are_a_fault_until_the_driver_is_started_again(
    robot: DrivenRobot, servos: FeetechServos
) -> None:
    servos.tell("power_cycle")
    assert until(lambda: bool(robot.feedback().flags & FeedbackFlag.DRIVER_FAULT)), robot.last_words()
    assert "motors have lost their torque" in robot.last_words()
    assert not any(servos.tell("look")[1]), "it was energized again with no person there"
    assert robot.stop_driver() == 0
    robot.start_again()
    assert all(servos.tell("look")[1])
    assert not robot.feedback().flags & FeedbackFlag.DRIVER_FAULT


def test_a_servo_that_is_powered_up_a_turn_off_is_outside_of_its_range(servos: FeetechServos, config: Path) -> None:
    servos.tell("power_cycle 1 1")
    with DrivenRobot(config) as robot:
        q = robot.feedback().q
        assert abs(q[0]) > 2.0 * np.pi * 0.9
        with pytest.raises(AssertionError, match="can't be armed: refused_outside_limits"), robot.armed():
            pass
    assert servos.calibration()["shoulder_pan"]["range_max"] < STEPS


def test_a_line_that_is_gone_ends_the_driver_with_its_words_and_the_arm_holds(
    robot: DrivenRobot, servos: FeetechServos
) -> None:
    before, _ = servos.tell("look")
    servos.tell("gone")
    assert robot.process.wait(10.0) == 1
    assert "DriverError: robot has not answered for 1 s" in robot.last_words()
    after, holds = servos.tell("back")
    assert all(holds)
    assert np.allclose(after, before, atol=1.0)
    robot.start_again()


def test_one_port_has_one_driver(robot: DrivenRobot, config: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    code, said = ended(config, tmp_path / "other")
    assert code == 1
    assert "is driven by another process: two would drive one robot" in said
    assert until(lambda: time.monotonic_ns() - robot.feedback().stamp_ns < 50_000_000)


def test_an_arm_that_is_not_calibrated_is_refused_with_the_command_that_does_it(config: Path, tmp_path: Path) -> None:
    (tmp_path / "calibration" / f"{ID}.json").unlink()
    code, said = ended(config, tmp_path)
    assert code == 2, said
    assert "lerobot-calibrate --robot.type=so101_follower --robot.id=test_arm --robot.port=" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("so101_follower", "so102_follower", "LeRobot knows no 'so102_follower' here; known: "),
        ('calibration_dir = "calibration"', 'calibration_dir = "calibration"\noptions.speed = 3', "The fields `speed`"),
        ("tty", "ttz", "can't be opened: No such file or directory"),
    ],
)
def test_what_lerobot_does_not_take_is_one_line(config: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    code, said = ended(config, tmp_path)
    assert code in (1, 2)
    assert words in said
    assert "Traceback" not in said


PLUG_IN = """
from dataclasses import dataclass
from pathlib import Path

from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot


@RobotConfig.register_subclass("tubby")
@dataclass
class TubbyConfig(RobotConfig):
    trouble: str = ""


class Tubby(Robot):
    config_class = TubbyConfig
    name = "tubby"

    def __init__(self, config):
        super().__init__(config)
        self.config, self.places = config, {f"joint{n}.pos": 0.0 for n in range(1, 7)}

    observation_features = property(lambda self: dict.fromkeys(self.places, float))
    action_features = property(lambda self: dict.fromkeys(self.places, float))
    is_connected = is_calibrated = property(lambda self: True)

    def connect(self, calibrate=True):
        assert not calibrate

    def calibrate(self):
        raise AssertionError("at a prompt")

    def configure(self):
        pass

    def get_observation(self):
        if Path(self.config.trouble).exists():
            return dict.fromkeys(self.places, float("nan"))
        return dict(self.places)

    def send_action(self, action):
        self.places.update(action)
        return action

    def disconnect(self):
        pass
"""


def test_a_plug_in_that_tells_radians_is_driven_and_its_nan_is_no_measurement(
    tmp_path: Path, lerobot_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    package = site / "lerobot_robot_tubby"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PLUG_IN)
    # Named with dashes, as packages are on an index.
    info = site / "lerobot_robot_tubby-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lerobot-robot-tubby\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    trouble = tmp_path / "trouble"
    embodiment: Embodiment = bare_arm()
    safety = safety_toml(embodiment).replace("feedback_timeout_s = 0.1", "feedback_timeout_s = 0.2")
    config = write_settings(tmp_path, embodiment, driver="lerobot", safety=safety)
    lines = [
        f'driver_python = "{lerobot_python}"',
        "[driver]",
        'type = "tubby"',
        'id = "one"',
        'calibration_dir = "cal"',
    ]
    lines += [f'options.trouble = "{trouble}"']
    lines += [f'axes.{name} = {{ unit = "rad" }}' for name in embodiment.axis_names]
    config.write_text(config.read_text(encoding="utf-8") + "\n".join(lines) + "\n", encoding="utf-8")
    with DrivenRobot(config) as robot:
        robot.wait_rest()
        target = robot.feedback().q.copy()
        target[2] += 0.1
        motion = robot.move(target)
        assert np.allclose(motion.after.q, target, atol=0.01)
        trouble.touch()
        assert until(lambda: time.monotonic_ns() - robot.feedback().stamp_ns > 100_000_000)
        assert np.isfinite(robot.feedback().q).all()
        trouble.unlink()
        assert until(lambda: time.monotonic_ns() - robot.feedback().stamp_ns < 50_000_000)
