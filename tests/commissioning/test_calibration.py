"""Offsets and signs: applied both ways, in every digest, asked for one axis at a time; a robot that is a turn off."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.commissioning.calibrating import calibrate_axis, write_calibration
from edge_runtime.config.calibration_file import AxisCalibration, read_calibration
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment, Group
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.sdk import Driver, DriverLink, Sample
from edge_runtime.drivers.sdk.calibrated import CalibratedDriver, kept_posture, posture_path
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from edge_runtime.testing.other_robots import continuous, mobile_manipulator, prismatic, revolute, write_settings
from tests.drivers.sdk.robots import c_robot

EDGE_RUNTIME = Path(sys.executable).with_name("edge-runtime")

ROBOT = Embodiment(
    name="bench",
    groups=(
        Group(
            name="arm",
            kind="arm",
            axes=(revolute("pan"), prismatic("slide", 0.1, low=0.0, high=0.3), continuous("roll")),
        ),
    ),
)


def settings(folder: Path, text: str | None = None, driver: str = "kinematic", robot: Embodiment = ROBOT) -> Path:
    folder.mkdir(exist_ok=True)
    path = write_settings(folder, robot, driver=driver)
    if text is not None:
        (folder / "calibration.toml").write_text(f'date = "2026-11-30"\nby = "Ada"\n{text}', encoding="utf-8")
        path.write_text(path.read_text() + 'calibration = "calibration.toml"\n', encoding="utf-8")
    return path


TURNED = "[axes.pan]\nsign = -1\noffset_rad = 0.5\n[axes.slide]\noffset_m = 0.2\n"


class Hardware(Driver):
    """Motors that say and take what they like."""

    def __init__(self, *raw: float) -> None:
        self.raw = np.array(raw)
        self.followed: tuple[np.ndarray, np.ndarray] | None = None
        self.stamp_ns = 0

    def read(self) -> Sample:
        self.stamp_ns += 1
        return Sample(self.stamp_ns, self.raw, np.array([1.0, 2.0, 3.0]), tau=np.array([4.0, 5.0, 6.0]))

    def follow(self, q: np.ndarray, dq: np.ndarray) -> None:
        self.followed = q, dq

    def hold(self) -> None:
        pass


def driver_of(path: Path, hardware: Hardware) -> CalibratedDriver:
    config = load_config(path)
    assert config.calibration is not None
    return CalibratedDriver(hardware, config.calibration, config.embodiment)


def test_what_is_measured_and_commanded_passes_through_both_ways(tmp_path: Path) -> None:
    hardware = Hardware(0.2, 0.3, 1.0)
    driver = driver_of(settings(tmp_path, TURNED), hardware)
    sample = driver.read()
    assert np.asarray(sample.q) == pytest.approx([0.3, 0.1, 1.0])
    assert np.asarray(sample.dq) == pytest.approx([-1.0, 2.0, 3.0])
    assert np.asarray(sample.tau) == pytest.approx([-4.0, 5.0, 6.0])
    driver.follow(np.asarray(sample.q), np.asarray(sample.dq))
    assert hardware.followed is not None
    assert hardware.followed[0] == pytest.approx(hardware.raw)
    assert hardware.followed[1] == pytest.approx([1.0, 2.0, 3.0])


def test_a_changed_calibration_changes_the_digest_and_its_date_does_not(tmp_path: Path) -> None:
    none = load_config(settings(tmp_path / "a")).safety.digest
    first = load_config(settings(tmp_path / "b", TURNED)).safety.digest
    again = settings(tmp_path / "c", TURNED)
    text = (again.parent / "calibration.toml").read_text()
    (again.parent / "calibration.toml").write_text(text.replace("2026-11-30", "2027-01-01").replace("Ada", "Bo"))
    other = load_config(settings(tmp_path / "d", TURNED.replace("0.5", "0.51"))).safety.digest
    assert load_config(again).safety.digest == first
    assert len({none, first, other}) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[axes.elbow]\n", "axes.elbow: bench has only pan, slide, roll (in calibration.toml)"),
        ("[axes.pan]\nsign = 2\n", "axes.pan: sign must be 1 or -1, got 2 (in calibration.toml)"),
        ("[axes.pan]\noffset_m = 0.1\n", "axes.pan: is told in rad, and takes offset_rad (in calibration.toml)"),
        ("[axes.slide]\noffset_rad = 0.1\n", "axes.slide: is told in m, and takes offset_m (in calibration.toml)"),
        ("[axes.pan]\noffset_rad = nan\n", "axes.pan: offset_rad must be finite and within 1000, got nan"),
        ("[axes.pan]\nperiod_rad = 7.0\n", "axes.pan: period_rad must lie between 0.01 and a turn, got 7.0"),
    ],
)
def test_a_calibration_that_can_not_be_is_refused_by_its_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings(tmp_path, f"[axes]\n{text}"))
    assert str(caught.value).startswith(problem)


def test_the_axes_of_a_base_have_a_sign_and_no_offset(tmp_path: Path) -> None:
    robot = mobile_manipulator()
    path = settings(tmp_path, "[axes.base_x]\nsign = -1\n", robot=robot)
    assert load_config(path).calibration is not None
    with pytest.raises(ConfigError, match=r"axes.base_yaw: is told in rad/s, and takes no offset"):
        load_config(settings(tmp_path, "[axes.base_yaw]\noffset_rad = 1.0\n", robot=robot))


TURN = 2.0 * math.pi


@pytest.mark.parametrize(
    ("stopped_at", "starts_at", "what"),
    [
        (0.3, 0.3 + TURN, "was at 0.3000 rad when it stopped: +1 times"),
        (0.3, 0.25 - 2.0 * TURN, "was at 0.3000 rad when it stopped: -2 times"),
        (None, 1.0 + TURN, "outside of its range of -2.5 to 2.5 rad: +1 times"),
        (None, -1.0 - TURN, "outside of its range of -2.5 to 2.5 rad: -1 times"),
        (0.3, 2.0, None),
        (None, 2.6, None),
        (None, -2.4, None),
    ],
)
def test_a_robot_that_was_switched_on_a_turn_off_is_noticed(
    tmp_path: Path, stopped_at: float | None, starts_at: float, what: str | None
) -> None:
    path = settings(tmp_path, "[axes.pan]\n")
    if stopped_at is not None:
        before = driver_of(path, Hardware(stopped_at, 0.1, 0.0))
        before.read()
        before.close()
    driver = driver_of(path, Hardware(starts_at, 0.1, 0.0))
    if what is None:
        driver.read()
        return
    with pytest.raises(DriverError) as caught:
        driver.read()
    assert what in str(caught.value)
    assert "edge-runtime calibrate --moved" in str(caught.value)
    driver.close()
    # What was kept stays until somebody has looked: the next start is refused as well.
    assert kept_posture(tmp_path / "calibration.toml").get("pan") == stopped_at


def test_a_motor_behind_a_gear_is_noticed_by_its_own_period(tmp_path: Path) -> None:
    path = settings(tmp_path, f"[axes.pan]\nperiod_rad = {TURN / 9.0}\n")
    before = driver_of(path, Hardware(0.3, 0.1, 0.0))
    before.read()
    before.close()
    with pytest.raises(DriverError, match=r"\+1 times 0.6981 rad away"):
        driver_of(path, Hardware(0.3 + TURN / 9.0, 0.1, 0.0)).read()


def test_a_posture_is_good_for_one_start_and_what_is_no_posture_is_none(tmp_path: Path) -> None:
    path = settings(tmp_path, "[axes.pan]\n")
    driver = driver_of(path, Hardware(0.3, 0.1, 0.0))
    driver.read()
    driver.close()
    kept = posture_path(tmp_path / "calibration.toml")
    assert json.loads(kept.read_text()) == {"pan": 0.3, "slide": 0.1, "roll": 0.0}
    # It ends without a close: nobody knows how far it is moved after that.
    driver_of(path, Hardware(0.3, 0.1, 0.0)).read()
    assert not kept.exists()
    driver_of(path, Hardware(0.3 + TURN, 0.1, 0.0))
    for text in ("", "[1]", '{"pan": "far"}', "{"):
        kept.write_text(text)
        assert kept_posture(tmp_path / "calibration.toml") == {}


class Helper:
    """A person who moves one axis as she is asked to, in the hardware's own values."""

    def __init__(self, *lines: tuple[str, float | None]) -> None:
        self.lines, self.at, self.told = list(lines), 0.0, list[str]()

    def ask(self, _question: str, _raw: Callable[[], float], _unit: str) -> str:
        answer, place = self.lines.pop(0)
        self.at = self.at if place is None else place
        return answer

    def tell(self, words: str) -> None:
        self.told.append(words)


