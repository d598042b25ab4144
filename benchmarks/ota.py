"""Verifying a bundle beside plain SHA-256, and going back to the bundle from before, of a robot that moves.

    python -m benchmarks.ota [--rollbacks 20] [--trials 5]

The whole robot runs, in the simulator and armed, with its update agent, and gets an update from a real hub, which
it commits. Then the hub falls silent, so that the agent is always in the middle of asking it, and a person types
`edge-runtime ota rollback` again and again, which changes the two bundles over each time. Each stretch of time with a
rollback stands beside one without. Last, the update comes again and again under new counters, and fails its trial.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.ota_fetch import SMALL_BLOBS, Weights, verify_rates
from benchmarks.ota_robot import UpdatedRobot
from benchmarks.ota_store import verifying
from benchmarks.record import record
from edge_runtime.contracts.messages import EpisodeOutcome

WINDOW_S = 3.0
_WORST = {"lateness_max_us": max, "plan_left_min_ms": min, "chunk_gap_max_ms": max}

Row = dict[str, float]


class Rounds:
    """Rollbacks of one robot, and what its loop did meanwhile and otherwise.

    Attributes:
        times: of each rollback, milliseconds.
        windows: the loop in each stretch, with a rollback and without.
        asked, sent_bytes: what the hub was asked for, and sent, in all stretches with a rollback.
    """

    def __init__(self, robot: UpdatedRobot) -> None:
        self._robot = robot
        self.times: list[Row] = []
        self.windows: dict[str, list[Row]] = {"with_rollback": [], "without_rollback": []}
        self.asked = self.sent_bytes = 0

    def go(self, turn: int) -> None:
        """A stretch without a rollback and one with, in this order or the other."""
        self._robot.wait_for_standby()
        for kind in list(self.windows)[:: 1 if turn % 2 else -1]:
            from_ns = self._robot.motion.now_ns()
            if kind == "with_rollback":
                server = self._robot.hub.server
                asked, sent_bytes = len(server.requests), server.sent_bytes
                self.times.append(self._roll_back())
                self.asked += len(server.requests) - asked
                self.sent_bytes += server.sent_bytes - sent_bytes
            self.windows[kind].append(self._rest_of(from_ns))

    def _roll_back(self) -> Row:
        robot, motion = self._robot, self._robot.motion
        assert robot.status is not None
        other = robot.shipped if robot.status.running == robot.update else robot.update
        typed_ns = motion.now_ns()
        typed = robot.command("rollback", "--reason", "benchmark")
        row = measure(robot, other, "typed", typed_ns)
        motion.until(lambda: typed.poll() is not None)
        if typed.returncode:
            raise SystemExit(f"edge-runtime ota rollback ended with {typed.returncode}")
        robot.wait_for("idle", other)
        return {**row, "typed_to_answer_ms": (motion.now_ns() - typed_ns) / 1e6}

    def _rest_of(self, from_ns: int) -> Row:
        motion = self._robot.motion
        motion.listen(WINDOW_S - (motion.now_ns() - from_ns) / 1e9)
        to_ns = motion.now_ns()
        return {**motion.loop_in(from_ns, to_ns), "chunk_gap_max_ms": motion.longest_gap_ms(from_ns, to_ns)}


def measure(robot: UpdatedRobot, bundle: str, begun: str, begun_ns: int) -> Row:
    """Wait until `bundle` acts: milliseconds from `begun_ns` and from the agent's order to its first command."""
    order = robot.first_order(bundle, begun_ns)
    chunk = robot.motion.first_chunk(bundle, order.id)
    command_ns = robot.motion.receipts[chunk.sequence].first_command_ns
    command_ns = chunk.published_ns if command_ns is None else command_ns
    return {
        f"{begun}_to_order_ms": (order.id - begun_ns) / 1e6,
        "order_to_chunk_ms": (chunk.published_ns - order.id) / 1e6,
        "order_to_command_ms": (command_ns - order.id) / 1e6,
        f"{begun}_to_command_ms": (command_ns - begun_ns) / 1e6,
    }


