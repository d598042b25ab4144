"""Where the policy that ships lies, and the robot type that it is for."""

from __future__ import annotations

from pathlib import Path

_SIMULATED = Path(__file__).parents[2] / "edge_runtime" / "drivers" / "sim"
BUNDLE = _SIMULATED / "bundles" / "pocket_vla"
EMBODIMENT = _SIMULATED / "config" / "embodiment.toml"
