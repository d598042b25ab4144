"""What LeRobot's robots have in common, as their driver declares it. Imports nothing of LeRobot."""

from __future__ import annotations

from edge_runtime.drivers.lerobot.settings import require_settings
from edge_runtime.drivers.sdk.declaration import DriverDeclaration

RATE_HZ = 30.0
"""At least so many cycles a second are expected of a serial bus; what it takes is measured at the start."""

WATCHDOG_NS = 300_000_000
"""Nine cycles of such a bus."""

DRIVER = DriverDeclaration(
    start="edge_runtime.drivers.lerobot.driver:drive",
    watchdog_ns=WATCHDOG_NS,
    packages=("lerobot",),
    extras=("lerobot",),
    require_settings=require_settings,
)
