"""The report window: sums start anew with each report, and the worst of a window is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.control.native_loop import REPORT_DTYPE
from edge_runtime.control.window import Ticks, TickWindow
from edge_runtime.safety import Reason, State
from tests.control.perfect_driver import ROBOT


def ticks(margins_rad: Sequence[float]) -> Ticks:
    made = np.zeros(len(margins_rad), dtype=REPORT_DTYPE)
    made["stop_margin"] = margins_rad
    return made


def test_the_smallest_margin_of_a_window_is_reported() -> None:
    window = TickWindow(ROBOT)
    window.add(ticks([0.4, 0.1, 0.3]))
    window.add(ticks([0.5, 0.6]))
    assert window.stop_margin == 0.1
    window.restart()
    assert window.stop_margin == 0.1, "until the next tick"
    window.add(ticks([0.5, 0.6]))
    assert window.stop_margin == 0.5


def test_only_what_acted_on_a_setpoint_is_an_intervention() -> None:
    window = TickWindow(ROBOT)
    made = ticks([1.0] * 9)
    made["state"] = [
        State.ACTIVE,
        State.HOLDING,
        State.ACTIVE,
        State.FAULT,
        State.STOPPING,
        State.ACTIVE,
        State.HOLDING,
        State.HOLDING,
        State.RETRACTING,
    ]
    made["reasons"] = [
        Reason.LIMIT_VELOCITY | Reason.FEEDBACK_TORN,
        Reason.SETPOINT_NONE,
        Reason.FEEDBACK_TORN,
        Reason.FEEDBACK_STALE,
        Reason.FEEDBACK_STALE,
        Reason.POLICY_STUCK,
        Reason.POLICY_DEAD | Reason.POLICY_LOST | Reason.SETPOINT_NONE,
        Reason.POLICY_DEAD | Reason.POLICY_LOST,
        Reason.LIMIT_GEOMETRY,
    ]
    window.add(made)
    assert window.interventions == 4


def test_clearance_is_told_where_geometry_is_known() -> None:
    window = TickWindow(ROBOT)
    made = ticks([1.0] * 3)
    told: list[float | None] = []
    for margins_m in ([1e9] * 3, [0.3, 0.05, 0.2], [0.1] * 3):
        made["stop_margin_m"] = margins_m
        window.add(made)
        told.append(window.stop_margin_m)
    window.restart()
    window.add(made)
    told.append(window.stop_margin_m)
    assert told == [None, 0.05, 0.05, 0.1], "the smallest of the window"


def test_the_speed_that_is_told_is_the_last() -> None:
    window = TickWindow(ROBOT)
    made = ticks([1.0] * 3)
    made["speed_scale"] = [1.0, 0.5, 0.25]
    window.add(made)
    assert window.speed_scale == 0.25
