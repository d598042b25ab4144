"""What a policy is told of the robot's own posture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import EndEffectorState, GripperState, JointVelocityState, StateGroup
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.transforms.grippers import Grippers
from edge_runtime.policies.transforms.scaling import Float32, Normalizer, opening_in


class StateTransform:
    """Groups of an observation side by side, normalized. The robot must have what they name: see `require_fit`.

    Args:
        padded_to: zeros follow up to this width.
    """

    def __init__(self, groups: Sequence[StateGroup], embodiment: Embodiment, padded_to: int | None = None) -> None:
        self._groups = tuple(groups)
        self._normalizer = Normalizer([(group.statistics, group.width) for group in groups])
        self._index = {name: number for number, name in enumerate(embodiment.axis_names)}
        self._grippers = Grippers(embodiment)
        self._padded_to = padded_to

    def __call__(self, observation: Observation) -> Float32:
        """(width,) for `observation`."""
        values: list[float] = []
        for group in self._groups:
            if isinstance(group, GripperState):
                place, gripper = self._grippers.named(group.gripper)
                values.append(opening_in(group.unit, observation.position[place], gripper))
            elif isinstance(group, JointVelocityState):
                values += [observation.velocity[self._index[joint]] for joint in group.joints]
            elif not isinstance(group, EndEffectorState):
                values += [observation.position[self._index[joint]] for joint in group.joints]
        normalized = self._normalizer.normalize(np.array(values, dtype=np.float64))
        if self._padded_to is None:
            return normalized
        return np.pad(normalized, (0, self._padded_to - len(normalized)))
