"""What the driver of a UR arm is made of, without a controller."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.registry import declaration_of, driver_names
from edge_runtime.drivers.ur.messages import ORDER_BYTES, Order, Verb
from edge_runtime.drivers.ur.settings import UrSettings, require_settings, require_ur
from edge_runtime.drivers.ur.status import RobotMode, Safety, status_of
from edge_runtime.testing.other_robots import OTHER_ROBOTS, revolute
from edge_runtime.testing.peers.robots import ur5e, write_ur


def test_it_is_found_by_its_name(tmp_path: Path) -> None:
    config = load_config(write_ur(tmp_path, "192.0.2.1"))
    declared = declaration_of(config)
    assert "ur" in driver_names()
    assert declared.watchdog_ns == 100_000_000
    declared.require_fit(config.embodiment)
    declared.require_settings(config)


@pytest.mark.parametrize(
    ("bits", "stop_line", "fault", "words"),
    [
        (Safety.NORMAL, False, False, ""),
        (Safety.NORMAL | Safety.REDUCED, False, False, ""),
        (Safety.PROTECTIVE_STOPPED | Safety.STOPPED_FOR_SAFETY, True, False, "protective stop"),
        (Safety.SAFEGUARD_STOPPED, True, False, "safeguard stop"),
        (Safety.EMERGENCY_STOPPED, True, False, "emergency stop is pressed"),
        (Safety.ROBOT_EMERGENCY_STOPPED, True, False, "emergency stop is pressed"),
        (Safety.SYSTEM_EMERGENCY_STOPPED, True, False, "emergency stop is pressed"),
        (Safety.STOPPED_FOR_SAFETY, True, False, "stopped for safety"),
        (Safety.VIOLATION, False, True, "safety violation"),
        (Safety.FAULT, False, True, "safety fault"),
        (Safety.RECOVERY, False, True, "recovery mode"),
    ],
)
def test_each_safety_bit_means_something(bits: Safety, stop_line: bool, fault: bool, words: str) -> None:
    status = status_of(RobotMode.RUNNING, bits)
    assert (status.stop_line, status.fault) == (stop_line, fault)
    assert words in status.words
    assert bool(status.words) == bool(words)


@pytest.mark.parametrize("mode", [mode for mode in RobotMode if mode is not RobotMode.RUNNING] + [42])
def test_an_arm_that_is_not_running_follows_nothing(mode: int) -> None:
    status = status_of(mode, Safety.NORMAL)
    assert status.fault
    assert "is not running" in status.words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('host = ""', "host must be the address"),
        ('host = "a"\nrate_hz = 1000.0', "rate_hz must lie between 50 and 500"),
        ('host = "a"\nlookahead_s = 0.5', "lookahead_s must lie between 0.03 and 0.2"),
        ('host = "a"\ngain = 50.0', "gain must lie between 100 and 2000"),
        ('host = "a"\nstop_rad_s2 = nan', "stop_rad_s2 must lie between 1 and 40"),
        ('host = "a"\nspeed = 1.0', "unknown key"),
        ("gain = 300.0", "host"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, settings: str, words: str) -> None:
    path = write_ur(tmp_path, "192.0.2.1")
    path.write_text(path.read_text().partition("[driver]")[0] + f"[driver]\n{settings}\n")
    with pytest.raises(ConfigError, match=words) as caught:
        require_settings(load_config(path))
    assert caught.value.key.startswith("driver")


def test_defaults_are_those_of_the_guide() -> None:
    settings = msgspec.convert({"host": "a"}, UrSettings)
    assert (settings.lookahead_s, settings.gain, settings.stop_rad_s2, settings.wrench) == (0.05, 300.0, 8.0, None)


@pytest.mark.parametrize("name", ["two_arms_6", "jaw_arm", "gantry", "continuous_arm", "hand_16"])
def test_another_robot_does_not_fit(name: str) -> None:
    with pytest.raises(ConfigError, match="six revolute joints and nothing else"):
        require_ur(OTHER_ROBOTS[name])


def test_six_joints_of_other_names_fit_and_ur_names_in_another_order_do_not() -> None:
    require_ur(OTHER_ROBOTS["bare_arm"])
    arm = ur5e().groups[0]
    turned = msgspec.structs.replace(ur5e(), groups=(msgspec.structs.replace(arm, axes=arm.axes[::-1]),))
    with pytest.raises(ConfigError, match="the controller's order is shoulder_pan_joint"):
        require_ur(turned)
    five = msgspec.structs.replace(ur5e(), groups=(msgspec.structs.replace(arm, axes=(revolute("a"),)),))
    with pytest.raises(ConfigError, match="found: a"):
        require_ur(five)


def test_an_order_travels_as_it_is() -> None:
    order = Order(Verb.FOLLOW, 123, np.arange(6.0), -np.arange(6.0))
    assert len(order.packed()) == ORDER_BYTES
    there = Order.of(order.packed())
    assert (there.verb, there.stamp_ns) == (Verb.FOLLOW, 123)
    np.testing.assert_array_equal(there.q, order.q)
    np.testing.assert_array_equal(there.dq, order.dq)
