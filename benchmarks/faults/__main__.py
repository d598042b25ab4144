"""Faults of the running system, a thousand at random moments: how soon each is seen, and how the robot comes to rest.

``python -m benchmarks.faults [--rounds 1000] [--messages 1000000]``. The real control process is at a driver port whose
other side records every command. Policies that move it fast are killed, frozen, made to compute for ever, to exhaust
their memory and to repeat themselves; then control itself is killed; then the engine that ships, with the simulated
plant; at last control trips, and a million messages try to move it. Takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.faults.recorder import Continuity, build_driver
from benchmarks.faults.robot import FaultRobot, Robot, WholeRobot
from benchmarks.faults.rounds import Kind, Round, run_round, schedule, set_moving
from benchmarks.faults.storm import Storm, storm
from benchmarks.faults.whole import (
    SIM_WATCHDOG_S,
    WATCHDOG_S,
    ControlKill,
    EngineRound,
    fault_of_engine,
    kill_control,
    kill_whole_control,
)
from benchmarks.record import record

_CRASHES = (Kind.KILL, Kind.KILL_LARGE, Kind.MEMORY_LIMIT)
"""Whose moment is known. Of a process that the system ends for want of memory, only when it last got some."""


def main() -> None:
    """Inject, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="faults of a policy (1000)")
    parser.add_argument(
        "--control-kills", type=int, default=60, help="kills of control, beside a recording driver (60)"
    )
    parser.add_argument(
        "--whole", type=int, default=20, help="faults of the engine that ships (20), and half as many of control"
    )
    parser.add_argument("--messages", type=int, default=1_000_000, help="after a trip (1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (1)")
    options = parser.parse_args()
    console = Console()
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        driver = build_driver(Path(folder))
        with FaultRobot(driver, options.seed) as robot:
            rounds = faults(robot, options.rounds, console)
            kills = [kill_control(robot) for _ in track(range(options.control_kills), "control", console=console)]
            console.print(f"a storm of {options.messages:,} messages")
            after_trip = storm(robot, options.messages, options.seed)
        with WholeRobot(driver, options.seed) as whole:
            kinds = [Kind.KILL, Kind.STOP] * (options.whole // 2)
            engines = [fault_of_engine(whole, kind) for kind in track(kinds, "engine", console=console)]
            sims = [kill_whole_control(whole) for _ in track(range(options.whole // 2), "plant", console=console)]
    figures = {
        **of_rounds(rounds),
        **of_motion([robot, whole]),
        **of_control("control_kills", kills, WATCHDOG_S),
        **of_control("plant", sims, SIM_WATCHDOG_S),
        **of_engine(engines),
        **of_storm(after_trip),
        "seconds": round(time.monotonic() - start_s),
    }
    console.print(table_of(rounds))
    for line in summary(figures):
        console.print(line)
    record("faults", figures, console)


def faults(robot: FaultRobot, count: int, console: Console) -> list[Round]:
    """So many rounds on one robot."""
    kinds = schedule(robot, count)
    set_moving(robot, kinds[0])
    following = [*kinds[1:], None]
    return [
        run_round(robot, kind, after)
        for kind, after in track(list(zip(kinds, following, strict=True)), "policy", console=console)
    ]


def ms(values_s: Sequence[float]) -> dict[str, float]:
    """p50, p99 and maximum, in milliseconds."""
    quantiles = {"p50": 50.0, "p99": 99.0, "max": 100.0}
    return {name: round(1e3 * float(np.percentile(values_s, q)), 3) for name, q in quantiles.items()}


def of_rounds(rounds: Sequence[Round]) -> dict[str, Any]:
    """What is recorded of the faults of policies."""
    by_kind: dict[str, Any] = {}
    for kind in Kind:
        mine = [one for one in rounds if one.kind is kind]
        if mine:
            by_kind[kind.value] = _of_kind(mine)
    crashes = [one.detected_s for one in rounds if one.kind in _CRASHES and one.detected_s is not None]
    stalls = [one for one in rounds if one.after_timeout_s is not None and one.tick_s is not None]
    after_s = [one.after_timeout_s for one in stalls if one.after_timeout_s is not None]
    stops = [one.stop for one in rounds if one.stop is not None]
    return {
        "rounds": len(rounds),
        "by_kind": by_kind,
        "crash_detected_ms": ms(crashes),
        "crash_detected_p99_ms": ms(crashes)["p99"],
        "stall_after_timeout_ms": ms(after_s),
        "stalls_seen_late": sum((one.after_timeout_s or 0.0) > (one.tick_s or 0.0) for one in stalls),
        "beat_hop_ms": ms([one.beat_hop_s for one in stalls if one.beat_hop_s is not None]),
        "stops": len(stops),
        "to_rest_ms": ms([stop.to_rest_s for stop in stops]),
        "to_rest_of_bound": round(max(stop.of_bound for stop in stops), 4),
        "to_rest_of_plain_bound": round(max(stop.of_plain_bound for stop in stops), 4),
        "stops_from_speed": {str(q): round(float(np.percentile([s.speed for s in stops], q)), 2) for q in (10, 50, 90)},
        "resumed_by_itself": sum(one.resumed_s is not None for one in rounds),
        "resumed_ms": ms([one.resumed_s for one in rounds if one.resumed_s is not None]),
        "interrupted": dict(Counter("+".join(one.interrupted) for one in rounds if one.interrupted)),
    }


def _of_kind(rounds: Sequence[Round]) -> dict[str, Any]:
    seen = [one.detected_s for one in rounds if one.detected_s is not None]
    stops = [one.stop for one in rounds if one.stop is not None]
    return {
        "rounds": len(rounds),
        "detected_ms": ms(seen) if seen else None,
        "to_rest_ms": ms([stop.to_rest_s for stop in stops]) if stops else None,
        "to_rest_of_bound": round(max((stop.of_bound for stop in stops), default=0.0), 4),
    }


def of_motion(robots: Sequence[Robot]) -> dict[str, Any]:
    """Whether all commands of all parts were one motion each, inside the limits."""
    parts: list[Continuity] = [robot.continuity for robot in robots]
    worst = {name: max(part.worst[name] for part in parts) for name in parts[0].worst}
    return {
        "commands": sum(part.ticks for part in parts),
        "commands_not_recorded": sum(part.missed for part in parts),
        "worst_of_limit": {name: round(value, 9) for name, value in worst.items()},
        "limits_broken": sum(value > 1.0 + 1e-9 for value in worst.values()),
        "jumps": sum(part.jumps for part in parts),
        "armed_by_operator": sum(robot.armings for robot in robots),
        "armed_by_itself": sum(robot.continuity.armings - robot.armings for robot in robots),
    }


def of_control(name: str, kills: Sequence[ControlKill], watchdog_s: float) -> dict[str, Any]:
    """Kills of control: when the robot stood, and what the next control did."""
    if not kills:
        return {}
    return {
        name: {
            "rounds": len(kills),
            "watchdog_ms": 1e3 * watchdog_s,
            "stopped_ms": ms([kill.stopped_s for kill in kills]),
        },
        f"{name}_moved_by_itself": sum(kill.moved_by_itself for kill in kills),
    }


def of_engine(rounds: Sequence[EngineRound]) -> dict[str, Any]:
    """Faults of the engine that ships."""
    figures: dict[str, Any] = {}
    for kind in (Kind.KILL, Kind.STOP):
        mine = [one for one in rounds if one.kind is kind]
        if mine:
            stops = [one.stop for one in mine if one.stop is not None]
            figures[f"engine {kind.value}"] = {
                "rounds": len(mine),
                "detected_ms": ms([one.detected_s for one in mine]),
                "to_rest_of_bound": round(max((stop.of_bound for stop in stops), default=0.0), 4),
            }
    return figures


def of_storm(after_trip: Storm) -> dict[str, Any]:
    """Messages after a trip."""
    return {
        "storm_messages": after_trip.messages,
        "storm_seconds": round(after_trip.seconds, 1),
        "storm_refused": after_trip.refused,
        "storm_chunks_taken": after_trip.chunks_taken,
        "storm_states": list(after_trip.states),
        "storm_commands": after_trip.commands,
        "storm_moved": after_trip.moved,
    }


def table_of(rounds: Sequence[Round]) -> Table:
    """One row for each kind of fault."""
    table = Table(title=f"{len(rounds)} faults of a policy in motion", title_justify="left")
    for column in ("", "rounds", "seen ms p50", "p99", "max", "at rest ms p50", "max", "of its bound"):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, figures in of_rounds(rounds)["by_kind"].items():
        seen = figures["detected_ms"] or {}
        rest = figures["to_rest_ms"] or {}
        cells = [f"{seen[q]:.1f}" if seen else "" for q in ("p50", "p99", "max")]
        cells += [f"{rest[q]:.0f}" if rest else "" for q in ("p50", "max")]
        table.add_row(name, str(figures["rounds"]), *cells, f"{figures['to_rest_of_bound']:.3f}")
    return table


def summary(figures: dict[str, Any]) -> list[str]:
    """The other figures, a line each."""
    crash, stall = figures["crash_detected_ms"], figures["stall_after_timeout_ms"]
    worst = ", ".join(f"{name} {value:.9f}" for name, value in figures["worst_of_limit"].items())
    lines = [
        f"crash to the tick that knows: p50 {crash['p50']:.2f}, p99 {crash['p99']:.2f}, max {crash['max']:.2f} ms",
        f"stall beyond its timeout, from the last beat heard: p50 {stall['p50']:.2f}, max {stall['max']:.2f} ms; "
        f"{figures['stalls_seen_late']} later than the next tick",
        f"at rest: {figures['to_rest_of_bound']:.3f} of V/A + A/J + 2 T (A/J twice where a joint was speeding up), "
        f"{figures['to_rest_of_plain_bound']:.3f} with A/J once",
        f"{figures['commands']:,} commands ({figures['commands_not_recorded']} not recorded), largest share of a "
        f"limit: {worst}; {figures['jumps']} jumps",
        f"armed {figures['armed_by_operator']} times by the operator, {figures['armed_by_itself']} times by itself; "
        f"{figures['resumed_by_itself']} of {figures['rounds']} motions went on without one; {figures['interrupted']}",
    ]
    for name in ("control_kills", "plant"):
        if name in figures:
            one = figures[name]
            lines.append(
                f"{name}: {one['rounds']} kills of control, still after p50 {one['stopped_ms']['p50']:.1f}, max "
                f"{one['stopped_ms']['max']:.1f} ms (watchdog {one['watchdog_ms']:.0f} ms); "
                f"{figures[f'{name}_moved_by_itself']} commands of the next control that moved"
            )
    for kind in (Kind.KILL, Kind.STOP):
        if (one := figures.get(f"engine {kind.value}")) is not None:
            seen = one["detected_ms"]
            lines.append(
                f"the engine that ships, {kind.value}: {one['rounds']} rounds, seen after p50 {seen['p50']:.2f}, max "
                f"{seen['max']:.2f} ms; {one['to_rest_of_bound']:.3f} of the bound"
            )
    lines.append(
        f"after a trip: {figures['storm_messages']:,} messages in {figures['storm_seconds']} s, "
        f"{figures['storm_refused']:,} refused, {figures['storm_chunks_taken']:,} chunks taken, states "
        f"{figures['storm_states']}, {figures['storm_moved']} of {figures['storm_commands']:,} commands moved"
    )
    return lines


if __name__ == "__main__":
    main()
