"""What ships with the project: the simulated arm's settings, and the policy that moves it. Only where they lie."""

from __future__ import annotations

from pathlib import Path

SIM_CONFIG = Path(__file__).parents[1] / "drivers" / "sim" / "config" / "robot.toml"
"""Settings of the simulated arm that ships with the project."""
SIM_BUNDLE = SIM_CONFIG.parents[1] / "bundles" / "pocket_vla"
"""The policy that ships with it."""
