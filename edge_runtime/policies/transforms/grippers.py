"""A robot's grippers as manifests name them."""

from __future__ import annotations

from edge_runtime.contracts.axes import AnyGripper
from edge_runtime.contracts.embodiment import Embodiment


class Grippers:
    """The grippers of one robot, by name."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._known = dict(zip(embodiment.gripper_indices, embodiment.grippers, strict=True))

    def named(self, name: str | None) -> tuple[int, AnyGripper]:
        """The place of a gripper in the robot's vectors, and the gripper; None is the only one.

        Raises:
            KeyError: the robot has none of that name.
        """
        for place, gripper in self._known.items():
            if name is None or gripper.name == name:
                return place, gripper
        raise KeyError(name)
