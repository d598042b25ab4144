"""Rows about the robot: its driver and cameras, its limits and home posture, its stop line."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.drivers.registry import declaration_of


def driver(config: RobotConfig) -> Iterator[Row]:
    """Is there such a driver, and has it the axes and cameras of this embodiment?"""
    declared, embodiment = declaration_of(config), config.embodiment
    declared.require_fit(embodiment)
    declared.require_settings(config)
    cameras = ", ".join(f"{c.name} {c.width_px} x {c.height_px} px" for c in embodiment.cameras)
    found = f"{config.robot.driver}, {_axes(embodiment)}, cameras: {cameras or 'none'}"
    if declared.watchdog_ns == 0:
        remedy = "a driver that stops the robot by itself when commands stay away: without one it can't be armed"
        yield Row("driver", Level.FAIL, f"{found}; never stops by itself", remedy)
    elif declared.watchdog_ns is None:
        yield Row("driver", Level.OK, f"{found}; declares nothing, so its axes and cameras show when it starts")
    else:
        yield Row("driver", Level.OK, f"{found}; stops by itself {declared.watchdog_ns / 1e6:.0f} ms after a command")


def _axes(embodiment: Embodiment) -> str:
    """How many of what, in words."""
    grippers, base = len(embodiment.grippers), len(embodiment.base_axes)
    joints = len(embodiment.axes) - grippers - base
    counted = [
        (base, "axis of a base", "axes of a base"),
        (joints, "joint", "joints"),
        (grippers, "gripper", "grippers"),
    ]
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counted if count)


def limits(config: RobotConfig) -> Iterator[Row]:
    """Does the kernel take the safety file?"""
    from edge_runtime.cli.claims import features_off
    from edge_runtime.control.limits import kernel_config

    kernel_config(config.safety, config.embodiment)
    found = f"{config.safety.digest[:12]}, tighter than rated"
    if config.assumed:
        found += f"; {len(config.assumed)} ratings are assumed and stated by no maker"
    if config.safety.geometry is None:
        yield Row("safety limits", Level.WARN, f"{found}; no geometry", "[geometry] in the safety file")
        return
    off = len(list(features_off(config)))
    yield Row("safety limits", Level.OK, f"{found}; edge-runtime claims has the sheet, {off} features are off")


def not_kept_apart(config: RobotConfig) -> Iterator[Row]:
    """Which links may touch, and which joints move what is not watched?"""
    from edge_runtime.cli import claims_geometry
    from edge_runtime.control.limits import kinematics_of

    body = kinematics_of(config.safety)
    if config.safety.geometry is None or body is None:
        return
    file, watch = body
    lines = claims_geometry.not_kept_apart(file, watch, config.safety.geometry)
    found = "; ".join(line.replace("*", "") for line in lines)
    if watch.may_touch or file.uncovered or any(not joint.covered for joint in file.held):
        remedy = "keep people and things away from what is named; edge-runtime claims has the whole list"
        yield Row("not kept apart", Level.WARN, found, remedy)
    else:
        yield Row("not kept apart", Level.OK, found or "nothing: every link is")


def home_posture(config: RobotConfig) -> Iterator[Row]:
    """Could the robot be armed in its home posture?"""
    from edge_runtime.control.start_posture import geometry_problem

    embodiment = config.embodiment
    outside = []
    for axis in embodiment.axes:
        held = config.safety.axes[axis.name]
        if held.low is not None and held.high is not None and not held.low <= axis.home <= held.high:
            allowed = f"{held.low:g} to {held.high:g} {axis.unit}"
            outside.append(f"{axis.name} at {axis.home:g} {axis.unit} lies outside of {allowed}")
    if outside:
        remedy = "its home in the embodiment file, or wider limits in the safety file"
        yield Row("home posture", Level.FAIL, f"can't be armed: {'; '.join(outside)}", remedy)
        return
    problem = geometry_problem(config.safety, embodiment, embodiment.home)
    if problem is not None:
        found, _, remedy = problem.partition(": ")
        yield Row("home posture", Level.FAIL, f"can't be armed: {found}", remedy)
    else:
        yield Row("home posture", Level.OK, "inside the limits, and clear of everything that distance is kept from")


def moves_a_base(config: RobotConfig) -> bool:
    """Has it a base that drives?"""
    return bool(config.embodiment.base_axes)


def base(config: RobotConfig) -> Iterator[Row]:
    """Is the base kept from what stands in the room, or only limited and stopped?"""
    from edge_runtime.cli.claims_geometry import carried_along, has_world

    geometry = config.safety.geometry
    alone = "it is limited in speed and stopped, and kept from nothing"
    cure = "odometry = true under [geometry] in the safety file, if the driver measures where the base is"
    if geometry is None or not has_world(geometry):
        yield Row("base", Level.WARN, f"no half-space and no zone: {alone}", f"zones in the safety file, and {cure}")
    elif names := carried_along(geometry, config.embodiment):
        found = f"where it is in the room is not known, so {alone}; {', '.join(names)} would go along with it"
        yield Row("base", Level.WARN, found, f"{cure}; else take them out")
    elif geometry.odometry:
        found = "half-spaces and zones stand in the world of its odometry; losing that stops the robot"
        yield Row("base", Level.OK, found)
    else:
        yield Row("base", Level.WARN, f"where it is in the room is not known, so {alone}", cure)


def calibration(config: RobotConfig) -> Iterator[Row]:
    """Which calibration is it, and does it say something of every axis?"""
    known = config.calibration
    if known is None:
        yield Row("calibration", Level.OK, "none ([robot] calibration): the driver's values are the robot's")
        return
    left = [axis.name for axis in config.embodiment.axes if axis.name not in known.named and not axis.is_velocity]
    rest = f"; as the driver says: {', '.join(left)}" if left else ""
    yield Row("calibration", Level.OK, f"{known.digest[:12]}, of {known.date} by {known.by}{rest}")


def stop_line(config: RobotConfig) -> Iterator[Row]:
    """Can the line that stops the robot be read, and is it closed?"""
    from edge_runtime.control.stop_line import StopLine

    section = config.stop_line
    if section is None:
        found = "none of this computer ([stop_line] in robot.toml); the driver may have one"
        yield Row("stop line", Level.OK, found)
        return
    where = f"line {section.line} of {section.chip}, closed is {section.closed}"
    with StopLine(section) as line:
        is_open = line.is_open
    if is_open:
        yield Row("stop line", Level.FAIL, f"{where}: open", "close it: until then the robot can't be armed")
    else:
        yield Row("stop line", Level.OK, f"{where}: closed. Open it once and check again: that has to show")


def is_simulated(config: RobotConfig) -> bool:
    """Is it the arm of the simulator?"""
    return config.robot.driver == "sim"


def drawing(config: RobotConfig) -> Iterator[Row]:
    """Can the simulated cameras be drawn here, and how fast?"""
    from edge_runtime.drivers.sim.plant import Plant

    plant = Plant()
    try:
        plant.reset(0, "eval")
        pictures = {c.name: np.zeros((c.height_px, c.width_px, 3), np.uint8) for c in config.embodiment.cameras}
        for name, picture in pictures.items():
            plant.render(name, picture)
        started_ns = time.monotonic_ns()
        for _ in range(5):
            for name, picture in pictures.items():
                plant.render(name, picture)
        took_ms = (time.monotonic_ns() - started_ns) / 1e6 / max(1, 5 * len(pictures))
        yield Row("drawing", Level.OK, f"off screen through EGL, {took_ms:.1f} ms a picture")
    finally:
        plant.close()
