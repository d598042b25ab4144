"""A driver in a process of its own, and this process in the place of control: what the conformance tests stand on.

Motion goes through the real loop and its kernel, inside the robot's own limits and slowed to a quarter of its speed.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.axes import AnyAxis
from edge_runtime.contracts.messages import Heartbeat, Message, Observation
from edge_runtime.contracts.topics import HEARTBEAT_DRIVER, OBSERVATION
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.plan import Plan
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import ring_name
from edge_runtime.ipc.port import DriverPort, Feedback
from edge_runtime.processes import port_name
from edge_runtime.safety import Reason, Result, State

SPEED_SCALE = 0.25
_KNOT_NS = 20_000_000
_POLL_S = 0.0005
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_DISTURBANCES = 5
_TORN_S = 0.5


@dataclass(frozen=True)
class Motion:
    """What a robot did while it was told to move. Of a base's axis "where" is how far it has gone since it began.

    Attributes:
        axes: of the robot.
        told: (axes,) where it was told to go.
        before, after: at rest, before and after.
        samples: in between, oldest first.
        observations: in between, oldest first.
    """

    axes: tuple[AnyAxis, ...]
    told: NDArray[np.float64]
    before: Feedback
    after: Feedback
    samples: list[Feedback]
    observations: list[Observation]

    @property
    def wanted(self) -> NDArray[np.float64]:
        """(axes,) by how much each was told to move."""
        drives = [axis.is_velocity for axis in self.axes]
        return np.where(drives, self.told, way(self.axes, self.before.q, self.told))

    @property
    def travel(self) -> NDArray[np.float64]:
        """(axes,) how far each axis went."""
        drives = [axis.is_velocity for axis in self.axes]
        return np.where(drives, self.integral, way(self.axes, self.before.q, self.after.q))

    @property
    def furthest(self) -> NDArray[np.float64]:
        """(axes,) how far each axis was from where it began when it was farthest."""
        ways = np.array([way(self.axes, self.before.q, sample.q) for sample in (*self.samples, self.after)])
        far = ways[np.argmax(np.abs(ways), axis=0), np.arange(ways.shape[1])]
        return np.where([axis.is_velocity for axis in self.axes], self.integral, far)

    @property
    def integral(self) -> NDArray[np.float64]:
        """(axes,) how far each axis went by the measured velocities."""
        if len(self.samples) < 2:
            return np.zeros(len(self.axes))
        stamps_s = np.array([sample.stamp_ns for sample in self.samples]) / 1e9
        speeds = np.array([sample.dq for sample in self.samples])
        return np.asarray(np.sum((speeds[1:] + speeds[:-1]) / 2.0 * np.diff(stamps_s)[:, None], axis=0))


def way(axes: Sequence[AnyAxis], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """(axes,) from one posture to another: of a joint without ends on the shorter way, of a base's axis nothing."""
    distance = np.asarray(end, dtype=np.float64) - start
    shorter = np.remainder(distance + np.pi, 2.0 * np.pi) - np.pi
    distance = np.where([not axis.has_range for axis in axes], shorter, distance)
    return np.where([axis.is_velocity for axis in axes], 0.0, distance)


@dataclass(frozen=True)
class Watched:
    """What came from a driver that was told nothing, each with when it was seen, in monotonic ns; oldest first.

    Attributes:
        seconds: for how long it was watched.
        samples: of its port, each new one once.
        messages: what it said on the bus.
    """

    seconds: float
    samples: list[tuple[int, Feedback]]
    messages: list[tuple[int, Message]]

    @property
    def observations(self) -> list[tuple[int, Observation]]:
        """Those of the messages that are observations."""
        return [(at_ns, message) for at_ns, message in self.messages if isinstance(message, Observation)]

    @property
    def heartbeats(self) -> list[Heartbeat]:
        """Those of the messages that are heartbeats."""
        return [message for _, message in self.messages if isinstance(message, Heartbeat)]


