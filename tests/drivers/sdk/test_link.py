"""What a driver may write, which commands it is given, and what it says beside: on a real port, rings and sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import DriverError, PortError
from edge_runtime.contracts.messages import Observation
from edge_runtime.contracts.topics import HEARTBEAT_DRIVER, OBSERVATION
from edge_runtime.drivers.sdk.cameras import CameraThreads
from edge_runtime.drivers.sdk.link import CommandGate, DriverLink
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import FrameReader, Pixels
from edge_runtime.ipc.port import Command, CommandState, FeedbackFlag
from tests.drivers.sdk.robots import robot_of
from tests.system.conftest import run_dir

__all__ = ["run_dir"]

WATCHDOG_NS = 50_000_000
COMMAND = Command(1000, 1, np.zeros(4), np.zeros(4), CommandState.ACTIVE, 0, 0, 0, 0, 0)


def sample(stamp_ns: int, q: float = 0.0, **more: object) -> Sample:
    return Sample(stamp_ns, [q] * 3 + [0.02], [0.1] * 4, **more)  # type: ignore[arg-type]


@pytest.fixture
def link(tmp_path: Path, run_dir: Path) -> Iterator[DriverLink]:
    with DriverLink(load_config(robot_of(tmp_path, "driver.py")), run_dir, watchdog_ns=WATCHDOG_NS) as link:
        yield link


@pytest.mark.parametrize("state", list(CommandState))
def test_only_states_that_move_are_followed(state: CommandState) -> None:
    assert CommandGate(WATCHDOG_NS).admit(replace(COMMAND, state=state), 1000) == state.follows


@pytest.mark.parametrize(
    ("age_ns", "follows"), [(0, True), (WATCHDOG_NS, True), (WATCHDOG_NS + 1, False), (10**12, False)]
)
def test_a_command_is_good_for_as_long_as_the_watchdog(age_ns: int, follows: bool) -> None:
    assert CommandGate(WATCHDOG_NS).admit(COMMAND, 1000 + age_ns) == follows


def test_a_command_that_is_no_number_is_none() -> None:
    assert not CommandGate(WATCHDOG_NS).admit(replace(COMMAND, q=np.array([0.0, np.nan, 0.0, 0.0])), 1000)


def test_after_a_lapse_nothing_is_followed_until_control_has_let_go() -> None:
    gate = CommandGate(WATCHDOG_NS)
    assert gate.admit(COMMAND, 1000)
    late_ns = 1000 + 2 * WATCHDOG_NS
    assert not gate.admit(COMMAND, late_ns)
    assert (gate.lapsed, gate.lapses) == (True, 1)
    fresh = replace(COMMAND, stamp_ns=late_ns)
    assert not gate.admit(fresh, late_ns), "the arm would jump to where control believes it to be"
    assert not gate.admit(replace(fresh, state=CommandState.SILENT), late_ns)
    assert gate.admit(fresh, late_ns)
    assert (gate.lapsed, gate.lapses) == (False, 1)


def test_a_stale_command_at_the_start_is_no_lapse() -> None:
    gate = CommandGate(WATCHDOG_NS)
    assert not gate.admit(None, 10**12)
    assert not gate.admit(COMMAND, 10**12)
    assert gate.lapses == 0


def test_feedback_says_what_is_measured(link: DriverLink) -> None:
    link.write(sample(link.now_ns()))
    feedback = link.port.read_feedback()
    assert feedback is not None
    assert feedback.flags == FeedbackFlag(0)
    link.write(sample(link.now_ns(), tau=[1.0] * 4, wrench=[2.0] * 6, odometry=[3.0] * 3, stop_line=True, fault=True))
    feedback = link.port.read_feedback()
    assert feedback is not None
    assert feedback.flags == sum(FeedbackFlag)
    assert feedback.tau.tolist() == [1.0] * 4
    assert (feedback.wrenches, feedback.wrench[0].tolist()) == (1, [2.0] * 6)
    assert feedback.odometry.tolist() == [3.0] * 3


def test_a_lapse_is_a_fault_to_control(link: DriverLink) -> None:
    link.gate.lapsed = True
    link.write(sample(link.now_ns()))
    feedback = link.port.read_feedback()
    assert feedback is not None
    assert feedback.flags == FeedbackFlag.DRIVER_FAULT


@pytest.mark.parametrize(
    ("spoilt", "problem"),
    [
        (Sample(1, [0.0] * 2, [0.0] * 4), "q has 2 values, this robot has 4 axes"),
        (Sample(1, [0.0] * 4, [0.0] * 3), "dq has 3 values, this robot has 4 axes"),
        (Sample(1, [0.0] * 4, [0.0] * 4, tau=[0.0]), "tau has 1 values, this robot has 4 axes"),
        (Sample(1, [0.0] * 4, [0.0] * 4, wrench=[0.0]), "wrench has 1 values, expected 3 of force and 3 of moment"),
        (Sample(1, [0.0] * 4, [0.0] * 4, wrench=[None, [0.0] * 5]), "wrench has 5 values"),
        (Sample(1, [0.0] * 4, [0.0] * 4, wrench=[None] * 5), "wrench is of 5 tools, a robot has at most 4"),
        (Sample(1, [0.0] * 4, [0.0] * 4, odometry=[0.0] * 2), "odometry has 2 values, expected x, y and yaw"),
        (Sample(-1, [0.0] * 4, [0.0] * 4), "stamp_ns -1 is not after the last one, -1: measure anew"),
        (Sample(2**62, [0.0] * 4, [0.0] * 4), "ms after now: stamps are of time.monotonic_ns()"),
    ],
)
def test_a_broken_rule_is_named(link: DriverLink, spoilt: Sample, problem: str) -> None:
    with pytest.raises(DriverError) as caught:
        link.write(spoilt)
    assert problem in str(caught.value)
    assert link.port.read_feedback() is None, "nothing of it was published"


def test_the_state_at_an_instant_is_between_two_samples(link: DriverLink) -> None:
    start_ns = link.now_ns() - 500_000_000
    assert link.history.at(start_ns) is None
    link.write(sample(start_ns, 0.0))
    link.write(sample(start_ns + 10_000_000, 1.0))
    between = link.history.at(start_ns + 2_500_000)
    assert between is not None
    assert np.allclose(between.q, [0.25] * 3 + [0.02])
    assert link.history.at(start_ns + 200_000_000) is None, "nobody knows where the robot is by then"
    assert link.history.at(start_ns - 200_000_000) is None


def test_a_driver_may_measure_into_the_same_arrays_again(link: DriverLink) -> None:
    q, start_ns = np.zeros(4), link.now_ns() - 500_000_000
    link.write(Sample(start_ns, q, q))
    q += 1.0
    link.write(Sample(start_ns + 10_000_000, q, q))
    first = link.history.at(start_ns)
    assert first is not None
    assert np.allclose(first.q, 0.0)


def test_one_process_drives_a_robot(tmp_path: Path, run_dir: Path, link: DriverLink) -> None:
    with pytest.raises(PortError, match="another live process has it"):
        DriverLink(load_config(robot_of(tmp_path, "driver.py")), run_dir, watchdog_ns=WATCHDOG_NS)
    link.write(sample(link.now_ns()))


def test_leaving_removes_what_it_made(tmp_path: Path, run_dir: Path) -> None:
    with DriverLink(load_config(robot_of(tmp_path, "driver.py")), run_dir, watchdog_ns=WATCHDOG_NS) as link:
        names = [link.port.name, *(ring.name for ring in link.rings.values())]
        assert all(Path("/dev/shm", name).exists() for name in names)
    assert not any(Path("/dev/shm", name).exists() for name in names)


def test_heartbeats_arrive(link: DriverLink, run_dir: Path) -> None:
    with Subscriber((HEARTBEAT_DRIVER,), run_dir) as subscriber:
        deadline_s = time.monotonic() + 5.0
        heard = []
        while not heard and time.monotonic() < deadline_s:
            if link.telemetry.beat_is_due():
                link.telemetry.beat({"cycles": 3}, {"lateness_max_ms": 0.5}, "well")
            heard = subscriber.receive(0.02)
        (beat, *_) = heard
        assert (beat.process, beat.counters, beat.note) == ("driver", {"cycles": 3}, "well")  # type: ignore[union-attr]


def watched(link: DriverLink, run_dir: Path, picture: object, seconds: float = 1.0) -> list[Observation]:
    cameras = load_config(robot_of(run_dir / "config", "driver.py")).embodiment.cameras
    seen: list[Observation] = []
    with Subscriber((OBSERVATION,), run_dir) as subscriber, CameraThreads(link, cameras, picture) as threads:  # type: ignore[arg-type]
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            link.write(sample(link.now_ns()))
            seen += [message for message in subscriber.receive(0.002) if isinstance(message, Observation)]
            threads.check()
        watched.withheld, watched.missed = link.telemetry.withheld, threads.missed  # type: ignore[attr-defined]
    return seen


def test_a_picture_becomes_an_observation(link: DriverLink, run_dir: Path) -> None:
    def picture(_camera: str, pixels: Pixels) -> int:
        pixels[:] = 7
        return time.monotonic_ns()

    seen = watched(link, run_dir, picture)
    assert len(seen) > 5
    assert [frame.camera for frame in seen[-1].frames] == ["scene"]
    assert seen[-1].frames[0].exposure_ns == seen[-1].exposure_ns
    with FrameReader().view(seen[-1].frames[0]) as pixels:
        assert (pixels == 7).all()


def test_no_picture_and_the_same_picture_again_are_no_observation(link: DriverLink, run_dir: Path) -> None:
    first_ns = time.monotonic_ns()
    answers = iter([None, first_ns, first_ns, None])
    seen = watched(link, run_dir, lambda _camera, _pixels: next(answers, None), 0.6)
    assert len(seen) <= 1
    assert watched.missed >= 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("stamps_ns", "problem"),
    [([10**18], "after now: stamps are of time.monotonic_ns"), ([2000, 1000], "was exposed before the one before it")],
)
def test_an_exposure_of_another_clock_ends_the_driver(
    link: DriverLink, run_dir: Path, stamps_ns: list[int], problem: str
) -> None:
    answers = iter(stamps_ns)
    with pytest.raises(DriverError, match=problem):
        watched(link, run_dir, lambda _camera, _pixels: next(answers, None))


def test_a_picture_of_long_ago_is_no_observation(link: DriverLink, run_dir: Path) -> None:
    start_ns = time.monotonic_ns() - 60_000_000_000
    stamps = iter(range(start_ns, start_ns + 1_000_000_000, 50_000_000))
    assert watched(link, run_dir, lambda _camera, _pixels: next(stamps), 0.5) == []
    assert watched.withheld > 3  # type: ignore[attr-defined]
