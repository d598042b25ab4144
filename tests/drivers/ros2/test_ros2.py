"""The driver of a robot behind ROS 2 topics against one that misbehaves, over real DDS and real Zenoh."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.ros2.driver import Ros2Driver
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import ros2_peer, ros2_setup, write_ros2
from tests.drivers.cycles import Along, cycle, cycle_to_its_end, cycle_until

pytestmark = [pytest.mark.realtime, pytest.mark.in_company]

PACKAGES = {"dds": "cyclonedds", "zenoh": "zenoh"}
JOINTS = ["joint_1", "joint_2", "joint_3", "finger_joint"]
SPEED_RAD_S, BRAKE_RAD_S2, SILENCE_S = 0.8, 10.0, 1.0


class Robot:
    """A robot's other side, and drivers for it."""

    def __init__(self, peer: Peer, make: Callable[[], Ros2Driver]) -> None:
        self.peer, self._make = peer, make
        self.made: list[Ros2Driver] = []

    def driver(self) -> Ros2Driver:
        self.made.append(self._make())
        return self.made[-1]

    def ready(self) -> Ros2Driver:
        driver = self.driver()
        cycle_until(driver, lambda sample: not sample.fault)
        return driver

    def q(self) -> np.ndarray:
        """Of the axes: the gripper's opening is twice its finger's way."""
        measured = self.peer.tell("state")["q"]
        return np.array([measured[name] for name in JOINTS]) * [1.0, 1.0, 1.0, 2.0]


@pytest.fixture(params=sorted(PACKAGES))
def transport(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(PACKAGES[request.param])
    return str(request.param)


@pytest.fixture
def make(tmp_path: Path, transport: str) -> Iterator[Callable[..., Robot]]:
    with contextlib.ExitStack() as stack:

        def make(more: str = "", **options: Any) -> Robot:
            setup = ros2_setup(transport, **options)
            # A machine that is busy with other tests is not a lost robot.
            path = write_ros2(tmp_path, setup, f"silence_s = {SILENCE_S}\n{more}")
            robot = Robot(stack.enter_context(ros2_peer(setup)), lambda: Ros2Driver(load_config(path)))
            stack.callback(lambda: [driver.close() for driver in robot.made])
            return robot

        yield make


def swing(robot: Robot, driver: Ros2Driver, seconds: float = 0.5) -> float:
    """Bring the first joint into motion; where it was last told to be."""
    target = Along(robot.q(), 0, SPEED_RAD_S)
    samples = cycle(driver, seconds, target)
    assert samples[-1].dq[0] > 0.25 * SPEED_RAD_S
    return float(target.last[0])


@pytest.mark.parametrize("controller", ["positions", "trajectory"])
def test_it_follows_and_brakes_along_its_way(make: Callable[..., Robot], controller: str) -> None:
    robot = make(controller=controller)
    driver = robot.ready()
    start = robot.q()
    q = swing(robot, driver)
    way = [float(sample.q[0]) for sample in cycle(driver, 1.0)]
    assert way[-1] - q == pytest.approx(SPEED_RAD_S**2 / (2.0 * BRAKE_RAD_S2), abs=0.01)
    np.testing.assert_allclose(robot.q()[1:], start[1:], atol=1e-6)
    # And then it is silent: a person may jog the robot by other means.
    before = robot.peer.tell("state")["commands"]
    cycle(driver, 0.3)
    assert robot.peer.tell("state")["commands"] == before


def test_the_gripper_is_counted_in_its_own_units(make: Callable[..., Robot]) -> None:
    robot = make()
    driver = robot.ready()
    assert driver.read().q[3] == pytest.approx(0.08)
    target = robot.q()
    target[3] = 0.05
    sample = cycle(driver, 0.5, lambda _t_s: (target, np.zeros(4)))[-1]
    assert sample.q[3] == pytest.approx(0.05, abs=1e-4)
    assert robot.peer.tell("state")["q"]["finger_joint"] == pytest.approx(0.025, abs=1e-4)


def test_a_base_drives_as_it_is_told_and_stops_where_commands_cease(make: Callable[..., Robot]) -> None:
    robot = make(has_base=True)
    driver = robot.ready()
    q, dq = np.append(robot.q(), [0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.2])
    sample = cycle(driver, 1.0, lambda _t_s: (q, dq))[-1]
    np.testing.assert_allclose(sample.q[4:], 0.0)
    np.testing.assert_allclose(sample.dq[4:], [0.3, 0.2], atol=1e-6)
    assert sample.odometry is not None
    np.testing.assert_allclose(sample.odometry, [0.3, 0.03, 0.2], atol=0.05)
    held = cycle(driver, 0.6)
    slowing = [float(one.dq[4]) for one in held]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(slowing)), "it speeds up"
    assert held[-1].dq[4] == 0.0
    assert robot.peer.tell("state")["still_ns"] is not None