@pytest.mark.parametrize(("sign", "offset"), [(1, 0.7), (-1, 0.7), (-1, -2.0)])
def test_a_known_place_and_a_direction_or_both_ends_give_sign_and_offset(sign: int, offset: float) -> None:
    axis = revolute("pan", low=-1.0, high=2.0)

    def raw(value: float) -> float:
        return sign * value + offset

    by_place = Helper(("0.4", raw(0.4)), ("", raw(0.6)))
    found = calibrate_axis(axis, lambda: by_place.at, by_place, AxisCalibration(period_rad=0.5))
    assert found is not None
    assert (found.sign, found.offset_rad, found.period_rad) == (sign, pytest.approx(offset), 0.5)
    by_ends = Helper(("ends", None), ("", raw(-1.02)), ("", raw(2.02)))
    found = calibrate_axis(axis, lambda: by_ends.at, by_ends, None)
    assert found is not None
    assert (found.sign, found.offset_rad) == (sign, pytest.approx(offset))


def test_what_shows_nothing_is_asked_for_again_and_an_axis_may_be_left() -> None:
    axis = revolute("pan", low=-1.0, high=2.0)
    person = Helper(("half", None), ("0", 0.1), ("", 0.11), ("ends", None), ("", 0.0), ("", 0.4), ("0", 0.1), ("", 0.3))
    found = calibrate_axis(axis, lambda: person.at, person, None)
    assert found is not None
    assert [words.split(",")[0] for words in person.told[:-1]] == [
        "expected a number in rad",
        "it moved by 0.01 rad only",
        "from end to end it is 0.4 rad",
    ]
    assert calibrate_axis(axis, lambda: 0.0, Helper(("", None)), None) is None


