"""Tests that every driver passes: inherit the class, name the robot's settings, and run pytest.

    class TestMyArm(DriverConformance):
        config = Path(__file__).parent / "robot.toml"

It starts the driver as `edge-runtime run` does and takes the place of control. It **moves the robot**: every joint and
the gripper, by `travel_rad` and `travel_m` at most, at a quarter of the speed that the robot's safety file allows. With
real hardware, stand by the emergency stop.
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

from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.ipc.port import CommandState, DriverPort, Feedback, FeedbackFlag, PortRole
from edge_runtime.native import ffi, lib
from edge_runtime.testing.driven_robot import DrivenRobot, Motion

_STALE_S = 0.4
_MOVES_RAD = 0.002
"""What a robot that holds may show: noise of its encoders, and a motor that settles."""

_STOPS_WITHIN_S = 1.0
_FLAT_RATE = 0.5
"""Of the rate that is declared: less is another rate, not jitter."""


class DriverConformance:
    """What control relies on, one test for each rule. Set `config`; the rest is for robots that need other values.

    Attributes:
        config: path of the robot's robot.toml.
        travel_rad: how far every joint is moved.
        travel_m: how far the gripper is moved; 0 for a robot without one.
        track_rad: how far a joint at rest may be from where it was told to be.
    """

    config: ClassVar[Path]
    travel_rad: ClassVar[float] = 0.05
    travel_m: ClassVar[float] = 0.01
    track_rad: ClassVar[float] = 0.015

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

    def test_its_joints_are_the_embodiments_in_that_order(self, robot: DrivenRobot) -> None:
        """The port's digest is that of the names, in order."""
        assert robot.port.n_joints == len(robot.config.embodiment.joints)
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
        """Radians, metres and newton metres, of a robot at rest inside its limits, with no fault and no open stop."""
        feedback, embodiment = robot.wait_rest(), robot.config.embodiment
        assert np.isfinite([*feedback.q, *feedback.dq, *feedback.tau, feedback.gripper_m]).all()
        tolerance_rad = robot.config.safety.start_tolerance_rad
        for joint, q, tau in zip(embodiment.joints, feedback.q, feedback.tau, strict=True):
            low_rad, high_rad = joint.position_min_rad - tolerance_rad, joint.position_max_rad + tolerance_rad
            found = f"{joint.name} is measured at {q:.4g} rad, its range is {low_rad:.4g} to {high_rad:.4g} rad"
            assert low_rad <= q <= high_rad, f"{found}: degrees?"
            assert abs(tau) <= joint.torque_max_nm, f"{joint.name}: {tau:.4g} Nm are above its rating"
        widest_m = embodiment.gripper.opening_max_m + robot.config.safety.start_tolerance_m
        assert -robot.config.safety.start_tolerance_m <= feedback.gripper_m <= widest_m, (
            f"the gripper is {feedback.gripper_m:.4g} m open, at most {widest_m:.4g} m: metres between the fingers?"
        )
        assert not feedback.flags & FeedbackFlag.STOP_LINE, "its stop line is open"
        assert not feedback.flags & FeedbackFlag.DRIVER_FAULT, f"it reports a fault:\n{robot.last_words()}"

    def test_what_is_measured_once_is_measured_always(self, robot: DrivenRobot) -> None:
        """A limit on torque or force would be gone with the sensor."""
        measured = FeedbackFlag.HAS_TORQUE | FeedbackFlag.HAS_WRENCH
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
            for _ in range(200):
                write(CommandState.READY, _away(robot, before, 0), time.monotonic_ns())
                time.sleep(0.001)
            after = robot.feedback()
        _require_still(robot, before, after, "a command in state READY was followed")

    def test_each_joint_moves_as_it_is_told(self, robot: DrivenRobot) -> None:
        """The joint of that name, that far, in that direction, and no other; velocity in the same unit and sign."""
        names = robot.config.embodiment.joint_names
        problems: list[str] = []
        for joint, name in enumerate(names):
            ended = ""
            try:
                self._motion_of(robot, joint)
            except AssertionError as error:
                ended = f"{name}: {error}"
            if joint in robot.motions:
                # What was found before says more than where it ended.
                problems += self._problems_of(robot, joint)
            if ended:
                problems.append(ended)
                break
        assert not problems, "\n".join(problems)

    def _problems_of(self, robot: DrivenRobot, joint: int) -> list[str]:
        """What is wrong with the way in which one joint moved."""
        names, problems = robot.config.embodiment.joint_names, []
        motion = robot.motions[joint]
        wanted_rad, travel_rad = motion.told_rad - motion.before.q, motion.travel_rad
        for other in np.flatnonzero(np.abs(travel_rad - wanted_rad) > self.track_rad):
            told = f"{names[joint]} was commanded to move by {wanted_rad[joint]:+.3f} rad"
            problems.append(f"{told}: {names[other]} moved by {travel_rad[other]:+.3f} rad")
        integral_rad = motion.integral_rad[joint]
        if abs(integral_rad - travel_rad[joint]) > max(self.track_rad, 0.4 * abs(travel_rad[joint])):
            moved = f"{names[joint]} moved by {travel_rad[joint]:+.3f} rad"
            problems.append(f"{moved}, and its velocities add up to {integral_rad:+.3f} rad: another unit or sign?")
        return problems

    def test_an_observation_tells_where_the_robot_was_at_its_exposure(self, robot: DrivenRobot) -> None:
        """In motion: what the policy sees and where it believes the arm to be are of one instant."""
        motion = self._motion_of(robot, 0)
        stamps_ns = [sample.stamp_ns for sample in motion.samples]
        path_rad = [sample.q[0] for sample in motion.samples]
        inside = [seen for seen in motion.observations if stamps_ns[0] <= seen.exposure_ns <= stamps_ns[-1]]
        assert inside, "no observation while it moved"
        for seen in inside:
            where_rad = float(np.interp(seen.exposure_ns, stamps_ns, path_rad))
            assert abs(seen.position_rad[0] - where_rad) <= self.track_rad, (
                f"an observation says {seen.position_rad[0]:.3f} rad, feedback of that instant {where_rad:.3f} rad"
            )

    def test_the_gripper_opens_and_closes_as_it_is_told(self, robot: DrivenRobot) -> None:
        """Metres between the fingers; more is more open."""
        if self.travel_m == 0.0:
            pytest.skip("this robot has no gripper")
        start = robot.wait_rest()
        widest_m = robot.config.safety.gripper_opening_max_m
        step_m = self.travel_m if start.gripper_m + self.travel_m <= widest_m else -self.travel_m
        motion = robot.move(start.q, start.gripper_m + step_m)
        moved_m = motion.after.gripper_m - start.gripper_m
        robot.move(start.q, start.gripper_m)
        found = f"its command was {step_m * 1e3:+.1f} mm, and it moved {moved_m * 1e3:+.1f} mm"
        assert abs(moved_m - step_m) <= 0.4 * abs(step_m), found

    # ---- when control is gone ----------------------------------------------------------------------------------------

    def test_a_stale_command_is_not_followed(self, robot: DrivenRobot) -> None:
        """The watchdog, by the command's stamp: what was said longer ago than that counts no more, whatever it says."""
        before = robot.wait_rest()
        with _commands(robot) as write:
            old_ns = time.monotonic_ns() - 2 * robot.port.watchdog_ns
            end_s = time.monotonic() + _STALE_S
            while time.monotonic() < end_s:
                write(CommandState.ACTIVE, _away(robot, before, 0), old_ns)
                time.sleep(0.001)
            after = robot.feedback()
            write(CommandState.SILENT, before.q, time.monotonic_ns())
        _require_still(robot, before, after, "a command older than the watchdog was followed")

    def test_it_stops_by_itself_when_control_is_killed_in_motion(self, robot: DrivenRobot) -> None:
        """The last thing that stops a robot, without any command."""
        start = robot.wait_rest()
        module = "edge_runtime.testing.moving_control"
        travel_rad = self._room(robot, start, 0)
        arguments = [str(robot.config.path), robot.port.name, "0", str(4.0 * travel_rad)]
        with subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE) as control:
            assert control.stdout is not None
            said = control.stdout.readline()
            time.sleep(0.8)
            control.kill()
            control.wait()
        killed = robot.feedback()
        assert said == b"moving\n", "control did not start to move it"
        assert np.max(np.abs(killed.q - start.q)) > _MOVES_RAD, "it was not in motion when control was killed"
        time.sleep(robot.port.watchdog_ns / 1e9 + _STOPS_WITHIN_S)
        rested = robot.feedback()
        time.sleep(0.3)
        _require_still(robot, rested, robot.feedback(), f"it moves {_STOPS_WITHIN_S:g} s after its watchdog was over")
        assert np.max(np.abs(robot.feedback().dq)) <= robot.limits.rest_speed_rad_s
        # A control that comes up finds a robot that it can arm, and takes it back.
        robot.move(start.q)

    def test_there_is_one_driver(self, robot: DrivenRobot) -> None:
        """A second one for the same robot ends with one line, and the first goes on."""
        second = robot.start_driver()
        assert second.wait(30.0) != 0, "two drivers at once"
        before = robot.feedback().seq
        time.sleep(0.3)
        assert robot.feedback().seq > before, "the second driver has ended the first"

    def test_it_ends_when_it_is_told_to_and_leaves_nothing(self) -> None:
        """SIGTERM, as a run and systemd send it."""
        with DrivenRobot(self.config) as robot:
            robot.wait_rest()
            assert robot.shared_memory()
            code = robot.stop_driver()
            assert code == 0, f"exit code {code}:\n{robot.last_words()}"
            assert robot.shared_memory() == [], "shared memory is left behind"

    def _motion_of(self, robot: DrivenRobot, joint: int) -> Motion:
        """How the robot moved when this joint was told to go out and back; it goes once, for all tests."""
        if joint not in robot.motions:
            start = robot.wait_rest()
            target_rad = start.q.copy()
            target_rad[joint] += self._room(robot, start, joint)
            robot.motions[joint] = robot.move(target_rad)
            robot.move(start.q)
        return robot.motions[joint]

    def _room(self, robot: DrivenRobot, start: Feedback, joint: int) -> float:
        """By how much to move a joint, towards the farther end of its range."""
        low_rad, high_rad = robot.limits.q_min[joint], robot.limits.q_max[joint]
        up_rad, down_rad = high_rad - float(start.q[joint]), float(start.q[joint]) - low_rad
        return min(self.travel_rad, up_rad / 8.0) if up_rad >= down_rad else -min(self.travel_rad, down_rad / 8.0)


