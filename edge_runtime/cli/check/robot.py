"""Rows about the robot: its limits, its stop line, what draws the simulated one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from edge_runtime.cli.check.row import Level, Row
from edge_runtime.config import RobotConfig


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
        yield Row("stop line", Level.WARN, f"{where}: open", "close it: until then the robot can't be armed")
    else:
        yield Row("stop line", Level.OK, f"{where}: closed. Open it once and check again: that has to show")


def is_simulated(config: RobotConfig) -> bool:
    """Is it the arm of the simulator?"""
    return config.robot.driver == "sim"


def drawing(config: RobotConfig) -> Iterator[Row]:
    """Can the simulated cameras be drawn here, and how fast?"""
    from edge_runtime.robots.sim.plant import Plant

    plant = Plant()
    try:
        plant.reset(0, "eval")
        camera = config.embodiment.cameras[0]
        picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
        plant.render(camera.name, picture)
        started_ns = time.monotonic_ns()
        for _ in range(10):
            plant.render(camera.name, picture)
        took_ms = (time.monotonic_ns() - started_ns) / 1e7
        yield Row("drawing", Level.OK, f"off screen through EGL, {took_ms:.1f} ms a picture")
    finally:
        plant.close()
