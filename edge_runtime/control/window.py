"""What the loop did since the last report, summed up from its tick reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.messages import LoopTiming
from edge_runtime.safety import Reason, State

Ticks = npt.NDArray[Any]
"""Structured array of tick reports, as `ControlLoop.drain_reports` returns it."""

_POWERED = (State.ACTIVE, State.HOLDING, State.STOPPING)
_EXPECTED = Reason.SETPOINT_NONE | Reason.FEEDBACK_TORN
"""No intervention: a tick without a plan is what an arm without work does, a torn read changes no setpoint."""


class TickWindow:
    """Sums over the ticks of one report window; the last posture survives from window to window."""

    def __init__(self, joints: int) -> None:
        self.measured_rad: npt.NDArray[np.float64] = np.zeros(joints)
        self.commanded_rad: npt.NDArray[np.float64] = np.zeros(joints)
        self.gripper_m = 0.0
        self.stop_margin_rad = 0.0
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
        joints = len(self.measured_rad)
        last = ticks[-1]
        self.measured_rad = np.array(last["q_measured_rad"][:joints])
        self.commanded_rad = np.array(last["q_command_rad"][:joints])
        self.gripper_m = float(last["gripper_command_m"])
        self._reasons |= int(np.bitwise_or.reduce(ticks["reasons"]))
        altered = ticks["reasons"] & np.uint64(~int(_EXPECTED) & (2**64 - 1))
        self.interventions += int(np.count_nonzero(altered[np.isin(ticks["state"], _POWERED)]))
        lowest_rad = float(np.min(ticks["stop_margin_rad"]))
        self.stop_margin_rad = min(self.stop_margin_rad, lowest_rad) if self._lateness_ns else lowest_rad
        self._lateness_ns.append(np.array(ticks["wake_lateness_ns"]))
        self._cost_ns.append(np.array(ticks["cost_ns"]))

    def reason_names(self) -> list[str]:
        """Names of everything the kernel gave as a reason in this window, in the order of its table."""
        return [reason.name.lower() for reason in Reason if reason.name and self._reasons & reason]

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
