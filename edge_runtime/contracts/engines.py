"""Engines: a bundle's graphs as one robot's accelerator runs them, and what came of building them.

They are made on the robot that runs them and never travel; `BuildReport` is what the process that built says of it.
"""

from __future__ import annotations

import msgspec

from edge_runtime.contracts.errors import StorageFault


class BuiltEngine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine of one graph. `reused`: it was there and whole; else it took `seconds` to build."""

    graph: str
    size_bytes: int
    reused: bool
    seconds: float


class BuildReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was built of the bundle with digest `bundle`.

    `fault`: why the disk did not take an engine, where it did not, and `detail` says more; that is no fault of the
    bundle.
    """

    bundle: str
    backend: str
    device: str
    engines: tuple[BuiltEngine, ...] = ()
    fault: StorageFault | None = None
    detail: str = ""
