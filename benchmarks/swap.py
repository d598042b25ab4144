"""Another policy in mid-motion: how long it takes, and what the 1 kHz loop notices of it.

    python -m benchmarks.swap [--changes 40]

The whole robot runs, in the simulator and armed. The shipped bundle and a variant of it take turns: *warm*, with
the other one waiting in memory; *cold*, with the other one still on disk; and *restart*, the way without any of this:
the pointer is changed and the engine started again. Each second with a warm change stands beside a second without one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from benchmarks.robot_in_motion import RobotInMotion, copy_shipped_settings
from edge_runtime.contracts.manifest.version_1 import FlowSampler
from edge_runtime.processes import ENGINE
from edge_runtime.testing.two_bundles import Orders, TwoBundles, variant_of

WINDOW_S = 1.0
ROUNDS_PER_SCENE = 4
COLD_CHANGES = 5
RESTARTS = 3


class Changes:
    """Two bundles on a robot, of which the other one is ordered each time."""

    def __init__(self, robot: RobotInMotion, orders: Orders, bundles: TwoBundles, other: str) -> None:
        self._robot, self._orders, self._bundles = robot, orders, bundles
        self._serving, self._other = bundles.shipped, other

    def wait_for_standby(self) -> None:
        """Until going over takes no loading."""
        self._orders.give(self._serving, self._other)
        self._robot.until(lambda: bool(self._robot.statuses) and self._robot.statuses[-1].standby == self._other)

    def forget_standby(self) -> None:
        """Until it would have to be loaded."""
        self._orders.give(self._serving)
        self._robot.until(lambda: bool(self._robot.statuses) and not self._robot.statuses[-1].standby)

    def change(self) -> dict[str, float]:
        """Order the other one; milliseconds from there to its first chunk and its first command."""
        self._serving, self._other = self._other, self._serving
        ordered_ns = self._orders.give(self._serving, self._other)
        return self._measure(ordered_ns)

    def restart(self) -> dict[str, float]:
        """The other one by the pointer alone, and an engine that starts anew."""
        self._serving, self._other = self._other, self._serving
        self._bundles.point(self._serving, previous=self._other)
        ordered_ns = self._robot.now_ns()
        self._orders.give(self._serving)
        self._robot.table.restart(ENGINE)
        return self._measure(ordered_ns)

    def _measure(self, ordered_ns: int) -> dict[str, float]:
        # The engine that is started again counts its chunks anew.
        self._robot.receipts.clear()
        chunk = self._robot.first_chunk(self._serving, ordered_ns)
        receipt = self._robot.receipts[chunk.sequence]
        command_ns = receipt.first_command_ns
        return {
            "to_first_chunk_ms": (chunk.published_ns - ordered_ns) / 1e6,
            "to_first_command_ms": np.nan if command_ns is None else (command_ns - ordered_ns) / 1e6,
        }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=40, help="with the other one warm (40)")
    changes = parser.parse_args().changes
    console = Console()
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        bundles = TwoBundles(copy_shipped_settings(Path(folder) / "config"))
        sampler = FlowSampler(steps=5, noise_seed=8, fixed_noise=True)
        other = bundles.install(variant_of(bundles.config.bundle_dir, Path(folder) / "other", sampler=sampler))
        bundles.point(bundles.shipped, previous=other)
        figures = measure(bundles, other, changes)
    console.print(_table(figures))
    record("swap", figures, console)


def measure(bundles: TwoBundles, other: str, changes: int) -> dict[str, Any]:
    """All figures."""
    warm: list[dict[str, float]] = []
    windows: dict[str, list[dict[str, float]]] = {"with_change": [], "without_change": []}
    with RobotInMotion(bundles.config) as robot, Orders(robot.run_dir) as orders:
        robot.also = orders.tend
        pair = Changes(robot, orders, bundles, other)
        for turn in range(changes):
            if turn % ROUNDS_PER_SCENE == 0:
                robot.begin(turn)
                pair.wait_for_standby()
            for kind, window in windows.items():
                from_ns = robot.now_ns()
                if kind == "with_change":
                    warm.append(pair.change())
                robot.listen(WINDOW_S - (robot.now_ns() - from_ns) / 1e9)
                to_ns = robot.now_ns()
                gap_ms = robot.longest_gap_ms(from_ns, to_ns)
                window.append({**robot.loop_in(from_ns, to_ns), "chunk_gap_max_ms": gap_ms})
        cold = []
        for turn in range(COLD_CHANGES):
            robot.begin(turn)
            pair.forget_standby()
            cold.append(pair.change())
        restarts = []
        for turn in range(RESTARTS):
            robot.begin(turn)
            restarts.append(pair.restart())
    ways = {"warm": warm, "cold": cold, "restart": restarts}
    return {
        "changes": changes,
        **{name: {key: _quantiles([row[key] for row in rows]) for key in rows[0]} for name, rows in ways.items()},
        **{name: _sums(rows) for name, rows in windows.items()},
        "warm_to_first_command_max_ms": _quantiles([row["to_first_command_ms"] for row in warm])["max"],
        "missing_ticks_with_change": _sums(windows["with_change"])["missing_ticks"],
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    p50, p95, worst = np.nanpercentile(values, (50, 95, 100)).tolist()
    return {"p50": round(p50, 1), "p95": round(p95, 1), "max": round(worst, 1)}


def _sums(rows: list[dict[str, float]]) -> dict[str, float]:
    """Over all windows: sums of what is counted, the worst of the rest."""
    worst = {"lateness_max_us": max, "plan_left_min_ms": min, "chunk_gap_max_ms": max}
    return {key: round(float(worst.get(key, sum)([row[key] for row in rows])), 1) for key in rows[0]}


def _table(figures: dict[str, Any]) -> Table:
    table = Table(title=f"{figures['changes']} changes in motion", title_justify="left", show_header=False, box=None)
    for name in ("warm", "cold", "restart"):
        for key, values in figures[name].items():
            table.add_row(name, key, ", ".join(f"{quantile} {value:g}" for quantile, value in values.items()))
    for key in figures["with_change"]:
        with_change, without = figures["with_change"][key], figures["without_change"][key]
        table.add_row("a second with / without", key, f"{with_change:g} / {without:g}")
    return table


if __name__ == "__main__":
    main()
