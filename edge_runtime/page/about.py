"""Which robot the page is of, from its settings: its axes with what they are held to, its cameras, its geometry."""

from __future__ import annotations

import importlib.metadata
import math
import secrets
from pathlib import Path

from edge_runtime.client.run_dir import run_dir_here
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.safety_file import AxisLimits
from edge_runtime.contracts.axes import AnyAxis
from edge_runtime.page.shown import VERSION, AxisShown, GroupShown, RobotShown


def about(
    config: RobotConfig, run_dir: Path, *, takes_requests: bool, takes_arming: bool, needs_token: bool
) -> RobotShown:
    """What a browser is told of the robot when it opens the page."""
    geometry = config.safety.geometry
    return RobotShown(
        version=VERSION,
        boot=secrets.token_hex(8),
        name=config.robot.name,
        embodiment=config.embodiment.name,
        driver=config.robot.driver,
        runtime_version=_version(),
        run_dir="" if run_dir == run_dir_here() else str(run_dir),
        groups=tuple(
            GroupShown(
                name=group.name,
                kind=group.kind,
                axes=tuple(axis_shown(axis, config.safety.axes.get(axis.name)) for axis in group.axes),
            )
            for group in config.embodiment.groups
        ),
        cameras=tuple(camera.name for camera in config.embodiment.cameras),
        clearance_min_m=None if geometry is None else geometry.clearance_min_m,
        tool_speed_max_m_s=min(filter(None, (tool.speed_max_m_s for tool in config.safety.tools)), default=None),
        has_updates=config.ota is not None,
        takes_requests=takes_requests,
        takes_arming=takes_arming,
        needs_token=needs_token,
    )


def axis_shown(axis: AnyAxis, limits: AxisLimits | None = None) -> AxisShown:
    """An axis with what it is held to; without `limits`, with what it is rated for."""
    low, high, speed_max = axis.low, axis.high, axis.speed_max
    if limits is not None:
        low, high, speed_max = (
            rated if known is None else known
            for known, rated in ((limits.low, low), (limits.high, high), (limits.speed_max, speed_max))
        )
    return AxisShown(
        name=axis.name,
        kind=str(type(axis).__struct_config__.tag),
        unit=axis.unit,
        rate_unit=axis.rate_unit,
        is_gripper=axis.is_gripper,
        is_velocity=axis.is_velocity,
        low=_finite(low),
        high=_finite(high),
        speed_max=_finite(speed_max),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _version() -> str:
    try:
        return importlib.metadata.version("edge-runtime")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
