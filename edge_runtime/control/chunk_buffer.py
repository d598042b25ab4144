"""The chunk buffer: action chunks keyed by absolute due time become one plan of timed knots.

Guarantees: an action is never moved in time. The expired actions of a late chunk are dropped, an old or repeated
chunk is refused, and the seam to the motion under way is a smooth cross-fade. Pure: no clock, no socket, no thread. A
chunk is checked again here although the engine made it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_runtime.contracts.axes import AnyAxis, Continuous, Prismatic
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ActionChunk
from edge_runtime.control.plan import Plan, evaluate_plan, straight_axes

Float64Array = npt.NDArray[np.float64]

_DIGEST = re.compile(r"[0-9a-f]{64}")

_BLEND_STEP_NS = 10_000_000
_BLEND_STEPS_MAX = 50
"""A longer cross-fade takes longer steps: with the longest chunk behind it, it still is one plan."""

_PLANS_KEPT = 5
"""One that is followed and as many as the loop lets wait for their time."""

_OUT_OF_RANGE_MARGIN_RAD = 0.35
_OUT_OF_RANGE_MARGIN_M = 0.1
"""A chunk that overshoots a joint's rating by more than this is implausible, not merely optimistic."""
_TURNED_MAX_RAD = 1e4
"""Nor is a joint without ends asked to go further than this."""
_TURN_RAD = 2.0 * math.pi


@dataclass(frozen=True)
class Offer:
    """A plan that a chunk could become, with nothing changed yet.

    Attributes:
        plan: what would be followed. The number before its own is free, for its beginning.
        expired_actions: how many actions of the chunk were already past.
        splice_ns: where the cross-fade starts.
        blend_ns: its length.
    """

    plan: Plan
    expired_actions: int
    splice_ns: int
    blend_ns: int


@dataclass(frozen=True)
class Refused:
    """Why a chunk was not used; the motion under way goes on as it was."""

    refusal: Refusal
    detail: str


@dataclass(frozen=True)
class Posture:
    """Where each axis is commanded to be, (axes,) in its own unit; of a base's axis how fast it is to drive."""

    position: Float64Array