def test_the_file_is_named_in_robot_toml_once_and_read_as_it_was_written(tmp_path: Path) -> None:
    path = settings(tmp_path)
    file = tmp_path / "calibration.toml"
    axes = {"pan": AxisCalibration(sign=-1, offset_rad=0.25), "slide": AxisCalibration(offset_m=0.01)}
    assert write_calibration(file, path, "2026-11-30T15:20:00+00:00", 'Ada "A" é', axes)
    assert not write_calibration(file, path, "2026-11-30T15:20:00+00:00", "Ada", axes)
    config = load_config(path)
    assert config.calibration is not None
    assert config.calibration == read_calibration(file.resolve(), config.embodiment)
    assert (config.calibration.sign, config.calibration.offset) == ((-1.0, 1.0, 1.0), (0.25, 0.01, 0.0))
    assert config.calibration.by == "Ada"


def test_no_driver_goes_on_without_applying_what_the_robot_has(tmp_path: Path) -> None:
    config = load_config(settings(tmp_path, TURNED))
    with pytest.raises(ConfigError, match=r"robot.calibration: kinematic keeps its own loop, and does not apply"):
        DriverLink(config, tmp_path, watchdog_ns=1_000_000)
    program = c_robot(tmp_path / "c")
    (tmp_path / "c" / "calibration.toml").write_text('date = "today"\nby = "Ada"\n[axes.shoulder]\nsign = -1\n')
    text = program.read_text(encoding="utf-8")
    program.write_text(text.replace("[robot]", '[robot]\ncalibration = "calibration.toml"', 1), encoding="utf-8")
    run = tmp_path / "run"
    run.mkdir()
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(program), "--run-dir", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "does not apply a calibration" in done.stderr


SKEWED = """
import time
import numpy as np
from edge_runtime.drivers.sdk import Driver, Sample, declare


class Skewed(Driver):
    def __init__(self, config):
        self._q = np.array([0.5, 0.3, 0.0])
        self._target = self._q

    def read(self):
        dq = (self._target - self._q) * 500.0
        self._q = self._target.copy()
        return Sample(time.monotonic_ns(), self._q, dq)

    def follow(self, q, dq):
        self._target = q

    def hold(self):
        self._target = self._q


DRIVER = declare(Skewed, rate_hz=500.0, watchdog_s=0.1)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A robot whose motors count from elsewhere and the other way; its settings, and the folder of its run."""
    path = settings(tmp_path / "robot", TURNED, driver="./driver.py")
    (path.parent / "driver.py").write_text(SKEWED, encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="edge-") as run:
        log = (tmp_path / "log").open("w")
        command = [str(EDGE_RUNTIME), "run", "--hold", "--config", str(path), "--run-dir", run, "--no-page"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _until(lambda: "ready" in _edge("operator", "status", "--run-dir", run).stdout, tmp_path / "log")
            yield path, Path(run)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _edge(*words: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(EDGE_RUNTIME), *words], input=lines, capture_output=True, text=True, timeout=60)


def _until(condition: Callable[[], bool], log: Path) -> None:
    deadline_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.3)


@pytest.mark.realtime
def test_a_robot_is_jogged_in_its_own_values_and_not_armed_after_a_change_until_it_is_started_anew(
    running: tuple[Path, Path],
) -> None:
    path, run = running
    port = DriverPort.attach(port_name(run))
    try:
        feedback = port.read_feedback()
        assert feedback is not None
        assert feedback.q[:3] == pytest.approx([0.0, 0.1, 0.0])
    finally:
        port.close()
    assert _edge("operator", "arm", "--run-dir", str(run)).returncode == 0
    moved = json.loads(_edge("jog", "pan", "+0.1", "--json", "--run-dir", str(run)).stdout)
    assert moved["measured"] == pytest.approx(0.1, abs=1e-3)
    refused = _edge("calibrate", "--config", str(path), "--run-dir", str(run), lines="0\n\n")
    assert refused.returncode == 2
    assert "the robot is armed: first `edge-runtime operator disarm`" in refused.stderr
    assert _edge("operator", "disarm", "--run-dir", str(run)).returncode == 0
    # Nobody moves it here, so that no direction shows; the slide is left as it is, and the end of the input ends it.
    ended = _edge("calibrate", "--config", str(path), "--run-dir", str(run), "--axes", "pan", lines="0\n\n")
    assert "it moved by 0 rad only" in ended.stdout
    assert "the input ended before it was done: nothing was written" in ended.stderr
    file = path.parent / "calibration.toml"
    file.write_text(file.read_text().replace("0.5", "0.6"))
    arming = _edge("operator", "arm", "--run-dir", str(run))
    assert arming.returncode == 1
    assert "calibration" in arming.stdout + arming.stderr
