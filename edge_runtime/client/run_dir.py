"""Where a robot runs: the folder of its sockets and logs, for whoever does not name one."""

from __future__ import annotations

import os
from pathlib import Path

LOCAL_RUN_DIR = Path(".run")
"""Of a robot that was started here; `edge-runtime run` makes it."""
SERVICE_RUN_DIR = Path("/run/edge-runtime")
"""Of the robot that systemd runs on this machine."""


def run_dir_here() -> Path:
    """Where to look for a robot: `LOCAL_RUN_DIR` if there is one here, else `SERVICE_RUN_DIR`. Never raises."""
    return LOCAL_RUN_DIR if os.path.isdir(LOCAL_RUN_DIR) else SERVICE_RUN_DIR


def recordings_folder(run_dir: Path) -> Path:
    """Where the files of the black box lie: in the run's folder, or, as that is kept in memory under systemd, in the
    unit's state directory."""
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return (Path(state) if state else run_dir) / "black_box"
