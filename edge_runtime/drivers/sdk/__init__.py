"""What a driver is made of: the port, frame rings, observations and heartbeats as one whole (docs/guides/drivers.md).

Most drivers are a subclass of `Driver`, published with `declare`. One that keeps its own loop uses a `DriverLink`.
A driver written in C uses `c/driver_sdk.h`, published with `native_driver`.
"""

from edge_runtime.drivers.sdk.declaration import DriverDeclaration
from edge_runtime.drivers.sdk.driver import Driver, declare
from edge_runtime.drivers.sdk.link import DriverLink
from edge_runtime.drivers.sdk.native import native_driver
from edge_runtime.drivers.sdk.pacing import Pacer
from edge_runtime.drivers.sdk.sample import Sample
from edge_runtime.ipc.frames import Pixels

__all__ = ["Driver", "DriverDeclaration", "DriverLink", "Pacer", "Pixels", "Sample", "declare", "native_driver"]
