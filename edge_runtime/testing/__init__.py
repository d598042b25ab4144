"""What tests of drivers inherit: see docs/guides/drivers.md. Needs pytest, which edge-runtime does not install."""

from edge_runtime.testing.driver_conformance import DriverConformance

__all__ = ["DriverConformance"]
