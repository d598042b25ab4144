"""How the axes of an arm have to move for its tool to move: straight along an axis, or turned about one.

The tool's place comes first: an arm with fewer than six axes goes straight and turns as little as it can. Near a
posture in which it can't, the axes slow down instead of racing (damped least squares). Pure: no clock, no loop. A pose
is the kernel's own, of a base that stands at its origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics import GeometryModel

Array = NDArray[np.float64]

_NEAR_SINGULAR_M = 0.02
_DAMPING_M = 0.02
_NEAR_SINGULAR = 0.05
_DAMPING = 0.05


@dataclass(frozen=True, slots=True)
class ToolPose:
    """Where a tool is in the frame of the robot's base: its point, (3,), and the rotation of its link, (3, 3)."""

    position_m: Array
    rotation: Array


class ToolMotion:
    """The tools of one robot.

    Args:
        model: of its body.
        embodiment: of the robot; a tool is moved by the axes of the group of the last one that carries it.

    Attributes:
        names: of the tools, in order.
    """

    def __init__(self, model: GeometryModel, embodiment: Embodiment) -> None:
        self._model = ffi.new("geometry_model *")
        model.fill(self._model)
        self._n_axes = len(embodiment.axes)
        self.names = tuple(tool.name for tool in model.tools)
        self._base = ffi.new("double[3]")
        self._q = ffi.new("double[]", int(lib.GEOMETRY_MAX_AXES))
        self._pose = ffi.new("geometry_pose *")
        self._chains = [self._chain(number, embodiment) for number in range(len(self.names))]

    def _chain(self, tool: int, embodiment: Embodiment) -> tuple[tuple[int, int], ...]:
        """Link and axis of each joint that moves this tool and may be used for it."""
        found: list[tuple[int, int]] = []
        link = self._model.tools[tool].link
        while link >= 0:
            joint = self._model.joints[link]
            axis = embodiment.axes[joint.axis]
            if not axis.is_gripper and not axis.is_velocity:
                found.append((link, int(joint.axis)))
            link = joint.parent
        if not found:
            return ()
        group = next(group for group in embodiment.groups if embodiment.axes[found[0][1]] in group.axes)
        return tuple((link, axis) for link, axis in found if embodiment.axes[axis] in group.axes)

    def is_moved(self, tool: int) -> bool:
        """Whether an axis moves this tool."""
        return bool(self._chains[tool])

    def pose(self, tool: int, q: Array) -> ToolPose:
        """Where a tool is.

        Args:
            tool: its number.
            q: (axes,).
        """
        self._look(q)
        point = np.array(list(self._model.tools[tool].point_m))
        rotation, origin_m = self._link(self._model.tools[tool].link)
        return ToolPose(origin_m + rotation @ point, rotation)

    def axis_speeds(self, tool: int, q: Array, linear_m_s: Array, angular_rad_s: Array) -> Array:
        """(axes,) how fast the axes move for a tool to move so, in the base's frame; others stand still.

        Args:
            tool: its number.
            q: (axes,) where the axes are.
            linear_m_s, angular_rad_s: (3,) of the tool's point, and of its link.
        """
        point_m = self.pose(tool, q).position_m
        chain = self._chains[tool]
        moves, turns = np.zeros((3, self._n_axes)), np.zeros((3, self._n_axes))
        for link, axis in chain:
            joint = self._model.joints[link]
            rotation, origin_m = self._link(link)
            along = rotation[:, 2]
            if joint.slides:
                moves[:, axis] += joint.ratio * along
            else:
                moves[:, axis] += joint.ratio * np.cross(along, point_m - origin_m)
                turns[:, axis] += joint.ratio * along
        first = _damped_inverse(moves, _NEAR_SINGULAR_M, _DAMPING_M)
        speeds = first @ linear_m_s
        free = np.eye(self._n_axes) - np.linalg.pinv(moves, rcond=1e-3) @ moves
        second = _damped_inverse(turns @ free, _NEAR_SINGULAR, _DAMPING)
        return np.asarray(speeds + free @ second @ (angular_rad_s - turns @ speeds))

    def _look(self, q: Array) -> None:
        self._q[0 : self._n_axes] = q.tolist()
        lib.geometry_pose_at(self._model, self._base, self._q, self._pose)

    def _link(self, link: int) -> tuple[Array, Array]:
        if link < 0:
            return np.eye(3), np.zeros(3)
        return np.array(list(self._pose.rotation[link])).reshape(3, 3), np.array(list(self._pose.origin_m[link]))


def _damped_inverse(matrix: Array, near: float, damping: float) -> Array:
    """(columns, rows) inverse, in which directions that take more than 1 / `near` are damped away."""
    left, singular, right = np.linalg.svd(matrix, full_matrices=False)
    short = np.clip(1.0 - (singular / near) ** 2, 0.0, 1.0)
    inverse = singular / np.maximum(singular**2 + short * damping**2, 1e-12)
    return np.asarray(right.T @ (inverse[:, None] * left.T))


def rotation_vector(rotation: Array) -> Array:
    """(3,) axis times angle, 0 to pi, of a rotation matrix."""
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine, cosine = float(np.linalg.norm(skew)) / 2.0, (float(np.trace(rotation)) - 1.0) / 2.0
    angle = float(np.arctan2(sine, cosine))
    if sine > 1e-9:
        return np.asarray(skew / (2.0 * sine) * angle)
    if cosine > 0.0:
        return np.asarray(skew / 2.0)
    axis = np.sqrt(np.clip((np.diag(rotation) + 1.0) / 2.0, 0.0, 1.0))
    largest = int(np.argmax(axis))
    signs = np.sign(rotation[largest] + rotation[:, largest])
    signs[largest] = 1.0
    return np.asarray(angle * axis * np.where(signs == 0.0, 1.0, signs))
