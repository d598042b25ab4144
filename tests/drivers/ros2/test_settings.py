"""`[driver]` of a robot behind ROS 2 topics: what fits, and what is refused with its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.drivers.ros2.messages import Image
from edge_runtime.drivers.ros2.pictures import fill
from edge_runtime.drivers.ros2.settings import settings_of
from edge_runtime.testing.other_robots import OTHER_ROBOTS, write_settings
from edge_runtime.testing.peers.robots import ros2_setup, write_ros2

HEAD = 'transport = "zenoh"\n'
COMMANDS = '[[driver.commands]]\ntopic = "/c"\nkind = "positions"\n'


def robot(folder: Path, text: str, name: str = "bare_arm") -> Path:
    path = write_settings(folder, OTHER_ROBOTS[name], driver="ros2")
    path.write_text(f"{path.read_text()}\n[driver]\n{text}")
    return path


def test_it_is_found_by_its_name(tmp_path: Path) -> None:
    config = load_config(write_ros2(tmp_path, ros2_setup("dds", has_base=True, has_wrench=True, has_image=True)))
    declared = declaration_of(config)
    assert declared.watchdog_ns == 100_000_000
    declared.require_fit(config.embodiment)
    declared.require_settings(config)


@pytest.mark.parametrize("name", sorted(OTHER_ROBOTS))
def test_a_robot_of_any_shape_can_be_behind_topics(tmp_path: Path, name: str) -> None:
    shape = OTHER_ROBOTS[name]
    base = "[driver.base]\n" if shape.base_axes else ""
    images = "".join(f'images.{camera.name} = "/image"\n' for camera in shape.cameras)
    settings_of(load_config(robot(tmp_path, HEAD + images + base + COMMANDS, name)))


WRONG = {
    "no controller": (HEAD, "'joint1' must be there once, is there 0 times"),
    "two of one joint": (HEAD + COMMANDS + COMMANDS, "is there 2 times"),
    "an axis that is not there": (HEAD + COMMANDS + 'axes = ["elbow"]', "there is no 'elbow': the robot has joint1"),
    "a transport of another kind": ('transport = "serial"\n' + COMMANDS, "transport"),
    "a topic without a slash": (HEAD + 'joint_states = "joint_states"\n' + COMMANDS, "a topic is a full name"),
    "a domain": (HEAD + "domain = 300\n" + COMMANDS, "domain must lie between 0 and 232"),
    "a rate": (HEAD + "rate_hz = 5.0\n" + COMMANDS, "rate_hz must lie between 20 and 1000"),
    "a ratio": (HEAD + "axes.joint1 = { ratio = 0.0 }\n" + COMMANDS, "ratio must be a number other than 0"),
    "an axis to be counted": (HEAD + "axes.elbow = {}\n" + COMMANDS, "there is no 'elbow'"),
    "a base": (HEAD + "base = {}\n" + COMMANDS, "the embodiment has no base"),
    "a camera": (HEAD + 'images.front = "/i"\n' + COMMANDS, "there is no 'front'"),
    "a key": (HEAD + "topics = 1\n" + COMMANDS, "unknown key"),
    "a horizon": (HEAD + COMMANDS + "horizon_s = 3.0", "horizon_s must lie between 0.01 and 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, what: str) -> None:
    text, words = WRONG[what]
    with pytest.raises(ConfigError, match=words) as caught:
        settings_of(load_config(robot(tmp_path, text)))
    assert caught.value.key.startswith("driver")


def test_a_base_needs_its_table(tmp_path: Path) -> None:
    images = 'images.scene = "/image"\n'
    with pytest.raises(ConfigError, match="is missing: the embodiment has a base"):
        settings_of(load_config(robot(tmp_path, HEAD + images + COMMANDS, "mobile_manipulator")))


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [("rgb8", (1, 2, 3)), ("bgr8", (3, 2, 1)), ("rgba8", (1, 2, 3, 9)), ("bgra8", (3, 2, 1, 9)), ("mono8", (7,))],
)
def test_a_picture_is_drawn_whatever_its_encoding(encoding: str, pixel: tuple[int, ...]) -> None:
    width, height, padding = 4, 3, 5
    row = np.array([*pixel * width, *[0] * padding], np.uint8)
    image = Image(height=height, width=width, encoding=encoding, step=len(row), data=np.tile(row, height))
    pixels = np.zeros((height, width, 3), np.uint8)
    fill("front", image, pixels)
    assert (pixels == ([7, 7, 7] if encoding == "mono8" else [1, 2, 3])).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image(height=3, width=5, encoding="rgb8", step=15), "is of 5 x 3 px, the embodiment has 4 x 3"),
        (Image(height=3, width=4, encoding="yuyv", step=8), "is encoded as 'yuyv'"),
        (Image(height=3, width=4, encoding="rgb8", step=12, data=np.zeros(30, np.uint8)), "has 30 bytes in rows of 12"),
    ],
)
def test_a_picture_that_is_another_is_refused(image: Image, words: str) -> None:
    with pytest.raises(DriverError, match=words):
        fill("front", image, np.zeros((3, 4, 3), np.uint8))
