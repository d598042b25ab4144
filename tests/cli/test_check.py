"""`edge-runtime check` tells the truth: fit means that the robot can be armed here and runs its bundle."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

from edge_runtime.cli import check as check_package
from edge_runtime.cli import main
from edge_runtime.cli.check import LOOKS, check, machine, robot, timing, verdict
from edge_runtime.cli.check.row import Level, Look, Row, rows_of
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.control import timing_grade as grade
from tests.settings import copy_settings, replace
from tests.system.drift_bundle import write_robot

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")


@pytest.fixture
def robot_toml(tmp_path: Path) -> Path:
    return write_robot(tmp_path / "config")


def rows_without(looks: tuple[str, ...], config: RobotConfig) -> dict[str, Row]:
    """All rows but those of `looks`, by name."""
    return {row.name: row for row in rows_of([look for look in LOOKS if look.name not in looks], config)}


def report_of(robot_toml: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the command, as a person runs it."""
    program = "from edge_runtime.cli import main; main()"
    command = [sys.executable, "-c", program, "check", "--json", "--config", str(robot_toml)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=robot_toml.parent)
    assert done.stderr == ""
    return done.returncode, msgspec.json.decode(done.stdout)


def test_a_driver_that_does_not_exist_is_not_fit(robot_toml: Path) -> None:
    replace(robot_toml, r'driver = "sim"', 'driver = "myarm"')
    code, report = report_of(robot_toml)
    assert (code, report["fit"]) == (1, False)
    assert report["verdict"].startswith("not fit: ")
    assert "driver" in report["verdict"]
    (row,) = (row for row in report["rows"] if row["name"] == "driver")
    assert "there is no driver 'myarm'; installed: gym, kinematic, lerobot, ros2, sim, ur" in row["found"]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ('name = "scene"', 'name = "front"', "cameras[0].name: 'front': the simulation has scene, wrist"),
        ('name = "wrist"', 'name = "roof"', "cameras[1].name: 'roof': the simulation has scene, wrist"),
        ("width_px = 128", "width_px = 1280", "cameras[0]: the simulation draws at most 640 x 480 px"),
    ],
)
def test_a_camera_that_the_driver_has_not_is_not_fit(robot_toml: Path, pattern: str, text: str, found: str) -> None:
    replace(robot_toml.parent / "embodiment.toml", pattern, text)
    rows = rows_without(("control loop", "inference"), load_config(robot_toml))
    assert rows["driver"].level is Level.FAIL
    assert found in rows["driver"].found
    assert rows["drawing"].level is Level.SKIP


def test_a_camera_that_the_bundle_wants_and_the_robot_has_not_is_not_fit(robot_toml: Path) -> None:
    replace(robot_toml.parent / "embodiment.toml", r"\[\[cameras\]\]\nname = \"wrist\"\n(.+\n)+", "")
    rows = rows_without(("control loop",), load_config(robot_toml))
    assert rows["bundle"].level is Level.FAIL
    assert "policy.images.camera" in rows["bundle"].found
    assert rows["inference"].level is Level.SKIP


def test_a_home_posture_that_geometry_refuses_is_not_fit(robot_toml: Path) -> None:
    replace(robot_toml.parent / "safety.toml", r"(name = \"table top\"\nnormal = .*\noffset_m = )0.0", r"\g<1>0.3")
    (row,) = robot.home_posture(load_config(robot_toml))
    assert row.level is Level.FAIL
    assert "table top" in row.found
    assert "mm" in row.found
    assert "safety file" in row.remedy


def test_a_home_posture_outside_of_the_limits_is_not_fit(robot_toml: Path) -> None:
    replace(robot_toml.parent / "embodiment.toml", r"^home_rad = 0.0", "home_rad = 2.85")
    replace(
        robot_toml.parent / "safety.toml", r"(joint1[^\n]*?position_max_rad = |position_max_rad = )2\.\d+", r"\g<1>2.0"
    )
    (row,) = robot.home_posture(load_config(robot_toml))
    assert row.level is Level.FAIL
    assert "joint1 at 2.85 rad" in row.found


