"""Whether the real safety kernel arms a robot in a posture."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.config.robot_file import RobotConfig


def refusal_at(config: RobotConfig, posture: Sequence[float]) -> str | None:
    """Why the kernel does not arm there, None if it does.

    Args:
        posture: (axes,) values in the embodiment's order.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
    """
    from edge_runtime.control.limits import kernel_config
    from edge_runtime.control.start_posture import geometry_problem

    embodiment = config.embodiment
    kernel_config(config.safety, embodiment)
    return geometry_problem(config.safety, embodiment, posture)
