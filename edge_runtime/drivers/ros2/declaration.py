"""What the driver of a robot behind ROS 2 topics declares. Imports none of its libraries."""

from __future__ import annotations

from edge_runtime.drivers.ros2.settings import require_settings
from edge_runtime.drivers.sdk.declaration import DriverDeclaration

WATCHDOG_NS = 100_000_000

DRIVER = DriverDeclaration(
    start="edge_runtime.drivers.ros2.driver:drive",
    watchdog_ns=WATCHDOG_NS,
    require_settings=require_settings,
)
