"""What runs on a robot: engine, control with its safety kernel, drivers, updates, and the command `edge-runtime`.

The names below are public, documented in docs/python.md, and imported when they are first used: to import the package
costs milliseconds and needs nothing that is not in the standard library.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.client.operator import Operator as Operator
    from edge_runtime.client.status import Status as Status
    from edge_runtime.client.status import Watcher as Watcher
    from edge_runtime.config.robot_file import RobotConfig as RobotConfig
    from edge_runtime.config.robot_file import load_config as load_config
    from edge_runtime.contracts.embodiment import Embodiment as Embodiment
    from edge_runtime.contracts.errors import EdgeError as EdgeError
    from edge_runtime.contracts.manifest import Manifest as Manifest
    from edge_runtime.contracts.manifest import read_manifest as read_manifest
    from edge_runtime.contracts.manifest import verify_bundle as verify_bundle
    from edge_runtime.evaluation.episodes import EpisodeResult as EpisodeResult
    from edge_runtime.evaluation.episodes import EpisodeRunner as EpisodeRunner
    from edge_runtime.ipc.frames import FrameRing as FrameRing
    from edge_runtime.ipc.port import DriverPort as DriverPort

_HOMES = {
    "DriverPort": "ipc.port",
    "EdgeError": "contracts.errors",
    "Embodiment": "contracts.embodiment",
    "EpisodeResult": "evaluation.episodes",
    "EpisodeRunner": "evaluation.episodes",
    "FrameRing": "ipc.frames",
    "Manifest": "contracts.manifest",
    "Operator": "client.operator",
    "RobotConfig": "config.robot_file",
    "Status": "client.status",
    "Watcher": "client.status",
    "load_config": "config.robot_file",
    "read_manifest": "contracts.manifest",
    "verify_bundle": "contracts.manifest",
}
__all__ = sorted(_HOMES)

if sys.argv[:1] == ["-m"]:
    # One of the robot's processes: a package that is missing at its first lines is said in one line, too.
    from edge_runtime.contracts.command_line import explain_uncaught

    explain_uncaught(("robot",))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
