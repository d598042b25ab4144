"""Chunk admission: the plan a chunk would become is run through the safety kernel before its first tick.

Guarantees that a plan is handed over only if the kernel, from where it stands now and inside the same limits, would
follow it closely; and that what the kernel would alter is known beforehand. It rehearses with the kernel's own code and
changes nothing: the tick itself is checked again when its time has come, so a wrong prediction costs a chunk, never a
limit. Knows no clock. Trusts the snapshot to be the loop's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.axes import Continuous, Prismatic
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.states import KernelReason
from edge_runtime.control.chunk_buffer import Offer, Refused
from edge_runtime.control.plan import Plan, evaluate_plan, straight_axes
from edge_runtime.native import ffi, lib
from edge_runtime.safety import KernelConfig, Reason, said
from edge_runtime.safety.recording import RECORD_DTYPE

_MAX_TICKS = 2048
"""Setpoints of observations older than two seconds are refused by the kernel: no plan is followed for longer."""

_NOTHING = Reason(0)
_EXPECTED = Reason.SETPOINT_NONE
"""A plan ends."""

_NOT_OF_THE_SEAM = _EXPECTED | Reason.LIMIT_GRIPPER | Reason.LIMIT_SPEED_SCALE
"""What a longer cross-fade would not cure."""

_SLOWED = Reason.LIMIT_SINGULARITY | Reason.LIMIT_TOOL_SPEED

_LONGER = (2, 4)

DEVIATION_MAX_M = 0.1
"""How closely the kernel has to follow a plan of a joint that slides."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the kernel would do to a plan.

    Attributes:
        ticks: how many were rehearsed; 0 where the robot would not follow it.
        interventions: in how many the kernel would alter the motion.
        reasons: everything that would act.
        first_ns: the first tick in which something would.
        curable_first_ns: the first in which something would that a longer cross-fade might cure.
        deviation: how far a joint's command would be, at most, from what the plan asks, rad or m: of the joint that it
            matters most for.
        deviation_axis: that joint.
        deviation_share: of what is allowed.
        blocked: share of the ticks in which geometry would hold the robot back, 0 to 1.
        slowed: the robot would be told to be slow, by whatever asks for it.
    """

    ticks: int = 0
    interventions: int = 0
    reasons: Reason = _NOTHING
    first_ns: int | None = None
    curable_first_ns: int | None = None
    deviation: float = 0.0
    deviation_axis: int = 0
    deviation_share: float = 0.0
    blocked: float = 0.0
    slowed: bool = False

    @property
    def limits(self) -> tuple[KernelReason, ...]:
        """Everything that would act, in the order of the kernel's table."""
        return said(self.reasons)


@dataclass(frozen=True, slots=True)
class Judged:
    """A plan with what is known of it; `refused` says why it may not be handed over, None if it may."""

    offer: Offer
    prediction: Prediction
    refused: Refused | None