def test_the_wrench_of_a_sensor_is_reported(make: Callable[..., Robot]) -> None:
    sample = make(has_wrench=True).driver().read()
    np.testing.assert_allclose(sample.wrench, [[1.0, 2.0, -3.0, 0.1, 0.2, 0.3]])


def test_a_late_message_is_stamped_when_it_was_measured(make: Callable[..., Robot]) -> None:
    robot = make()
    driver = robot.ready()
    robot.peer.tell("late", 0.08)
    late = cycle(driver, 0.5)[-1]
    assert 0.06 < (time.monotonic_ns() - late.stamp_ns) / 1e9 < 0.25


@pytest.mark.parametrize("fault", ["no_velocity", "nan_velocity"])
def test_velocities_that_are_missing_are_those_of_the_positions(make: Callable[..., Robot], fault: str) -> None:
    robot = make()
    driver = robot.ready()
    robot.peer.tell("fault", fault)
    speeds = [sample.dq[0] for sample in cycle(driver, 0.6, Along(robot.q(), 0, SPEED_RAD_S))[-50:]]
    assert np.median(speeds) == pytest.approx(SPEED_RAD_S, rel=0.2)


ENDS = {
    "fault freeze": "says nothing new for 1 s",
    "silent 9": "says nothing new for 1 s",
    "gone": "says nothing new for 1 s",
    "power_cycle": "says nothing new for 1 s|comes from another publisher now",
    "restart": "comes from another publisher now: it was started again, or there are two",
    "second_publisher": "comes from another publisher now: it was started again, or there are two",
    "clock 5": "leapt ahead by [45]",
    "clock -5": "went back by [45]",
    "fault missing": "has 'joint_[0-9]' 0 times|has 'finger_joint' 0 times",
    "fault twice": "2 times in",
    "fault short": "values of position for 5 joints",
    "fault no_stamps": 'has no stamps: set driver.stamps = "arrival"',
}


@pytest.mark.parametrize("fault", ENDS)
def test_what_is_wrong_with_the_publisher_ends_the_driver_by_name(make: Callable[..., Robot], fault: str) -> None:
    robot = make()
    driver = robot.ready()
    swing(robot, driver, 0.2)
    robot.peer.tell(*fault.split())
    start_s = time.monotonic()
    with pytest.raises(DriverError, match=ENDS[fault]):
        cycle(driver, 5.0, Along(robot.q(), 0, SPEED_RAD_S))
    assert time.monotonic() - start_s < 3.0 * SILENCE_S


@pytest.mark.parametrize("fault", ["silent 9", "fault freeze"])
def test_its_end_brakes_what_still_listens(make: Callable[..., Robot], fault: str) -> None:
    robot = make()
    driver = robot.ready()
    swing(robot, driver)
    robot.peer.tell(*fault.split())
    cycle_to_its_end(driver, target=Along(robot.q(), 0, SPEED_RAD_S))
    time.sleep(0.3)
    assert robot.peer.tell("state")["still_ns"] is not None


def test_what_is_no_number_or_leaps_is_passed_on_for_the_kernel_to_see(make: Callable[..., Robot]) -> None:
    robot = make()
    driver = robot.ready()
    before = cycle(driver, 0.1)[-1]
    robot.peer.tell("jump", 0.3)
    np.testing.assert_allclose(np.subtract(cycle(driver, 0.1)[-1].q, before.q), [0.3, 0.3, 0.3, 0.6], atol=1e-6)
    robot.peer.tell("fault", "nan")
    assert np.isnan(cycle(driver, 0.1)[-1].q).all()


def test_a_controller_that_is_not_there_is_a_fault_with_its_remedy(make: Callable[..., Robot]) -> None:
    robot = make()
    robot.peer.tell("deactivate")
    driver = robot.driver()
    assert cycle(driver, 0.5)[-1].fault
    assert "no controller listens on /forward/commands: load it, and activate it" in driver.note


