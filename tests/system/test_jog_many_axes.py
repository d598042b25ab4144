"""`edge-runtime jog` on a robot that drives and carries an arm: its base, its tool, its groups, and a push by hand.

The processes are real; the robot is at once where it is told to be, and can be pushed while it follows nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_runtime.client.jog import Jog
from edge_runtime.contracts.messages import Asker, JogTool
from edge_runtime.testing.jog_typist import LEFT, RIGHT, Typist
from edge_runtime.testing.other_bodies import write_settings_with_body
from edge_runtime.testing.other_robots import mobile_manipulator
from tests.system.held_robot import HeldRobot, held
from tests.system.test_jog import jog

ROBOT = mobile_manipulator()
BASE_X, LIFT, JOINT1 = (ROBOT.axis_names.index(name) for name in ("base_x", "lift", "joint1"))
DRIVER = """
import time
from pathlib import Path

import numpy as np

from edge_runtime.drivers.sdk import Driver, Sample, declare

PUSH = Path(__file__).parent / "push"


class Pushed(Driver):
    def __init__(self, config):
        self._drives = np.array([axis.is_velocity for axis in config.embodiment.axes])
        self._q = np.array(config.embodiment.home)
        self._q[self._drives] = 0.0
        self._dq = np.zeros(len(self._q))

    def read(self):
        return Sample(time.monotonic_ns(), self._q, self._dq)

    def follow(self, q, dq):
        self._q, self._dq = np.where(self._drives, 0.0, q), np.array(dq)

    def hold(self):
        self._dq = np.zeros(len(self._q))
        if PUSH.exists():
            axis, by = PUSH.read_text().split()
            self._q = self._q.copy()
            self._q[int(axis)] += float(by)
            PUSH.unlink()

    def picture(self, camera, pixels):
        pixels[:] = 0
        return time.monotonic_ns()


DRIVER = declare(Pushed, rate_hz=500.0, watchdog_s=0.5)
"""

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mobile")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    return write_settings_with_body(folder, ROBOT)


@pytest.fixture(scope="module")
def started(settings: Path) -> Iterator[HeldRobot]:
    with held(settings) as robot:
        yield robot


@pytest.fixture
def robot(started: HeldRobot) -> HeldRobot:
    started.make_ready(moved=True)
    return started


@pytest.fixture
def typist(robot: HeldRobot) -> Iterator[Callable[..., Typist]]:
    """Makes people at terminals."""
    sat: list[Typist] = []

    def sit_down(*arguments: object) -> Typist:
        sat.append(Typist(robot.run_dir, *arguments))
        return sat[-1]

    yield sit_down
    for one in sat:
        one.close()


def edge(robot: HeldRobot, *arguments: object) -> tuple[int, str]:
    """`edge-runtime` with these arguments: exit code and all that it said, on one line."""
    program = "from edge_runtime.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments), "--run-dir", str(robot.run_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def tool_of(robot: HeldRobot) -> JogTool:
    with Jog(robot.run_dir, asker=Asker.PERSON) as person:
        return person.tool()


def test_a_base_drives_at_a_speed_for_a_while_and_comes_to_rest(robot: HeldRobot) -> None:
    code, out, err = jog(robot.run_dir, "base_x", "+0.1", "--seconds", 2, "--json")
    assert code == 0, err
    move = json.loads(out)
    assert (move["axis"], move["asked"], move["reached"]) == ("base_x", pytest.approx(0.2), True), move
    assert move["commanded"] == pytest.approx(0.2, abs=0.02), "0.1 m/s for 2 s"
    robot.state_is("holding")
    assert not robot.moves()
    code, _, err = jog(robot.run_dir, "base_x", "+0.1")
    assert code == 2
    assert "--seconds 2" in err
    code, _, err = jog(robot.run_dir, "base_x", "+0.5", "--seconds", 1)
    assert code == 2
    assert "too fast: at most 0.135" in err
    code, _, err = jog(robot.run_dir, "lift", "+0.01", "--seconds", 1)
    assert code == 2
    assert "leave it out" in err
    assert not robot.moves()


def test_a_tool_goes_straight_by_what_was_asked(robot: HeldRobot) -> None:
    before = tool_of(robot)
    # The other ways are closed to this robot: at home its forearm is as near to itself as it may be.
    code, out, err = jog(robot.run_dir, "tool", "x", "-0.02", "--json")
    assert code == 0, err
    move = json.loads(out)
    assert (move["unit"], move["asked"], move["reached"]) == ("m", -0.02, True), move
    moved_m = [now - then for now, then in zip(tool_of(robot).position_m, before.position_m, strict=True)]
    assert moved_m == pytest.approx([-0.02, 0.0, 0.0], abs=1e-3)
    code, out, err = jog(robot.run_dir, "tool", "rz", "-3", "--degrees", "--disarm")
    assert code == 0, err
    assert "asked -0.0524 rad" in out, out
    robot.state_is("ready")
    code, _, err = jog(robot.run_dir, "tool", "up", "+0.02")
    assert code == 2
    assert "which way, and by how much?" in err


def test_pages_of_keys_show_a_group_and_a_tool_and_move_what_they_show(
    robot: HeldRobot, typist: Callable[..., Typist]
) -> None:
    person = typist("--group", "torso")
    person.see(rb"group torso")
    person.type(b"a")
    person.see(rb"armed, jogged by a person")
    before = robot.position()
    person.hold([RIGHT], 0.5)
    robot.until(lambda: not robot.moves())
    moved = robot.position() - before
    assert moved[LIFT] > 0.001
    assert abs(moved[JOINT1:]).max() == 0.0, "of a page of one group nothing else moves"
    person.type(b"\t")
    person.see(rb"group joint")
    person.type(b"\t")
    person.see(rb"tool .*along and about the axes of base")
    before_m = tool_of(robot).position_m
    person.hold([LEFT], 0.5)
    robot.until(lambda: not robot.moves())
    after_m = tool_of(robot).position_m
    assert after_m[0] - before_m[0] < -0.001
    assert after_m[1:] == pytest.approx(before_m[1:], abs=1e-3)
    person.type(b"\t")
    person.see(rb"all axes")
    person.type(b"1")
    person.see(rb"base_x .*a speed")
    person.hold([RIGHT], 0.5)
    robot.until(lambda: not robot.moves())
    person.type(b"q")
    assert person.ended() == 0


def test_a_robot_that_was_moved_after_a_stop_goes_on_once_a_person_says_so(robot: HeldRobot, settings: Path) -> None:
    code, out, err = jog(robot.run_dir, "joint1", "+0.05", "--json")
    assert code == 0, err
    stood = json.loads(out)["position"]
    assert edge(robot, "operator", "stop")[0] == 0
    robot.state_is("fault")
    push = settings.parent / "push"
    written = push.with_suffix(".part")
    written.write_text(f"{JOINT1} 0.4", encoding="utf-8")
    written.rename(push)
    robot.until(lambda: not push.exists())
    robot.operator.wait_until(lambda: False, 0.3)
    code, said = edge(robot, "operator", "reset")
    assert code == 1
    assert "refused_mismatch" in said, said
    assert "reset --moved" in said, said
    robot.state_is("fault")
    code, said = edge(robot, "operator", "reset", "--moved")
    assert code == 0, said
    robot.state_is("ready")
    code, out, err = jog(robot.run_dir, "joint1", "-0.02", "--json")
    assert code == 0, err
    assert json.loads(out)["position"] == pytest.approx(stood + 0.4 - 0.02, abs=5e-3), "from where it was moved to"
