"""What of a robot's body is kept from what, and what is not, as sentences of the claims sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_runtime.config.safety_file import GeometrySection, SafetyLimits, Vector
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.safety.kinematics import BASE, HeldJoint, KinematicsFile, Watch


def has_world(geometry: GeometrySection) -> bool:
    """Whether there is anything around the robot that its links are kept from."""
    return geometry.workspace is not None or bool(geometry.half_spaces or geometry.keep_out)


def carried_along(geometry: GeometrySection, embodiment: Embodiment) -> tuple[str, ...]:
    """Names of what links are kept from and that goes with the base, for want of odometry.

    A half-space whose border is level is none of them: driving and turning leave it where it is.
    """
    if not embodiment.base_axes or geometry.odometry:
        return ()
    upright = [space.name for space in geometry.half_spaces if any(space.normal[:2])]
    box = [] if geometry.workspace is None else ["the workspace"]
    return (*upright, *box, *(zone.name for zone in geometry.keep_out))


def kept_from(
    geometry: GeometrySection, safety: SafetyLimits, embodiment: Embodiment, file: KinematicsFile, watch: Watch
) -> tuple[str, ...]:
    """What holds of the robot's links and tools."""
    others = "each other (all but the pairs under *not kept apart*), and from " if watch.kept else ""
    lines = [f"links are kept {geometry.clearance_min_m * 1e3:g} mm from {others}what follows"]
    for (first, second), least_m in watch.near.items():
        if least_m >= 0.0:
            lines.append(f"{first} and {second}, which are nearer to each other at home: {least_m * 1e3:g} mm apart")
    if fingers := [_covered(joint) for joint in file.held if joint.covered]:
        lines.append(f"what moves without being part of a posture is covered over its whole way: {', '.join(fingers)}")
    if geometry.workspace is not None:
        box = geometry.workspace
        corners = ", ".join(f"{low:g} to {high:g}" for low, high in zip(box.min_m, box.max_m, strict=True))
        lines.append(f"workspace: {corners} m")
    lines += [f"{s.name}: inside ({_vector(s.normal)}) . p >= {s.offset_m:g} m" for s in geometry.half_spaces]
    lines += [
        f"{z.name}: outside ({_vector(z.min_m)}) to ({_vector(z.max_m)}) m, grown by {z.radius_m:g} m"
        for z in geometry.keep_out
    ]
    lines += _of_the_base(geometry, embodiment)
    lines.append(_tool_speeds(geometry, safety))
    if geometry.manipulability_slow_below > 0.0:
        lines.append(f"slower near singular postures, from manipulability {geometry.manipulability_slow_below:g} on")
    return tuple(lines)


def _covered(joint: HeldJoint) -> str:
    return f"{joint.name}, {joint.low:g} to {joint.high:g} {joint.unit}"


def _of_the_base(geometry: GeometrySection, embodiment: Embodiment) -> Iterator[str]:
    if not embodiment.base_axes or not has_world(geometry):
        return
    if geometry.odometry:
        yield (
            "half-spaces and zones stand in the world that the base's odometry measures in, and are no better than it; "
            "losing it stops the robot"
        )
    elif names := carried_along(geometry, embodiment):
        yield f"**{', '.join(names)}: carried along with the base**: nothing that stands in the room is kept off"


def _tool_speeds(geometry: GeometrySection, safety: SafetyLimits) -> str:
    speeds_m_s = {tool.name: tool.speed_max_m_s for tool in safety.tools if tool.speed_max_m_s is not None}
    if len(speeds_m_s) > 1:
        fastest = ", ".join(f"{name} {speed_m_s:g} m/s" for name, speed_m_s in speeds_m_s.items())
        said = f"tool speeds at most: {fastest}"
    else:
        said = f"tool speed at most {next(iter(speeds_m_s.values()), geometry.tool_speed_max_m_s):g} m/s"
    return f"{said}; {geometry.reduced_tool_speed_m_s:g} m/s in reduced-speed mode, which is no safety-rated mode"


def _vector(values: Vector) -> str:
    return ", ".join(f"{value:g}" for value in values)


def not_kept_apart(file: KinematicsFile, watch: Watch, geometry: GeometrySection) -> Iterator[str]:
    """Everything of the body that nothing keeps apart, or off planes and zones, by name and with the reason."""
    if watch.neighbours:
        yield (
            f"on neighbouring links, overlapping at home around their joint: {_names(watch.neighbours)}; how deep such "
            "a pair folds into each other is bounded by nothing but its joint's range"
        )
    if watch.apart:
        yield (
            f"proved never to be within {geometry.clearance_min_m * 1e3:g} mm inside the joints' ranges: "
            f"{_names(watch.apart)}"
        )
    for proved, reason in ((True, "proved never to overlap by more"), (False, "kept only from overlapping by more")):
        inside = {pair: -least_m for pair, least_m in watch.near.items() if (pair in watch.proved_near) is proved}
        by = [f"{' and '.join(pair)} ({deep_m * 1e3:g} mm)" for pair, deep_m in inside.items() if deep_m > 0.0]
        if by:
            yield f"capsules that overlap or nearly touch at home, {reason} than: {', '.join(by)}"
    if watch.may_touch:
        yield f"**may touch, because this robot's safety file says so**: {_names(watch.may_touch)}"
    for joint in file.held:
        if not joint.covered:
            yield f"**joint {joint.name} and what it moves**: taken to stand at 0 rad; elsewhere no capsule covers it"
    if file.uncovered:
        yield f"**what is drawn of {', '.join(file.uncovered)}** in the description: no capsule holds all of it"
    covered = {capsule.link for capsule in file.capsules}
    if bare := [joint.name for joint in file.joints if joint.name not in covered]:
        yield f"the links of {', '.join(bare)}: no capsule covers them"
    if free := [one.name for one in file.capsules if one.link is not BASE and not one.in_world]:
        yield f"planes and keep-out zones for {', '.join(free)}"


def _names(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(" and ".join(pair) for pair in pairs)
