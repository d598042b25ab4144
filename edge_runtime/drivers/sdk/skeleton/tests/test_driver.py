"""Does my_arm do what control relies on? It moves every joint, by at most 0.05 rad: stand by the stop."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.testing import DriverConformance


class TestMyArm(DriverConformance):
    """All of it."""

    config = Path(__file__).parents[1] / "my_arm" / "config" / "robot.toml"
