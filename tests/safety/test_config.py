"""A config that contradicts itself never reaches the kernel, and the error names the key."""

from __future__ import annotations

import math

import pytest

from edge_runtime.contracts.embodiment import joint_order_digest
from edge_runtime.contracts.errors import ConfigError
from tests.safety.robot import make_config

BAD: list[tuple[str, object]] = [
    ("joint_names", ("a", "a")),
    ("joint_names", ("a",)),
    ("q_min", (math.nan, -1.0)),
    ("q_min", (-1e4, -1.0)),
    ("q_min", (-1.0,)),
    ("q_max", (2.0, -3.0)),
    ("q_max", (2.0, math.inf)),
    ("dq_max", (0.0, 1.0)),
    ("dq_max", (1.0, -1.0)),
    ("ddq_max", (1.0, 0.0)),
    ("ddq_max", (1.0, math.nan)),
    ("ddq_max", (0.01, 1.0)),
    ("dddq_max", (1.0, 0.0)),
    ("dddq_max", (1000.0,)),
    ("dddq_max", (1000.0, math.inf)),
    ("tracking_max", (0.0, 1.0)),
    ("tau_max", (0.0, 1.0)),
    ("tau_max", (1.0,)),
    ("step_max", (0.1, -0.1)),
    ("step_max", ()),
    ("retract_rad", (0.0, 2.6)),
    ("retract_rad", (0.0,)),
    ("retract_rad", (0.0, math.nan)),
    ("gripper_min_m", math.nan),
    ("gripper_rate_m_s", 0.0),
    ("tick_ns", 1),
    ("tick_ns", 1e6),
    ("rest_speed_rad_s", 0.0),
    ("reset_tolerance_rad", -1.0),
    ("start_tolerance_rad", -1e-9),
    ("start_tolerance_rad", 0.011),
    ("start_tolerance_rad", math.nan),
    ("start_tolerance_m", -1e-9),
    ("start_tolerance_m", 0.011),
    ("feedback_max_age_ns", 0),
    ("setpoint_max_age_ns", -1),
    ("observation_max_age_ns", 0),
    ("future_tolerance_ns", -1),
    ("hold_timeout_ns", 0),
    ("hold_timeout_ns", 2**70),
    ("play_max_ns", -1),
    ("retract_timeout_ns", 0),
    ("frozen_travel_rad", 0.0),
    ("force_max_n", -1.0),
    ("force_max_n", math.inf),
    ("moment_max_nm", 0.0),
    ("debounce_ticks", 0),
    ("debounce_ticks", 1.5),
    ("debounce_ticks", -1),
    ("debounce_ticks", 10_001),
    ("clearance_min_m", -0.1),
    ("clearance_min_m", 1.5),
    ("manipulability_slow_below", math.nan),
    ("digest", b""),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_the_key_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(2, **{key: value})
    assert caught.value.key == key or (key == "joint_names" and caught.value.key == "q_min")


def test_the_joint_is_named() -> None:
    with pytest.raises(ConfigError, match="joint1"):
        make_config(2, dq_max=(1.0, -1.0))


def test_what_acts_only_with_a_posture_or_a_pair_is_checked_there() -> None:
    for scale in (0.0, 1.1):
        with pytest.raises(ConfigError, match="retract_speed_scale"):
            make_config(2, retract_rad=(0.0, 0.0), retract_speed_scale=scale)
    with pytest.raises(ConfigError, match="manipulability"):
        make_config(2, manipulability_slow_below=0.1, manipulability_stop_below=0.1)
    with pytest.raises(ConfigError, match="tool_speed_max_m_s"):
        make_config(2, tool_speed_max_m_s=0.0)


def test_the_kernel_gets_every_value() -> None:
    config = make_config(2, tau_max=(3.0, 4.0), retract_rad=(0.1, 0.2), digest=bytes(range(32)), debounce_ticks=7)
    native = config.to_native()
    assert (native.n_joints, native.retracts, native.debounce_ticks) == (2, 1, 7)
    assert list(native.tau_max[0:3]) == [3.0, 4.0, 0.0]
    assert list(native.retract_rad[0:3]) == [0.1, 0.2, 0.0]
    assert list(native.dddq_max[0:3]) == [1000.0, 1000.0, 0.0]
    assert bytes(native.digest) == bytes(range(32))
    assert native.geometry.n_joints == 0


def test_no_torque_limit_and_no_posture_unless_given() -> None:
    native = make_config(2).to_native()
    assert not native.retracts
    assert native.tau_max[0] >= 1e6


def test_a_gripper_range_upside_down_and_too_many_joints() -> None:
    with pytest.raises(ConfigError, match="gripper_range_m"):
        make_config(2, gripper_min_m=0.1)
    with pytest.raises(ConfigError, match="at most 16"):
        make_config(17)
    with pytest.raises(ConfigError):
        make_config(0)


def test_the_digest_is_the_contracts_digest() -> None:
    config = make_config(3)
    assert config.joint_digest == joint_order_digest(config.joint_names)
