"""A setting that is unknown, in another unit, missing or impossible fails at start, by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import StopLineSection, load_config
from edge_runtime.processes import CONTROL, DRIVER, ENGINE, PROCESSES, command_line, port_name
from tests.settings import copy_settings, problem_of, replace


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    """The path of a robot.toml that a test may spoil."""
    return copy_settings(tmp_path)


def test_the_shipped_settings_are_valid(robot: Path) -> None:
    config = load_config(robot)
    assert config.embodiment.joint_names == tuple(f"joint{i}" for i in range(1, 8))
    assert tuple(config.safety.axes) == config.embodiment.axis_names
    assert len(config.safety.digest) == 64


@pytest.mark.parametrize(
    ("pattern", "text", "key", "hint"),
    [
        (r"^threads = [0-9]+", "thread = 1", "engine.thread", "did you mean `threads`"),
        (
            r"^blend_s = [0-9.]+",
            "blend_ms = 100",
            "control.blend_ms",
            "did you mean `blend_s`",
        ),
        (r"^blend_s = [0-9.]+", "zzz = 1", "control.zzz", "known keys"),
        (r"^blend_s = [0-9.]+", 'blend_s = "fast"', "control.blend_s", "Expected `float`"),
        (r"^\[lockstep\]", "[lockstop]", "lockstop", "did you mean `lockstep`"),
        (r'^name = ".*"', "", "robot", "missing required field `name`"),
        (r'^safety = ".*"', 'safety = "gone.toml"', "robot.safety", "gone.toml does not exist"),
        (r'^bundle = ".*"', 'bundle = "gone"', "robot.bundle", "gone does not exist"),
        (r"^blend_s = [0-9.]+", "blend_s = 2.0", "control", "between 0 and 1"),
        (r"^blend_s = [0-9.]+", "blend_s = nan", "control", "between 0 and 1"),
        (r"^engine_timeout_s = [0-9.]+", "engine_timeout_s = inf", "control", "between 0.001 and 60"),
        (r"^engine_timeout_s = [0-9.]+", "engine_timeout_s = 1e-10", "control", "between 0.001 and 60"),
        (r"^engine_timeout_s = [0-9.]+", "engine_timeout_s = 0.5\nprogress_timeout_s = nan", "control", "0.001 and 60"),
        (r"^threads = [0-9]+", 'backend = "tpu"', "engine.backend", "tpu"),
        (r"^threads = [0-9]+", "threads = 0", "engine", "between 1 and 64"),
        (r"^threads = [0-9]+", "parity_bound_max_rad = 1000.0", "engine", "above 0 and at most 1"),
        (r"^threads = [0-9]+", "parity_bound_max_rad = nan", "engine", "above 0 and at most 1"),
        (r"^threads = [0-9]+", "parity_bound_max_rad = 0.0", "engine", "above 0 and at most 1"),
        (r"^threads = [0-9]+", "threads = ", "robot.toml", "not valid TOML"),
    ],
)
def test_a_wrong_line_in_robot_toml(robot: Path, pattern: str, text: str, key: str, hint: str) -> None:
    replace(robot, pattern, text)
    error = problem_of(robot)
    assert error.key.endswith(key)
    assert hint in error.problem


def test_without_a_stop_line_there_is_none_and_with_one_the_chip_pulls_it_open(robot: Path) -> None:
    assert load_config(robot).stop_line is None
    replace(robot, r"^\[lockstep\]", '[stop_line]\nchip = "/dev/gpiochip1"\nline = 7\nclosed = "low"\n\n[lockstep]')
    line = load_config(robot).stop_line
    assert line == StopLineSection(chip="/dev/gpiochip1", line=7, closed="low", bias="internal")


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ('chip = "gpiochip0"\nline = 7\nclosed = "low"', "stop_line", "a path such as /dev/gpiochip0"),
        ('chip = "/dev/gpiochip0"\nline = -1\nclosed = "low"', "stop_line", "between 0 and 65535"),
        ('chip = "/dev/gpiochip0"\nline = 7', "stop_line", "missing required field `closed`"),
        ('chip = "/dev/gpiochip0"\nline = 7\nclosed = "open"', "stop_line.closed", "Invalid enum value 'open'"),
        ('chip = "/dev/gpiochip0"\nline = 7\nclosed = "low"\nbias = "pull-down"', "stop_line.bias", "Invalid enum"),
        ('chip = "/dev/gpiochip0"\nlines = 7\nclosed = "low"', "stop_line.lines", "did you mean `line`"),
    ],
)
def test_a_stop_line_that_cannot_be(robot: Path, line: str, key: str, hint: str) -> None:
    replace(robot, r"^\[lockstep\]", f"[stop_line]\n{line}\n\n[lockstep]")
    error = problem_of(robot)
    assert error.key == key
    assert hint in error.problem


def test_a_joint_that_the_embodiment_lists_twice(robot: Path) -> None:
    replace(robot.parent / "embodiment.toml", r'name = "joint2"', 'name = "joint1"')
    assert "differ" in problem_of(robot).problem


@pytest.mark.parametrize(
    ("pattern", "text", "hint"),
    [
        (r'^name = "wrist"', 'name = "on the wrist"', "'on the wrist'"),
        (r"^width_px = [0-9]+", "width_px = 0", "width_px"),
        (r"^rate_hz = [0-9.]+", "rate_hz = 0.0", "rate_hz"),
        (r"^rate_hz = [0-9.]+", "rate_hz = 1e-320", "rate_hz must lie between"),
        (r"^rate_hz = [0-9.]+", "rate_hz = 1e308", "rate_hz must lie between"),
        (r"^opening_max_m = [0-9.]+", "opening_max_m = nan", "opening_max_m"),
    ],
)
def test_a_camera_or_gripper_that_cannot_be(robot: Path, pattern: str, text: str, hint: str) -> None:
    replace(robot.parent / "embodiment.toml", pattern, text)
    error = problem_of(robot)
    assert hint in error.problem
    assert "embodiment.toml" in error.problem


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a = " + "[" * 50_000, "nested too deeply"),
        ("[robot]\nname = 1" + "0" * 6_000, "not valid TOML"),
        ("[robot\n", "not valid TOML"),
    ],
)
def test_a_file_that_no_parser_gets_through_is_named(robot: Path, text: str, hint: str) -> None:
    robot.write_text(text, encoding="utf-8")
    error = problem_of(robot)
    assert error.key.endswith("robot.toml")
    assert hint in error.problem


@pytest.mark.parametrize(
    ("pattern", "text", "key"),
    [
        (r'^name = ".*"', 'name = ""', "name must be 1 to 64 visible characters"),
        (r'^name = ".*"', 'name = "arm\\t"', "name must be 1 to 64 visible characters"),
        (r"^cpu = -1", "cpu = 1000000000000000000000000000000", "cpu must be the number of a core"),
        (r"^cpu = -1", "cpu = -2", "cpu must be the number of a core"),
        (r"^observation_interval_s = .*", "observation_interval_s = 1e308", "must lie between 0.001 and 60"),
        (r"^inference_latency_s = .*", "inference_latency_s = nan", "must lie between 0.001 and 60"),
    ],
)
def test_a_value_that_no_machine_could_follow(robot: Path, pattern: str, text: str, key: str) -> None:
    replace(robot, pattern, text)
    error = problem_of(robot)
    assert key in error.problem
    assert "robot.toml" in error.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = problem_of(tmp_path / "robot.toml")
    assert error.key.endswith("robot.toml")
    assert "No such file" in error.problem


def test_the_process_table_starts_the_driver_first(robot: Path) -> None:
    config = load_config(robot)
    assert PROCESSES == (DRIVER, CONTROL, ENGINE)
    line = command_line(DRIVER, config, Path("run"), lockstep=True)
    assert line[:2] == ["-m", "edge_runtime.drivers"]
    assert line[-1] == "--lockstep"
    assert command_line(ENGINE, config, Path("run"), lockstep=False)[-1] == "--run-dir=run"


def test_runs_in_different_folders_have_different_ports() -> None:
    folders = ("a", "b", "a/b", "a-b", "a b", "größe", "x" * 250 + "/a", "x" * 250 + "/b")
    names = {port_name(Path(folder)) for folder in folders}
    assert len(names) == len(folders)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", name) for name in names), "what the driver port takes"


OTA = """
[ota]
robot_id = "arm-1"
hardware = "sim_arm"
image_url = "https://hub.example/image"
director_url = "https://hub.example/director/robots"
image_root = "image.root.json"
director_root = "director.root.json"
store = "ota"
"""


def test_updates_are_off_unless_they_are_asked_for(robot: Path) -> None:
    assert load_config(robot).ota is None
    robot.write_text(robot.read_text(encoding="utf-8") + OTA, encoding="utf-8")
    section = load_config(robot).ota
    assert section is not None
    assert (section.golden, section.hours, section.rate_bytes_s) == ("required", (), 0.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('robot_id = "arm/../1"', "robot_id must be"),
        ('hardware = ""', "hardware must be"),
        ('image_url = "ftp://hub"', "image_url must begin with"),
        ('director_url = "hub"', "director_url must begin with"),
        ("check_interval_s = 0.1", "check_interval_s must lie"),
        ("rate_bytes_s = -1.0", "rate_bytes_s must be"),
        ('golden = "never"', "golden"),
        ('report_url = "https://hub.example"', "belong together"),
        ('robot_key = "arm-1.key"', "belong together"),
        ("check_interval_ms = 900", "did you mean `check_interval_s`"),
        ('activate = "at once"', "activate"),
        ("[ota.probation]\nepisodes_min = -1", "episodes_min must lie"),
        ("[ota.probation]\nactive_min_s = inf", "active_min_s must lie"),
        ("[ota.probation]\nfailures_ahead = 0", "failures_ahead must lie"),
        ("[ota.probation]\nlatency_budget_s = 0.0", "latency_budget_s must lie"),
        ("[ota.probation]\nepisodes = 5", "did you mean `episodes_min`"),
        ("scrub = { interval_s = 1.0 }", "interval_s must lie"),
        ("scrub = { rate_bytes_s = 0.0 }", "rate_bytes_s must be 1"),
    ],
)
def test_settings_of_updates_are_read_strictly(robot: Path, line: str, words: str) -> None:
    kept = [known for known in OTA.splitlines() if known.partition(" ")[0] != line.partition(" ")[0]]
    robot.write_text("\n".join([robot.read_text(encoding="utf-8"), *kept, line]), encoding="utf-8")
    error = problem_of(robot)
    assert words in str(error)
    assert error.key.startswith("ota")
