"""What the loop did since the last report, summed up from its tick reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.messages import LoopTiming
from edge_runtime.contracts.states import KernelReason
from edge_runtime.safety import Reason, State, said

Ticks = npt.NDArray[Any]
"""Structured array of tick reports, as `ControlLoop.drain_reports` returns it."""

_ARMED = tuple(state for state in State if state.is_armed)
_HARMLESS = (
    Reason.SETPOINT_NONE | Reason.FEEDBACK_TORN | Reason.POLICY_DEAD | Reason.POLICY_STALLED | Reason.POLICY_STUCK
)
"""No intervention: a tick without a plan is what an arm without work does; the others change no setpoint."""

_NO_MARGIN_M = 1e9
"""`KERNEL_NO_MARGIN_M`: there is nothing to keep away from."""


def _clearance_m(margin_m: float) -> float | None:
    return margin_m if margin_m < _NO_MARGIN_M else None


def _altered(reasons: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Of each tick's reasons those for which a setpoint was altered or refused."""
    altered: npt.NDArray[np.uint64] = reasons & ~np.uint64(_HARMLESS)
    # Without a setpoint there is none that a lost policy could be refused.
    altered[reasons & np.uint64(Reason.SETPOINT_NONE) != 0] &= ~np.uint64(Reason.POLICY_LOST)
    return altered


class TickWindow:
    """Sums over the ticks of one report window; the last posture survives from window to window.

    Attributes:
        measured, commanded: (axes,) each in its axis's unit; of a base's axis how fast it drives, or is told to.
        stop_margin, stop_margin_axis: the smallest of the window, and whose it is.
    """

    def __init__(self, embodiment: Embodiment) -> None:
        n_axes = len(embodiment.axes)
        self._drives = np.array([axis.is_velocity for axis in embodiment.axes])
        self.measured: npt.NDArray[np.float64] = np.zeros(n_axes)
        self.commanded: npt.NDArray[np.float64] = np.zeros(n_axes)
        self.stop_margin = 0.0
        self.stop_margin_axis = 0
        self.stop_margin_m: float | None = None
        self.speed_scale = 1.0
        self.restart()

    def restart(self) -> None:
        """Begin the next window."""
        self._reasons = 0
        self.interventions = 0
        self._lateness_ns: list[npt.NDArray[np.int64]] = []
        self._cost_ns: list[npt.NDArray[np.int64]] = []

    def add(self, ticks: Ticks) -> None:
        """Take in ticks, oldest first."""
        if len(ticks) == 0:
            return
        n = len(self.measured)
        last = ticks[-1]
        self.measured = np.where(self._drives, last["dq_measured"][:n], last["q_measured"][:n])
        self.commanded = np.where(self._drives, last["dq_command"][:n], last["q_command"][:n])
        self._reasons |= int(np.bitwise_or.reduce(ticks["reasons"]))
        self.interventions += int(np.count_nonzero(_altered(ticks["reasons"])[np.isin(ticks["state"], _ARMED)]))
        self.speed_scale = float(last["speed_scale"])
        lowest_tick = ticks[int(np.argmin(ticks["stop_margin"]))]
        if not self._lateness_ns or float(lowest_tick["stop_margin"]) < self.stop_margin:
            self.stop_margin = float(lowest_tick["stop_margin"])
            self.stop_margin_axis = int(lowest_tick["stop_margin_axis"])
        lowest_m = _clearance_m(float(np.min(ticks["stop_margin_m"])))
        if self._lateness_ns:
            known_m = [margin_m for margin_m in (self.stop_margin_m, lowest_m) if margin_m is not None]
            lowest_m = min(known_m, default=None)
        self.stop_margin_m = lowest_m
        self._lateness_ns.append(np.array(ticks["wake_lateness_ns"]))
        self._cost_ns.append(np.array(ticks["cost_ns"]))

    def reasons(self) -> tuple[KernelReason, ...]:
        """Everything the kernel gave as a reason in this window, in the order of its table."""
        return said(Reason(self._reasons))

    def timing(self, ticks: int, overruns: int, *, realtime: bool) -> LoopTiming:
        """Lateness and cost over the window, with the loop's own counters."""
        lateness_ns = np.concatenate(self._lateness_ns) if self._lateness_ns else np.zeros(1, np.int64)
        cost_ns = np.concatenate(self._cost_ns) if self._cost_ns else np.zeros(1, np.int64)
        lateness_p50_ns, lateness_p99_ns = np.percentile(lateness_ns, (50, 99)).tolist()
        cost_p50_ns, cost_p99_ns = np.percentile(cost_ns, (50, 99)).tolist()
        return LoopTiming(
            ticks=ticks,
            overruns=overruns,
            lateness_p50_ns=round(lateness_p50_ns),
            lateness_p99_ns=round(lateness_p99_ns),
            lateness_max_ns=int(lateness_ns.max()),
            cost_p50_ns=round(cost_p50_ns),
            cost_p99_ns=round(cost_p99_ns),
            realtime_priority=realtime,
        )
