"""The report window: sums start anew with each report, and the worst of a window is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.control.native_loop import REPORT_DTYPE
from edge_runtime.control.window import Ticks, TickWindow
from edge_runtime.safety import Reason, State


def ticks(margins_rad: Sequence[float]) -> Ticks:
    made = np.zeros(len(margins_rad), dtype=REPORT_DTYPE)
    made["stop_margin_rad"] = margins_rad
    return made


def test_the_smallest_margin_of_a_window_is_reported() -> None:
    window = TickWindow(3)
    window.add(ticks([0.4, 0.1, 0.3]))
    window.add(ticks([0.5, 0.6]))
    assert window.stop_margin_rad == 0.1
    window.restart()
    assert window.stop_margin_rad == 0.1, "until the next tick"
    window.add(ticks([0.5, 0.6]))
    assert window.stop_margin_rad == 0.5


def test_only_what_acted_on_a_setpoint_is_an_intervention() -> None:
    window = TickWindow(3)
    made = ticks([1.0] * 5)
    made["state"] = [State.ACTIVE, State.HOLDING, State.ACTIVE, State.FAULT, State.STOPPING]
    made["reasons"] = [
        Reason.LIMIT_VELOCITY | Reason.FEEDBACK_TORN,
        Reason.SETPOINT_NONE,
        Reason.FEEDBACK_TORN,
        Reason.FEEDBACK_STALE,
        Reason.FEEDBACK_STALE,
    ]
    window.add(made)
    assert window.interventions == 2
