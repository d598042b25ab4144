"""Drivers are found outside of this project's tree, and what is not found is named with what was looked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.cli.check import robot
from edge_runtime.cli.check.row import Level, Look, rows_of
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.registry import declaration_of, driver_names
from tests.drivers.sdk.robots import robot_of, skeleton_driver

DECLARES = """
from edge_runtime.drivers.sdk import DriverDeclaration
DRIVER = DriverDeclaration("nowhere:nobody", watchdog_ns=20_000_000)
"""


def install(folder: Path, distribution: str, *entry_points: str) -> None:
    """What pip leaves of a package with entry points, in a folder of the search path."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edge_runtime.drivers]\n" + "".join(f"{line}\n" for line in entry_points))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def problem_of(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        declaration_of(load_config(path))
    assert caught.value.key == "robot.driver"
    assert "\n" not in str(caught.value)
    (row,) = rows_of([Look("driver", robot.driver)], load_config(path))
    assert (row.level, row.found) == (Level.FAIL, str(caught.value)), "check says the same"
    return caught.value.problem


def test_the_simulated_arm_comes_through_the_same_door() -> None:
    declared = declaration_of(load_config(SIM_CONFIG))
    assert (declared.watchdog_ns, declared.has_scenes) == (100_000_000, True)
    assert "sim" in driver_names()


def test_an_installed_package_is_found_by_its_entry_point(tmp_path: Path, site: Path) -> None:
    install(site, "their-arm", "their_arm = their_arm_driver:DRIVER")
    (site / "their_arm_driver.py").write_text(DECLARES)
    config = load_config(robot_of(tmp_path / "robot", "their_arm"))
    assert declaration_of(config).watchdog_ns == 20_000_000
    assert "their_arm" in driver_names()


def test_a_file_is_found_by_its_path_from_robot_toml(tmp_path: Path) -> None:
    config = load_config(robot_of(tmp_path, "./driver.py", DECLARES))
    assert declaration_of(config).watchdog_ns == 20_000_000
    assert declaration_of(config) is declaration_of(config), "it is loaded once"


def test_two_robots_may_each_have_a_driver_py(tmp_path: Path) -> None:
    first = load_config(robot_of(tmp_path / "a", "driver.py", DECLARES))
    other = load_config(robot_of(tmp_path / "b", "driver.py", DECLARES.replace("20_000_000", "30_000_000")))
    assert [declaration_of(each).watchdog_ns for each in (first, other)] == [20_000_000, 30_000_000]


def test_a_missing_driver_is_named_with_what_was_looked_for(tmp_path: Path, site: Path) -> None:
    install(site, "their-arm", "their_arm = their_arm_driver:DRIVER")
    problem = problem_of(robot_of(tmp_path / "robot", "nobody"))
    assert problem.startswith(
        "there is no driver 'nobody'; installed: gym, kinematic, lerobot, ros2, sim, their_arm, ur."
    )
    assert "entry point of that name in the group edge_runtime.drivers" in problem
    problem = problem_of(robot_of(tmp_path / "robot", "drivers/arm.py"))
    assert problem.startswith(f"{(tmp_path / 'robot' / 'drivers' / 'arm.py').resolve()} does not exist")


def test_a_name_that_two_packages_have_is_refused(tmp_path: Path, site: Path) -> None:
    install(site, "their-sim", "sim = their_sim:DRIVER")
    problem = problem_of(robot_of(tmp_path / "robot", "sim"))
    assert problem == (
        "'sim' is the name of 2 installed drivers: edge_runtime.drivers.sim.declaration:DRIVER, their_sim:DRIVER; "
        "remove all but one"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise RuntimeError('no bus')", "can't be loaded: RuntimeError: no bus"),
        ("import their_library", "can't be loaded: ModuleNotFoundError: No module named 'their_library'"),
        ("DRIVER = (", "can't be loaded: SyntaxError"),
        ("class Arm: ...", "has no DRIVER: it ends with DRIVER = declare(...)"),
        ("DRIVER = 'arm'", "is a str, expected a DriverDeclaration"),
        (
            skeleton_driver().replace("watchdog_s=0.1", "watchdog_s=1.5"),
            "can't be loaded: ValueError: watchdog_s must be above 0 and at most 1, got 1.5",
        ),
        (
            skeleton_driver().replace("rate_hz=500.0", "rate_hz=0.5"),
            "can't be loaded: ValueError: rate_hz must lie between 1 and 2000, got 0.5",
        ),
        (
            skeleton_driver().replace("rate_hz=500.0", "rate_hz=10.0"),
            "can't be loaded: ValueError: watchdog_s must be two cycles of 0.1 s at least, got 0.1",
        ),
    ],
)
def test_a_file_that_is_no_driver_says_why(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problem_of(robot_of(tmp_path, "driver.py", text))


def test_a_file_of_another_kind_is_no_driver(tmp_path: Path) -> None:
    path = robot_of(tmp_path, "./driver")
    (tmp_path / "driver").write_bytes(b"\x7fELF")
    assert "is no Python file" in problem_of(path)


def test_a_driver_in_real_time_alone_says_so(tmp_path: Path) -> None:
    path = robot_of(tmp_path, "driver.py", skeleton_driver())
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", path, "--run-dir", tmp_path, "--lockstep"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, env=os.environ)
    assert done.returncode == 2
    assert done.stderr == "error: --lockstep: this driver runs in real time only; virtual time is for simulators\n"


def test_cameras_without_a_picture_are_refused(tmp_path: Path) -> None:
    text = skeleton_driver()
    path = robot_of(tmp_path, "driver.py", text.replace("def picture(", "def photograph("))
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", path, "--run-dir", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, env=os.environ)
    assert done.returncode == 1
    assert done.stderr == "error: DriverError: picture is missing: the embodiment has the cameras scene\n"
