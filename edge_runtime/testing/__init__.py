"""What tests of drivers inherit, see docs/guides/drivers.md, and what tests and benchmarks share.

`DriverConformance` needs pytest, which edge-runtime does not install: it is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.testing.driver_conformance import DriverConformance as DriverConformance

__all__ = ["DriverConformance"]


def __getattr__(name: str) -> Any:
    if name != "DriverConformance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_runtime.testing.driver_conformance import DriverConformance

    return DriverConformance
