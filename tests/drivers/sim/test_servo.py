"""The driver's own watchdog: who is followed, and how the arm comes to rest without anybody."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.drivers.sim.servo import Mode, Servo
from edge_runtime.ipc.port import Command, CommandState

MS = 1_000_000
LIMIT_RAD_S2 = np.array([6.0, 3.0])


def command(stamp_ns: int, state: CommandState, q: float = 0.5, dq: float = 0.0) -> Command:
    return Command(stamp_ns, 1, np.array([q, q, 0.03]), np.array([dq, dq, 0.0]), state, 0, 0, 0, 0, 0)


@pytest.fixture
def servo() -> Servo:
    return Servo(LIMIT_RAD_S2, watchdog_ns=20 * MS)


def test_only_fresh_commands_of_an_armed_control_take_the_brakes_off(servo: Servo) -> None:
    for state in (CommandState.SILENT, CommandState.READY, CommandState.FAULT):
        assert servo.update(command(100 * MS, state), 100 * MS) is Mode.BRAKED
    assert servo.update(None, 100 * MS) is Mode.BRAKED
    assert servo.update(command(100 * MS, CommandState.ACTIVE), 121 * MS) is Mode.BRAKED
    assert servo.update(command(100 * MS, CommandState.ACTIVE), 120 * MS) is Mode.FOLLOWING
    assert np.array_equal(servo.target_rad(0.001), [0.5, 0.5])
    assert servo.gripper_m == 0.03


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_command_that_is_not_finite_is_none(servo: Servo, bad: float) -> None:
    assert servo.update(command(0, CommandState.ACTIVE, q=bad), 0) is Mode.BRAKED


def test_without_commands_it_ramps_down_inside_its_limits_then_waits_to_be_let_go(servo: Servo) -> None:
    servo.update(command(0, CommandState.ACTIVE, dq=0.3), 0)
    last, last_speed = servo.target_rad(0.001), np.full(2, 0.3)
    now_ns = 20 * MS
    for _ in range(110):
        now_ns += MS
        servo.update(command(0, CommandState.ACTIVE, dq=0.3), now_ns)
        target = servo.target_rad(0.001)
        speed = (target - last) / 0.001
        if servo.moves:
            assert servo.faulted
            assert np.all(np.abs(speed - last_speed) <= LIMIT_RAD_S2 * 0.001 + 1e-9)
        last, last_speed = target, speed
    assert servo.mode is Mode.LATCHED
    assert last == pytest.approx(0.5 + 0.3**2 / (2 * LIMIT_RAD_S2), abs=0.001)
    assert servo.watchdog_stops == 1

    fresh = command(now_ns, CommandState.ACTIVE)
    assert servo.update(fresh, now_ns) is Mode.LATCHED
    assert servo.update(command(now_ns, CommandState.READY), now_ns) is Mode.BRAKED
    assert not servo.faulted
    assert servo.update(fresh, now_ns) is Mode.FOLLOWING


def test_a_control_that_lets_go_at_speed_is_no_fault_but_the_arm_still_ramps(servo: Servo) -> None:
    servo.update(command(0, CommandState.STOPPING, dq=0.006), 0)
    assert servo.update(command(MS, CommandState.READY), MS) is Mode.RUNNING_DOWN
    assert not servo.faulted
    for _ in range(3):
        servo.target_rad(0.001)
        servo.update(command(MS, CommandState.READY), 2 * MS)
    assert servo.mode is Mode.BRAKED
    assert servo.watchdog_stops == 0
