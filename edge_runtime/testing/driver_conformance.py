"""Tests that every driver passes: inherit the class, name the robot's settings, and run pytest.

    class TestMyArm(DriverConformance):
        config = Path(__file__).parent / "robot.toml"

It starts the driver as `edge-runtime run` does and takes the place of control. It **moves the robot**: every axis, or
those named in `moves`, by a few degrees or millimetres (`travel_rad`, `travel_m`; a base by `drive_rad`, `drive_m`), at
a quarter of the speed that the robot's safety file allows. With real hardware, stand by the emergency stop.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.contracts.axes import AnyAxis, BinaryGripper
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.ipc.port import CommandState, DriverPort, Feedback, FeedbackFlag, PortRole
from edge_runtime.native import ffi, lib
from edge_runtime.testing.driven_robot import DrivenRobot, Motion, unit_of_way, way

_STALE_S = 0.4
_MOVES_RAD, _MOVES_M, _DRIVES = 0.002, 0.001, 0.01
"""What a robot that holds may show: noise of its encoders, and a motor that settles; of a base its speed."""

_OTHER_UNIT = {"rad": "degrees", "m": "millimetres", "of open": "percent"}

_STOPS_WITHIN_S = 1.0
_FLAT_RATE = 0.5
"""Of the rate that is declared: less is another rate, not jitter."""


class DriverConformance:
    """What control relies on, one test for each rule. Set `config`; the rest is for robots that need other values.

    Attributes:
        config: path of the robot's robot.toml.
        moves: names of the axes that are moved; None: all of them.
        travel_rad, travel_m: how far each of them is moved that turns, or that slides. A gripper that is open or closed
            alone is changed over.
        drive_rad, drive_m: how far a base is turned, and driven.
        track_rad, track_m: how far an axis at rest may be from where it was told to be.
    """

    config: ClassVar[Path]
    travel_rad: ClassVar[float] = 0.05
    travel_m: ClassVar[float] = 0.01
    track_rad: ClassVar[float] = 0.015
    track_m: ClassVar[float] = 0.003
    drive_rad: ClassVar[float] = 0.1
    drive_m: ClassVar[float] = 0.05
    moves: ClassVar[tuple[str, ...] | None] = None

    @pytest.fixture(scope="class")
    @classmethod
    def robot(cls) -> Iterator[DrivenRobot]:
        """The robot with its driver, started once for all tests that leave it as it was."""
        with DrivenRobot(cls.config) as robot:
            yield robot

    # ---- before it moves ---------------------------------------------------------------------------------------------

    def test_it_declares_the_watchdog_that_its_port_has(self, robot: DrivenRobot) -> None:
        """No robot is armed whose driver would not stop it within a second of control's end."""
        declared = declaration_of(robot.config)
        declared.require_fit(robot.config.embodiment)
        assert 0 < robot.port.watchdog_ns <= 1_000_000_000, f"a watchdog of {robot.port.watchdog_ns / 1e9:g} s"
        assert declared.watchdog_ns == robot.port.watchdog_ns, "the declaration says another watchdog than the port"

    def test_its_axes_are_the_embodiments_in_that_order(self, robot: DrivenRobot) -> None:
        """The port's digest is that of the names, in order."""
        assert robot.port.n_axes == len(robot.axes)
        assert robot.port.joint_digest == robot.config.embodiment.joint_digest

    def test_feedback_keeps_its_rate(self, robot: DrivenRobot) -> None:
        """Older than `feedback_timeout_s` of the safety file stops the robot: a fifth of it should be usual."""
        timeout_s = robot.config.safety.feedback_timeout_s
        seen = robot.at_rest.samples
        (first_ns, first), (last_ns, last) = seen[0], seen[-1]
        rate_hz = (last.seq - first.seq) / ((last_ns - first_ns) / 1e9)
        assert rate_hz >= 5.0 / timeout_s, f"{rate_hz:.0f} samples a second, for a timeout of {timeout_s:g} s"
        ages_s = [(now_ns - feedback.stamp_ns) / 1e9 for now_ns, feedback in seen]
        p95_s = float(np.percentile(ages_s, 95))
        assert p95_s <= timeout_s / 2.0, f"samples are {p95_s * 1e3:.0f} ms old when they come: stamp what is measured"

    def test_stamps_are_of_the_monotonic_clock_and_rise(self, robot: DrivenRobot) -> None:
        """One sample, one instant, later than the one before."""
        seen = robot.at_rest.samples
        assert len(seen) > 2, "no new samples come"
        for now_ns, feedback in seen:
            assert feedback.stamp_ns <= now_ns, f"stamped {(feedback.stamp_ns - now_ns) / 1e6:.1f} ms after now"
        for (_, before), (_, after) in pairwise(seen):
            assert after.stamp_ns > before.stamp_ns, f"sample {after.seq} is not stamped after sample {before.seq}"

    def test_values_are_in_their_units_and_ranges(self, robot: DrivenRobot) -> None:
        """Radians, metres, N and Nm, of a robot at rest inside its limits, with no fault and no open stop."""
        feedback = robot.wait_rest()
        assert np.isfinite([*feedback.q, *feedback.dq, *feedback.tau]).all()
        for i, axis in enumerate(robot.axes):
            q, tau, tolerance = float(feedback.q[i]), float(feedback.tau[i]), robot.limits.of_axes("start_tolerance")[i]
            if axis.has_range and not axis.is_velocity:
                low, high, unit = axis.low - tolerance, axis.high + tolerance, axis.unit
                found = f"{axis.name} is measured at {q:.4g} {unit}, its range is {low:.4g} to {high:.4g} {unit}"
                asked = "metres between the fingers" if axis.is_gripper and axis.unit == "m" else _OTHER_UNIT[axis.unit]
                assert low <= q <= high, f"{found}: {asked}?"
            if axis.effort_max is not None:
                assert abs(tau) <= axis.effort_max, f"{axis.name}: {tau:.4g} {axis.effort_unit} are above its rating"
        assert not feedback.flags & FeedbackFlag.STOP_LINE, "its stop line is open"
        assert not feedback.flags & FeedbackFlag.DRIVER_FAULT, f"it reports a fault:\n{robot.last_words()}"

    def test_what_is_measured_once_is_measured_always(self, robot: DrivenRobot) -> None:
        """A limit on torque or force would be gone with the sensor."""
        measured = FeedbackFlag.HAS_TORQUE | FeedbackFlag.HAS_WRENCH | FeedbackFlag.HAS_ODOMETRY
        kinds = {feedback.flags & measured for _, feedback in robot.at_rest.samples}
        assert len(kinds) == 1, f"flags change from sample to sample: {kinds}"

    def test_it_gives_signs_of_life(self, robot: DrivenRobot) -> None:
        """Ten heartbeats a second, by its name."""
        beats, seconds = robot.at_rest.heartbeats, robot.at_rest.seconds
        assert len(beats) >= 10.0 * seconds * _FLAT_RATE, f"{len(beats)} heartbeats in {seconds:g} s"
        assert {beat.process for beat in beats} == {"driver"}

    def test_observations_keep_their_rate_and_hold_a_picture_of_each_camera(self, robot: DrivenRobot) -> None:
        """Without them no policy acts, whatever else works."""
        cameras = robot.config.embodiment.cameras
        rate_hz = min((camera.rate_hz for camera in cameras), default=OBSERVATION.rate_hz)
        seen, seconds = robot.at_rest.observations, robot.at_rest.seconds
        found = f"{len(seen)} observations in {seconds:g} s, for {rate_hz:g} Hz\n{robot.last_words()}"
        assert len(seen) >= _FLAT_RATE * rate_hz * seconds, found
        sizes = {camera.name: (camera.width_px, camera.height_px) for camera in cameras}
        for at_ns, observation in seen:
            assert observation.joint_digest == robot.config.embodiment.joint_digest
            age_s = (at_ns - observation.exposure_ns) / 1e9
            assert 0.0 <= age_s <= OBSERVATION.max_age_s, f"exposed {age_s * 1e3:.0f} ms before it came"
            assert {frame.camera: (frame.width_px, frame.height_px) for frame in observation.frames} == sizes
        for (_, before), (_, after) in pairwise(seen):
            assert after.sequence > before.sequence
            assert after.exposure_ns > before.exposure_ns, "two observations of one exposure"

    def test_pictures_can_be_read_and_are_filled(self, robot: DrivenRobot) -> None:
        """A picture that nothing was drawn into is all zeros."""
        reader = FrameReader()
        if not robot.config.embodiment.cameras:
            pytest.skip("this robot has no cameras")
        for frame in robot.next_observation().frames:
            with reader.view(frame) as pixels:
                assert pixels.any(), f"the picture of {frame.camera} is black: is it filled in place, pixels[:] = ...?"

    # ---- in motion ---------------------------------------------------------------------------------------------------

    def test_it_stays_where_it_is_while_control_only_looks_on(self, robot: DrivenRobot) -> None:
        """READY repeats the measurement: a driver that follows it would drift, or sag."""
        before = robot.wait_rest()
        with _commands(robot) as write:
            away = self._away(robot, before)
            for _ in range(200):
                write(CommandState.READY, away, time.monotonic_ns())
                time.sleep(0.001)
            after = robot.feedback()
        _require_still(robot, before, after, "a command in state READY was followed")

    def test_each_joint_moves_as_it_is_told(self, robot: DrivenRobot) -> None:
        """The axis of that name, that far, in that direction, and no other; velocity in the same unit and sign."""
        problems: list[str] = []
        for i in self._moved(robot, grippers=False):
            ended = ""
            try:
                self._motion_of(robot, i)
            except AssertionError as error:
                ended = f"{robot.axes[i].name}: {error}"
            if i in robot.motions:
                # What was found before says more than where it ended.
                problems += self._problems_of(robot, i)
            if ended:
                problems.append(ended)
                break
        assert not problems, "\n".join(problems)

    def _problems_of(self, robot: DrivenRobot, i: int) -> list[str]:
        """What is wrong with the way in which one axis moved."""
        axes, problems = robot.axes, []
        motion, unit = robot.motions[i], unit_of_way(robot.axes[i])
        wanted, travel = motion.wanted, motion.travel
        track = np.array([self._track(axis) for axis in axes])
        for other in np.flatnonzero(np.abs(travel - wanted) > track):
            told = f"{axes[i].name} was commanded to move by {wanted[i]:+.3f} {unit}"
            problems.append(f"{told}: {axes[other].name} moved by {travel[other]:+.3f} {unit_of_way(axes[other])}")
        integral = motion.integral[i]
        if abs(integral - travel[i]) > max(track[i], 0.4 * abs(travel[i])):
            moved = f"{axes[i].name} moved by {travel[i]:+.3f} {unit}"
            problems.append(f"{moved}, and its velocities add up to {integral:+.3f} {unit}: another unit or sign?")
        return problems

    def _track(self, axis: AnyAxis) -> float:
        """How far from where it was told to be this axis may be after a move."""
        if axis.is_gripper:
            return np.inf
        if axis.is_velocity:
            return 0.3 * (self.drive_m if axis.unit == "m/s" else self.drive_rad)
        return self.track_m if axis.unit == "m" else self.track_rad

    def test_an_observation_tells_where_the_robot_was_at_its_exposure(self, robot: DrivenRobot) -> None:
        """In motion: what the policy sees and where it believes the robot to be are of one instant."""
        i = self._moved(robot, grippers=False)[0]
        axis, motion = robot.axes[i], self._motion_of(robot, i)
        stamps_ns = [sample.stamp_ns for sample in motion.samples]
        path = np.unwrap([sample.q[i] for sample in motion.samples]) if not axis.has_range else None
        if path is None:
            path = np.array([sample.dq[i] if axis.is_velocity else sample.q[i] for sample in motion.samples])
        inside = [seen for seen in motion.observations if stamps_ns[0] <= seen.exposure_ns <= stamps_ns[-1]]
        assert inside, "no observation while it moved"
        allowed = self._track(axis) if not axis.is_velocity else 0.3 * float(np.max(np.abs(path)))
        for seen in inside:
            where = float(np.interp(seen.exposure_ns, stamps_ns, path))
            apart = seen.position[i] - where
            apart = float(np.remainder(apart + np.pi, 2.0 * np.pi) - np.pi) if not axis.has_range else apart
            assert abs(apart) <= allowed, (
                f"an observation says {seen.position[i]:.3f} {axis.unit}, feedback of that instant {where:.3f}"
            )

    def test_each_gripper_opens_and_closes_as_it_is_told(self, robot: DrivenRobot) -> None:
        """Metres between the fingers, or the angle of a jaw; in the direction that the embodiment says."""
        grippers = [i for i in self._moved(robot) if robot.axes[i].is_gripper]
        if not grippers:
            pytest.skip("this robot has no gripper, or none is to be moved")
        for i in grippers:
            axis, start = robot.axes[i], robot.wait_rest()
            target = robot.posture(start)
            step = self._room(robot, start, i)
            target[i] += step
            moved = robot.move(target).after.q[i] - start.q[i]
            robot.move(robot.posture(start))
            told = f"{axis.name} was commanded to move by {step * 1e3:+.1f} m{axis.unit}"
            assert abs(moved - step) <= 0.4 * abs(step), f"{told}, and it moved by {moved * 1e3:+.1f} m{axis.unit}"

    # ---- when control is gone ----------------------------------------------------------------------------------------

    def test_a_stale_command_is_not_followed(self, robot: DrivenRobot) -> None:
        """The watchdog, by the command's stamp: what was said longer ago than that counts no more, whatever it says."""
        before = robot.wait_rest()
        with _commands(robot) as write:
            away, old_ns = self._away(robot, before), time.monotonic_ns() - 2 * robot.port.watchdog_ns
            end_s = time.monotonic() + _STALE_S
            while time.monotonic() < end_s:
                write(CommandState.ACTIVE, away, old_ns)
                time.sleep(0.001)
            after = robot.feedback()
            write(CommandState.SILENT, (before.q, np.zeros(len(before.q))), time.monotonic_ns())
        _require_still(robot, before, after, "a command older than the watchdog was followed")

    def test_it_stops_by_itself_when_control_is_killed_in_motion(self, robot: DrivenRobot) -> None:
        """The last thing that stops a robot, without any command."""
        start, i = robot.wait_rest(), self._moved(robot, grippers=False)[0]
        module = "edge_runtime.testing.moving_control"
        travel = 4.0 * self._room(robot, start, i)
        arguments = [str(robot.config.path), robot.port.name, str(i), str(travel)]
        with subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE) as control:
            assert control.stdout is not None
            said = control.stdout.readline()
            time.sleep(0.8)
            driving = robot.feedback()
            control.kill()
            control.wait()
        killed = robot.feedback()
        assert said == b"moving\n", "control did not start to move it"
        went = driving.dq[i] if robot.axes[i].is_velocity else way(robot.axes, start.q, killed.q)[i]
        assert abs(went) > _still(robot.axes[i]), "it was not in motion when control was killed"
        time.sleep(robot.port.watchdog_ns / 1e9 + _STOPS_WITHIN_S)
        rested = robot.feedback()
        time.sleep(0.3)
        _require_still(robot, rested, robot.feedback(), f"it moves {_STOPS_WITHIN_S:g} s after its watchdog was over")
        robot.wait_rest()
        # A control that comes up finds a robot that it can arm, and takes it back.
        robot.move(robot.posture(start))

    def test_there_is_one_driver(self, robot: DrivenRobot) -> None:
        """A second one for the same robot ends with one line, and the first goes on."""
        second = robot.start_driver()
        assert second.wait(30.0) != 0, "two drivers at once"
        before = robot.feedback().seq
        time.sleep(0.3)
        assert robot.feedback().seq > before, "the second driver has ended the first"

    def test_it_ends_when_it_is_told_to_leaves_nothing_and_comes_back(self, robot: DrivenRobot) -> None:
        """SIGTERM, as a run and systemd send it; the next driver finds the robot as it was left."""
        before = robot.wait_rest()
        assert robot.shared_memory()
        code = robot.stop_driver()
        assert code == 0, f"exit code {code}:\n{robot.last_words()}"
        assert robot.shared_memory() == [], "shared memory is left behind"
        robot.start_again()
        _require_still(robot, before, robot.wait_rest(), "it was let go of between two drivers")

    def _moved(self, robot: DrivenRobot, *, grippers: bool = True) -> list[int]:
        """The axes that are to be moved.

        Raises:
            AssertionError: `moves` names one that the robot has not, or no joint and no base.
        """
        names = robot.config.embodiment.axis_names
        unknown = set(self.moves or ()) - set(names)
        assert not unknown, f"moves: this robot has no axis {', '.join(sorted(unknown))}; it has {', '.join(names)}"
        chosen = [i for i, name in enumerate(names) if self.moves is None or name in self.moves]
        chosen = [i for i in chosen if grippers or not robot.axes[i].is_gripper]
        assert chosen or grippers, "moves: name a joint, or an axis of the base"
        return chosen

    def _motion_of(self, robot: DrivenRobot, i: int) -> Motion:
        """How the robot moved when this axis was told to go out and back; it goes once, for all tests."""
        if i not in robot.motions:
            start = robot.wait_rest()
            home, room = robot.posture(start), self._room(robot, start, i)
            out, back = home.copy(), home.copy()
            out[i] += room
            if robot.axes[i].is_velocity:
                back[i] -= room
            robot.motions[i] = robot.move(out)
            robot.move(back)
        return robot.motions[i]

    def _room(self, robot: DrivenRobot, start: Feedback, i: int) -> float:
        """By how much to move an axis, towards the farther end of its range."""
        axis = robot.axes[i]
        if axis.is_velocity:
            return self.drive_m if axis.unit == "m/s" else self.drive_rad
        travel = self.travel_m if axis.unit == "m" else self.travel_rad
        if not axis.has_range:
            return travel
        up, down = robot.limits.q_max[i] - float(start.q[i]), float(start.q[i]) - robot.limits.q_min[i]
        if isinstance(axis, BinaryGripper):
            return 1.0 if up >= down else -1.0
        part = 1.0 if axis.is_gripper else 8.0
        return min(travel, up / part) if up >= down else -min(travel, down / part)

    def _away(self, robot: DrivenRobot, start: Feedback) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where to be, and how fast to drive, so that a robot that followed it would be seen to."""
        i = self._moved(robot, grippers=False)[0]
        q, dq = start.q.copy(), np.zeros(len(start.q))
        if robot.axes[i].is_velocity:
            dq[i] = 0.2 * robot.limits.dq_max[i]
        else:
            far = 0.02 if robot.axes[i].unit == "rad" else 0.005
            q[i] += far if self._room(robot, start, i) > 0.0 else -far
        return q, dq


class _Writer:
    """Writes commands into the port, as a control would that has gone wrong. For tests alone."""

    def __init__(self, port: DriverPort) -> None:
        self._port = port
        self._command = ffi.new("dp_command *")

    def __call__(
        self, state: CommandState, motion: tuple[NDArray[np.float64], NDArray[np.float64]], stamp_ns: int
    ) -> None:
        command, (q, dq) = self._command, motion
        command.stamp_ns, command.state, command.n = stamp_ns, int(state), len(q)
        command.q[0 : len(q)] = q.tolist()
        command.dq[0 : len(q)] = dq.tolist()
        lib.port_write_command(self._port.native, command)


@contextlib.contextmanager
def _commands(robot: DrivenRobot) -> Iterator[_Writer]:
    with DriverPort.attach(robot.port.name) as port:
        port.claim(PortRole.CONTROL)
        yield _Writer(port)


def _still(axis: AnyAxis) -> float:
    """What an axis that holds may show: in its unit, of a base's axis the velocity."""
    if axis.is_gripper:
        return np.inf
    return {"rad": _MOVES_RAD, "m": _MOVES_M}.get(axis.unit, _DRIVES)


def _require_still(robot: DrivenRobot, before: Feedback, after: Feedback, problem: str) -> None:
    drives = [axis.is_velocity for axis in robot.axes]
    moved = np.abs(np.where(drives, after.dq, way(robot.axes, before.q, after.q)))
    worst = int(np.argmax(moved / np.array([_still(axis) for axis in robot.axes])))
    axis = robot.axes[worst]
    assert moved[worst] <= _still(axis), f"{problem}: {axis.name} moved by {moved[worst]:.4f} {axis.unit}"