class Rehearsal:
    """Runs plans through the kernel of one robot, in room of its own.

    Args:
        config: what the kernel holds it to.
        embodiment: of the robot.
        deviation_max: (axes,) see `Admission`; infinite of an axis whose deviation does not count.
    """

    def __init__(self, config: KernelConfig, embodiment: Embodiment, deviation_max: NDArray[np.float64]) -> None:
        self._config = config.to_native()
        self._n_axes = len(embodiment.axes)
        self._straight = straight_axes(embodiment)
        self._turns = np.array([isinstance(axis, Continuous) for axis in embodiment.axes])
        self._deviation_max = deviation_max
        self._tick_ns = config.tick_ns
        self._setpoints = np.zeros(_MAX_TICKS, dtype=RECORD_DTYPE["setpoint"])
        self._verdicts = np.zeros(_MAX_TICKS, dtype=RECORD_DTYPE["verdict"])
        self._native_setpoints = ffi.cast("kernel_setpoint *", self._setpoints.ctypes.data)
        self._native_verdicts = ffi.cast("kernel_verdict *", self._verdicts.ctypes.data)

    def predict(self, state: Any, tick_ns: int, plans: Sequence[Plan]) -> Prediction:
        """What would come of `plans`, each followed from its time on until the last has played out.

        Args:
            state: `kernel_state *` after the tick of `tick_ns`; it is not altered.
            tick_ns: instant of that tick.
            plans: in the order in which they are handed over, at least one.
        """
        count, asked = self._fill(tick_ns, plans)
        # The interpreter's lock is free meanwhile.
        lib.kernel_rehearse(state, self._config, self._native_setpoints, count, self._native_verdicts)
        verdicts = self._verdicts[:count][asked]
        if len(verdicts) == 0:
            return Prediction()
        t_ns = self._setpoints["stamp_ns"][:count][asked]
        reasons = verdicts["reasons"] & np.uint64(~int(_EXPECTED) & (2**64 - 1))
        altered = t_ns[reasons != 0]
        curable = t_ns[(reasons & np.uint64(~int(_NOT_OF_THE_SEAM) & (2**64 - 1))) != 0]
        away = verdicts["q"][:, : self._n_axes] - self._setpoints["q"][:count][asked][:, : self._n_axes]
        away = np.where(self._turns, np.remainder(away + np.pi, 2.0 * np.pi) - np.pi, away)
        furthest = np.abs(away).max(axis=0)
        shares = furthest / self._deviation_max
        axis = int(np.argmax(shares))
        return Prediction(
            ticks=len(verdicts),
            interventions=len(altered),
            reasons=Reason(int(np.bitwise_or.reduce(reasons))),
            first_ns=int(altered[0]) if len(altered) else None,
            curable_first_ns=int(curable[0]) if len(curable) else None,
            deviation=float(furthest[axis]) if shares[axis] > 0.0 else 0.0,
            deviation_axis=axis,
            deviation_share=float(shares[axis]),
            slowed=bool((verdicts["speed_scale"] < 1.0).any() or (reasons & np.uint64(int(_SLOWED))).any()),
            blocked=float(np.mean((reasons & np.uint64(int(Reason.LIMIT_GEOMETRY))) != 0)),
        )

    def commands(self, state: Any, tick_ns: int, plans: Sequence[Plan]) -> NDArray[np.float64]:
        """(ticks, axes) what the robot would be told in the ticks after `tick_ns`, see `predict`."""
        count, _ = self._fill(tick_ns, plans)
        lib.kernel_rehearse(state, self._config, self._native_setpoints, count, self._native_verdicts)
        return np.array(self._verdicts["q"][:count, : self._n_axes])

    def _fill(self, tick_ns: int, plans: Sequence[Plan]) -> tuple[int, NDArray[np.bool_]]:
        """The setpoints that the loop would make of `plans`: how many, and which of them there are."""
        count = min(max((int(plans[-1].t_ns[-1]) - tick_ns) // self._tick_ns, 0), _MAX_TICKS)
        t_ns = tick_ns + self._tick_ns * np.arange(1, count + 1, dtype=np.int64)
        rows = np.full((count, self._n_axes), np.nan)
        setpoints = self._setpoints[:count]
        first = 0
        overtaken = sum(plan.active_from_ns <= tick_ns + self._tick_ns for plan in plans[1:])
        for plan in plans[overtaken:]:
            first = max(first, int(np.searchsorted(t_ns, plan.active_from_ns)))
            if first < count:
                rows[first:] = evaluate_plan(plan, t_ns[first:], self._straight)
                setpoints["speed_scale"][first:] = plan.speed_scale
                setpoints["observation_ns"][first:] = plan.observation_ns
        asked = np.isfinite(rows[:, -1])
        setpoints["present"] = asked
        setpoints["n"] = self._n_axes
        setpoints["stamp_ns"] = t_ns
        setpoints["seq"] = np.arange(1, count + 1)
        setpoints["q"][:, : self._n_axes] = rows
        return count, asked


class Admission:
    """Decides what becomes of a plan.

    Args:
        config: the robot's limits.
        embodiment: of the robot.
        deviation_max_rad: a plan that the kernel would follow less closely is refused: of a joint that turns.
        deviation_max_m: likewise of one that slides. A base and grippers are free: what they do is no posture.
        blocked_max: likewise one that geometry would hold back in a larger share of its ticks.
    """

    def __init__(
        self,
        config: KernelConfig,
        embodiment: Embodiment,
        *,
        deviation_max_rad: float,
        blocked_max: float,
        deviation_max_m: float = DEVIATION_MAX_M,
    ) -> None:
        self._axes = embodiment.axes
        allowed = [
            np.inf
            if axis.is_gripper or axis.is_velocity
            else (deviation_max_m if isinstance(axis, Prismatic) else deviation_max_rad)
            for axis in self._axes
        ]
        self._rehearsal = Rehearsal(config, embodiment, np.array(allowed))
        self._blocked_max = blocked_max

    def judge(
        self,
        state: Any,
        tick_ns: int,
        under_way: Sequence[Plan],
        offer: Offer,
        with_blend: Callable[[int], Offer | Refused],
    ) -> Judged:
        """Whether `offer` may be handed over, as it is or with a longer cross-fade.

        Args:
            state: `kernel_state *` after the tick of `tick_ns`.
            tick_ns: the loop's last tick.
            under_way: plans that the loop has, in the order in which they were handed over.
            offer: with the usual cross-fade.
            with_blend: the same chunk with a cross-fade of so many nanoseconds.
        """
        first = best = self._rehearsed(state, tick_ns, under_way, offer)
        for blend_ns in self._longer_blends(first):
            other = with_blend(blend_ns)
            if isinstance(other, Refused):
                break
            tried = self._rehearsed(state, tick_ns, under_way, other)
            if tried.refused is None and tried.prediction.curable_first_ns is None:
                return tried
            if best.refused is not None and tried.refused is None:
                best = tried
        return best

    def passes(self, state: Any, tick_ns: int, under_way: Sequence[Plan], plan: Plan) -> bool:
        """Whether `plan` would not be refused."""
        return self._why_not(self._rehearsal.predict(state, tick_ns, (*under_way, plan))) is None

    def _rehearsed(self, state: Any, tick_ns: int, under_way: Sequence[Plan], offer: Offer) -> Judged:
        prediction = self._rehearsal.predict(state, tick_ns, (*under_way, offer.plan))
        return Judged(offer, prediction, self._why_not(prediction))

    def _longer_blends(self, first: Judged) -> list[int]:
        """Cross-fades worth trying: none unless it is in the seam that a limit would act first.

        What follows it may be the kernel catching up with the seam for long after, so that does not count.
        """
        offer, first_ns = first.offer, first.prediction.curable_first_ns
        if first_ns is None or first_ns > offer.splice_ns + offer.blend_ns:
            return []
        # A slow robot falls behind in any seam, and a wall is where it is.
        if first.prediction.slowed or Reason.LIMIT_GEOMETRY in first.prediction.reasons:
            return []
        room_ns = int(offer.plan.t_ns[-1]) - offer.splice_ns
        longer = sorted({min(factor * offer.blend_ns, room_ns) for factor in _LONGER})
        return [blend_ns for blend_ns in longer if blend_ns > offer.blend_ns]

    def _why_not(self, prediction: Prediction) -> Refused | None:
        if prediction.blocked > self._blocked_max:
            return Refused(Refusal.PREDICTED_BLOCK, f"geometry would block {prediction.blocked:.0%} of its ticks")
        # A robot that is told to be slow is meant to stay behind; the next chunk starts from where it really is.
        if prediction.deviation_share > 1.0 and not prediction.slowed:
            axis = self._axes[prediction.deviation_axis]
            detail = f"{axis.name} would stay up to {prediction.deviation:.3f} {axis.unit} away from it"
            return Refused(Refusal.PREDICTED_DEVIATION, detail)
        return None
