"""What the driver of a UR arm declares. Imports none of its libraries."""

from __future__ import annotations

from edge_runtime.drivers.sdk.declaration import DriverDeclaration
from edge_runtime.drivers.ur.settings import require_settings, require_ur

WATCHDOG_NS = 100_000_000

DRIVER = DriverDeclaration(
    start="edge_runtime.drivers.ur.driver:drive",
    watchdog_ns=WATCHDOG_NS,
    packages=("rtde_control",),
    extras=("ur",),
    require_fit=require_ur,
    require_settings=require_settings,
)
