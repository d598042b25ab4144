"""`edge-runtime jog` and its Python side on a robot's real processes: as far as asked, at rest when nobody is heard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from edge_runtime.cli.dead_man import RELEASE_S
from edge_runtime.client.jog import VALID_S, Jog
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.embodiment import MAX_AXES
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.messages import Asker, Authority
from edge_runtime.contracts.topics import JOG
from edge_runtime.testing.jog_typist import LEFT, RIGHT, Typist, jog_command
from tests.system.conftest import Robot
from tests.system.held_robot import HeldRobot, held

BRAKING_S = 0.05
"""V/A + 2 A/J + 2 T of the slowest joint at a quarter of its speed, and a little for the test's own look at it."""
STEP_RAD = 0.5 * np.pi / 180.0


@pytest.fixture(scope="module")
def started() -> Iterator[HeldRobot]:
    with held(SIM_CONFIG) as robot:
        yield robot


@pytest.fixture
def robot(started: HeldRobot) -> HeldRobot:
    started.make_ready()
    return started


def jog(run_dir: Path, *arguments: object) -> tuple[int, str, str]:
    done = subprocess.run(jog_command(run_dir, *arguments), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.realtime
def test_a_joint_goes_each_way_by_what_was_asked_and_the_robot_holds_there(robot: HeldRobot) -> None:
    for axis, by in (("joint1", 0.1), ("joint1", -0.1), ("joint4", -0.05), ("gripper", 0.004)):
        code, out, err = jog(robot.run_dir, axis, f"{by:+}", "--json")
        assert code == 0, err
        move = json.loads(out)
        assert (move["axis"], move["asked"], move["reached"], move["reason"]) == (axis, by, True, "")
        assert move["commanded"] == pytest.approx(by, abs=1e-6)
        assert move["measured"] == pytest.approx(by, abs=2e-3 if axis != "gripper" else 5e-4)
        robot.state_is("holding")
        assert robot.operator.watcher.status().authority is Authority.JOG
    code, out, err = jog(robot.run_dir, "joint2", "-2", "--degrees", "--disarm")
    assert code == 0, err
    assert out.startswith("joint2: asked -0.0349 rad, commanded -0.0349, measured -0.03"), out
    robot.state_is("ready")


@pytest.mark.realtime
def test_it_goes_as_far_as_the_limits_let_it_and_says_why_no_further(robot: HeldRobot) -> None:
    with Jog(robot.run_dir, asker=Asker.PERSON) as person:
        person.begin()
        joint7 = person.axis("joint7")
        assert joint7.position_max is not None
        move = person.move("joint7", joint7.position_max - joint7.commanded, 0.25)
        assert move.reached, move
        back = person.move("joint7", -0.2, 0.25)
        assert back.reached, back
        with pytest.raises(OperatorError, match="outside of its range") as beyond:
            person.move("joint7", 3.0)
        assert beyond.value.answer == "out_of_range"
        joint2 = person.axis("joint2")
        assert joint2.position_max is not None
        down = person.move("joint2", joint2.position_max - joint2.commanded - 0.01, 0.25)
        assert not down.reached
        assert "slowed or held near an obstacle" in down.reason, down
        up = person.move("joint2", -down.commanded, 0.25)
        assert up.reached, "away from it, it goes"
        with pytest.raises(OperatorError, match="has no axis 'elbow'"):
            person.move("elbow", 0.1)


def jogging_process(robot: HeldRobot) -> subprocess.Popen[str]:
    """`edge-runtime jog joint1` on a long way, in motion."""
    far = "+1.0" if robot.position()[0] < 0.0 else "-1.0"
    process = subprocess.Popen(jog_command(robot.run_dir, "joint1", far), text=True)
    deadline_s = time.monotonic() + 20.0
    while not robot.moves() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    time.sleep(0.3)
    assert robot.moves()
    return process


@pytest.mark.realtime
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT])
def test_a_jog_process_that_dies_or_freezes_leaves_a_robot_at_rest(robot: HeldRobot, end: signal.Signals) -> None:
    process = jogging_process(robot)
    try:
        ended_s = time.monotonic()
        process.send_signal(end)
        assert robot.rest_after_s(ended_s) <= VALID_S + BRAKING_S
        robot.state_is("holding")
        if end is signal.SIGSTOP:
            rest_rad = robot.position()
            process.send_signal(signal.SIGCONT)
        if end in (signal.SIGTERM, signal.SIGINT):
            assert process.wait(10.0) == 130
    finally:
        process.kill()
        process.wait()
    if end is signal.SIGSTOP:
        robot.rest_after_s(time.monotonic())
        assert np.abs(robot.position() - rest_rad).max() < 1.0


