"""`[driver]` for LeRobot: every mistake is one line with the key's name, before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.lerobot.declaration import DRIVER
from edge_runtime.drivers.lerobot.settings import settings_of
from edge_runtime.drivers.sim.declaration import DRIVER as SIM
from edge_runtime.testing.feetech_servos import FeetechServos
from edge_runtime.testing.so101 import write_so101


@pytest.fixture(scope="module")
def servos() -> Iterator[FeetechServos]:
    with FeetechServos() as found:
        yield found


def test_settings_are_read(servos: FeetechServos, tmp_path: Path) -> None:
    config = load_config(
        write_so101(tmp_path, servos, driver="rate_max_hz = 50.0\naxes.elbow_flex = { reversed = true }")
    )
    settings = settings_of(config)
    assert (settings.type, settings.rate_max_hz, settings.axes["elbow_flex"].reversed) == ("so101_follower", 50.0, True)


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ("speed = 3", "driver.speed", "unknown key"),
        ("axes.elbow = { reversed = true }", "driver.axes.elbow", "no such axis; its axes: shoulder_pan"),
        ('axes.elbow_flex = { unit = "turns" }', "driver.axes.elbow_flex.unit", "Invalid enum value 'turns'"),
        ("axes.elbow_flex = { offset_deg = 3.0 }", "driver.axes.elbow_flex.offset_deg", "did you mean `offset_"),
        ('cameras.front = { type = "opencv" }', "driver.cameras.front", "no such camera; its cameras: none"),
        ("rate_max_hz = 5.0", "driver", "between 10 and 500"),
        ("options.max_relative_target = 10", "driver", "limited by safety.toml"),
        ('options.port = "/dev/ttyACM0"', "driver", "options.port: port stands in"),
    ],
)
def test_mistakes_are_named(servos: FeetechServos, tmp_path: Path, lines: str, key: str, words: str) -> None:
    config = load_config(write_so101(tmp_path, servos, driver=lines))
    with pytest.raises(ConfigError, match=words) as caught:
        DRIVER.require_settings(config)
    assert caught.value.key == key


def test_a_driver_without_settings_takes_none(servos: FeetechServos, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'lerobot' has no settings of its own"):
        SIM.require_settings(load_config(write_so101(tmp_path, servos)))
