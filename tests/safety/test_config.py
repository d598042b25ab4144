"""A config that contradicts itself never reaches the kernel, and the error names the key."""

from __future__ import annotations

import math

import pytest

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety import AxisKind, BaseAxes, EndSpeed
from tests.safety.robot import make_config

BAD: list[tuple[str, object]] = [
    ("axis_names", ("a", "a")),
    ("axis_names", ("a",)),
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
    ("retract", (0.0, 2.6)),
    ("retract", (0.0,)),
    ("retract", (0.0, math.nan)),
    ("axis_kinds", (AxisKind.BOUNDED,)),
    ("axis_kinds", (AxisKind.BOUNDED, 4)),
    ("end_speed_max", (EndSpeed(-1.0, 0.0, 3.0), None)),
    ("end_speed_max", (None, EndSpeed(1.0, -1.0, 3.0))),
    ("end_speed_min", (None, EndSpeed(1.0, 1.0, math.nan))),
    ("end_speed_min", (None,)),
    ("closes_up", (True,)),
    ("base_axes", BaseAxes(x=2)),
    ("base_axes", BaseAxes(yaw=0)),
    ("tick_ns", 1),
    ("tick_ns", 1e6),
    ("rest_speed", (0.0, 1.0)),
    ("reset_tolerance", (1.0, -1.0)),
    ("start_tolerance", (0.0, -1e-9)),
    ("start_tolerance", (0.011, 0.0)),
    ("start_tolerance", (0.0, math.nan)),
    ("feedback_max_age_ns", 0),
    ("setpoint_max_age_ns", -1),
    ("observation_max_age_ns", 0),
    ("future_tolerance_ns", -1),
    ("hold_timeout_ns", 0),
    ("hold_timeout_ns", 2**70),
    ("play_max_ns", -1),
    ("retract_timeout_ns", 0),
    ("frozen_travel", (0.0, 1.0)),
    ("force_max_n", (-1.0,)),
    ("force_max_n", (1.0, math.inf)),
    ("force_max_n", (1.0,) * 5),
    ("moment_max_nm", (0.0,)),
    ("jam_ticks", 0),
    ("jam_ticks", 2.5),
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
    assert key.startswith(caught.value.key) or (key == "axis_names" and caught.value.key == "axis_kinds")


def test_the_joint_is_named() -> None:
    with pytest.raises(ConfigError, match="axis1"):
        make_config(2, dq_max=(1.0, -1.0))


def test_what_acts_only_with_a_posture_or_a_pair_is_checked_there() -> None:
    for scale in (0.0, 1.1):
        with pytest.raises(ConfigError, match="retract_speed_scale"):
            make_config(2, retract=(0.0, 0.0), retract_speed_scale=scale)
    with pytest.raises(ConfigError, match="manipulability"):
        make_config(2, manipulability_slow_below=0.1, manipulability_stop_below=0.1)
    with pytest.raises(ConfigError, match="tool_speed_max_m_s"):
        make_config(2, tool_speed_max_m_s=(0.5, 0.0))


def test_the_kernel_gets_every_value() -> None:
    config = make_config(2, tau_max=(3.0, 4.0), retract=(0.1, 0.2), digest=bytes(range(32)), debounce_ticks=7)
    native = config.to_native()
    assert (native.n_axes, native.retracts, native.debounce_ticks) == (2, 1, 7)
    assert list(native.tau_max[0:3]) == [3.0, 4.0, 0.0]
    assert list(native.retract[0:3]) == [0.1, 0.2, 0.0]
    assert list(native.dddq_max[0:3]) == [1000.0, 1000.0, 0.0]
    assert bytes(native.digest) == bytes(range(32))
    assert native.geometry.n_capsules == 0


def test_no_torque_limit_and_no_posture_unless_given() -> None:
    native = make_config(2).to_native()
    assert not native.retracts
    assert native.tau_max[0] >= 1e6


def test_each_kind_is_held_to_what_it_has() -> None:
    kinds = (AxisKind.CONTINUOUS, AxisKind.VELOCITY, AxisKind.GRIPPER)
    good = make_config(1, *kinds, ddq_max=(10.0, 10.0, 1.0, math.inf), q_min=(-1.0, -1e5, math.nan, 0.0))
    assert good.n_axes == 4
    for changes, key in (
        ({"q_min": (-1.0, -1e5, 0.0, 0.1)}, "q_max"),
        ({"q_min": (-1.0, -2e5, 0.0, 0.0)}, "q_min"),
        ({"tracking_max": (0.2, 3.2, 0.2, 0.2)}, "tracking_max"),
        ({"dq_max": (1.0, 1.0, 1.0, 0.0)}, "dq_max"),
        ({"end_speed_max": (None, EndSpeed(1.0, 0.0, 3.0), None, None)}, "end_speed"),
        ({"end_speed_max": (None, None, None, EndSpeed(1.0, 0.0, 3.0))}, None),
    ):
        if key is None:
            make_config(1, *kinds, **changes)
            continue
        with pytest.raises(ConfigError) as caught:
            make_config(1, *kinds, **changes)
        assert caught.value.key == key


def test_with_odometry_every_axis_of_the_base_is_known() -> None:
    kinds = (AxisKind.VELOCITY, AxisKind.VELOCITY)
    assert make_config(0, *kinds, has_odometry=True, base_axes=BaseAxes(x=1, yaw=0)).has_odometry
    with pytest.raises(ConfigError, match="base_axes"):
        make_config(0, *kinds, has_odometry=True, base_axes=BaseAxes(x=1))
    with pytest.raises(ConfigError, match="base_axes"):
        make_config(0, *kinds, base_axes=BaseAxes(x=1, yaw=1))


def test_too_many_axes_and_none() -> None:
    with pytest.raises(ConfigError, match="at most 32"):
        make_config(33)
    with pytest.raises(ConfigError):
        make_config(0)


def test_what_a_config_leaves_out_has_its_default_for_each_axis() -> None:
    config = make_config(1, AxisKind.GRIPPER)
    assert config.of_axes("start_tolerance") == (0.005, 0.005)
    assert config.of_tools("force_max_n") == (1e6,) * 4
    assert config.frozen_found[1] == math.inf
