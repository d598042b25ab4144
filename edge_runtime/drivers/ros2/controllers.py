"""Targets as messages to the robot's controllers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.axes import BaseLinear
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.drivers.ros2.bus import Bus, Outbox
from edge_runtime.drivers.ros2.messages import (
    Duration,
    Float64MultiArray,
    Header,
    JointTrajectory,
    JointTrajectoryPoint,
    Time,
    Twist,
    TwistStamped,
    Vector3,
)
from edge_runtime.drivers.ros2.settings import AxisSection, BaseSection, CommandSection, Ros2Settings


class PositionController:
    """One controller of joints, and the axes that it has.

    Attributes:
        topic: where it listens.
        outbox: what goes there.
    """

    def __init__(
        self,
        bus: Bus,
        section: CommandSection,
        axes: Sequence[str],
        indices: Sequence[int],
        all_: Mapping[str, AxisSection],
    ) -> None:
        chosen = [all_.get(name, AxisSection()) for name in axes]
        self.topic = section.topic
        self._indices = list(indices)
        self._joints = tuple(one.joint or name for one, name in zip(chosen, axes, strict=True))
        self._ratio = np.array([one.ratio for one in chosen])
        self._offset = np.array([one.offset for one in chosen])
        self._is_trajectory = section.kind == "trajectory"
        self._horizon = Duration(*divmod(round(section.horizon_s * 1e9), 1_000_000_000))
        self.outbox: Outbox[Any] = bus.outbox(
            section.topic, JointTrajectory if self._is_trajectory else Float64MultiArray
        )

    def send(self, q: NDArray[np.float64], _dq: NDArray[np.float64]) -> None:
        """Have its joints be where `q`, (axes,), says."""
        joints = (q[self._indices] - self._offset) / self._ratio
        if not self._is_trajectory:
            self.outbox.send(Float64MultiArray(data=joints))
            return
        # Without a stamp it begins when it comes, on whatever clock that is; without a velocity it ends at rest.
        point = JointTrajectoryPoint(positions=joints, time_from_start=self._horizon)
        self.outbox.send(JointTrajectory(joint_names=self._joints, points=(point,)))


class BaseController:
    """The controller of a base.

    Attributes:
        topic: where it listens.
        outbox: what goes there.
    """

    def __init__(self, bus: Bus, section: BaseSection, embodiment: Embodiment) -> None:
        self.topic = section.command
        self._places = base_places(embodiment)
        self._is_stamped = section.stamped
        self.outbox: Outbox[Any] = bus.outbox(section.command, TwistStamped if section.stamped else Twist)

    def send(self, _q: NDArray[np.float64], dq: NDArray[np.float64]) -> None:
        """Have the base drive as `dq`, (axes,), says."""
        values = {what: float(dq[index]) for what, index in self._places.items()}
        linear = Vector3(values.get("x", 0.0), values.get("y", 0.0))
        twist = Twist(linear, Vector3(z=values.get("yaw", 0.0)))
        if self._is_stamped:
            # Its controller compares with its own clock, which is wall time on a robot.
            self.outbox.send(TwistStamped(Header(Time.of_ns(time.time_ns())), twist))
        else:
            self.outbox.send(twist)


def base_places(embodiment: Embodiment) -> dict[str, int]:
    """Where x, y and yaw of the base are among the axes, those that there are."""
    return {
        axis.along if isinstance(axis, BaseLinear) else "yaw": index
        for axis, index in zip(embodiment.base_axes, embodiment.base_indices, strict=True)
    }


def controllers_of(
    bus: Bus, settings: Ros2Settings, embodiment: Embodiment
) -> list[PositionController | BaseController]:
    """All controllers of a robot."""
    names = embodiment.axis_names
    driven = [name for index, name in enumerate(names) if index not in embodiment.base_indices]
    found: list[PositionController | BaseController] = []
    for section in settings.commands:
        axes = section.axes or driven
        found.append(PositionController(bus, section, axes, [names.index(name) for name in axes], settings.axes))
    if settings.base is not None:
        found.append(BaseController(bus, settings.base, embodiment))
    return found
