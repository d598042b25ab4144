"""Judges commanded positions by what a motor would feel of them: their range, and their differences over time.

Speeds, accelerations and jerks are differences of what was commanded, each held to its axis's limit; nothing of what
the kernel says of them is looked at, and none of its code is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.hostile.drive import Array, Commands
from edge_runtime.safety import AxisKind, State
from edge_runtime.safety.limits import KernelConfig

TICK_S = 1e-3
SLACK = 1e-9
"""Of a limit."""
_EPSILON = 4.5e-16
_END = 1e-10
"""Of a range: how far beyond its end a stop may come by rounding, which is cut off there."""
_ARMED = (State.ACTIVE, State.HOLDING, State.STOPPING, State.RETRACTING)
_AT_REST = (State.SILENT, State.FAULT)


@dataclass
class Findings:
    """What a run came to. `most` has the largest share of each kind of limit that was used."""

    ticks: int = 0
    armed: int = 0
    armings: int = 0
    """How often the robot was armed, after whatever had stopped it."""
    most: dict[str, float] = field(default_factory=dict)
    nearest_m: float = math.inf
    """The smallest distance beyond what capsules are kept apart, and off planes and zones."""
    nearest_mesh_m: float = math.inf
    """The smallest distance that collision shapes of watched links came to, of those that were
    near each other and may not touch."""
    meshes: int = 0
    """Postures in which collision shapes were looked at."""
    contacts: int = 0
    """Of watched links' collision shapes, in those postures."""
    allowed_contacts: int = 0
    """Of links that may come so near that they touch, by the robot's own claims sheet."""
    kinematics_m: float = 0.0
    """The largest difference of two forward kinematics, in m, and of directions."""
    violations: int = 0
    examples: list[str] = field(default_factory=list)

    def beyond(self, what: str, where: NDArray[np.bool_], shown: Array | None = None) -> None:
        """Count what is beyond a limit."""
        if count := int(np.count_nonzero(where)):
            self.violations += count
            worst = "" if shown is None else f", worst {np.abs(shown[where]).max():.9g}"
            if len(self.examples) < 10:
                self.examples.append(f"{what}: {count} times{worst}")

    def use(self, what: str, share: Array) -> None:
        """Note how much of a limit was used."""
        if share.size:
            self.most[what] = max(self.most.get(what, 0.0), float(share.max()))


