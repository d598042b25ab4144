"""A plan as the loop takes it: values of all axes at absolute times, and those at any instant.

Pure: no clock, no loop. What is between the knots is said, and computed, in `loop/plan.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.native import ffi, lib

MAX_KNOTS: int = lib.PLAN_MAX_KNOTS
NO_BUNDLE = bytes(lib.PLAN_DIGEST_BYTES)
"""Digest of a plan that nobody's policy made."""


class PlanResult(IntEnum):
    """Answer to a plan handed over."""

    OK = lib.PLAN_OK
    REFUSED_KNOTS = lib.PLAN_REFUSED_KNOTS
    REFUSED_AXES = lib.PLAN_REFUSED_AXES
    REFUSED_TIMES = lib.PLAN_REFUSED_TIMES
    REFUSED_NOT_FINITE = lib.PLAN_REFUSED_NOT_FINITE
    REFUSED_SEQUENCE = lib.PLAN_REFUSED_SEQUENCE
    REFUSED_SPEED_SCALE = lib.PLAN_REFUSED_SPEED_SCALE


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Values of all axes at absolute times. The arrays are copied when the plan is handed over.

    Attributes:
        seq: number of the plan; each one handed over needs a higher one than the last.
        chunk_seq: the chunk it was made from.
        observation_ns: exposure of the observation behind that chunk.
        t_ns: shape (k,), 1 ≤ k ≤ 192, strictly increasing instants on the port's clock.
        q: shape (k, axes), each in its axis's unit; of a base's axis its velocity.
        active_from_ns: evaluated from this instant on; until then the plan before it stays in force.
        speed_scale: of the joints' velocity limits while it is followed, above 0, at most 1.
        bundle_digest: of the bundle whose policy made it, 32 bytes; zeros if nobody said.
        is_a_persons: made for a person: it is followed whatever has become of the policy.
    """

    seq: int
    chunk_seq: int
    observation_ns: int
    t_ns: NDArray[np.int64]
    q: NDArray[np.float64]
    active_from_ns: int = 0
    speed_scale: float = 1.0
    bundle_digest: bytes = NO_BUNDLE
    is_a_persons: bool = False


def beginning_of(plan: Plan, until_ns: int) -> Plan | None:
    """`plan` cut off some knots after `until_ns`, with the number before its own; the same motion up to that instant.

    None if there is nothing to cut off.
    """
    # The slope at a knot depends on the next one: it is kept, and so is the one behind it.
    k = int(np.searchsorted(plan.t_ns, until_ns)) + 2
    if k >= len(plan.t_ns):
        return None
    return replace(plan, seq=plan.seq - 1, t_ns=plan.t_ns[:k], q=plan.q[:k])


class NativePlan:
    """Room for one plan of a robot with `n_axes`, as the loop takes it."""

    def __init__(self, n_axes: int) -> None:
        self.pointer = ffi.new("loop_plan *")
        self._n_axes = n_axes
        self._t_ns = np.frombuffer(ffi.buffer(self.pointer.t_ns), dtype=np.int64)
        self._q = np.frombuffer(ffi.buffer(self.pointer.q), dtype=np.float64).reshape(MAX_KNOTS, -1)

    def fill(self, plan: Plan) -> PlanResult:
        """Copy `plan` in, or say why there is no room for it; the loop checks the rest.

        Raises:
            ValueError: arrays that do not fit each other, or a digest that is none.
        """
        t_ns = np.asarray(plan.t_ns, dtype=np.int64)
        q = np.asarray(plan.q, dtype=np.float64)
        if t_ns.ndim != 1 or q.ndim != 2 or q.shape[0] != t_ns.size:
            raise ValueError(f"plan arrays of shapes {t_ns.shape}, {q.shape} do not fit")
        if len(plan.bundle_digest) != len(NO_BUNDLE):
            raise ValueError(f"a bundle digest has {len(NO_BUNDLE)} bytes, got {len(plan.bundle_digest)}")
        k, n = q.shape
        if not 1 <= k <= MAX_KNOTS:
            return PlanResult.REFUSED_KNOTS
        if n != self._n_axes:
            return PlanResult.REFUSED_AXES
        native = self.pointer
        native.seq = plan.seq
        native.chunk_seq = plan.chunk_seq
        native.observation_ns = plan.observation_ns
        native.active_from_ns = plan.active_from_ns
        native.n_knots = k
        native.n_axes = n
        native.speed_scale = plan.speed_scale
        native.is_a_persons = plan.is_a_persons
        ffi.memmove(native.bundle_digest, plan.bundle_digest, len(plan.bundle_digest))
        self._t_ns[:k] = t_ns
        self._q[:k, :n] = q
        return PlanResult.OK


def straight_axes(embodiment: Embodiment) -> tuple[bool, ...]:
    """(axes,) which follow a straight line from knot to knot: grippers and a base. Joints follow a smooth curve."""
    return tuple(axis.is_gripper or axis.is_velocity for axis in embodiment.axes)


def evaluate_plan(
    plan: Plan, instants_ns: Sequence[int] | NDArray[np.int64], straight: Sequence[bool]
) -> NDArray[np.float64]:
    """What the loop would ask of the kernel at these instants: shape (len, axes), NaN where the plan has played out.

    Args:
        plan: any.
        instants_ns: on the port's clock.
        straight: (axes,) see `straight_axes`.

    Raises:
        ValueError: a plan that the loop would refuse.
    """
    n_axes = len(straight)
    native = NativePlan(n_axes)
    if native.fill(plan) is not PlanResult.OK or lib.plan_check(native.pointer, n_axes) != lib.PLAN_OK:
        raise ValueError("the loop would refuse this plan")
    at_ns = np.ascontiguousarray(instants_ns, dtype=np.int64)
    rows = np.empty((len(at_ns), n_axes))
    linear = sum(1 << i for i, is_straight in enumerate(straight) if is_straight)
    lib.plan_evaluate_rows(
        native.pointer, linear, ffi.from_buffer("int64_t[]", at_ns), len(at_ns), ffi.from_buffer("double[]", rows)
    )
    return rows
