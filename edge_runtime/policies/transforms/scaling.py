"""Normalized numbers to physical units and back, and a gripper's units to what its axis is told in and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.axes import AnyGripper
from edge_runtime.contracts.manifest import GripperUnit, Quantiles, Statistics

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class Normalizer:
    """``normalized = (physical - offset) / scale`` over the last axis, and back.

    Args:
        parts: statistics with the number of dimensions that each is of, side by side.
    """

    def __init__(self, parts: Sequence[tuple[Statistics, int]]) -> None:
        self._offset: Float64 = np.concatenate([np.broadcast_to(s.offset, width) for s, width in parts])
        self._scale: Float64 = np.concatenate([np.broadcast_to(s.scale, width) for s, width in parts])
        clips = np.concatenate([np.full(width, isinstance(s, Quantiles) and s.clip) for s, width in parts])
        self._most = np.where(clips, 1.0, np.inf) if clips.any() else None

    def normalize(self, physical: Float64) -> Float32:
        """Physical units to what the policy was trained on."""
        normalized = (physical - self._offset) / self._scale
        return self._clipped(normalized).astype(np.float32)

    def denormalize(self, normalized: Float32) -> Float64:
        """The inverse of `normalize`."""
        return self._clipped(normalized.astype(np.float64)) * self._scale + self._offset

    def _clipped(self, normalized: Float64) -> Float64:
        return normalized if self._most is None else np.clip(normalized, -self._most, self._most)


def opening_in(unit: GripperUnit, value: float, gripper: AnyGripper) -> float:
    """The value of a gripper's axis in the policy's `unit`."""
    if unit in ("m", "rad"):
        return value
    fraction = (value - gripper.closed) / (gripper.open - gripper.closed)
    return fraction if unit == "fraction_open" else 1.0 - fraction


def opening_of(unit: GripperUnit, values: Float64, gripper: AnyGripper) -> Float64:
    """The inverse of `opening_in`, for many values, kept inside what the gripper can do."""
    if unit not in ("m", "rad"):
        fraction = values if unit == "fraction_open" else 1.0 - values
        values = gripper.closed + fraction * (gripper.open - gripper.closed)
    return np.clip(values, gripper.low, gripper.high)
