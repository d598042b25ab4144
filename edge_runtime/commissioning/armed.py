"""Whether the real safety kernel arms a robot in a posture."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.control.limits import TICK_NS, kernel_config
from edge_runtime.control.start_posture import geometry_problem
from edge_runtime.safety import Kernel, Measurement, Request, Result


def armed_kernel(config: RobotConfig, posture: Sequence[float]) -> tuple[Kernel, Result]:
    """A kernel of this robot that was asked to arm, and what it answered.

    Args:
        posture: (axes,) values in the embodiment's order, at which everything is measured at rest.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
    """
    kernel = Kernel(kernel_config(config.safety, config.embodiment))
    now_ns = 1_000_000_000
    measured = Measurement(
        stamp_ns=now_ns,
        seq=1,
        q=tuple(0.0 if axis.is_velocity else at for axis, at in zip(config.embodiment.axes, posture, strict=True)),
        dq=(0.0,) * len(posture),
        odometry=(0.0, 0.0, 0.0) if config.embodiment.base_axes else None,
    )
    kernel.step(measured, None, now_ns + TICK_NS)
    return kernel, kernel.request(Request.ARM, measured, now_ns + TICK_NS)


def refusal_at(config: RobotConfig, posture: Sequence[float]) -> str | None:
    """Why the kernel does not arm there, in words; None if it does.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
    """
    _, result = armed_kernel(config, posture)
    if result is Result.DONE:
        return None
    problem = geometry_problem(config.safety, config.embodiment, posture)
    return problem or result.name.lower().replace("_", " ")
