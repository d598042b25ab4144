"""The stop line: whatever is not a clear "closed" trips the robot, and a line that can't be had lets nothing start.

A chip is taken by a file behind ioctl() here; `test_stop_line_chip.py` has the real driver of the system's own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, StopLineSection
from edge_runtime.contracts.errors import PortError, StopLineError
from edge_runtime.control.stop_line import StopLine
from edge_runtime.native import lib
from edge_runtime.safety import Reason, Request, Result, State
from tests.control.stepped import SteppedLoop

HERE = Path(__file__).parent


class Descriptor:
    """A descriptor by number, as the loop takes it from a stop line."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number


@pytest.fixture
def pipe() -> Iterator[Descriptor]:
    """Answers a look with an error, as the line of a chip does that has gone."""
    reader, writer = os.pipe()
    yield Descriptor(reader)
    os.close(reader)
    os.close(writer)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("double") / "gpio_double.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(HERE / "gpio_double.c"), "-o", str(library)]
    subprocess.run(command, check=True, timeout=60)
    return library


def test_what_is_no_line_is_open_and_cannot_be_read(pipe: Descriptor) -> None:
    for number in (pipe.number, -1, 10_000):
        assert lib.stop_line_is_open(number) == 1
        assert lib.stop_line_check(number) < 0


def test_an_open_line_trips_in_the_first_tick_and_lets_nobody_reset(pipe: Descriptor) -> None:
    with SteppedLoop(stop_line=pipe) as stepped:
        stepped.tick()
        assert stepped.loop.counters().state is State.FAULT
        assert stepped.loop.counters().faults == Reason.STOP_LINE
        stepped.tick(5)
        assert stepped.loop.request(Request.RESET) is Result.REFUSED_STOP_LINE
        assert stepped.loop.request(Request.ARM) is Result.REFUSED_STATE
        assert stepped.loop.counters().stop_line_opened == 1


def test_the_loop_keeps_a_line_that_its_caller_has_closed(pipe: Descriptor) -> None:
    with SteppedLoop(stop_line=(own := Descriptor(os.dup(pipe.number)))) as stepped:
        os.close(own.number)
        stepped.tick()
        assert stepped.loop.counters().faults == Reason.STOP_LINE


def test_a_loop_without_a_line_does_not_trip() -> None:
    with SteppedLoop() as stepped:
        stepped.tick(5)
        assert stepped.loop.counters().state is State.READY
        assert stepped.loop.counters().stop_line_opened == 0


def test_a_descriptor_that_does_not_exist_makes_no_loop() -> None:
    with pytest.raises(PortError, match="cannot be made"):
        SteppedLoop(stop_line=Descriptor(10_000))


@pytest.mark.parametrize("level", ["o", "?"], ids=["open", "does not answer"])
def test_one_bad_look_stops_a_moving_robot_and_latches(double: Path, tmp_path: Path, level: str) -> None:
    command = [sys.executable, "-m", "tests.control.stop_line_process", str(tmp_path / "line"), level]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "LD_PRELOAD": str(double)}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "closed": ["ACTIVE", []],
        "opened": ["STOPPING", ["STOP_LINE"]],
        "closed again": ["FAULT", ["STOP_LINE"]],
        "opened_count": 1,
        "reset": "DONE",
        "after reset": ["READY", []],
    }


@pytest.mark.parametrize(
    ("chip", "problem"),
    [
        ("/dev/no-such-chip", "No such file or directory: no such chip; `gpiodetect` lists what there is"),
        ("/dev/null", "/dev/null is no GPIO chip of Linux 5.10 or newer"),
        ("/dev", "/dev is no GPIO chip of Linux 5.10 or newer"),
    ],
)
def test_a_line_that_cannot_be_had_says_what_to_do(chip: str, problem: str) -> None:
    with pytest.raises(StopLineError) as caught:
        StopLine(StopLineSection(chip=chip, line=7, closed="high"))
    assert str(caught.value).startswith(f"stop_line: line 7 of {chip}: ")
    assert str(caught.value).endswith(problem)


def test_a_chip_that_may_not_be_opened_names_the_group(tmp_path: Path) -> None:
    chip = tmp_path / "chip"
    chip.touch(mode=0o000)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(
            StopLineError, match=r"Permission denied: the user of control must be in the group of .*gpio"
        ):
            StopLine(StopLineSection(chip=str(chip), line=7, closed="high"))
    finally:
        if user == 0:
            os.seteuid(0)


def test_control_does_not_start_without_the_line_it_was_told_to_have(tmp_path: Path) -> None:
    settings = SIM_CONFIG.read_text(encoding="utf-8")
    for key, file in re.findall(r'^(embodiment|safety|bundle) = "(.*)"', settings, re.MULTILINE):
        settings = settings.replace(f'{key} = "{file}"', f'{key} = "{(SIM_CONFIG.parent / file).resolve()}"')
    path = tmp_path / "robot.toml"
    path.write_text(settings + '[stop_line]\nchip = "/dev/null"\nline = 3\nclosed = "low"\n', encoding="utf-8")
    command = [sys.executable, "-m", "edge_runtime.control", "--config", str(path), "--run-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: StopLineError: stop_line: line 3 of /dev/null: Inappropriate ioctl for device: "
        "/dev/null is no GPIO chip of Linux 5.10 or newer\n"
    )
