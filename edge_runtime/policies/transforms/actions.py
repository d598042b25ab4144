"""From a decoder's output to what each axis of the robot is asked for."""

from __future__ import annotations

import numpy as np

from edge_runtime.contracts.axes import AnyGripper, BaseYaw
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import (
    BaseVelocity,
    EndEffectorMotion,
    GripperOpening,
    GripperSwitch,
    Held,
    JointPositions,
    JointVelocities,
    Outputs,
    Padding,
    Unscaled,
)
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.transforms.grippers import Grippers
from edge_runtime.policies.transforms.scaling import Float32, Float64, Normalizer, opening_in, opening_of

_USUAL = 0.1
"""How far an axis usually goes in a chunk, rad or m, where no statistics tell."""


class ActionTransform:
    """Groups of outputs to what the robot is asked for. The robot must have what they name: see `require_fit`."""

    def __init__(self, outputs: Outputs, embodiment: Embodiment) -> None:
        self._outputs = outputs
        self._index = {name: number for number, name in enumerate(embodiment.axis_names)}
        self._along = {
            "yaw" if isinstance(axis, BaseYaw) else axis.along: place
            for place, axis in zip(embodiment.base_indices, embodiment.base_axes, strict=True)
        }
        self._grippers = Grippers(embodiment)
        self._joints = embodiment.joint_indices
        meant = [group for group in outputs.groups if not isinstance(group, (Held, Padding))]
        self._normalizer = Normalizer([(group.statistics, group.width) for group in meant])
        columns: list[int] = []
        at = 0
        for group in outputs.groups:
            if not isinstance(group, (Held, Padding)):
                columns += range(at, at + group.width)
            at += group.width
        self._columns = np.array(columns)
        self._is_whole = len(columns) == outputs.width

    @property
    def scale(self) -> Float64:
        """(joints,) how far the policy's actions usually reach, above zero, in the order of the robot's joints."""
        scale = np.full(len(self._index), _USUAL)
        for group in self._outputs.groups:
            if not isinstance(group, (JointPositions, JointVelocities)) or isinstance(group.statistics, Unscaled):
                continue
            # What adds up reaches further: half the chunk on average.
            sums = isinstance(group, JointVelocities) or group.relative_to == "previous"
            times = self._outputs.horizon / 2.0 if sums else 1.0
            if isinstance(group, JointVelocities):
                times *= self._outputs.action_dt_ns * 1e-9
            for joint, reach in zip(group.joints, group.statistics.scale, strict=True):
                scale[self._index[joint]] = reach * times
        return scale[list(self._joints)]

    def to_physical(self, normalized: Float32, observation: Observation, before: Float64 | None = None) -> Float64:
        """What each axis is asked for, (actions, axes), in its unit; grippers are kept in range.

        Args:
            normalized: (actions, width).
            observation: what it was decoded for: the base of what is relative to what was observed.
            before: (axes,) the action before the first one, where that is not what was observed.
        """
        actions = self._normalizer.denormalize(normalized if self._is_whole else normalized[:, self._columns])
        observed = np.asarray(observation.position, dtype=np.float64)
        before = observed if before is None else before
        asked = np.empty((len(actions), len(observed)))
        at = 0
        for group in self._outputs.groups:
            if isinstance(group, Padding):
                continue
            values = actions[:, at : at + group.width]
            at += group.width
            if isinstance(group, (GripperOpening, GripperSwitch)):
                place, gripper = self._grippers.named(group.gripper)
                asked[:, place] = self._opening(group, values[:, 0], gripper)
            elif isinstance(group, BaseVelocity):
                asked[:, [self._along[axis] for axis in group.axes]] = values
            elif isinstance(group, Held):
                self._hold(group, asked, observed, before)
            elif not isinstance(group, EndEffectorMotion):
                joints = [self._index[joint] for joint in group.joints]
                asked[:, joints] = self._position(group, values, observed[joints], before[joints])
        return asked

    def _hold(self, group: Held, asked: Float64, observed: Float64, before: Float64) -> None:
        for joint in group.joints:
            place = self._index[joint]
            asked[:, place] = 0.0 if place in self._along.values() else before[place]
        for name in (*group.grippers, *((None,) if group.gripper else ())):
            place, _ = self._grippers.named(name)
            asked[:, place] = observed[place]

    def _position(
        self, group: JointPositions | JointVelocities, values: Float64, observed: Float64, before: Float64
    ) -> Float64:
        if isinstance(group, JointVelocities):
            return before + np.cumsum(values, axis=0) * (self._outputs.action_dt_ns * 1e-9)
        if group.relative_to == "previous":
            return before + np.cumsum(values, axis=0)
        return values + observed if group.relative_to == "observed" else values

    def to_normalized(self, asked: Float64, observation: Observation) -> Float32:
        """The inverse of `to_physical`, (actions, width): what the policy would have said for these; 0 where nothing is
        meant.

        Args:
            asked: (actions, axes), the first of them the first one after `observation`.
        """
        observed = np.asarray(observation.position, dtype=np.float64)
        moved = np.diff(asked, axis=0, prepend=observed[np.newaxis])
        meant: list[Float64] = []
        for group in self._outputs.groups:
            if isinstance(group, GripperOpening):
                place, gripper = self._grippers.named(group.gripper)
                unit = group.unit
                meant.append(np.array([[opening_in(unit, value, gripper)] for value in asked[:, place].tolist()]))
            elif isinstance(group, BaseVelocity):
                meant.append(asked[:, [self._along[axis] for axis in group.axes]])
            elif isinstance(group, (JointPositions, JointVelocities)):
                joints = [self._index[joint] for joint in group.joints]
                if isinstance(group, JointVelocities):
                    values = moved[:, joints] / (self._outputs.action_dt_ns * 1e-9)
                elif group.relative_to == "previous":
                    values = moved[:, joints]
                else:
                    values = asked[:, joints] - (observed[joints] if group.relative_to == "observed" else 0.0)
                meant.append(values)
        normalized = np.zeros((len(asked), self._outputs.width), dtype=np.float32)
        normalized[:, self._columns] = self._normalizer.normalize(np.concatenate(meant, axis=1))
        return normalized

    @staticmethod
    def _opening(group: GripperOpening | GripperSwitch, values: Float64, gripper: AnyGripper) -> Float64:
        if isinstance(group, GripperOpening):
            return opening_of(group.unit, values, gripper)
        is_open = values > group.threshold if group.open_is == "above" else values < group.threshold
        # What is no number is no decision.
        return np.where(np.isnan(values), np.nan, np.where(is_open, gripper.open, gripper.closed))
