"""`edge-runtime check`: can this robot be armed here, and does it run its bundle? Says what to do where not.

`LOOKS` is the list of what is looked at. Each look is a function of the robot's settings that yields rows.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.cli.check import machine, policy, proof, robot, timing
from edge_runtime.cli.check.row import Level, Look, Row, rows_of
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.subcommand import say_json
from edge_runtime.contracts.text import printable

LOOKS: tuple[Look, ...] = (
    Look("Python", machine.python),
    Look("CPU", machine.cpu),
    Look("packages", machine.packages),
    Look("shared memory", machine.shared_memory),
    Look("memory lock", machine.memory_lock),
    Look("native module", machine.native),
    Look("driver", robot.driver),
    Look("safety limits", robot.limits, needs=("native module",)),
    Look("not kept apart", robot.not_kept_apart, needs=("safety limits",)),
    Look("home posture", robot.home_posture, needs=("safety limits",)),
    Look("base", robot.base, needs=("safety limits",), when=robot.moves_a_base),
    Look("calibration", robot.calibration),
    Look("stop line", robot.stop_line, needs=("native module",)),
    Look("control loop", timing.loop, needs=("shared memory", "native module", "driver", "safety limits")),
    Look("bundle", policy.bundle),
    Look("golden pairs", proof.golden_pairs, needs=("packages", "bundle"), when=policy.has_one),
    Look("inference", policy.inference, needs=("packages", "shared memory", "bundle"), when=policy.has_one),
    Look("drawing", robot.drawing, needs=("packages", "driver"), when=robot.is_simulated),
)


class RowReport(msgspec.Struct, frozen=True, kw_only=True):
    """A `Row` for programs; `level` is ok, warn, fail or skip."""

    name: str
    level: str
    found: str
    remedy: str
    command: str


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` gives: `verdict` in words, and what it comes from.

    Attributes:
        config: the robot.toml that was read.
        machine: name of this one.
        fit: whether no row has failed.
    """

    robot: str
    config: str
    machine: str
    fit: bool
    verdict: str
    rows: tuple[RowReport, ...]


def check(options: argparse.Namespace, console: Console) -> int:
    """Print the rows as a table, or as JSON with `options.json`; 1 if the robot can't be armed or run its bundle."""
    config = load_config(options.config)
    rows = list(rows_of(LOOKS, config))
    if options.json:
        say_json(_report(config, rows))
    else:
        console.print(_table(config, rows))
        for row in rows:
            if row.remedy:
                # Whole, however narrow the terminal is: what is to be pasted may not be cut.
                console.print(Text(printable(f"{row.name}: {row.remedy}", None)), soft_wrap=True)
            if row.command:
                console.print(Text(f"    {row.command}"), soft_wrap=True)
        console.print(verdict(rows), highlight=False, markup=False, soft_wrap=True)
    return 1 if _named(rows, Level.FAIL) else 0


def verdict(rows: Sequence[Row]) -> str:
    """`fit`, `fit, but: ...` or `not fit: ...`, naming the rows that it is for."""
    if failed := _named(rows, Level.FAIL):
        return f"not fit: {', '.join(failed)}"
    if warned := _named(rows, Level.WARN):
        return f"fit, but: {', '.join(warned)}"
    return "fit"


def _named(rows: Sequence[Row], level: Level) -> list[str]:
    return [row.name for row in rows if row.level is level]


def _report(config: RobotConfig, rows: Sequence[Row]) -> CheckReport:
    return CheckReport(
        robot=config.robot.name,
        config=str(config.path),
        machine=platform.node(),
        fit=not _named(rows, Level.FAIL),
        verdict=verdict(rows),
        rows=tuple(
            RowReport(
                name=row.name, level=row.level.name.lower(), found=row.found, remedy=row.remedy, command=row.command
            )
            for row in rows
        ),
    )


def _table(config: RobotConfig, rows: Sequence[Row]) -> Table:
    table = Table(title=f"{config.robot.name} on {platform.node() or 'this machine'}", title_justify="left")
    for column in ("", "what", "found"):
        table.add_column(column, overflow="fold")
    styles = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red", Level.SKIP: "dim"}
    for row in rows:
        # Words of a bundle may mean to command a terminal. As `Text`: names of sections and extras stand in brackets,
        # which markup would swallow.
        table.add_row(Text(row.level.value, styles[row.level]), row.name, Text(printable(row.found, None)))
    return table
