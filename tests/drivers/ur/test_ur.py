"""The driver of a UR arm against a controller that misbehaves: ur_rtde here, the real protocol's bytes there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.ur.greeting import greet
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import loopback_address, write_ur
from tests.drivers.cycles import Along, cycle, cycle_to_its_end, cycle_until

pytest.importorskip("rtde_control")
pytestmark = [pytest.mark.realtime, pytest.mark.in_company]

from edge_runtime.drivers.ur.driver import UrDriver  # noqa: E402 - needs what is looked for above

SPEED_RAD_S, STOP_RAD_S2, WATCHDOG_S, SILENCE_S = 1.0, 8.0, 0.5, 1.0


class Ur:
    """A controller, and a driver once it is asked for."""

    def __init__(self, peer: Peer, folder: Path, address: str) -> None:
        self.peer, self.folder, self.address = peer, folder, address
        self.made: list[UrDriver] = []

    def driver(self, more: str = "") -> UrDriver:
        # A machine that is busy with other tests is no reason for the controller to stop.
        settings = f"watchdog_s = {WATCHDOG_S}\nsilence_s = {SILENCE_S}\n{more}"
        driver = UrDriver(load_config(write_ur(self.folder, self.address, settings)))
        self.made.append(driver)
        return driver

    def ready(self) -> UrDriver:
        driver = self.driver()
        cycle_until(driver, lambda sample: not sample.fault)
        return driver

    def q(self) -> np.ndarray:
        return np.array(self.peer.tell("state")["q"])


@pytest.fixture
def ur(tmp_path: Path) -> Iterator[Ur]:
    address = loopback_address()
    with Peer("ur_controller", address) as peer:
        ur = Ur(peer, tmp_path, address)
        yield ur
        for driver in ur.made:
            driver.close()


def swing(ur: Ur, driver: UrDriver, seconds: float = 0.5) -> float:
    """Bring the first joint into motion; where it was last told to be."""
    target = Along(ur.q(), 0, SPEED_RAD_S)
    samples = cycle(driver, seconds, target)
    assert samples[-1].dq[0] > 0.25 * SPEED_RAD_S
    return float(target.last[0])


def test_it_follows_and_brakes_along_its_way(ur: Ur) -> None:
    driver = ur.ready()
    start = ur.q()
    q = swing(ur, driver)
    braked = cycle(driver, 1.0 + WATCHDOG_S)
    way = [float(sample.q[0]) for sample in braked]
    assert way[-1] - q == pytest.approx(SPEED_RAD_S**2 / (2.0 * STOP_RAD_S2), abs=0.01)
    assert max(way) - way[-1] < 0.005, "it went too far, and back"
    assert max(abs(speed) for sample in braked[-50:] for speed in sample.dq) < 1e-3
    np.testing.assert_allclose(ur.q()[1:], start[1:], atol=1e-6)
    assert not braked[-1].fault
    # Held for longer than the controller's watchdog waits, with the servo let go: its program goes on.
    assert ur.peer.tell("state")["program"]


def test_it_follows_again_after_it_has_held(ur: Ur) -> None:
    driver = ur.ready()
    swing(ur, driver)
    cycle(driver, 1.0)
    before = ur.q()[0]
    swing(ur, driver)
    assert ur.q()[0] > before + 0.1


def test_stamps_are_of_the_measurement(ur: Ur) -> None:
    driver = ur.ready()
    ages_s, last_ns = [], -1
    for _ in range(300):
        sample = driver.read()
        driver.hold()
        assert sample.stamp_ns > last_ns
        last_ns = sample.stamp_ns
        ages_s.append((time.monotonic_ns() - sample.stamp_ns) / 1e9)
    assert min(ages_s) >= 0.0
    assert np.median(ages_s) < 0.02
    ur.peer.tell("late", 0.08)
    late = cycle(driver, 0.5)[-1]
    assert 0.06 < (time.monotonic_ns() - late.stamp_ns) / 1e9 < 0.25


def test_force_is_reported_and_torque_is_not(ur: Ur) -> None:
    sample = ur.driver().read()
    np.testing.assert_allclose(sample.wrench, [0.5, -0.3, 1.2, 0.01, 0.02, -0.01])
    assert sample.tau is None


def test_force_can_be_left_out(ur: Ur) -> None:
    assert ur.driver("wrench = false").read().wrench is None


def test_a_protective_stop_is_an_open_stop_line_and_moves_nothing_when_it_is_over(ur: Ur) -> None:
    driver = ur.ready()
    swing(ur, driver)
    ur.peer.tell("protective_stop")
    stopped = cycle(driver, 0.5, Along(ur.q(), 0, SPEED_RAD_S))[-1]
    assert stopped.stop_line
    assert stopped.fault
    assert "protective stop" in driver.note
    where = ur.q()
    ur.peer.tell("unlock")
    again = cycle_until(driver, lambda sample: not sample.fault)
    assert not again.stop_line
    assert driver.note == ""
    np.testing.assert_allclose(ur.q(), where, atol=1e-6)


def test_an_emergency_stop_is_an_open_stop_line(ur: Ur) -> None:
    driver = ur.ready()
    ur.peer.tell("emergency_stop")
    stopped = cycle(driver, 0.3)[-1]
    assert stopped.stop_line
    assert stopped.fault
    assert "emergency stop" in driver.note
    ur.peer.tell("unlock")
    cycle_until(driver, lambda sample: not (sample.fault or sample.stop_line))


def test_a_program_that_a_person_stopped_is_a_fault_until_ours_runs_again(ur: Ur) -> None:
    driver = ur.ready()
    swing(ur, driver)
    ur.peer.tell("stop_program")
    assert cycle(driver, 0.4)[-1].fault
    where = ur.q()
    cycle_until(driver, lambda sample: not sample.fault)
    assert ur.peer.tell("state")["starts"] == 2
    np.testing.assert_allclose(ur.q(), where, atol=1e-6)


def test_a_persons_program_is_let_run(ur: Ur) -> None:
    ur.peer.tell("other_program")
    driver = ur.driver()
    assert cycle(driver, 1.5)[-1].fault
    assert "another program runs" in driver.note
    assert ur.peer.tell("state")["starts"] == 0
    ur.peer.tell("stop_program")
    cycle_until(driver, lambda sample: not sample.fault)


def test_local_control_is_a_fault_with_its_remedy(ur: Ur) -> None:
    ur.peer.tell("local")
    driver = ur.driver()
    assert cycle_until(driver, lambda _: "remote control" in driver.note).fault


@pytest.mark.parametrize("fault", ["freeze", "silent 9"])
def test_a_controller_that_says_nothing_new_ends_the_driver(ur: Ur, fault: str) -> None:
    driver = ur.ready()
    swing(ur, driver)
    ur.peer.tell(*fault.split())
    start_s = time.monotonic()
    with pytest.raises(DriverError, match="no new package for 1 s"):
        cycle(driver, 5.0, Along(ur.q(), 0, SPEED_RAD_S))
    assert time.monotonic() - start_s < 3.0 * SILENCE_S
    # Its own watchdog: whatever had hold of it is gone.
    time.sleep(2.0 * WATCHDOG_S)
    state = ur.peer.tell("state")
    assert not state["program"]
    assert state["still_ns"] is not None


@pytest.mark.parametrize("fault", ["gone", "power_cycle"])
def test_a_lost_connection_ends_the_driver_and_no_old_target_is_sent_again(ur: Ur, fault: str) -> None:
    driver = ur.ready()
    swing(ur, driver)
    target = Along(ur.q(), 0, SPEED_RAD_S)
    ur.peer.tell(fault)
    assert "is lost" in str(cycle_to_its_end(driver, target=target))
    where = ur.q()
    starts = ur.peer.tell("unlock")["starts"]
    time.sleep(2.0)
    np.testing.assert_allclose(ur.q(), where, atol=0.05 if fault == "gone" else 1e-6)
    assert ur.peer.tell("state")["starts"] == starts, "ur_rtde came back by itself"


def test_after_a_power_cycle_a_new_driver_finds_the_arm_where_it_is_and_leaves_it_there(ur: Ur) -> None:
    driver = ur.ready()
    swing(ur, driver)
    ur.peer.tell("power_cycle")
    cycle_to_its_end(driver)
    again = ur.driver()
    cycle_until(again, lambda sample: sample.fault)
    assert "power off" in again.note
    where = ur.q()
    ur.peer.tell("unlock")
    sample = cycle_until(again, lambda sample: not sample.fault)
    np.testing.assert_allclose(sample.q, where, atol=1e-6)


def test_what_is_no_number_or_leaps_is_passed_on_for_the_kernel_to_see(ur: Ur) -> None:
    driver = ur.ready()
    before = cycle(driver, 0.1)[-1]
    ur.peer.tell("jump", 0.3)
    np.testing.assert_allclose(np.subtract(cycle(driver, 0.1)[-1].q, before.q), 0.3, atol=1e-6)
    ur.peer.tell("nan")
    assert np.isnan(cycle(driver, 0.1)[-1].q).all()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_its_hand_the_controllers_watchdog_stops_the_arm(ur: Ur, number: signal.Signals) -> None:
    driver = ur.ready()
    swing(ur, driver)
    assert driver._hand is not None
    os.kill(driver._hand._process.pid, number)
    samples = cycle(driver, 0.9, Along(ur.q(), 0, SPEED_RAD_S))
    assert samples[-1].fault
    assert "no hand on the arm" in driver.note
    assert np.max(np.abs(samples[-1].dq)) < 1e-3
    cycle_until(driver, lambda sample: not sample.fault)


def test_its_end_leaves_the_arm_at_rest_and_no_program(ur: Ur) -> None:
    driver = ur.ready()
    swing(ur, driver)
    driver.hold()
    driver.close()
    state = ur.peer.tell("state")
    assert not state["program"]
    assert state["still_ns"] is not None


def test_a_controller_of_the_wrong_version_is_refused(ur: Ur) -> None:
    ur.peer.tell("refuse_version")
    with pytest.raises(DriverError, match="refuses RTDE protocol 2"):
        ur.driver()


def test_no_controller_is_said_with_the_address() -> None:
    with pytest.raises(DriverError, match=r"at 127\.99\.99\.99 can't be reached on port 30004 \(Connection refused\)"):
        greet("127.99.99.99")


def test_a_controller_that_does_not_answer_is_not_waited_for(ur: Ur) -> None:
    os.kill(ur.peer.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DriverError, match=r"does not answer on port 30004 within 0\.3 s"):
            greet(ur.address, 0.3)
    finally:
        os.kill(ur.peer.process.pid, signal.SIGCONT)


def test_the_controller_says_which_one_it_is(ur: Ur) -> None:
    controller = greet(ur.address)
    assert controller.version == (5, 12, 0, 0)
    assert controller.rate_hz == 500.0
    assert not controller.is_cb3
