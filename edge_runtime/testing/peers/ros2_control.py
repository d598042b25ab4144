"""A robot behind ros2_control made up: joint_state_broadcaster, a controller of positions or trajectories, and a base.

``python -m edge_runtime.testing.peers.ros2_control JSON`` with the fields of `Setup`. A line on standard input makes it
misbehave (`Robot`'s `do_` methods), and each is answered by one line of JSON. With Zenoh it is the router too. It ends
when its input ends.
"""

from __future__ import annotations

import json
import math
import os
import select
import sys
import time
from collections import deque
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.drivers.ros2.bus import Bus
from edge_runtime.drivers.ros2.messages import (
    Float64MultiArray,
    Header,
    Image,
    JointState,
    JointTrajectory,
    Odometry,
    Point,
    Pose,
    PoseWithCovariance,
    Quaternion,
    Time,
    Twist,
    TwistWithCovariance,
    Vector3,
    Wrench,
    WrenchStamped,
)

JOINT_STATES, ODOMETRY, WRENCH, IMAGE = "/joint_states", "/odom", "/ft/wrench", "/camera/image_raw"
POSITIONS, TRAJECTORY, VELOCITY = "/forward/commands", "/arm/joint_trajectory", "/cmd_vel"
LOOPBACK = (
    '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo"/></Interfaces><AllowMulticast>false'
    "</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers>"
    '<Peer address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>'
)
"""Cyclone's configuration for processes of one machine, with or without a network."""

_STEP_S = 0.002
_LAG_S = 0.03
_REST = 1e-3
_VELOCITY_TIMEOUT_S = 0.5
_IMAGE_PX = (64, 48)


class Setup(msgspec.Struct, forbid_unknown_fields=True):
    """What robot it is.

    Attributes:
        joints: names, in the order of the controller.
        home: where each begins.
        endpoint: of Zenoh.
        controller: "positions" or "trajectory".
    """

    transport: str
    joints: list[str]
    home: list[float]
    domain: int = 0
    endpoint: str = "tcp/127.0.0.1:7447"
    controller: str = "positions"
    rate_hz: float = 250.0
    has_base: bool = False
    has_wrench: bool = False
    has_image: bool = False


