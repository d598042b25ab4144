"""The driver of a robot behind ROS 2 topics: joint states in, positions or trajectories and base velocities out.

Guarantees: a sample is one JointState with all joints, stamped when it was measured; a publisher that is silent,
repeats itself, was started again or sets its clock ends the driver; while a controller is not there to listen, samples
say that no command is followed. Where commands cease, what moves is braked along its way by commands of its own, and
then it is silent. It can't stop what a controller does by itself: one that gets no more commands keeps to its last one.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.contracts.installation import not_installed
from edge_runtime.drivers.ros2.bus import Bus, Inbox
from edge_runtime.drivers.ros2.cdr import CdrError
from edge_runtime.drivers.ros2.controllers import base_places, controllers_of
from edge_runtime.drivers.ros2.declaration import WATCHDOG_NS
from edge_runtime.drivers.ros2.joint_states import JointStates, State
from edge_runtime.drivers.ros2.messages import Image, JointState, Message, Odometry, WrenchStamped
from edge_runtime.drivers.ros2.pictures import fill
from edge_runtime.drivers.ros2.settings import Ros2Settings, settings_of
from edge_runtime.drivers.sdk import Driver, Pixels, Sample
from edge_runtime.drivers.sdk.braking import Braking
from edge_runtime.drivers.sdk.driver import serve
from edge_runtime.drivers.sdk.foreign_clock import ForeignClock
from edge_runtime.service import Arguments, StopSignal

M = TypeVar("M", bound=Message)

_FIRST_MAX_S = 10.0
_POLL_S = 0.0003
_LISTENERS_EVERY_S = 0.2
_STANDS_S = 0.3
_BRAKING_MAX_S = 3.0


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the driver until `stop`.

    Raises:
        EdgeError: what can't be had, or what the robot's topics do not do.
    """
    if arguments.lockstep:
        raise ConfigError("--lockstep", "this driver runs in real time only; virtual time is for simulators")
    rate_hz = settings_of(arguments.config).rate_hz
    serve(Ros2Driver, arguments, stop, rate_hz=rate_hz, watchdog_ns=WATCHDOG_NS)


def bus_of(settings: Ros2Settings) -> Bus:
    """The transport that the settings name.

    Raises:
        MissingPackageError, DriverError: its package is missing, or it can't be joined.
    """
    try:
        if settings.transport == "dds":
            from edge_runtime.drivers.ros2.dds import DdsBus

            return DdsBus(settings.domain, settings.cyclonedds_uri)
        from edge_runtime.drivers.ros2.zenoh_bus import ZenohBus

        return ZenohBus(settings.domain, settings.connect)
    except ImportError as error:
        raise not_installed(["cyclonedds" if settings.transport == "dds" else "zenoh"], ["ros2"]) from error
    except Exception as error:  # neither library has errors of its own for this
        where = ", ".join(settings.connect) if settings.transport == "zenoh" else f"domain {settings.domain}"
        raise DriverError(settings.transport, f"can't be joined at {where}: {error}") from error