class _Writer:
    """Writes commands into the port, as a control would that has gone wrong. For tests alone."""

    def __init__(self, port: DriverPort) -> None:
        self._port = port
        self._command = ffi.new("dp_command *")

    def __call__(self, state: CommandState, q: NDArray[np.float64], stamp_ns: int) -> None:
        command = self._command
        command.stamp_ns, command.state, command.n = stamp_ns, int(state), len(q)
        for joint, value in enumerate(q):
            command.q[joint] = float(value)
        feedback = self._port.read_feedback()
        command.gripper_m = 0.0 if feedback is None else feedback.gripper_m
        lib.port_write_command(self._port.native, command)


@contextlib.contextmanager
def _commands(robot: DrivenRobot) -> Iterator[_Writer]:
    with DriverPort.attach(robot.port.name) as port:
        port.claim(PortRole.CONTROL)
        yield _Writer(port)


def _away(robot: DrivenRobot, start: Feedback, joint: int) -> NDArray[np.float64]:
    """A posture some way off, in which a robot that followed it would be seen to be."""
    q: NDArray[np.float64] = start.q.copy()
    low_rad, high_rad = robot.limits.q_min[joint], robot.limits.q_max[joint]
    q[joint] += 0.02 if high_rad - q[joint] >= q[joint] - low_rad else -0.02
    return q


def _require_still(robot: DrivenRobot, before: Feedback, after: Feedback, problem: str) -> None:
    moved_rad = np.abs(after.q - before.q)
    worst = int(np.argmax(moved_rad))
    name = robot.config.embodiment.joint_names[worst]
    assert moved_rad[worst] <= _MOVES_RAD, f"{problem}: {name} moved by {moved_rad[worst]:.4f} rad"
