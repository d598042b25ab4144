"""The tests that drivers inherit: the simulated arm passes them, and so does one from outside; a faulty one fails."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.testing import DriverConformance
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.other_robots import mobile_manipulator, write_settings
from tests.drivers.sdk.robots import robot_of, skeleton_driver

pytestmark = [pytest.mark.realtime, pytest.mark.in_company]

ROOT = Path(__file__).parents[2]


class TestSim(DriverConformance):
    """Our own arm."""

    config = SIM_CONFIG


class TestMobile(DriverConformance):
    """A base that drives, a lift, six joints and a gripper; of the joints a chosen few are moved."""

    moves = ("base_x", "base_yaw", "lift", "joint3", "gripper")

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def settings(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("mobile")
        text = skeleton_driver()
        # The wheels of a base tell how fast they are driven; a place that is told late is no speed.
        for before, after in (
            ("self._dq = (self._target - self._q) / max(elapsed_s, 1e-3)", "self._dq = self._told"),
            ("        self._target = q\n", "        self._target, self._told = q, _dq\n"),
            ("        self._target = self._q\n\n    def pic", "        self._told = self._dq * 0.0\n\n    def pic"),
            (
                "        self._target = self._q\n\n    def read",
                "        self._target, self._told = self._q, self._dq\n\n    def read",
            ),
        ):
            assert before in text
            text = text.replace(before, after)
        (folder / "driver.py").write_text(text, encoding="utf-8")
        cls.config = write_settings(folder, mobile_manipulator())


INHERITS = """
from pathlib import Path
from edge_runtime.testing import DriverConformance
from edge_runtime.testing.driven_robot import DrivenRobot

class TestTheirs(DriverConformance):
    config = Path(__file__).parent / "robot.toml"
"""


def conforms(folder: Path) -> subprocess.CompletedProcess[str]:
    """The class as somebody else runs it: in a folder of theirs, with their pytest."""
    (folder / "test_theirs.py").write_text(INHERITS, encoding="utf-8")
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py", cwd=folder)


def require_all(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\n17 passed", done.stdout), done.stdout


def test_the_driver_that_the_guide_shows_passes_as_it_stands_there(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "drivers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    (text,) = [block for block in blocks if "class MyArm(Driver)" in block]
    assert len([line for line in text.splitlines() if line.strip()]) <= 45, "a driver is short"
    robot_of(tmp_path, "driver.py", text)
    require_all(conforms(tmp_path))


@pytest.mark.parametrize("language", ["python", "c"])
def test_a_new_driver_passes_its_own_test_once_it_is_installed(tmp_path: Path, language: str) -> None:
    """Written by the command, built, installed by pip, found by its entry point: nothing of this tree knows it."""
    package, site = tmp_path / "their_arm", tmp_path / "site"
    written = run(
        "-c", "from edge_runtime.cli import main; main()", "new", "driver", "their_arm", package, "--language", language
    )
    assert written.returncode == 0, written.stderr
    if language == "c":
        made = subprocess.run(
            ["make", "-C", package, f"PYTHON={sys.executable}"], capture_output=True, text=True, timeout=120
        )
        assert made.returncode == 0, made.stdout + made.stderr
    pip = run("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, package)
    assert pip.returncode == 0, pip.stderr
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=package, site=site)
    require_all(done)


def run(*arguments: object, cwd: Path | None = None, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*([str(site)] if site else []), str(ROOT)])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": path},
    )


SAMPLE = "Sample(now_ns, self._q, self._dq)"
END = "DRIVER = declare("
GATE = """
from edge_runtime.drivers.sdk.link import CommandGate

CommandGate.admit = lambda _gate, command, _now_ns: command is not None{}

"""
FAULTS = {
    "positions of another sign": (
        SAMPLE,
        SAMPLE.replace("self._q", "self._q * [-1, 1, 1, 1]"),
        "each_joint",
        "shoulder moved by -0.0",
    ),
    "joints in another order": (
        SAMPLE,
        SAMPLE.replace("self._q", "self._q[[2, 1, 0, 3]]"),
        "each_joint",
        "stopped the robot: ",
    ),
    "degrees": (SAMPLE, SAMPLE.replace("self._q", "self._q * [57.3, 57.3, 57.3, 1]"), "units", "rad: degrees?"),
    "velocities in degrees": (
        *(SAMPLE, SAMPLE.replace("self._dq", "np.degrees(self._dq)")),
        *("each_joint", "its velocities add up to"),
    ),
    "old stamps": (SAMPLE, SAMPLE.replace("now_ns", "now_ns - 80_000_000"), "feedback_keeps", "ms old when they come"),
    "the same stamp again": (
        SAMPLE,
        SAMPLE.replace("now_ns", "now_ns // 10**10 * 10**10"),
        "stamps",
        "is not after the last",
    ),
    "a slow bus": ("rate_hz=500.0", "rate_hz=25.0", "feedback_keeps", "samples a second, for a timeout of 0.1 s"),
    "a gripper the wrong way round": (
        *(SAMPLE, SAMPLE.replace("self._q", "np.array([*self._q[:3], 0.08 - self._q[3]])")),
        *("gripper", "gripper was commanded to move by"),
    ),
    "no watchdog": (
        END,
        GATE.format(" and command.state.follows") + END,
        "stale",
        "older than the watchdog was followed",
    ),
    "every state is followed": (END, GATE.format("") + END, "looks_on", "a command in state READY was followed"),
    "a hold that sags": (
        "self._target = self._q\n\n    def pic",
        "self._target = self._q - 0.001\n\n    def pic",
        "units",
        "not at rest",
    ),
    "a black picture": ("        pixels[:", "        pixels.copy()[:", "pictures", "the picture of scene is black"),
    "a camera that has stopped": ("exposure_ns = time", "exposure_ns = 5 or time", "observations", "0 observations in"),
    "an end with an error": (
        "    def picture",
        "    def close(self): raise OSError('bus')\n\n    def picture",
        "ends",
        "exit code ",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_driver_fails_by_name(tmp_path: Path, fault: str) -> None:
    before, after, name, words = FAULTS[fault]
    text = skeleton_driver()
    assert before in text
    config = robot_of(tmp_path, "driver.py", text.replace(before, after))
    theirs = type("TestTheirs", (DriverConformance,), {"config": config})()
    (test,) = [getattr(theirs, each) for each in dir(theirs) if each.startswith("test_") and name in each]
    with pytest.raises(AssertionError) as caught:
        run_as_pytest_would(config, test)
    assert words in str(caught.value)


def run_as_pytest_would(config: Path, test: Callable[..., None]) -> None:
    if "robot" in inspect.signature(test).parameters:
        with DrivenRobot(config) as robot:
            test(robot)
    else:
        test()
