"""Recorded figures of benchmarks/results/ as Markdown tables: what a page says was measured is what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROUNDING_RAD = 1e-12
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _read(name: str) -> tuple[dict[str, Any], str]:
    """Figures, and a line that says on what they were measured."""
    recorded = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    machine = recorded["machine"]
    # Figures from before it was recorded have no instruction set.
    cpu = f"{machine['cpu']} ({machine['instruction_set']})" if "instruction_set" in machine else machine["cpu"]
    return recorded["figures"], f"{cpu}, {machine['cores']} cores, Linux {machine['kernel']}"


def limiters() -> str:
    """`python -m benchmarks.limiters`."""
    figures, machine = _read("limiters")
    units = {"worst_rad": "rad", "worst_times": "×", "worst_m": "m"}
    rows = []
    for name, row in figures["limiters"].items():
        cells = []
        for found in row["violations"].values():
            worst = "".join(f" ({_short(found[key])} {unit})" for key, unit in units.items() if key in found)
            cells.append(f"{found['ticks']:,}" + (worst if found["ticks"] else ""))
        changed_rad = row["good_motion_changed_by_rad"]
        cost = " / ".join(f"{value:.1f}" for value in row["cost_us"].values())
        in_c = f"{row['in_c_us']:.1f}" if "in_c_us" in row else ""
        rows.append([name, *cells, f"{changed_rad:.2g} rad" if changed_rad > ROUNDING_RAD else "0", cost, in_c])
    header = ["", "position", "velocity", "acceleration", "jerk", "link too near", "NaN passed on"]
    header += ["good motion changed by", "µs from Python, p50 / p99 / p99.9", "µs in C, mean"]
    kinds = ", ".join(figures["kinds"])
    return f"{_table(header, rows)}\n\n{figures['ticks_of_each_kind']:,} ticks of each of: {kinds}. {machine}."


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.2g}"


def kernel() -> str:
    """`python -m benchmarks.kernel`."""
    figures, machine = _read("kernel")
    rows = [[key, *(f"{value:.1f}" for value in row.values())] for key, row in figures["cost_us"].items()]
    header = ["µs", "p50", "p99", "p99.9", "max", "worst tick in its best run"]
    return f"{machine}, {figures['times']} runs of each.\n\n{_table(header, rows)}"


def jitter() -> str:
    """`python -m benchmarks.jitter`."""
    figures, machine = _read("jitter")
    names = {
        "wake_lateness_us": "the loop wakes late",
        "cyclictest_us": "cyclictest",
        "command_us": "from waking to the command",
        "tick_us": "the whole tick, black box included",
    }
    rows = []
    for condition in ("idle", "load"):
        for key, name in names.items():
            tail = figures[condition][key]
            if tail is None:
                continue
            spread = [f"{min(values):.0f} to {max(values):.0f}" for values in tail["by_round"].values()]
            quantiles = [f"{tail[quantile]:.1f}" for quantile in ("p50", "p99", "p99.9", "max")]
            rows.append([f"{condition}: {name}", *quantiles, *spread])
    header = ["µs", "p50", "p99", "p99.9", "max", "p99 by round", "p99.9 by round"]
    calls = figures["system_calls_per_tick"]
    calls_text = f"{calls:.1f} system calls a tick" if calls is not None else "system calls not counted"
    return "\n".join(
        [
            f"{machine}; medians over {figures['rounds']} rounds of {figures['seconds']:g} s.",
            "",
            _table(header, rows),
            "",
            f"In the loop's thread: {figures['page_faults']} page faults, {figures['allocations']} allocations, "
            f"{calls_text}.",
        ]
    )


def power_cuts() -> str:
    """`make powercut`."""
    figures, machine = _read("ota_power_cuts")
    rows = [[name.replace("_", " "), f"{count:,}"] for name, count in figures.items()]
    return f"{_table(['', 'number'], rows)}\n\n{machine}."


def fleet() -> str:
    """`python -m benchmarks.ota_fleet`."""
    figures, machine = _read("ota_fleet")
    rows = [
        ["robots, each a process; of them dropping in and out", f"{figures['agents']}, {figures['dropping']}"],
        ["kills; transfers cut", f"{figures['kills']:,}; {figures['transfers_cut']:,}"],
        ["have reported, signed, that they run the new bundle", f"{figures['agents'] - figures['not_running_it']}"],
        ["until the last of them had, s", f"{figures['finished_s']:.0f}"],
        ["a robot, p50 and p99, s", f"{figures['agent_p50_s']:.0f} and {figures['agent_p99_s']:.0f}"],
        ["requests; bytes served, MB", f"{figures['requests']:,}; {figures['served_mb']:,.0f}"],
        ["bytes moved twice, MB", f"{figures['moved_twice_mb']:.2f}"],
        ["of the hub: processor, s; most memory, MB", f"{figures['hub_cpu_s']:.0f}; {figures['hub_peak_rss_mb']:.0f}"],
        ["to assign it to all, s; to ask how far it is, s", f"{figures['assign_s']:.1f}; {figures['status_s']:.1f}"],
    ]
    return f"{_table(['', 'measured'], rows)}\n\n{machine}, hub and robots on it together."


def going_back() -> str:
    """`python -m benchmarks.ota`."""
    figures, machine = _read("ota")
    back, failed = figures["rollback"], figures["failed_trial"]
    quick, beside = figures["with_rollback"], figures["without_rollback"]

    def of_sha256(key: str) -> str:
        return f"{1.0 / figures[key]:.0%}"

    def spread(values: dict[str, float]) -> str:
        return " / ".join(f"{values[key]:.0f}" for key in ("p50", "p99", "max"))

    def too_late(window: dict[str, float]) -> str:
        return f"{window['overruns'] + window['missing_ticks']:.0f}"

    rows = [
        ["verifying staged files, of the rate of plain SHA-256", of_sha256("verify_files_time_over_sha256_time")],
        ["verifying while it is fetched, the same", of_sha256("verify_fetched_time_over_sha256_time")],
        ["rollback: from the command to the old policy's first command, ms", spread(back["typed_to_command_ms"])],
        ["of that, from the agent's receiving it, ms", spread(back["order_to_command_ms"])],
        [
            "failed trial: from the evidence to the old policy's first command, ms",
            spread(failed["failed_to_command_ms"]),
        ],
        ["bytes fetched", f"{figures['rollback_bytes_fetched'] + figures['failed_trial_bytes_fetched']:.0f}"],
        ["ticks of the 1 kHz loop, with a rollback / without", f"{quick['ticks']:,.0f} / {beside['ticks']:,.0f}"],
        ["ticks that it was too late for, the same", f"{too_late(quick)} / {too_late(beside)}"],
        ["reports in which the arm followed no plan, the same", f"{quick['held']:.0f} / {beside['held']:.0f}"],
    ]
    words = f"{figures['rollbacks']} rollbacks and {figures['trials']} trials"
    return f"{_table(['', 'measured (p50 / p99 / max)'], rows)}\n\n{words}. {machine}, the simulator on it too."


def probation() -> str:
    """`python -m benchmarks.probation`."""
    figures, _ = _read("probation")
    rows = [
        (f"as good as before, {'no' if episodes == '0' else episodes} episodes on record", found)
        for episodes, found in figures["same"].items()
    ]
    rows += [(f"{name}, 200 on record", found) for name, found in figures["worse"].items()]
    rows += [
        (f"success 95 to 60 %, {'none' if episodes == '0' else episodes} on record", found)
        for episodes, found in figures["success_95_to_60_by_record"].items()
        if episodes != "200"
    ]
    rows += [(f"{name}, 200 on record", found) for name, found in figures["other"].items()]
    cells = [
        [name, f"{found['taken_back']:.1%}", *(_episodes(found[key]) for key in ("median_episodes", "p90_episodes"))]
        for name, found in rows
    ]
    episodes = figures["episodes_of_a_trial"]
    header = ["", f"rolled back within {episodes} episodes", "episodes until then, median", "in 90 % of trials"]
    runs = rows[0][1]["runs"]
    naive = f"Fisher's test at 5 % after each episode, without a price for it: {figures['naive_false_alarms']:.1%}"
    return f"{_table(header, cells)}\n\n{runs:,} made-up trials of each. {naive} of the good ones rolled back."


def _episodes(count: float | None) -> str:
    return "–" if count is None else f"{count:.0f}"
