"""The settings of a robot that is an environment of Gymnasium, for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.testing.other_robots import prismatic, write_settings

SLIDES = """
[driver]
env = "edge_runtime/Slides-v0"
module = "edge_runtime.testing.sliding_env"
instruction = "go right"
time_limit_s = 5.0
arguments = { render_mode = "rgb_array" }

[driver.axes.x]
action = 0
observation = "agent.0"
action_scale = 1000.0

[driver.axes.y]
action = 1
observation = "agent.1"
action_scale = 1000.0

[driver.cameras.top]
observation = "top"

[driver.success]
info = "is_success"
"""


def slides() -> Embodiment:
    """Two axes of half a metre, and two cameras: one in observations, one that is rendered."""
    axes = (prismatic("x", 0.2, low=0.0, high=0.512), prismatic("y", 0.2, low=0.0, high=0.512))
    cameras = tuple(Camera(name=name, width_px=64, height_px=48, rate_hz=20.0) for name in ("top", "side"))
    return Embodiment(name="slides", groups=(Group(name="gantry", kind="arm", axes=axes),), cameras=cameras)


def write_robot(folder: Path, driver: str = SLIDES, embodiment: Embodiment | None = None) -> Path:
    """The path of its robot.toml; `folder` exists."""
    path = write_settings(folder, embodiment or slides(), driver="gym")
    path.write_text(path.read_text(encoding="utf-8") + driver, encoding="utf-8")
    return path