class ChunkBuffer:
    """Turns chunks into plans for one robot.

    Args:
        embodiment: order of the axes and ratings to check against.
        blend_ns: length of the cross-fade from the motion under way to a new chunk.
        max_age_ns: a chunk whose observation is older than this is refused.
        reach_ns: actions that are due later than this after the exposure of their observation are left out.
    """

    def __init__(self, embodiment: Embodiment, *, blend_ns: int, max_age_ns: int, reach_ns: int) -> None:
        self._axes = embodiment.axes
        self._joint_digest = embodiment.joint_digest
        ends = [_plausible(axis) for axis in self._axes]
        self._lowest, self._highest = np.array(ends).T
        self._straight = straight_axes(embodiment)
        self._turns = np.array([isinstance(axis, Continuous) for axis in self._axes])
        self._drives = np.array([axis.is_velocity for axis in self._axes])
        self._blend_ns = blend_ns
        self._max_age_ns = max_age_ns
        self._reach_ns = reach_ns
        self._armed_since_ns = 0
        self._last_exposure_ns = -1
        self._plan: Plan | None = None
        self._plans: list[Plan] = []
        self._last_seq = 0

    @property
    def plan(self) -> Plan | None:
        """The newest plan that was taken, None before the first chunk."""
        return self._plan

    def allow(self, *, max_age_ns: int, reach_ns: int) -> None:
        """From the next chunk on these ages are allowed."""
        self._max_age_ns, self._reach_ns = max_age_ns, reach_ns

    def plans_from(self, now_ns: int) -> tuple[Plan, ...]:
        """The plans that the loop still needs from now on, in the order in which they were taken."""
        while len(self._plans) > 1 and self._plans[1].active_from_ns <= now_ns:
            del self._plans[0]
        return tuple(self._plans)

    def restart(self, armed_since_ns: int) -> None:
        """Forget all motion; from now on only observations exposed at or after `armed_since_ns` count."""
        self._armed_since_ns = armed_since_ns
        self._last_exposure_ns = -1
        self._plan = None
        self._plans.clear()

    def offer(
        self,
        chunk: ActionChunk,
        now_ns: int,
        rest: Posture,
        *,
        active_from_ns: int = 0,
        blend_ns: int | None = None,
        speed_scale: float = 1.0,
    ) -> Offer | Refused:
        """What a chunk would become; `take` makes it so.

        Args:
            chunk: as it came from the engine.
            now_ns: stamp of this moment, on the clock of the chunk's stamps.
            rest: where the robot is commanded to be now; the seam starts there if no plan is under way.
            active_from_ns: the chunk takes effect no earlier than this.
            blend_ns: length of the cross-fade, if not the usual one.
            speed_scale: of the joints' velocity limits while it is followed, above 0, at most 1.
        """
        actions = np.array(chunk.position)
        refused = self._why_not(chunk, actions, now_ns)
        if refused is not None:
            return refused
        splice_ns = max(now_ns, active_from_ns)
        due_ns = chunk.exposure_ns + chunk.dt_ns * np.arange(1, len(actions) + 1, dtype=np.int64)
        within = int(np.count_nonzero(due_ns <= chunk.exposure_ns + self._reach_ns))
        if within == 0:
            return Refused(Refusal.STALE, f"nothing is followed {chunk.dt_ns / 1e6:.0f} ms after its observation")
        due_ns, actions = due_ns[:within], actions[:within]
        is_ahead = due_ns > splice_ns
        expired = int(np.count_nonzero(~is_ahead))
        if expired == len(due_ns):
            return Refused(Refusal.STALE, f"its last action was due {(splice_ns - int(due_ns[-1])) / 1e6:.1f} ms ago")
        blend_ns = self._blend_ns if blend_ns is None else blend_ns
        knots = self._splice(chunk, due_ns, actions, splice_ns, rest, blend_ns)
        plan = self._plan_of(chunk, *knots, active_from_ns, speed_scale)
        return Offer(plan, expired, splice_ns, blend_ns)

    def offer_motion(
        self, number: int, asked_ns: int, t_ns: npt.NDArray[np.int64], knots: Float64Array, speed_scale: float
    ) -> Offer:
        """A plan that is a person's and no policy's; `take` makes it so.

        Args:
            number: of what asked for it, for reports.
            asked_ns: when it was asked for, which it may not outlive by long.
            t_ns: shape (k,), see `Plan`.
            knots: shape (k, axes), see `Plan`.
            speed_scale: of the joints' velocity limits while it is followed, above 0, at most 1.
        """
        plan = Plan(
            seq=self._last_seq + 2,
            chunk_seq=number,
            observation_ns=asked_ns,
            t_ns=t_ns,
            q=knots,
            speed_scale=speed_scale,
            is_a_persons=True,
        )
        return Offer(plan, 0, int(t_ns[0]), 0)

    def take(self, offer: Offer) -> None:
        """From now on the plan of `offer` is what is followed.

        Raises:
            ValueError: another plan was taken since the offer was made.
        """
        if offer.plan.seq != self._last_seq + 2:
            raise ValueError(f"plan {offer.plan.seq} was offered before plan {self._last_seq} was taken")
        self._last_seq = offer.plan.seq
        self._plan = offer.plan
        self._plans.append(offer.plan)
        del self._plans[:-_PLANS_KEPT]
        self._last_exposure_ns = offer.plan.observation_ns

    def withdraw(self) -> Plan | None:
        """The motion under way under a new number, for a loop that has begun with an offer that is not taken."""
        self._last_seq += 2
        if self._plan is None:
            return None
        self._plan = self._plans[-1] = replace(self._plan, seq=self._last_seq)
        return self._plan

    def drop(self, now_ns: int) -> Plan | None:
        """A plan that is over before `now_ns`, for a loop that shall follow none; None if it follows none.

        The next chunk begins at rest.
        """
        plan = self._plan
        if plan is None:
            return None
        self._last_seq += 2
        self._plan = None
        self._plans.clear()
        return replace(
            plan,
            seq=self._last_seq,
            active_from_ns=0,
            t_ns=np.array([max(0, now_ns - 1)], dtype=np.int64),
            q=plan.q[-1:],
        )

    def _why_not(self, chunk: ActionChunk, actions: Float64Array, now_ns: int) -> Refused | None:
        if chunk.joint_digest != self._joint_digest:
            return Refused(Refusal.JOINT_ORDER, f"{chunk.joint_digest[:12]}…, this robot is {self._joint_digest[:12]}…")
        if not _DIGEST.fullmatch(chunk.bundle_digest):
            return Refused(Refusal.WRONG_BUNDLE, f"{chunk.bundle_digest[:12]!r} is no digest of a bundle")
        if actions.shape[1] != len(self._axes):
            return Refused(Refusal.SHAPE, f"{actions.shape[1]} axes, this robot has {len(self._axes)}")
        if chunk.exposure_ns > now_ns or chunk.published_ns > now_ns:
            return Refused(Refusal.FUTURE, f"exposed {(chunk.exposure_ns - now_ns) / 1e6:.1f} ms from now")
        if chunk.exposure_ns < self._armed_since_ns:
            return Refused(Refusal.BEFORE_ARMING, "its observation was exposed before the robot was armed")
        if now_ns - chunk.exposure_ns > self._max_age_ns:
            return Refused(Refusal.STALE, f"its observation is {(now_ns - chunk.exposure_ns) / 1e6:.1f} ms old")
        if chunk.exposure_ns == self._last_exposure_ns:
            return Refused(Refusal.DUPLICATE, "a chunk of the same observation was taken already")
        if chunk.exposure_ns < self._last_exposure_ns:
            return Refused(Refusal.OUT_OF_ORDER, "a chunk of a newer observation was taken already")
        outside = ((actions < self._lowest) | (actions > self._highest)).any(axis=0)
        if outside.any():
            axis = self._axes[int(np.argmax(outside))]
            return Refused(Refusal.OUT_OF_RANGE, f"{axis.what} {axis.name} would go far outside its rating")
        return None

    def _splice(
        self,
        chunk: ActionChunk,
        due_ns: npt.NDArray[np.int64],
        actions: Float64Array,
        splice_ns: int,
        rest: Posture,
        blend_ns: int,
    ) -> tuple[npt.NDArray[np.int64], Float64Array]:
        """Knots of: the motion under way until `splice_ns`, the cross-fade, then the rest of the chunk as it came."""
        fade_end_ns = splice_ns + blend_ns
        step_ns = max(_BLEND_STEP_NS, -(-blend_ns // _BLEND_STEPS_MAX))
        # Two knots before the splice give the loop, which switches a moment later, the old motion's slope.
        fade_ns = np.arange(splice_ns - 2 * step_ns, fade_end_ns, step_ns, dtype=np.int64)
        fade_ns = fade_ns[fade_ns >= 0]
        old = self._motion_at(fade_ns, splice_ns, rest)
        # One knot back in time by the first actions' slope: the chunk says where it goes, and so where it comes from.
        # The speed of a base is no place to come from.
        actions = self._unwound(actions)
        earlier = 2.0 * actions[0] - actions[min(1, len(actions) - 1)]
        earlier = np.where(self._drives, actions[0], earlier)
        whole = self._plan_of(
            chunk,
            np.concatenate([due_ns[:1] - chunk.dt_ns, due_ns]),
            np.concatenate([earlier[None, :], actions]),
        )
        new = evaluate_plan(whole, np.minimum(fade_ns, due_ns[-1]), self._straight)
        if self._turns.any() and len(fade_ns):
            # A joint without ends goes on from the turn that it is in, on the shorter way.
            at = min(int(np.searchsorted(fade_ns, splice_ns)), len(fade_ns) - 1)
            turns = np.where(self._turns, _TURN_RAD * np.round((old[at] - new[at]) / _TURN_RAD), 0.0)
            new, actions = new + turns, actions + turns
        progress = np.clip((fade_ns - splice_ns) / max(blend_ns, 1), 0.0, 1.0)
        weight = (progress * progress * (3.0 - 2.0 * progress))[:, None]
        tail = due_ns >= max(fade_end_ns, splice_ns + 1)
        knots = np.concatenate([(1.0 - weight) * old + weight * new, actions[tail]])
        return np.concatenate([fade_ns, due_ns[tail]]), knots

    def _plan_of(
        self,
        chunk: ActionChunk,
        t_ns: npt.NDArray[np.int64],
        knots: Float64Array,
        active_from_ns: int = 0,
        speed_scale: float = 1.0,
    ) -> Plan:
        return Plan(
            seq=self._last_seq + 2,
            chunk_seq=chunk.sequence,
            observation_ns=chunk.exposure_ns,
            active_from_ns=active_from_ns,
            t_ns=t_ns,
            q=knots,
            speed_scale=speed_scale,
            bundle_digest=bytes.fromhex(chunk.bundle_digest),
        )

    def _motion_at(self, t_ns: npt.NDArray[np.int64], splice_ns: int, rest: Posture) -> Float64Array:
        """The motion under way at these instants: the plan so far, at its end its last knot, without one `rest`."""
        plan = self._plan
        if plan is None or plan.t_ns[-1] < splice_ns:
            return np.asarray(np.repeat(rest.position[None, :], len(t_ns), axis=0))
        return evaluate_plan(plan, np.minimum(t_ns, plan.t_ns[-1]), self._straight)

    def _unwound(self, actions: Float64Array) -> Float64Array:
        """The same, without the leaps of a turn that a policy may tell of a joint without ends."""
        if not self._turns.any():
            return actions
        unwound: Float64Array = actions.copy()
        unwound[:, self._turns] = np.unwrap(actions[:, self._turns], axis=0)
        return unwound


def _plausible(axis: AnyAxis) -> tuple[float, float]:
    """The range that a policy may ask for; the kernel keeps the axis to its own."""
    if isinstance(axis, Continuous):
        return -_TURNED_MAX_RAD, _TURNED_MAX_RAD
    if axis.is_gripper:
        travel = axis.high - axis.low
        return axis.low - travel, axis.high + travel
    if axis.is_velocity:
        return 2.0 * axis.low, 2.0 * axis.high
    margin = _OUT_OF_RANGE_MARGIN_M if isinstance(axis, Prismatic) else _OUT_OF_RANGE_MARGIN_RAD
    return axis.low - margin, axis.high + margin