def going_back(rollbacks: int, trials: int, folder: Path) -> dict[str, Any]:
    """All figures of a robot that moves."""
    with UpdatedRobot(folder) as robot:
        robot.motion.begin(0)
        release, counter = robot.hub.publish(robot.bundle)
        robot.hub.assign(release, counter, probation_s=1)
        robot.motion.operator.wait_until(lambda: robot.status is not None, 60.0)
        robot.wait_for("probation", robot.update)
        tell(robot, success=True)
        robot.wait_for("idle", robot.update)
        robot.hub.is_silent = True
        rounds = Rounds(robot)
        # An odd number, so that the shipped bundle is the committed one in the end.
        for turn in range(rollbacks | 1):
            # A scene for each: a policy that has long done its task is unsure of itself, and stops.
            robot.motion.begin(turn)
            rounds.go(turn)
        failed = [fail_a_trial(robot, number) for number in range(trials)]
    return {
        "rollbacks": len(rounds.times),
        "rollback": quantiles(rounds.times),
        "rollback_typed_to_command_max_ms": max(row["typed_to_command_ms"] for row in rounds.times),
        "rollback_bytes_fetched": rounds.sent_bytes,
        "rollback_requests_unanswered": rounds.asked,
        **{name: sums(rows) for name, rows in rounds.windows.items()},
        "rollback_missing_ticks": sum(row["missing_ticks"] for row in rounds.windows["with_rollback"]),
        "rollback_reports_without_plan": sum(row["held"] for row in rounds.windows["with_rollback"]),
        "trials": len(failed),
        "failed_trial": quantiles(failed) if failed else {},
        "failed_trial_bytes_fetched": sum(row["bytes_fetched"] for row in failed),
    }


def fail_a_trial(robot: UpdatedRobot, number: int) -> Row:
    """Bring the update again; once it is on trial and the hub is silent, one attempt at the task fails."""
    robot.hub.is_silent = False
    release, counter = robot.hub.publish(robot.bundle)
    robot.hub.assign(release, counter, probation_s=3600)
    robot.motion.begin(number)
    robot.wait_for("probation", robot.update)
    robot.motion.listen(2.0)
    robot.hub.is_silent = True
    sent_bytes = robot.hub.server.sent_bytes
    failed_ns = tell(robot, success=False)
    row = measure(robot, robot.shipped, "failed", failed_ns)
    robot.wait_for("idle", robot.shipped)
    return {**row, "bytes_fetched": robot.hub.server.sent_bytes - sent_bytes}


_OUTCOMES = {True: EpisodeOutcome.SUCCESS, False: EpisodeOutcome.FAILURE}


def tell(robot: UpdatedRobot, *, success: bool) -> int:
    """Say how an attempt went that lay within the last second; when it was said."""
    robot.motion.listen(1.5)
    now_ns = time.monotonic_ns()
    robot.motion.operator.tell_outcome(_OUTCOMES[success], now_ns - 1_000_000_000)
    return now_ns


def quantiles(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Of each column."""
    columns = {key: np.percentile([row[key] for row in rows], (50, 99, 100)) for key in rows[0]}
    return {
        key: dict(zip(("p50", "p99", "max"), (round(float(v), 1) for v in values), strict=True))
        for key, values in columns.items()
    }


def sums(rows: list[Row]) -> Row:
    """Over all windows: sums of what is counted, the worst of the rest."""
    return {key: round(float(_WORST.get(key, sum)([row[key] for row in rows])), 1) for key in rows[0]}


def verifying_rates() -> dict[str, float]:
    """Each beside plain `hashlib.sha256` over the same bytes, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        on_disk = verifying(Path(folder))
    fetching, plain = verify_rates(Weights(4 * SMALL_BLOBS))
    return {
        **on_disk,
        "verify_fetched_time_over_sha256_time": float(np.median(plain) / np.median(fetching)),
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollbacks", type=int, default=20, help="by command (20)")
    parser.add_argument("--trials", type=int, default=5, help="that fail (5)")
    options = parser.parse_args()
    console = Console()
    figures: dict[str, Any] = verifying_rates()
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        figures.update(going_back(options.rollbacks, options.trials, Path(folder)))
    console.print(_table(figures))
    record("ota", figures, console)


def _table(figures: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for key, value in figures.items():
        if key in ("with_rollback", "without_rollback"):
            continue
        if isinstance(value, dict):
            for name, values in value.items():
                table.add_row(key, name, ", ".join(f"{quantile} {number:g}" for quantile, number in values.items()))
        else:
            table.add_row("", key, f"{value:.4g}")
    for key in figures["with_rollback"]:
        pair = f"{figures['with_rollback'][key]:g} / {figures['without_rollback'][key]:g}"
        table.add_row(f"{WINDOW_S:g} s with / without a rollback", key, pair)
    return table


if __name__ == "__main__":
    main()
