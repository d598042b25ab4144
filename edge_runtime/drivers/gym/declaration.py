"""What a Gymnasium environment is as a robot. Imports no Gymnasium."""

from __future__ import annotations

from edge_runtime.drivers.gym.settings import require_settings
from edge_runtime.drivers.sdk.declaration import DriverDeclaration

WATCHDOG_NS = 200_000_000
"""Longer than a picture takes to draw."""

DRIVER = DriverDeclaration(
    start="edge_runtime.drivers.gym.driver:drive",
    watchdog_ns=WATCHDOG_NS,
    packages=("gymnasium",),
    extras=("gym",),
    require_settings=require_settings,
    has_scenes=True,
)
