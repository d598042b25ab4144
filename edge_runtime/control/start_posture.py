"""Why a robot can't be armed where it stands, in words for a person: which joint or link, how far, and what to do.

Decides nothing: the kernel has, or will. What is said here is computed from the same limits with the kernel's own code.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.embodiment import Embodiment
from edge_runtime.control.limits import geometry_model, plane_names
from edge_runtime.safety.clearance import Distance, distances
from edge_runtime.safety_file import GeometrySection, SafetyLimits

_ROUNDING_M = 1e-12
"""The kernel takes a clearance that is short by so much for rounding."""


def geometry_problem(limits: SafetyLimits, embodiment: Embodiment, posture_rad: Sequence[float]) -> str | None:
    """Why arming in this posture would be refused for what is too near, or None if it would not.

    Args:
        limits: of the robot.
        embodiment: its type.
        posture_rad: (joints,) finite angles in the embodiment's order.

    Raises:
        ConfigError: limits that the kernel can't hold, named.
        ValueError: not one angle for each joint.
    """
    if len(posture_rad) != len(embodiment.joints):
        raise ValueError(f"a posture has {len(embodiment.joints)} angles, got {len(posture_rad)}")
    model, geometry = geometry_model(limits), limits.geometry
    if model is None or geometry is None:
        return None
    near = [d for d in distances(model, posture_rad) if d.distance_m < geometry.clearance_min_m - _ROUNDING_M]
    if not near:
        return None
    worst = min(near, key=lambda distance: distance.distance_m)
    more = f" ({len(near) - 1} more are too near)" if len(near) > 1 else ""
    return _words(worst, geometry) + more


def _words(found: Distance, geometry: GeometrySection) -> str:
    kept = f"{geometry.clearance_min_m * 1e3:g} mm must be kept"
    if found.other is not None:
        apart = f"{found.capsule} and {found.other} {_apart(found.distance_m, 'overlap by', 'are', 'apart')}"
        return f"{apart}, {kept}: move them apart by the robot's own means"
    if found.plane is not None:
        what = plane_names(geometry)[found.plane]
        cure = "move that plane"
    else:
        assert found.keepout is not None
        what = geometry.keep_out[found.keepout].name
        cure = "shrink that zone"
    where = _apart(found.distance_m, "is", "is", "from", past="into")
    return (
        f"{found.capsule} {where} {what}, {kept}: move the robot away; if no joint can, {cure} in the safety file, or "
        f"set in_world = false for {found.capsule} in {geometry.kinematics}"
    )


def _apart(distance_m: float, overlapping: str, clear: str, apart: str, past: str = "") -> str:
    millimetres = f"{abs(distance_m) * 1e3:.1f} mm"
    return f"{overlapping} {millimetres} {past}".strip() if distance_m < 0.0 else f"{clear} {millimetres} {apart}"
