"""Rows about the robot: its driver and cameras, its limits and home posture, its stop line."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.drivers.registry import declaration_of


def driver(config: RobotConfig) -> Iterator[Row]:
    """Is there such a driver, and has it the joints and cameras of this embodiment?"""
    declared, embodiment = declaration_of(config), config.embodiment
    declared.require_fit(embodiment)
    declared.require_settings(config)
    cameras = ", ".join(f"{c.name} {c.width_px} x {c.height_px} px" for c in embodiment.cameras)
    found = f"{config.robot.driver}, {len(embodiment.joints)} joints, cameras: {cameras or 'none'}"
    if declared.watchdog_ns == 0:
        remedy = "a driver that stops the robot by itself when commands stay away: without one it can't be armed"
        yield Row("driver", Level.FAIL, f"{found}; never stops by itself", remedy)
    elif declared.watchdog_ns is None:
        yield Row("driver", Level.OK, f"{found}; declares nothing, so its joints and cameras show when it starts")
    else:
        yield Row("driver", Level.OK, f"{found}; stops by itself {declared.watchdog_ns / 1e6:.0f} ms after a command")


def limits(config: RobotConfig) -> Iterator[Row]:
    """Does the kernel take the safety file?"""
    from edge_runtime.cli.claims import features_off
    from edge_runtime.control.limits import kernel_config

    kernel_config(config.safety, config.embodiment)
    found = f"{config.safety.digest[:12]}, tighter than rated"
    if config.safety.geometry is None:
        yield Row("safety limits", Level.WARN, f"{found}; no geometry", "[geometry] in the safety file")
        return
    off = len(list(features_off(config)))
    yield Row("safety limits", Level.OK, f"{found}; edge-runtime claims has the sheet, {off} features are off")


def not_kept_apart(config: RobotConfig) -> Iterator[Row]:
    """Which links may touch, and which joints move what is not watched?"""
    from edge_runtime.cli import claims
    from edge_runtime.control.limits import kinematics_of

    body = kinematics_of(config.safety)
    if config.safety.geometry is None or body is None:
        return
    file, watch = body
    found = "; ".join(line.replace("*", "") for line in claims.not_kept_apart(file, watch, config.safety.geometry))
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
    for name, angle_rad in zip(embodiment.joint_names, embodiment.home_rad, strict=True):
        joint = config.safety.joints[name]
        if not joint.position_min_rad <= angle_rad <= joint.position_max_rad:
            allowed = f"{joint.position_min_rad:g} to {joint.position_max_rad:g} rad"
            outside.append(f"{name} at {angle_rad:g} rad lies outside of {allowed}")
    if outside:
        remedy = "home_rad in the embodiment file, or wider limits in the safety file"
        yield Row("home posture", Level.FAIL, f"can't be armed: {'; '.join(outside)}", remedy)
        return
    problem = geometry_problem(config.safety, embodiment, embodiment.home_rad)
    if problem is not None:
        found, _, remedy = problem.partition(": ")
        yield Row("home posture", Level.FAIL, f"can't be armed: {found}", remedy)
    else:
        yield Row("home posture", Level.OK, "inside the limits, and clear of everything that distance is kept from")


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