class Robot:
    """All of it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.q: NDArray[np.float64] = np.array(setup.home, dtype=np.float64)
        self.dq: NDArray[np.float64] = np.zeros(len(setup.joints))
        self.base = np.zeros(3)
        self.twist = np.zeros(3)
        self.still_ns: int | None = time.monotonic_ns()
        self.commands = 0
        self._target: NDArray[np.float64] | None = None
        self._goal: tuple[float, NDArray[np.float64], float, NDArray[np.float64]] | None = None
        self._driven_s = -math.inf
        self._faults: set[str] = set()
        self._jump = self._late_s = self._clock_s = 0.0
        self._silent_until_s = 0.0
        self._late: deque[tuple[float, JointState]] = deque()
        self._frozen: JointState | None = None
        self._router: Any = None
        self._second: tuple[Bus, Any] | None = None
        self._is_active = True
        self._join()

    # ---- what it is told on standard input ---------------------------------------------------------------------------

    def do_state(self) -> None:
        """Nothing: only the answer is wanted."""

    def do_fault(self, name: str) -> None:
        """One of: freeze, nan, nan_velocity, no_velocity, missing, twice, no_stamps, degrees, short."""
        self._faults.add(name)

    def do_jump(self, by: str) -> None:
        """Each joint is measured elsewhere, from one message to the next."""
        self._jump = float(by)

    def do_late(self, by_s: str) -> None:
        """Messages are on their way for so long."""
        self._late_s = float(by_s)

    def do_silent(self, for_s: str) -> None:
        """No messages, from publishers that are there."""
        self._silent_until_s = time.monotonic() + float(for_s)

    def do_clock(self, by_s: str) -> None:
        """The clock of the stamps is set."""
        self._clock_s += float(by_s)

    def do_well(self) -> None:
        """None of the above."""
        self._faults.clear()
        self._jump = self._late_s = self._silent_until_s = 0.0
        self._frozen = None

    def do_gone(self) -> None:
        """All nodes have died."""
        self._leave()

    def do_power_cycle(self) -> None:
        """Off and on: other publishers, and the arm hangs a little lower."""
        self._leave()
        self.q = self.q + 0.05
        self.dq[:] = 0.0
        self._target = self._goal = None
        self._join()

    def do_restart(self) -> None:
        """joint_state_broadcaster is unloaded and loaded."""
        self._states = self._bus.outbox(JOINT_STATES, JointState)

    def do_second_publisher(self) -> None:
        """Somebody has started a joint_state_publisher beside it."""
        self._second = (self._bus, self._bus.outbox(JOINT_STATES, JointState))

    def do_deactivate(self) -> None:
        """The controller is unloaded."""
        self._is_active = False
        self._leave()
        self._join()

    def answer(self) -> dict[str, Any]:
        """What the robot really does."""
        return {
            "q": dict(zip(self.setup.joints, self.q.tolist(), strict=True)),
            "dq": self.dq.tolist(),
            "base": self.base.tolist(),
            "twist": self.twist.tolist(),
            "still_ns": self.still_ns,
            "commands": self.commands,
        }

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until standard input ends."""
        os.set_blocking(0, False)
        due_s = time.monotonic()
        every, steps, pending = max(1, round(1.0 / self.setup.rate_hz / _STEP_S)), 0, b""
        while True:
            if select.select([0], [], [], max(0.0, due_s - time.monotonic()))[0]:
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, pending = (pending + read).split(b"\n")
                for line in lines:
                    verb, *arguments = line.decode().split()
                    getattr(self, f"do_{verb}")(*arguments)
                    print(json.dumps(self.answer()), flush=True)
                continue
            now_s = time.monotonic()
            while due_s <= now_s:
                due_s = max(due_s + _STEP_S, now_s - 0.1)
                self._step(now_s)
                steps += 1
                if steps % every == 0:
                    self._publish(now_s)

    def _step(self, now_s: float) -> None:
        if self._bus is not None and self._is_active:
            self._hear(now_s)
        self._move(now_s)
        if now_s - self._driven_s > _VELOCITY_TIMEOUT_S:
            self.twist[:] = 0.0
        cosine, sine = math.cos(self.base[2]), math.sin(self.base[2])
        vx, vy, turn = self.twist
        self.base += _STEP_S * np.array([cosine * vx - sine * vy, sine * vx + cosine * vy, turn])
        if max(np.max(np.abs(self.dq)), np.max(np.abs(self.twist))) >= _REST:
            self.still_ns = None
        elif self.still_ns is None:
            self.still_ns = time.monotonic_ns()

    def _hear(self, now_s: float) -> None:
        received = self._commands.take()
        if received is not None:
            self.commands += 1
            if isinstance(received.message, Float64MultiArray):
                self._target = np.array(received.message.data)
            elif isinstance(received.message, JointTrajectory):
                self._take_trajectory(received.message, now_s)
        if self._velocity is not None and (received := self._velocity.take()) is not None:
            twist = received.message
            self.twist = np.array([twist.linear.x, twist.linear.y, twist.angular.z])
            self._driven_s = now_s

    def _take_trajectory(self, message: JointTrajectory, now_s: float) -> None:
        point = message.points[-1]
        places = [message.joint_names.index(name) for name in self.setup.joints]
        start = self.q if self._target is None else self._target
        seconds = point.time_from_start.sec + point.time_from_start.nanosec / 1e9
        self._goal = (now_s, start, seconds, point.positions[places])

    def _move(self, now_s: float) -> None:
        if self._goal is not None:
            start_s, start, seconds, end = self._goal
            share = min(1.0, (now_s - start_s) / seconds)
            self._target = start + share * (end - start)
        if self._target is not None:
            stiffness = 2.0 / _LAG_S
            self.dq += _STEP_S * (stiffness**2 * (self._target - self.q) - 2.0 * stiffness * self.dq)
            self.q = self.q + _STEP_S * self.dq

    def _publish(self, now_s: float) -> None:
        if self._bus is None or now_s < self._silent_until_s:
            return
        header = Header(Time.of_ns(time.time_ns() + round(self._clock_s * 1e9)), "base_link")
        message = self._joint_state(header)
        self._late.append((now_s + self._late_s, message))
        while self._late and self._late[0][0] <= now_s:
            self._states.send(self._late.popleft()[1])
        if self._second is not None:
            self._second[1].send(message)
        if self._odometry is not None:
            self._odometry.send(self._odometry_message(header))
        if self._wrench is not None:
            self._wrench.send(WrenchStamped(header, Wrench(Vector3(1.0, 2.0, -3.0), Vector3(0.1, 0.2, 0.3))))
        if self._image is not None:
            width, height = _IMAGE_PX
            data = np.full(width * height * 3, 100, np.uint8)
            self._image.send(Image(header, height, width, "bgr8", 0, width * 3, data))

    def _joint_state(self, header: Header) -> JointState:
        if "freeze" in self._faults:
            if self._frozen is None:
                self._frozen = JointState(header, tuple(self.setup.joints), self.q.copy(), self.dq.copy())
            return self._frozen
        # In another order than the controller's, with a joint of somebody else's in between.
        names = [*reversed(self.setup.joints)]
        q, dq = (self.q + self._jump)[::-1].copy(), self.dq[::-1].copy()
        names.insert(1, "somebody_elses_joint")
        q, dq = np.insert(q, 1, 7.0), np.insert(dq, 1, 0.0)
        if "missing" in self._faults:
            names, q, dq = names[1:], q[1:], dq[1:]
        if "twice" in self._faults:
            names[1] = names[0]
        if "nan" in self._faults:
            q[:] = np.nan
        if "nan_velocity" in self._faults:
            dq[:] = np.nan
        if "no_velocity" in self._faults:
            dq = np.zeros(0)
        if "short" in self._faults:
            q = q[:-1]
        if "degrees" in self._faults:
            q, dq = np.degrees(q), np.degrees(dq)
        if "no_stamps" in self._faults:
            header = Header()
        return JointState(header, tuple(names), q, dq)

    def _odometry_message(self, header: Header) -> Odometry:
        x, y, yaw = self.base
        pose = Pose(Point(x, y), Quaternion(z=math.sin(yaw / 2.0), w=math.cos(yaw / 2.0)))
        twist = Twist(Vector3(self.twist[0], self.twist[1]), Vector3(z=self.twist[2]))
        return Odometry(header, "base_link", PoseWithCovariance(pose), TwistWithCovariance(twist))

    # ---- joining and leaving -----------------------------------------------------------------------------------------

    def _join(self) -> None:
        setup = self.setup
        self._bus: Any = self._bus_of()
        self._states = self._bus.outbox(JOINT_STATES, JointState)
        self._odometry = self._bus.outbox(ODOMETRY, Odometry) if setup.has_base else None
        self._wrench = self._bus.outbox(WRENCH, WrenchStamped) if setup.has_wrench else None
        self._image = self._bus.outbox(IMAGE, Image) if setup.has_image else None
        if self._is_active:
            is_trajectory = setup.controller == "trajectory"
            topic, kind = (TRAJECTORY, JointTrajectory) if is_trajectory else (POSITIONS, Float64MultiArray)
            self._commands: Any = self._bus.inbox(topic, kind)
            self._velocity: Any = self._bus.inbox(VELOCITY, Twist) if setup.has_base else None

    def _bus_of(self) -> Bus:
        if self.setup.transport == "dds":
            from edge_runtime.drivers.ros2.dds import DdsBus

            return DdsBus(self.setup.domain, LOOPBACK)
        import zenoh

        from edge_runtime.drivers.ros2.zenoh_bus import ZenohBus

        config = zenoh.Config()
        config.insert_json5("mode", '"router"')
        config.insert_json5("listen/endpoints", json.dumps([self.setup.endpoint]))
        config.insert_json5("scouting/multicast/enabled", "false")
        self._router = zenoh.open(config)
        return ZenohBus(self.setup.domain, (self.setup.endpoint,))

    def _leave(self) -> None:
        self._second = None
        self._late.clear()
        self._states = self._odometry = self._wrench = self._image = self._commands = self._velocity = None
        if self._bus is not None:
            self._bus.close()
        self._bus = None
        if self._router is not None:
            self._router.close()
            self._router = None


def main() -> None:
    """Say that it is there, and be a robot."""
    robot = Robot(msgspec.json.decode(sys.argv[1].encode(), type=Setup))
    print(json.dumps(robot.answer()), flush=True)
    robot.run()


if __name__ == "__main__":
    main()
