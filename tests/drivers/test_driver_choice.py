"""``python -m edge_runtime.drivers`` starts the driver that is named, and says what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG


def robots(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_runtime.drivers", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help_is_there_without_a_robot() -> None:
    done = robots("--help")
    assert done.returncode == 0
    assert "--config" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            'driver = "sim"',
            'driver = "nobody"',
            "robot.driver: there is no driver 'nobody'; installed: gym, kinematic, lerobot, ros2, sim, ur",
        ),
        ('name = "wrist"', 'name = "roof"', "cameras[1].name: 'roof': the simulation has scene, wrist"),
        ("width_px = 128", "width_px = 1280", "cameras[0]: the simulation draws at most 640 x 480 px"),
        ("joint7", "elbow", "groups: the simulated arm has joint1,"),
    ],
)
def test_a_robot_that_the_driver_is_not_is_a_wrong_setting(
    tmp_path: Path, before: str, after: str, problem: str
) -> None:
    for source in SIM_CONFIG.parent.glob("*.toml"):
        text = re.sub(r"(?m)^bundle = .*$", 'bundle = "."', source.read_text(encoding="utf-8"))
        (tmp_path / source.name).write_text(text.replace(before, after), encoding="utf-8")
    done = robots("--config", tmp_path / "robot.toml", "--run-dir", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {problem}")
    assert done.stderr.count("\n") == 1