class DrivenRobot:
    """One driver, started as `edge-runtime run` starts it. A context manager.

    Args:
        config: path of robot.toml.

    Attributes:
        motions: by axis, how the robot moved when that axis went out and back, from the test that let it.

    Raises:
        AssertionError: the driver did not come up; with its last words.
    """

    def __init__(self, config: Path) -> None:
        self.config: RobotConfig = load_config(config)
        self.axes = self.config.embodiment.axes
        self.limits = kernel_config(self.config.safety, self.config.embodiment)
        self._stack = contextlib.ExitStack()
        # Short, because the names of Unix sockets are.
        self.run_dir = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-")))
        self._log = self.run_dir / "driver.log"
        self.motions: dict[int, Motion] = {}

    def __enter__(self) -> DrivenRobot:
        with contextlib.ExitStack() as stack:
            stack.push(self)
            self.process = self.start_driver()
            self._subscriber = self._stack.enter_context(Subscriber((OBSERVATION, HEARTBEAT_DRIVER), self.run_dir))
            self.port = self._attach()
            self._stack.callback(lambda: self.port.close())
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for name in self.shared_memory():
            Path("/dev/shm", name).unlink(missing_ok=True)
        self._stack.close()

    def start_driver(self) -> subprocess.Popen[bytes]:
        """Start the driver once more; its output goes to the same log."""
        command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(self.config.path)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--run-dir", str(self.run_dir)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def start_again(self) -> None:
        """Start a driver in the place of one that has ended."""
        self.port.close()
        self.process = self.start_driver()
        self.port = self._attach()

    def _attach(self) -> DriverPort:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            assert self.process.poll() is None, f"the driver ended at once:\n{self.last_words()}"
            assert time.monotonic() < deadline_s, f"no feedback within {_START_TIMEOUT_S:g} s:\n{self.last_words()}"
            with contextlib.suppress(Exception):
                port = DriverPort.attach(port_name(self.run_dir))
                if port.read_feedback() is not None:
                    return port
                port.close()
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of the driver's log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def shared_memory(self) -> list[str]:
        """What the driver has in /dev/shm at this moment."""
        cameras = self.config.embodiment.cameras
        names = [port_name(self.run_dir), *(ring_name(self.run_dir, camera.name) for camera in cameras)]
        return [name for name in names if Path("/dev/shm", name).exists()]

    def feedback(self) -> Feedback:
        """The newest sample."""
        assert self.process.poll() is None, f"the driver has ended:\n{self.last_words()}"
        deadline_s = time.monotonic() + _TORN_S
        # On a busy machine a driver may be put aside in the midst of writing one.
        while (feedback := self.port.read_feedback()) is None:
            assert time.monotonic() < deadline_s, f"the driver's feedback is gone:\n{self.last_words()}"
            time.sleep(_POLL_S)
        return feedback

    @functools.cached_property
    def at_rest(self) -> Watched:
        """What comes while nobody tells it anything: two seconds, or six observations of a slower camera.

        It is watched once, when a test first asks.
        """
        self._forget()
        return self._watch(self._seconds)

    @property
    def _seconds(self) -> float:
        cameras = self.config.embodiment.cameras
        return max(2.0, 6.0 / min((camera.rate_hz for camera in cameras), default=OBSERVATION.rate_hz))

    def _forget(self) -> None:
        """Drop what the bus has kept since somebody last listened."""
        while self._subscriber.receive(0.0):
            pass

    def _watch(self, seconds: float) -> Watched:
        samples: list[tuple[int, Feedback]] = []
        messages: list[tuple[int, Message]] = []
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            feedback, now_ns = self.feedback(), time.monotonic_ns()
            if not samples or feedback.seq != samples[-1][1].seq:
                samples.append((now_ns, feedback))
            messages += [(time.monotonic_ns(), message) for message in self._subscriber.receive(0.0)]
            time.sleep(_POLL_S)
        return Watched(seconds, samples, messages)

    def next_observation(self) -> Observation:
        """The first one that comes from now on.

        Raises:
            AssertionError: none came.
        """
        self._forget()
        message = self._subscriber.wait_for(Observation, self._seconds)
        assert isinstance(message, Observation), f"no observation comes\n{self.last_words()}"
        return message

    def wait_rest(self, timeout_s: float = 5.0) -> Feedback:
        """The first sample of a robot that is at rest."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            before = self.feedback()
            time.sleep(0.05)
            after = self.feedback()
            still = all(
                axis.is_gripper or abs(speed) <= limit
                for axis, speed, limit in zip(self.axes, after.dq, self.limits.of_axes("rest_speed"), strict=True)
            )
            if still and np.max(np.abs(way(self.axes, before.q, after.q))) < 1e-3:
                return after
            assert time.monotonic() < deadline_s, f"not at rest after {timeout_s:g} s: {after.dq} a second"

    @contextlib.contextmanager
    def armed(self) -> Iterator[ControlLoop]:
        """Control's loop, armed for this robot where it stands; leaves it at rest and disarmed."""
        with DriverPort.attach(self.port.name) as port:
            loop = ControlLoop(port, self.limits)
            # A test that fails keeps all that it has seen alive, and the next one needs the role.
            with contextlib.ExitStack() as stack:
                stack.callback(loop.release)
                stack.enter_context(loop)
                loop.tighten(speed_scale=SPEED_SCALE)
                ready(loop)
                answer = loop.arm()
                assert answer is Result.DONE, f"it can't be armed: {answer.name.lower()}"
                yield loop

    def posture(self, feedback: Feedback) -> NDArray[np.float64]:
        """(axes,) where the robot is, as `move` takes it: it goes there, and its base stays."""
        return np.where([axis.is_velocity for axis in self.axes], 0.0, feedback.q)

    def move(self, q: Sequence[float] | NDArray[np.float64]) -> Motion:
        """Go to a posture through the kernel, and look on. What this machine's own delays cut short is begun anew.

        Args:
            q: (axes,) where to; of a base's axis by how much, m or rad.
        """
        target = np.asarray(q, dtype=np.float64)
        for _ in range(_DISTURBANCES):
            motion, faults = self._move_once(target)
            if not faults:
                return motion
            words = ", ".join(str(reason.name).lower() for reason in Reason if reason & faults)
            told, went = self._named(motion.wanted), self._named(motion.furthest)
            found = f"the kernel stopped the robot: {words}; commanded to move by {told}, it moved by {went}"
            assert faults & Reason.CLOCK_GAP, f"{found}\n{self.last_words()}"
        raise AssertionError("this machine keeps time too badly to move a robot: see `edge-runtime check`")

    def _named(self, values: NDArray[np.float64]) -> str:
        moved = [
            f"{axis.name} {value:+.3f} {unit_of_way(axis)}"
            for axis, value in zip(self.axes, values, strict=True)
            if abs(value) > 1e-3
        ]
        return ", ".join(moved) or "nothing"

    def _move_once(self, q: NDArray[np.float64]) -> tuple[Motion, Reason]:
        before = self.wait_rest()
        samples: list[Feedback] = []
        observations: list[Observation] = []
        with self.armed() as loop:
            plan = self.plan(before, q)
            loop.set_plan(plan)
            end_ns = int(plan.t_ns[-1])
            self._forget()
            while time.monotonic_ns() < end_ns and not loop.counters().faults:
                watched = self._watch(0.02)
                samples += [feedback for _, feedback in watched.samples]
                observations += [message for _, message in watched.observations]
            faults = loop.counters().faults
        unique = {sample.seq: sample for sample in samples}
        in_order = [unique[seq] for seq in sorted(unique)]
        return Motion(self.axes, q, before, self.wait_rest(), in_order, observations), faults

    def plan(self, before: Feedback, q: NDArray[np.float64]) -> Plan:
        """From rest to rest, smoothly and slow enough for the limits, then a moment of standing still."""
        drives = np.array([axis.is_velocity for axis in self.axes])
        distance = np.where(drives, q, way(self.axes, before.q, q))
        share_of_limit = np.where([axis.is_gripper for axis in self.axes], 0.5, SPEED_SCALE / 2.0)
        fastest = np.asarray(self.limits.dq_max) * share_of_limit
        seconds = max(0.8, float(np.max(1.875 * np.abs(distance) / fastest)))
        # Begun a little later, so that the loop has the plan when it begins, and stood still for a while at the end.
        start_ns = time.monotonic_ns() + 50_000_000
        count = int(seconds * 1e9 / _KNOT_NS) + 1
        share = np.linspace(0.0, 1.0, count)
        smooth = np.concatenate([share**3 * (10.0 - 15.0 * share + 6.0 * share**2), np.ones(25)])
        speed = np.concatenate([30.0 * (share * (1.0 - share)) ** 2 / seconds, np.zeros(25)])
        # The longest plan has a hundred knots.
        step = max(1, -(-len(smooth) // 90))
        kept = np.arange(0, len(smooth), step)
        return Plan(
            seq=1,
            chunk_seq=1,
            observation_ns=start_ns,
            t_ns=start_ns + kept.astype(np.int64) * _KNOT_NS,
            q=np.where(drives, speed[kept, None] * distance, before.q + smooth[kept, None] * distance),
        )

    def stop_driver(self) -> int:
        """End the driver as a run does; its exit code.

        Raises:
            AssertionError: it goes on.
        """
        self.process.terminate()
        try:
            return self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver goes on {_STOP_TIMEOUT_S:g} s after SIGTERM") from None


def unit_of_way(axis: AnyAxis) -> str:
    """In what its ways are told: of a base's axis those that it drives."""
    return axis.unit.removesuffix("/s")


def ready(loop: ControlLoop) -> None:
    """Return once the loop could be armed; a fault from before its time is reset, as a person would.

    Raises:
        AssertionError: it did not get there.
    """
    wait_for(loop, State.READY, State.FAULT)
    if loop.counters().state is State.FAULT:
        # The driver lets go of what happened before once it has seen that control does not drive it.
        deadline_s = time.monotonic() + 2.0
        while loop.reset() is not Result.DONE and time.monotonic() < deadline_s:
            time.sleep(0.02)
    wait_for(loop, State.READY)


def wait_for(loop: ControlLoop, *states: State, timeout_s: float = 5.0) -> None:
    """Return once the loop is in one of these states.

    Raises:
        AssertionError: it did not get there.
    """
    deadline_s = time.monotonic() + timeout_s
    while (counters := loop.counters()).state not in states:
        reasons = ", ".join(str(reason.name).lower() for reason in Reason if reason & counters.reasons)
        found = f"control is {counters.state.name.lower()}, expected {states[0].name.lower()}: {reasons}"
        assert time.monotonic() < deadline_s, found
        time.sleep(0.002)