@pytest.fixture
def typist(robot: HeldRobot) -> Iterator[Callable[..., Typist]]:
    sat: list[Typist] = []

    def sit_down(**options: bool) -> Typist:
        sat.append(Typist(robot.run_dir, **options))
        return sat[-1]

    yield sit_down
    for one in sat:
        one.close()


@pytest.mark.realtime
def test_keys_move_the_robot_only_while_they_are_held(robot: HeldRobot, typist: Callable[..., Typist]) -> None:
    person = typist()
    person.see(rb"does not tell when a key is let go")
    before_rad = robot.position()
    person.hold([RIGHT], 0.3)
    assert (robot.position() == before_rad).all(), "a key moves nothing that is not armed"
    robot.state_is("ready")
    person.type(b"a")
    person.see(rb"armed, jogged by a person")
    for key, way in ((RIGHT, 1.0), (LEFT, -1.0)):
        before_rad = robot.position()
        person.type(key)
        time.sleep(0.8)
        moved_rad = robot.position() - before_rad
        assert moved_rad[0] == pytest.approx(way * STEP_RAD, abs=1e-5), "one press is one small step"
        assert not robot.moves()
    before_rad = robot.position()
    last_s = person.hold([RIGHT], 1.0)
    assert robot.moves()
    assert robot.rest_after_s(last_s) <= RELEASE_S + 0.15
    moved_rad = robot.position() - before_rad
    assert 0.1 < moved_rad[0] < 0.3, "a second at a tenth of 1.96 rad/s"
    assert (moved_rad[1:] == 0.0).all()
    person.type(b"4u]")
    person.see(rb"> +4 joint4 +-?[0-9.]+ +-?[0-9.]+ deg")
    person.see(rb"speed 15%")
    person.hold([LEFT], 0.5)
    person.type(b" ")
    robot.state_is("fault")
    person.see(rb"stopped by an operator")
    person.type(b"r")
    robot.state_is("ready")
    person.type(b"a")
    robot.state_is("holding")
    person.type(b"q")
    assert person.ended() == 0
    robot.state_is("ready")


@pytest.mark.realtime
def test_a_terminal_that_tells_releases_ends_the_motion_with_the_key(
    robot: HeldRobot, typist: Callable[..., Typist]
) -> None:
    person = typist(tells_release=True)
    person.see(rb"\x1b\[>11u.*this terminal tells when a key is let go".replace(b".*", rb"[\s\S]*"))
    person.type(b"\x1b[97u")
    person.see(rb"armed, jogged by a person")
    person.hold([b"\x1b[1;1:1C", b"\x1b[1;1:2C"], 0.6)
    assert robot.moves()
    released_s = time.monotonic()
    person.type(b"\x1b[1;1:3C")
    assert robot.rest_after_s(released_s) < RELEASE_S
    # A release that never arrives keeps nothing in motion.
    last_s = person.hold([b"\x1b[1;1:1D", b"\x1b[1;1:2D"], 0.6)
    assert robot.rest_after_s(last_s) <= RELEASE_S + 0.15
    person.type(b"\x1b[99;5u")
    assert person.ended() == 0
    robot.state_is("ready")


@pytest.mark.realtime
@pytest.mark.parametrize("loss", ["hangup", "kill", "freeze"])
def test_who_loses_the_terminal_in_motion_leaves_a_robot_at_rest(
    robot: HeldRobot, typist: Callable[..., Typist], loss: str
) -> None:
    person = typist()
    person.see(rb"does not tell")
    person.type(b"a")
    person.see(rb"armed, jogged by a person")
    way = RIGHT if robot.position()[0] < 0.0 else LEFT
    person.hold([way], 0.6)
    assert robot.moves()
    lost_s = time.monotonic()
    if loss == "hangup":
        os.close(person.terminal)
        person.terminal = os.open(os.devnull, os.O_RDWR)
    else:
        os.kill(person.pid, signal.SIGKILL if loss == "kill" else signal.SIGSTOP)
    assert robot.rest_after_s(lost_s) <= VALID_S + BRAKING_S
    if loss == "hangup":
        assert person.ended() == 1
        robot.state_is("ready")
    if loss == "freeze":
        # Keys that were typed meanwhile are old when it wakes.
        before_rad = robot.position()
        for _ in range(40):
            person.type(way)
        os.kill(person.pid, signal.SIGCONT)
        robot.operator.wait_until(lambda: False, 0.6)
        assert np.abs(robot.position() - before_rad).max() <= STEP_RAD + 1e-6


