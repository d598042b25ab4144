"""Joint states in all the ways in which they can be wrong, one error for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_runtime.contracts.errors import DriverError
from edge_runtime.drivers.ros2.bus import Received
from edge_runtime.drivers.ros2.joint_states import JointStates
from edge_runtime.drivers.ros2.messages import Header, JointState, Time
from edge_runtime.drivers.ros2.settings import AxisSection

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


def reader(**options: Any) -> JointStates:
    sections = {"gripper": AxisSection(joint="finger", ratio=2.0, offset=0.01)}
    return JointStates("/joint_states", ["a", "b", "gripper"], sections, **options)


def heard(
    at_ms: float,
    names: tuple[str, ...] = ("b", "other", "finger", "a"),
    position: tuple[float, ...] = (2.0, 9.0, 0.02, 1.0),
    velocity: tuple[float, ...] = (0.2, 0.9, 0.1, 0.1),
    effort: tuple[float, ...] = (),
    publisher: bytes = b"1",
    stamp_ms: float | None = None,
) -> Received[JointState]:
    stamp = Time.of_ns(START_NS + round((at_ms if stamp_ms is None else stamp_ms) * MS))
    values = (np.array(each, dtype=float) for each in (position, velocity, effort))
    return Received(JointState(Header(stamp), names, *values), round(at_ms * MS) + 10**12, publisher)


def test_joints_are_found_by_name_in_any_order_and_counted_in_units_of_the_axes() -> None:
    state = reader().state_of(heard(0.0))
    assert state is not None
    np.testing.assert_allclose(state.q, [1.0, 2.0, 0.05])
    np.testing.assert_allclose(state.dq, [0.1, 0.2, 0.2])
    assert state.tau is None


def test_names_may_come_in_another_order_from_message_to_message() -> None:
    states = reader()
    states.state_of(heard(0.0))
    again = states.state_of(heard(10.0, ("a", "b", "finger"), (1.0, 2.0, 0.02), (0.1, 0.2, 0.1)))
    assert again is not None
    np.testing.assert_allclose(again.q, [1.0, 2.0, 0.05])


@pytest.mark.parametrize("velocity", [(), (np.nan,) * 4])
def test_a_velocity_that_is_missing_is_the_change_of_the_position(velocity: tuple[float, ...]) -> None:
    states = reader()
    first = states.state_of(heard(0.0, velocity=velocity))
    assert first is not None
    np.testing.assert_array_equal(first.dq, 0.0)
    second = states.state_of(heard(20.0, position=(2.02, 9.0, 0.021, 1.0), velocity=velocity))
    assert second is not None
    np.testing.assert_allclose(second.dq, [0.0, 1.0, 0.1])


def test_one_velocity_that_is_no_number_leaves_the_others() -> None:
    states = reader()
    states.state_of(heard(0.0))
    state = states.state_of(heard(20.0, position=(2.0, 9.0, 0.02, 1.01), velocity=(0.2, 0.9, 0.1, np.nan)))
    assert state is not None
    np.testing.assert_allclose(state.dq, [0.5, 0.2, 0.2])


def test_effort_is_reported_where_it_is_wanted_and_then_always() -> None:
    states = reader(has_effort=True)
    state = states.state_of(heard(0.0, effort=(4.0, 0.0, 6.0, 3.0)))
    assert state is not None
    np.testing.assert_allclose(state.tau, [3.0, 4.0, 3.0])
    with pytest.raises(DriverError, match="0 values of effort for 4 joints"):
        states.state_of(heard(10.0))


def test_a_message_of_other_joints_alone_is_passed_over() -> None:
    states = reader()
    states.state_of(heard(0.0))
    assert states.state_of(heard(1.0, ("c",), (0.0,), (), publisher=b"2")) is None
    assert states.state_of(heard(10.0)) is not None


def test_a_stamp_that_is_repeated_is_nothing_new() -> None:
    states = reader()
    states.state_of(heard(0.0))
    assert states.state_of(heard(10.0, stamp_ms=0.0)) is None


def test_a_late_message_is_stamped_when_it_was_measured() -> None:
    states = reader()
    states.state_of(heard(0.0))
    late = states.state_of(heard(90.0, stamp_ms=10.0))
    assert late is not None
    assert late.stamp_ns == 10**12 + 10 * MS


def test_stamps_of_arrival_need_no_clock() -> None:
    states = reader(uses_header=False)
    for at_ms in (0.0, 10.0):
        state = states.state_of(heard(at_ms, stamp_ms=0.0))
        assert state is not None
        assert state.stamp_ns == 10**12 + at_ms * MS


WRONG = {
    "a joint is missing": (heard(10.0, ("b", "finger"), (2.0, 0.0), ()), "has 'a' 0 times in b, finger"),
    "a joint is there twice": (heard(10.0, ("a", "b", "finger", "a"), (1.0,) * 4, ()), "has 'a' 2 times in"),
    "a position is missing": (heard(10.0, position=(1.0,)), "has 1 values of position for 4 joints"),
    "velocities are too few": (heard(10.0, velocity=(1.0,)), "has 1 values of velocity for 4 joints"),
    "another publisher": (heard(10.0, publisher=b"2"), "comes from another publisher now: it was started again"),
    "the clock went back": (heard(10.0, stamp_ms=-5.0), r"went back by 0\.005 s"),
    "the clock leapt": (heard(10.0, stamp_ms=2000.0), r"leapt ahead by 1\.99 s: it was set"),
    "it is seconds late": (heard(3000.0, stamp_ms=10.0), r"is 2\.99 s behind"),
    "no stamps": (Received(JointState(name=("a", "b", "finger")), 10**12, b"1"), 'set driver.stamps = "arrival"'),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    message, words = WRONG[what]
    states = reader()
    states.state_of(heard(0.0))
    with pytest.raises(DriverError, match=words) as caught:
        states.state_of(message)
    assert "/joint_states" in str(caught.value)