def test_a_machine_that_is_too_slow_to_be_armed_is_not_fit(robot_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine wakes within a nanosecond: the grade that does not arm is the only one left."""
    impossible = tuple(never_late(each) for each in grade.GRADES[:-1])
    monkeypatch.setattr(grade, "GRADES", (*impossible, grade.GRADES[-1]))
    rows = {row.name: row for row in timing.loop(load_config(robot_toml))}
    row = rows["loop, 2 s at 1 kHz"]
    assert row.level is Level.FAIL
    assert "grade D for the watchdog of driver sim of 100 ms, can't be armed" in row.found
    assert verdict(list(rows.values())).startswith("not fit: loop, 2 s at 1 kHz")


@pytest.mark.realtime
def test_a_core_that_the_loop_can_not_have_is_named(robot_toml: Path) -> None:
    replace(robot_toml, r"^cpu = .*", "cpu = 4000")
    rows = {row.name: row for row in timing.loop(load_config(robot_toml))}
    row = rows["core of the loop"]
    assert row.level is Level.WARN
    assert row.found.startswith("core 4000 can't be had; there are: ")


def never_late(line: grade.Grade) -> grade.Grade:
    """The same grade, for a machine that is never late at all."""
    return grade.Grade(line.name, line.speed_scale, 0.0, 1e-6, line.gap_max_watchdogs)


def test_a_driver_that_never_stops_by_itself_is_not_fit(robot_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_runtime.drivers.sdk.declaration import DriverDeclaration

    monkeypatch.setattr(robot, "declaration_of", lambda _driver: DriverDeclaration("nowhere:nobody", watchdog_ns=0))
    (row,) = robot.driver(load_config(robot_toml))
    assert row.level is Level.FAIL
    assert "never stops by itself" in row.found


@pytest.mark.parametrize(
    "raised", [OSError(5, "Input/output error"), ValueError("The camera"), ImportError("no"), KeyError("x")]
)
def test_whatever_a_look_raises_is_a_row_and_the_others_still_count(raised: Exception, robot_toml: Path) -> None:
    def broken(_config: RobotConfig) -> Iterator[Row]:
        yield Row("first", Level.OK, "was there before")
        raise raised

    looks = [Look("broken", broken), Look("after", machine.python), Look("needs it", machine.python, needs=("broken",))]
    rows = list(rows_of(looks, load_config(robot_toml)))
    assert [(row.name, row.level) for row in rows] == [
        ("first", Level.OK),
        ("broken", Level.FAIL),
        ("Python", Level.OK),
        ("needs it", Level.SKIP),
    ]


def test_the_last_word_names_the_rows_it_is_for() -> None:
    ok, slow, bad = Row("a", Level.OK, ""), Row("b", Level.WARN, ""), Row("c", Level.FAIL, "")
    assert verdict([ok]) == "fit"
    assert verdict([ok, slow]) == "fit, but: b"
    assert verdict([ok, slow, bad]) == "not fit: c"
    assert verdict([bad, Row("d", Level.SKIP, "")]) == "not fit: c"


@pytest.mark.parametrize(("level", "code"), [(Level.OK, 0), (Level.WARN, 0), (Level.FAIL, 1)])
def test_exit_code_and_last_word_agree(
    level: Level, code: int, robot_toml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "echo '@edge - rtprio 98' | sudo tee -a /etc/security/limits.d/edge-runtime.conf"

    def look(_config: RobotConfig) -> Iterator[Row]:
        yield Row("row", level, "found", "what to do", command if level is not Level.OK else "")

    monkeypatch.setattr(check_package, "LOOKS", (Look("row", look),))
    options = argparse.Namespace(config=robot_toml, json=False)
    assert check(options, Console(width=40)) == code
    lines = capsys.readouterr().out.splitlines()
    words = {Level.OK: "fit", Level.WARN: "fit, but: row", Level.FAIL: "not fit: row"}
    assert lines[-1] == words[level]
    assert (f"    {command}" in lines) is (level is not Level.OK), "whole, in a terminal of 40 columns"
    options.json = True
    assert check(options, Console()) == code
    report = msgspec.json.decode(capsys.readouterr().out)
    assert report["verdict"] == words[level]
    assert report["fit"] is (code == 0)


def test_what_is_to_be_pasted_grants_what_is_missing() -> None:
    """As pam_limits(8) and udev(7) read it."""
    line = re.fullmatch(
        r"echo '(.*)' \| sudo tee -a (/etc/security/limits\.d/\S+\.conf)", machine.limits_line("rtprio", "98")
    )
    assert line is not None
    domain, kind, item, value = line[1].split()
    assert domain.startswith("@")
    assert (kind, item, value) == ("-", "rtprio", "98")
    rule = re.fullmatch(
        r"echo '(.*)' \| sudo tee -a /etc/udev/rules\.d/\S+\.rules", machine.udev_line("cpu_dma_latency")
    )
    assert rule is not None
    assert re.fullmatch(r'KERNEL=="cpu_dma_latency", GROUP="[^"]+", MODE="0660"', rule[1])


SHM = {
    "read-only": "mount -t tmpfs -o ro tmpfs /dev/shm",
    "full": "mount -t tmpfs -o size=64k tmpfs /dev/shm",
    "absent": "mount -t tmpfs tmpfs /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9",
    "a file": "mount -t tmpfs tmpfs /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && touch /dev/shm",
}


def in_namespace(setup: str, command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace of its own, after `setup`."""
    script = f'set -e; {setup}; exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@as_root
@pytest.mark.parametrize("state", SHM)
def test_shared_memory_that_can_not_be_made_is_not_fit(state: str, robot_toml: Path) -> None:
    program = "from edge_runtime.cli import main; main()"
    command = [sys.executable, "-c", program, "check", "--json", "--config", str(robot_toml)]
    done = in_namespace(SHM[state], command, robot_toml.parent)
    assert (done.returncode, done.stderr) == (1, "")
    rows = {row["name"]: row for row in msgspec.json.decode(done.stdout)["rows"]}
    assert rows["shared memory"]["level"] == "fail"
    assert rows["shared memory"]["command"].endswith("tmpfs /dev/shm")
    assert rows["control loop"]["level"] == rows["inference"]["level"] == "skip"


@as_root
@pytest.mark.parametrize("state", SHM)
@pytest.mark.parametrize("command", [("run", "--episodes", "1", "--no-page"), ("evaluate", "--episodes", "1")])
def test_a_run_without_shared_memory_is_one_line(state: str, command: tuple[str, ...], robot_toml: Path) -> None:
    program = "from edge_runtime.cli import main; main()"
    arguments = [sys.executable, "-c", program, *command, "--config", str(robot_toml), "--run-dir", "run"]
    done = in_namespace(SHM[state], arguments, robot_toml.parent)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: /dev/shm")


def test_settings_that_can_not_be_read_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_settings(tmp_path)
    makers: dict[str, Callable[[Path], object]] = {
        "missing": lambda _path: None,
        "folder": lambda path: path.mkdir(),
        "broken link": lambda path: path.symlink_to(path.parent / "nowhere"),
        "link to itself": lambda path: path.symlink_to(path),
        "bytes": lambda path: path.write_bytes(np.arange(256, dtype=np.uint8).tobytes()),
        "empty": lambda path: path.touch(),
    }
    for file in ("robot.toml", "embodiment.toml", "safety.toml", "kinematics.toml"):
        for name, make in makers.items():
            kept = (tmp_path / file).read_bytes()
            (tmp_path / file).unlink()
            make(tmp_path / file)
            for command in ("check", "claims", "run", "evaluate"):
                with pytest.raises(SystemExit) as caught:
                    main([command, "--config", str(tmp_path / "robot.toml")])
                err = capsys.readouterr().err
                assert caught.value.code == 2, (file, name, command, err)
                assert err.startswith("error: ")
                assert err.count("\n") == 1
            path = tmp_path / file
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            path.write_bytes(kept)
