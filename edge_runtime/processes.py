"""The process table of a robot. systemd runs it in production, `edge-runtime run` in one terminal for development.

The systemd units and the docs are tested against this table.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Who only listens to the processes needs no reader of settings, and a stop is in a hurry.
    from edge_runtime.config.robot_file import RobotConfig


@dataclass(frozen=True)
class Process:
    """One row of the table.

    Attributes:
        name: also the prefix of its heartbeat topic.
        module: what ``python -m`` starts.
        on_death: what the robot does when this process dies.
    """

    name: str
    module: str
    on_death: str


DRIVER = Process("driver", "edge_runtime.drivers", "feedback goes stale: controlled stop, latched")
CONTROL = Process("control", "edge_runtime.control", "the robot's own watchdog stops it; control restarts silent")
ENGINE = Process("engine", "edge_runtime.engine", "control plays the rest of the buffer, then holds")

PROCESSES: tuple[Process, ...] = (DRIVER, CONTROL, ENGINE)
"""In the order in which they are started: a driver brings the port that the others attach to."""

OTA = Process("ota", "edge_runtime.ota", "the policy that acts goes on; an update continues when the agent is back")

PAGE = Process("page", "edge_runtime.page", "nothing; what a browser still shows is marked as old")

BESIDE: tuple[Process, ...] = (OTA, PAGE)
"""What a robot moves without. systemd starts these where their unit is enabled, `edge-runtime run` the update agent
where robot.toml has a section [ota], and the page without `--no-page`."""


HOLDING: tuple[Process, ...] = (DRIVER, CONTROL)
"""What brings a robot up that has no policy: it can be armed, holds its posture and goes nowhere."""


def command_line(
    process: Process, config: RobotConfig, run_dir: Path, *, lockstep: bool, hold: bool = False
) -> list[str]:
    """Arguments after ``python`` that start `process` for this robot."""
    arguments = ["-m", process.module, "--config", str(config.path), f"--run-dir={run_dir}"]
    if hold and process is CONTROL:
        arguments.append("--hold")
    return [*arguments, "--lockstep"] if lockstep else arguments


def port_name(run_dir: Path) -> str:
    """Name of the driver port's shared memory; differs between runs in different folders."""
    return f"edge-port-{sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]}"