@pytest.mark.realtime
def test_bad_input_is_refused_by_kind_counted_and_moves_nothing(robot: HeldRobot) -> None:
    with Jog(robot.run_dir, asker=Asker.PERSON) as person:
        person.begin()
        status = person.status
        assert status is not None
        good: dict[str, object] = {
            "type": "JogCommand",
            "session": status.session,
            "sequence": 1000,
            "stamp_ns": 0,
            "valid_ns": 200_000_000,
            "joint_digest": status.joint_digest,
            "motion": {"type": "AxisSpeeds", "speeds": {"joint1": 0.1}},
        }
        bad: dict[str, list[dict[str, object]]] = {
            "not_finite": [{"motion": {"type": "AxisSpeeds", "speeds": {"joint1": float("nan")}}}],
            "future": [{"stamp_ns": time.monotonic_ns() + 10_000_000_000}],
            "stale": [{"stamp_ns": time.monotonic_ns() - 1_000_000_000}],
            "unknown_axis": [{"motion": {"type": "AxisSpeeds", "speeds": {"elbow": 0.1}}}],
            "other_session": [{"session": status.session - 1}, {"session": 0}],
            "out_of_range": [{"motion": {"type": "AxisSpeeds", "speeds": {"joint1": 1.0}}}],
            "joint_order": [{"joint_digest": "0" * 64}],
            "malformed": [{"valid_ns": 10_000_000_000}, {"extra": 1}, {"motion": 3}],
            "shape": [{"motion": {"type": "AxisSpeeds", "speeds": {f"joint{i}": 0.0 for i in range(MAX_AXES + 1)}}}],
            "oversized": [{"joint_digest": "0" * 4096}],
        }
        before_rad = robot.position()
        context = zmq.Context()
        with context.socket(zmq.PUB) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(JOG.endpoint(robot.run_dir, "control"))
            time.sleep(0.3)
            for kinds in bad.values():
                for changes in kinds:
                    fields = {**good, "stamp_ns": time.monotonic_ns(), **changes}
                    socket.send(msgspec.msgpack.encode(fields))
            for junk in (b"", b"\xc1", os.urandom(200), b"\x81" * 1000):
                socket.send(junk)
            refused = robot.operator.watcher
            for kind, kinds in bad.items():
                robot.until(lambda: refused.refusals.get(f"control.jog.{kind}", 0) >= len(kinds), 5.0)  # noqa: B023
        context.term()
        assert (robot.position() == before_rad).all()
        assert robot.operator.watcher.control_state == "holding"
        assert person.move("joint1", 0.02).reached, "and the person who was granted it goes on"


@pytest.mark.realtime
def test_beside_a_policy_in_force_nobody_jogs_and_a_person_who_jogs_keeps_its_plans_out(moving_robot: Robot) -> None:
    robot, operator = moving_robot, moving_robot.operator
    code, _, err = jog(robot.run_dir, "joint1", "+0.1")
    assert code == 1
    assert "refused_in_force: the robot is armed for something else" in err
    assert operator.watcher.status().authority is Authority.POLICY
    operator.disarm()
    robot.until(lambda: operator.watcher.control_state == "ready")
    code, out, err = jog(robot.run_dir, "joint1", "+0.1", "--json")
    assert code == 0, err
    assert json.loads(out)["commanded"] == pytest.approx(0.1, abs=1e-6)
    robot.until(lambda: robot.refused("control.action_chunk.jogged") > 2)
    assert operator.watcher.control_state == "holding"
    with pytest.raises(OperatorError, match="refused_state"):
        operator.arm()
    operator.disarm()
    robot.until(lambda: operator.watcher.control_state == "ready")
    operator.arm()
    robot.until(lambda: operator.watcher.control_state == "active")
    assert operator.watcher.status().authority is Authority.POLICY
