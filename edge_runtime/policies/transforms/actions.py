"""From a decoder's output to absolute joint positions and gripper openings."""

from __future__ import annotations

import numpy as np

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
from edge_runtime.policies.transforms.scaling import Float32, Float64, Normalizer, opening_in, opening_m_of

_USUAL_RAD = 0.1
"""How far a joint usually goes in a chunk, where no statistics tell."""


class ActionTransform:
    """Groups of outputs to what the robot is asked for. The robot must have what they name: see `require_fit`."""

    def __init__(self, outputs: Outputs, embodiment: Embodiment) -> None:
        self._outputs, self._embodiment = outputs, embodiment
        self._index = {name: number for number, name in enumerate(embodiment.joint_names)}
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
    def scale_rad(self) -> Float64:
        """(joints,) how far the policy's actions usually reach, above zero, in the robot's order."""
        scale = np.full(len(self._index), _USUAL_RAD)
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
        return scale

    def to_physical(
        self, normalized: Float32, observation: Observation, before_rad: Float64 | None = None
    ) -> tuple[Float64, Float64]:
        """Positions (actions, joints) in rad and openings (actions,) in m, the latter kept in range.

        Args:
            normalized: (actions, width).
            observation: what it was decoded for: the base of what is relative to what was observed.
            before_rad: (joints,) the action before the first one, where that is not what was observed.
        """
        actions = self._normalizer.denormalize(normalized if self._is_whole else normalized[:, self._columns])
        observed_rad = np.asarray(observation.position_rad, dtype=np.float64)
        before_rad = observed_rad if before_rad is None else before_rad
        position_rad = np.empty((len(actions), len(observed_rad)))
        opening_m = np.full(len(actions), observation.gripper_opening_m)
        opening_max_m = self._embodiment.gripper.opening_max_m
        at = 0
        for group in self._outputs.groups:
            if isinstance(group, Padding):
                continue
            values = actions[:, at : at + group.width]
            at += group.width
            if isinstance(group, (GripperOpening, GripperSwitch)):
                opening_m = self._opening_m(group, values[:, 0], opening_max_m)
            elif not isinstance(group, (EndEffectorMotion, BaseVelocity)):
                joints = [self._index[joint] for joint in group.joints]
                position_rad[:, joints] = self._position_rad(group, values, observed_rad[joints], before_rad[joints])
        return position_rad, opening_m

    def _position_rad(
        self,
        group: JointPositions | JointVelocities | Held,
        values: Float64,
        observed_rad: Float64,
        before_rad: Float64,
    ) -> Float64:
        if isinstance(group, Held):
            return np.broadcast_to(before_rad, (len(values), len(before_rad)))
        if isinstance(group, JointVelocities):
            return before_rad + np.cumsum(values, axis=0) * (self._outputs.action_dt_ns * 1e-9)
        if group.relative_to == "previous":
            return before_rad + np.cumsum(values, axis=0)
        return values + observed_rad if group.relative_to == "observed" else values

    def to_normalized(self, position_rad: Float64, opening_m: Float64, observation: Observation) -> Float32:
        """The inverse of `to_physical`, (actions, width): what the policy would have said for these; 0 where nothing is
        meant.

        Args:
            position_rad: (actions, joints), the first of them the first one after `observation`.
            opening_m: (actions,).
        """
        observed_rad = np.asarray(observation.position_rad, dtype=np.float64)
        moved_rad = np.diff(position_rad, axis=0, prepend=observed_rad[np.newaxis])
        opening_max_m = self._embodiment.gripper.opening_max_m
        meant: list[Float64] = []
        for group in self._outputs.groups:
            if isinstance(group, GripperOpening):
                unit = group.unit
                meant.append(np.array([[opening_in(unit, value, opening_max_m)] for value in opening_m.tolist()]))
            elif isinstance(group, (JointPositions, JointVelocities)):
                joints = [self._index[joint] for joint in group.joints]
                if isinstance(group, JointVelocities):
                    values = moved_rad[:, joints] / (self._outputs.action_dt_ns * 1e-9)
                elif group.relative_to == "previous":
                    values = moved_rad[:, joints]
                else:
                    values = position_rad[:, joints] - (
                        observed_rad[joints] if group.relative_to == "observed" else 0.0
                    )
                meant.append(values)
        normalized = np.zeros((len(position_rad), self._outputs.width), dtype=np.float32)
        normalized[:, self._columns] = self._normalizer.normalize(np.concatenate(meant, axis=1))
        return normalized

    @staticmethod
    def _opening_m(group: GripperOpening | GripperSwitch, values: Float64, opening_max_m: float) -> Float64:
        if isinstance(group, GripperOpening):
            return opening_m_of(group.unit, values, opening_max_m)
        is_open = values > group.threshold if group.open_is == "above" else values < group.threshold
        # What is no number is no decision.
        return np.where(np.isnan(values), np.nan, np.where(is_open, opening_max_m, 0.0))