def test_after_a_power_cycle_a_new_driver_leaves_the_arm_where_it_is(make: Callable[..., Robot]) -> None:
    robot = make()
    driver = robot.ready()
    swing(robot, driver)
    robot.peer.tell("power_cycle")
    cycle_to_its_end(driver)
    where = robot.q()
    again = robot.ready()
    sample = cycle(again, 0.5)[-1]
    np.testing.assert_allclose(sample.q, where, atol=1e-6)


def test_stamps_of_arrival_need_none(make: Callable[..., Robot]) -> None:
    robot = make('stamps = "arrival"')
    robot.peer.tell("fault", "no_stamps")
    driver = robot.ready()
    ages_s = [(time.monotonic_ns() - sample.stamp_ns) / 1e9 for sample in cycle(driver, 0.2)[-1:]]
    assert 0.0 <= ages_s[0] < 0.1


def test_a_robot_that_is_not_there_is_said(tmp_path: Path, transport: str) -> None:
    path = write_ros2(tmp_path, ros2_setup(transport))
    start_s = time.monotonic()
    with pytest.raises(DriverError, match=r"can't be joined at tcp/127|says nothing new for 10 s"):
        Ros2Driver(load_config(path))
    assert time.monotonic() - start_s < 13.0


def test_it_hears_a_publisher_that_is_made_of_cyclones_own_types() -> None:
    """Types declared as Cyclone's users declare them, and its own serializer: nothing of this driver on that side."""
    pytest.importorskip("cyclonedds")
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.idl import make_idl_struct
    from cyclonedds.idl.types import float64, int32, sequence, uint32
    from cyclonedds.pub import DataWriter
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic

    from edge_runtime.drivers.ros2.dds import DdsBus
    from edge_runtime.drivers.ros2.messages import Float64MultiArray, JointState
    from edge_runtime.testing.peers.ros2_control import LOOPBACK

    stamp = make_idl_struct("Time_", "builtin_interfaces.msg.dds_.Time_", {"sec": int32, "nanosec": uint32})
    header = make_idl_struct("Header_", "std_msgs.msg.dds_.Header_", {"stamp": stamp, "frame_id": str})
    numbers = dict.fromkeys(("position", "velocity", "effort"), sequence[float64])
    joint_state = make_idl_struct(
        "JointState_", "sensor_msgs.msg.dds_.JointState_", {"header": header, "name": sequence[str], **numbers}
    )
    size = {"label": str, "size": uint32, "stride": uint32}
    dimension = make_idl_struct("MultiArrayDimension_", "std_msgs.msg.dds_.MultiArrayDimension_", size)
    shape = {"dim": sequence[dimension], "data_offset": uint32}
    layout = make_idl_struct("MultiArrayLayout_", "std_msgs.msg.dds_.MultiArrayLayout_", shape)
    array = make_idl_struct(
        "Float64MultiArray_", "std_msgs.msg.dds_.Float64MultiArray_", {"layout": layout, "data": sequence[float64]}
    )
    domain = ros2_setup("dds").domain + 100
    bus = DdsBus(domain, LOOPBACK)
    theirs = DomainParticipant(domain)
    writer = DataWriter(theirs, Topic(theirs, "rt/joint_states", joint_state))
    reader = DataReader(theirs, Topic(theirs, "rt/commands", array))
    inbox, outbox = bus.inbox("/joint_states", JointState), bus.outbox("/commands", Float64MultiArray)
    received, commands = None, []
    end_s = time.monotonic() + 5.0
    while time.monotonic() < end_s and not (received and commands):
        writer.write(
            joint_state(
                header=header(stamp=stamp(sec=3, nanosec=4), frame_id="base"),
                name=["a", "b"],
                position=[1.0, 2.0],
                velocity=[0.5, 0.25],
                effort=[],
            )
        )
        outbox.send(Float64MultiArray(data=np.array([1.5, -2.5])))
        time.sleep(0.01)
        received, commands = inbox.take() or received, reader.take(1) or commands
    assert received is not None
    assert received.message.name == ("a", "b")
    assert received.message.header.stamp.ns == 3_000_000_004
    np.testing.assert_array_equal(received.message.velocity, [0.5, 0.25])
    assert list(commands[0].data) == [1.5, -2.5]
    assert outbox.is_heard()
    bus.close()
