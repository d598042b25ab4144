"""What an operator ordered is there for the next process of control, and what can't be read counts as the strictest."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.contracts.messages import StopCause
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.safety import Reason


def of(orders: StandingOrders) -> tuple[StopCause | None, bool, bool]:
    return orders.stopped_by, orders.is_latched, orders.is_reduced


@pytest.mark.parametrize(
    ("faults", "cause"),
    [
        (Reason.OPERATOR_STOP, StopCause.OPERATOR_STOP),
        (Reason.STOP_LINE, StopCause.STOP_LINE),
        (Reason.STOP_LINE | Reason.TRACKING_ERROR, StopCause.STOP_LINE),
    ],
)
def test_a_latched_stop_is_kept_until_it_is_reset_and_its_cause_until_a_person_arms(
    tmp_path: Path, faults: Reason, cause: StopCause
) -> None:
    orders = StandingOrders(tmp_path)
    assert of(orders) == (None, False, False)
    orders.follow(faults)
    assert of(StandingOrders(tmp_path)) == of(orders) == (cause, True, False)
    orders.follow(Reason(0))
    assert of(StandingOrders(tmp_path)) == of(orders) == (cause, False, False)
    orders.armed()
    assert of(StandingOrders(tmp_path)) == of(orders) == (None, False, False)


def test_a_fault_of_the_robot_is_no_order(tmp_path: Path) -> None:
    orders = StandingOrders(tmp_path)
    orders.follow(Reason.TRACKING_ERROR | Reason.DRIVER_FAULT | Reason.CLOCK_GAP)
    assert of(orders) == (None, False, False)


def test_a_stop_after_a_disarm_is_a_stop_and_a_disarm_after_a_stop_too(tmp_path: Path) -> None:
    orders = StandingOrders(tmp_path)
    orders.disarmed()
    assert of(StandingOrders(tmp_path)) == (StopCause.OPERATOR_DISARM, False, False)
    orders.follow(Reason.OPERATOR_STOP)
    orders.disarmed()
    assert of(StandingOrders(tmp_path)) == (StopCause.OPERATOR_STOP, True, False)


def test_the_file_of_a_process_that_takes_over_a_latched_stop_keeps_its_cause(tmp_path: Path) -> None:
    StandingOrders(tmp_path).follow(Reason.STOP_LINE)
    successor = StandingOrders(tmp_path)
    # It begins by stopping, as an operator would.
    successor.follow(Reason.OPERATOR_STOP)
    assert successor.stopped_by is StopCause.STOP_LINE


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"stopped_by":"nobody"}', b'{"more":1}'])
def test_what_cannot_be_read_is_a_stop_at_reduced_speed(tmp_path: Path, damage: bytes) -> None:
    StandingOrders(tmp_path).reduce(True)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert of(StandingOrders(tmp_path)) == (StopCause.OPERATOR_STOP, True, True)


def test_orders_that_cannot_be_kept_hold_and_are_kept_as_soon_as_they_can(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    orders = StandingOrders(folder)
    orders.follow(Reason.OPERATOR_STOP)
    assert orders.stopped_by is StopCause.OPERATOR_STOP
    assert "can't be kept: No such file" in orders.problem
    folder.mkdir()
    orders.follow(Reason.OPERATOR_STOP)
    assert (orders.problem, StandingOrders(folder).is_latched) == ("", True)