class Ros2Driver(Driver):
    """A `Driver` of one robot.

    Raises:
        ConfigError: the settings are not such.
        DriverError: the transport can't be joined, or no joint states come.
    """

    def __init__(self, config: RobotConfig) -> None:
        self._settings = settings = settings_of(config)
        self._embodiment = embodiment = config.embodiment
        self._rates = np.array([axis.acceleration_max for axis in embodiment.axes])
        self._base = base_places(embodiment)
        self._jointed = [index for index in range(len(embodiment.axes)) if index not in embodiment.base_indices]
        self._states = JointStates(
            settings.joint_states,
            [embodiment.axis_names[index] for index in self._jointed],
            settings.axes,
            uses_header=settings.stamps == "header",
            has_effort=settings.effort,
        )
        self._bus = bus = bus_of(settings)
        self._inbox = bus.inbox(settings.joint_states, JointState)
        self._odometry = None if settings.base is None else _Fresh(bus, settings.base.odometry, Odometry, settings)
        self._wrenches = [_Fresh(bus, topic, WrenchStamped, settings) for topic in settings.wrenches]
        self._cameras = {name: _Camera(bus, name, topic) for name, topic in settings.images.items()}
        self._controllers = controllers_of(bus, settings, embodiment)
        self._listeners_due_s = 0.0
        self._followed: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._braking: Braking | None = None
        self._new_s = time.monotonic()
        self._await_first()

    def read(self) -> Sample:
        """The next joint state, and what else is measured.

        Raises:
            DriverError: it does not come, or is not such.
        """
        return self._sample(self._next(self._settings.silence_s))

    def follow(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        """Pass a target on."""
        self._followed, self._braking = (np.array(q), np.array(dq)), None
        self._send(q, dq)

    def hold(self) -> None:
        """Brake what moves, then say nothing: a person may move the robot by other means."""
        now_s = time.monotonic()
        if self._followed is not None:
            q, dq = self._followed
            self._followed, self._braking = None, Braking(q, dq, self._rates, now_s)
        if self._braking is not None:
            self._send(self._braking.q(now_s), self._braking.dq(now_s))
            if self._braking.rests_s(now_s) > _STANDS_S:
                self._braking = None

    def picture(self, camera: str, pixels: Pixels) -> int | None:
        """The next image of a camera."""
        return self._cameras[camera].picture(pixels)

    def close(self) -> None:
        """Brake to the end, and leave."""
        end_s = time.monotonic() + _BRAKING_MAX_S
        while self._braking is not None and time.monotonic() < end_s:
            self.hold()
            time.sleep(1.0 / self._settings.rate_hz)
        self._bus.close()

    def _send(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        for controller in self._controllers:
            controller.send(q, dq)

    def _await_first(self) -> None:
        # The second one has a velocity, where that is made of positions; before the hardware is active there are none.
        self._next(_FIRST_MAX_S)
        while not np.isfinite(self._next(_FIRST_MAX_S).q).all():
            if time.monotonic() - self._new_s > _FIRST_MAX_S:
                break
        if self._odometry is not None:
            self._odometry.await_first()
        for wrench in self._wrenches:
            wrench.await_first()

    def _next(self, silence_s: float) -> State:
        while True:
            try:
                received = self._inbox.take()
            except CdrError as error:
                raise DriverError(self._settings.joint_states, f"can't be read: {error}") from error
            now_s = time.monotonic()
            if received is not None and (state := self._states.state_of(received)) is not None:
                self._new_s = now_s
                return state
            if now_s - self._new_s > silence_s:
                raise DriverError(
                    self._settings.joint_states,
                    f"says nothing new for {silence_s:g} s, over {self._settings.transport} in domain "
                    f"{self._settings.domain}: is joint_state_broadcaster active, and the network the same?",
                )
            if received is None:
                time.sleep(_POLL_S)

    def _sample(self, state: State) -> Sample:
        count = len(self._embodiment.axes)
        q, dq, tau, odometry = np.zeros(count), np.zeros(count), None, None
        q[self._jointed], dq[self._jointed] = state.q, state.dq
        if state.tau is not None:
            tau = np.zeros(count)
            tau[self._jointed] = state.tau
        if self._odometry is not None:
            odometry = self._of_base(self._odometry.newest(), dq)
        wrenches = [_six(fresh.newest()) for fresh in self._wrenches]
        return Sample(
            state.stamp_ns, q, dq, tau=tau, wrench=wrenches or None, odometry=odometry, fault=not self._is_heard()
        )

    def _of_base(self, message: Odometry | None, dq: NDArray[np.float64]) -> tuple[float, float, float]:
        assert message is not None
        twist, pose = message.twist.twist, message.pose.pose
        measured = {"x": twist.linear.x, "y": twist.linear.y, "yaw": twist.angular.z}
        for what, index in self._base.items():
            dq[index] = measured[what]
        turned = pose.orientation
        sine = 2.0 * (turned.w * turned.z + turned.x * turned.y)
        cosine = 1.0 - 2.0 * (turned.y**2 + turned.z**2)
        return pose.position.x, pose.position.y, math.atan2(sine, cosine)

    def _is_heard(self) -> bool:
        now_s = time.monotonic()
        if now_s >= self._listeners_due_s:
            self._listeners_due_s = now_s + _LISTENERS_EVERY_S
            deaf = [controller.topic for controller in self._controllers if not controller.outbox.is_heard()]
            note = f"no controller listens on {', '.join(deaf)}: load it, and activate it" if deaf else ""
            if note and note != self.note:
                print(f"ros2: {note}", file=sys.stderr, flush=True)
            self.note = note
        return not self.note


class _Fresh(Generic[M]):
    """The newest message of a topic, which has to come again and again."""

    def __init__(self, bus: Bus, topic: str, kind: type[M], settings: Ros2Settings) -> None:
        self._topic, self._silence_s = topic, settings.silence_s
        self._inbox = bus.inbox(topic, kind)
        self._message: M | None = None
        self._new_s = time.monotonic()

    def newest(self, silence_s: float | None = None) -> M | None:
        """It.

        Raises:
            DriverError: none has come for too long.
        """
        received, now_s = self._inbox.take(), time.monotonic()
        if received is not None:
            self._message, self._new_s = received.message, now_s
        silence_s = silence_s or self._silence_s
        if now_s - self._new_s > silence_s:
            raise DriverError(self._topic, f"says nothing for {silence_s:g} s: is its publisher running?")
        return self._message

    def await_first(self) -> None:
        while self.newest(_FIRST_MAX_S) is None:
            time.sleep(_POLL_S)


class _Camera:
    """The images of one camera; used by its own thread."""

    def __init__(self, bus: Bus, name: str, topic: str) -> None:
        self._name = name
        self._inbox: Inbox[Image] = bus.inbox(topic, Image)
        self._clock = ForeignClock(f"the clock of {topic}")

    def picture(self, pixels: Pixels) -> int | None:
        received = self._inbox.take()
        if received is None:
            return None
        fill(self._name, received.message, pixels)
        return self._clock.local_ns(received.message.header.stamp.ns, received.arrival_ns)


def _six(message: WrenchStamped | None) -> tuple[float, ...]:
    assert message is not None
    force, moment = message.wrench.force, message.wrench.torque
    return force.x, force.y, force.z, moment.x, moment.y, moment.z
