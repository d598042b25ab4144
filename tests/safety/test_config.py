"""A config that contradicts itself never reaches the kernel, and the error names the key."""

from __future__ import annotations

import math

import pytest

from contracts.embodiment import joint_order_digest
from contracts.errors import ConfigError
from tests.safety.robot import make_config

BAD: list[tuple[str, object]] = [
    ("joint_names", ("a", "a")),
    ("joint_names", ("a",)),
    ("q_min_rad", (math.nan, -1.0)),
    ("q_min_rad", (-1e4, -1.0)),
    ("q_min_rad", (-1.0,)),
    ("q_max_rad", (2.0, -3.0)),
    ("q_max_rad", (2.0, math.inf)),
    ("dq_max_rad_s", (0.0, 1.0)),
    ("dq_max_rad_s", (1.0, -1.0)),
    ("ddq_max_rad_s2", (1.0, 0.0)),
    ("ddq_max_rad_s2", (1.0, math.nan)),
    ("tracking_max_rad", (0.0, 1.0)),
    ("gripper_min_m", math.nan),
    ("gripper_rate_m_s", 0.0),
    ("tick_ns", 1),
    ("tick_ns", 1e6),
    ("rest_speed_rad_s", 0.0),
    ("reset_tolerance_rad", -1.0),
    ("feedback_max_age_ns", 0),
    ("setpoint_max_age_ns", -1),
    ("observation_max_age_ns", 0),
    ("future_tolerance_ns", -1),
    ("hold_timeout_ns", 0),
    ("hold_timeout_ns", 2**70),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_the_key_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(2, **{key: value})
    assert caught.value.key == key or (key == "joint_names" and caught.value.key == "q_min_rad")


def test_the_joint_is_named() -> None:
    with pytest.raises(ConfigError, match="joint1"):
        make_config(2, dq_max_rad_s=(1.0, -1.0))


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