class Axes:
    """Judges every axis in its kind."""

    def __init__(self, config: KernelConfig) -> None:
        self._config = config
        kinds = np.array([int(kind) for kind in config.axis_kinds])
        self.velocity = kinds == AxisKind.VELOCITY
        self._continuous = kinds == AxisKind.CONTINUOUS
        self._gripper = kinds == AxisKind.GRIPPER
        self._low, self._high = np.array(config.q_min), np.array(config.q_max)
        self._limits = [np.array(each) for each in (config.dq_max, config.ddq_max, config.dddq_max)]
        ranged = ~(self.velocity | self._continuous)
        self._ranged, self._range = ranged, np.where(ranged, self._high - self._low, 0.0)

    def judge(self, commands: Commands, found: Findings) -> tuple[NDArray[np.intp], Array, Array]:
        """Judge an episode: (rows,) of armed ticks, and their (rows, axes) positions and velocities by difference."""
        armed = np.isin(commands.state, _ARMED)
        found.ticks += len(commands.state) - 1 - int(np.count_nonzero(commands.arms))
        found.armings += int(np.count_nonzero(commands.arms))
        self._rests(commands, found)
        rows, positions, velocities = [], [], []
        for start in np.flatnonzero(commands.arms):
            after = np.flatnonzero(~armed[start:])
            end = start + after[0] if after.size else len(armed)
            again = np.flatnonzero(commands.arms[start + 1 : end])
            end = end if not again.size else start + 1 + int(again[0])
            if end - start > 1:
                q, v = self._stretch(commands.told[start:end], found)
                rows.append(np.arange(start + 1, end))
                positions.append(q)
                velocities.append(v)
        unasked = armed.copy()
        for one in rows:
            unasked[one] = False
        found.beyond("armed without a request", unasked & ~commands.arms)
        if not rows:
            nothing = np.zeros((0, commands.told.shape[1]))
            return np.zeros(0, np.intp), nothing, nothing
        found.armed += sum(map(len, rows))
        return np.concatenate(rows), np.concatenate(positions), np.concatenate(velocities)

    def _rests(self, commands: Commands, found: Findings) -> None:
        """Nothing moves in a fault, and without feedback."""
        rest = np.isin(commands.state, _AT_REST)
        both = rest[1:] & rest[:-1]
        moved = np.diff(commands.told, axis=0) != 0.0
        found.beyond("moved in a fault", (moved & ~self.velocity).any(axis=1) & both & (np.arange(len(both)) > 0))
        found.beyond("driven in a fault", ((commands.told[1:] != 0.0) & self.velocity).any(axis=1) & both)

    def _stretch(self, told: Array, found: Findings) -> tuple[Array, Array]:
        """From arming, at rest, to the last armed tick. What turns without end is known modulo a turn."""
        found.beyond("not finite", np.asarray(~np.isfinite(told).all(axis=1)))
        way = np.diff(told, axis=0)
        shown = np.where(self._continuous, np.mod(told, math.tau), told)
        turned = np.diff(shown, axis=0)
        way = np.where(self._continuous, turned - math.tau * np.round(turned / math.tau), way)
        zero = np.zeros((1, told.shape[1]))
        v = np.vstack((zero, np.where(self.velocity, told[1:], way / TICK_S)))
        a = np.vstack((zero, np.diff(v, axis=0) / TICK_S))
        j = np.diff(a, axis=0) / TICK_S
        q = told[1:]
        # Positions have so many digits, and a third difference loses nine of them to the tick alone.
        size = np.where(self.velocity, 0.0, np.maximum(np.abs(told[1:]), np.abs(told[:-1])))
        rounding = _EPSILON * np.maximum(size, np.where(self._continuous, math.tau, 0.0))
        at_end = self._ranged & ((told == self._low) | (told == self._high))
        recent = at_end.copy()
        for back in (1, 2, 3):
            recent[back:] |= at_end[:-back]
        rounding = rounding + np.where(recent[1:], _END * self._range, 0.0)
        velocity_rounding = np.where(self.velocity, _EPSILON * np.abs(told[1:]), 0.0)
        joints = ~self._gripper
        self._range_of(q, v[1:], found)
        for what, values, limit, power, axes in (
            ("velocity", v[1:], self._limits[0], 1, joints),
            ("gripper rate", v[1:], self._limits[0], 1, self._gripper),
            ("acceleration", a[1:], self._limits[1], 2, joints),
            ("jerk", j, self._limits[2], 3, joints),
        ):
            slack = 2.0**power * rounding / TICK_S**power
            slack = slack + 2.0**power * velocity_rounding / TICK_S ** (power - 1)
            share = np.maximum(0.0, np.abs(values) - slack) / limit
            found.use(what, share[:, axes])
            found.beyond(what, (share > 1.0 + SLACK) & axes, share)
        return q, v[1:]

    def _range_of(self, q: Array, v: Array, found: Findings) -> None:
        middle, half = 0.5 * (self._low + self._high), 0.5 * (self._high - self._low)
        share = np.abs(q - middle) / half
        found.use("position", share[:, self._ranged])
        found.beyond("position", (share > 1.0 + SLACK) & self._ranged, share)
        ends = ((self._config.end_speed_min, -1.0), (self._config.end_speed_max, 1.0))
        for limits, sign in ends:
            for axis, limit in enumerate(limits):
                if limit is None:
                    continue
                room = np.maximum(0.0, sign * (limit.zero - q[:, axis]))
                most = np.maximum(0.0, np.sqrt(limit.slope * room) - limit.offset)
                over = sign * v[:, axis] - most * (1.0 + 1e-6) - 1e-6 * self._limits[0][axis]
                found.beyond("velocity near an end", over > 0.0, over)
