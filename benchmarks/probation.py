"""How often probation takes a bundle back: one that is as good as before, and ones that are not, by the episode.

``python -m benchmarks.probation [--runs 1000]``: made-up trials, judged after each episode by the code that judges on
the robot. The world is simple and says what it is: an episode fails by chance, has two windows of motion, and its scene
may be a hard one, in which the kernel acts more often in both of them. Seeds are fixed: the same code, the same table.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import RESULTS, record
from edge_runtime.ota.probation.bundle_stats import AGE_EDGES_NS, INTERVENTION_EDGES, WINDOW_NS, Record, with_class
from edge_runtime.ota.probation.probation import Terms, Verdict, judge
from edge_runtime.ota.probation.sequential_test import tail

EPISODES = 100
"""In a trial; at 5 to 60 an hour a working day or more, and far more than it takes to be proven."""
NAIVE_ALPHA = 0.05
_WINDOWS = 2
_CHUNKS = 200
_TICKS_PER_BURST = 30.0
_TERMS = Terms(probation_s=1e9)
"""Never proven: a trial goes on, so that all its chances to be taken back count."""
OLD, NEW = "0" * 64, "1" * 64


@dataclass(frozen=True)
class World:
    """How a bundle does, by the episode.

    Attributes:
        success: share of episodes that succeed.
        bursts: of interventions, in a window of a scene of usual hardness.
        crash: probability that the engine crashes.
        late: share of chunks that come after the budget.
    """

    success: float = 0.95
    bursts: float = 0.3
    crash: float = 0.0005
    late: float = 0.001


USUAL = World()
CHANGES: dict[str, World] = {
    "success 95 to 90 %": replace(USUAL, success=0.90),
    "success 95 to 80 %": replace(USUAL, success=0.80),
    "success 95 to 60 %": replace(USUAL, success=0.60),
    "never succeeds": replace(USUAL, success=0.0),
    "interventions × 2": replace(USUAL, bursts=0.6),
    "interventions × 4": replace(USUAL, bursts=1.2),
    "one crash in ten episodes": replace(USUAL, crash=0.1),
    "a tenth of chunks late": replace(USUAL, late=0.1),
}
RECORDS = (0, 20, 60, 200, 1000)


def episodes_of(world: World, bundle: str, count: int, rng: np.random.Generator) -> Iterator[Record]:
    """What each of `count` episodes adds to the record."""
    failed = rng.random(count) >= world.success
    crashed = rng.random(count) < world.crash
    late = rng.binomial(_CHUNKS, world.late, count)
    hardness = rng.gamma(2.0, 0.5, count)
    bursts = rng.poisson(world.bursts * hardness[:, None], (count, _WINDOWS))
    altered = np.where(bursts > 0, rng.gamma(np.maximum(bursts, 1), _TICKS_PER_BURST), 0.0)
    slow, fast = with_class(AGE_EDGES_NS, 2 * 10**9), with_class(AGE_EDGES_NS, 10**8)
    for k in range(count):
        windows = [with_class(INTERVENTION_EDGES, math.ceil(ticks)) for ticks in altered[k]]
        yield Record(
            bundle=bundle,
            active_ns=_WINDOWS * WINDOW_NS,
            episodes=1,
            failures=int(failed[k]),
            crashes=int(crashed[k]),
            interventions=tuple(map(sum, zip(*windows, strict=True))),
            ages=tuple(int(late[k]) * a + int(_CHUNKS - late[k]) * b for a, b in zip(slow, fast, strict=True)),
        )


def history(episodes: int, rng: np.random.Generator, world: World = USUAL) -> Record:
    """The record of the committed bundle."""
    known = Record(bundle=OLD)
    for part in episodes_of(world, OLD, episodes, rng):
        known = known.plus(part)
    return known


def taken_back_at(trial: World, committed: Record, rng: np.random.Generator) -> float:
    """The episode after which the trial was over; infinite if it never was."""
    known = Record(bundle=NEW)
    for number, part in enumerate(episodes_of(trial, NEW, EPISODES, rng), 1):
        known = known.plus(part)
        if judge(known, committed, _TERMS, 0.0).verdict is Verdict.FAILED:
            return number
    return math.inf


def naive_alarm(episodes: int, rng: np.random.Generator) -> bool:
    """What looking again and again would do without a price: Fisher's test at its full level after each episode."""
    bad_before = int(rng.binomial(episodes, 1.0 - USUAL.success))
    bad = np.cumsum(rng.random(EPISODES) >= USUAL.success)
    return any(tail(int(bad[k]), k + 1, bad_before, episodes) <= NAIVE_ALPHA for k in range(5, EPISODES))


def measure(trial: World, episodes: int, runs: int, seed: int, before: World = USUAL) -> NDArray[np.float64]:
    """(runs,) episodes until it was taken back, each with a record of its own."""
    rng = np.random.default_rng([seed, episodes])
    return np.array([taken_back_at(trial, history(episodes, rng, before), rng) for _ in range(runs)])


def summary(at: NDArray[np.float64]) -> dict[str, float | None]:
    """Shares taken back, and how soon; None where too few were."""

    def episodes(quantile: float) -> float | None:
        value = float(np.sort(at)[math.ceil(quantile * at.size) - 1])
        return value if math.isfinite(value) else None

    return {
        "runs": at.size,
        "taken_back": float(np.mean(np.isfinite(at))),
        "within_20": float(np.mean(at <= 20)),
        "median_episodes": episodes(0.5),
        "p90_episodes": episodes(0.9),
    }


def picture(runs: Mapping[str, NDArray[np.float64]]) -> bool:
    """Draw the share of trials that are over by the episode; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    axes = figure.subplots()
    numbers = np.arange(EPISODES + 1)
    for name, at in runs.items():
        share = [float(np.mean(at <= number)) for number in numbers]
        axes.plot(numbers, share, label=name, linewidth=3.0 if name == "no change" else 1.5)
    axes.set(xlabel="episodes on trial", ylabel="share of trials taken back", xlim=(0, EPISODES), ylim=(0, 1.02))
    figure.legend(loc="outside right center", fontsize="small")
    figure.savefig(RESULTS / "probation.png", dpi=110)
    return True


def main() -> None:
    """Measure, print, draw and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="of each kind (1000)")
    runs = parser.parse_args().runs
    console = Console(highlight=False)
    same = {episodes: measure(USUAL, episodes, runs, seed=1) for episodes in RECORDS}
    console.print(_table("as good as before", {f"record of {n}": at for n, at in same.items()}))
    worse = {name: measure(world, 200, runs, seed=2) for name, world in CHANGES.items()}
    console.print(_table("worse, with a record of 200 episodes", worse))
    short = {n: measure(CHANGES["success 95 to 60 %"], n, runs, seed=3) for n in RECORDS}
    console.print(_table("success 95 to 60 %", {f"record of {n}": at for n, at in short.items()}))
    harder = {
        "a poor bundle, 60 %, unchanged": measure(
            replace(USUAL, success=0.6), 200, runs, seed=4, before=replace(USUAL, success=0.6)
        ),
        "the task got harder, 95 to 85 %": measure(replace(USUAL, success=0.85), 200, runs, seed=5),
    }
    console.print(_table("what it cannot know", harder))
    rng = np.random.default_rng(6)
    naive = float(np.mean([naive_alarm(200, rng) for _ in range(runs)]))
    console.print(f"as good as before, tested at {NAIVE_ALPHA:.0%} after each episode: {naive:.1%} taken back")
    if picture({"no change": same[200], **worse}):
        console.print(f"picture written to {RESULTS / 'probation.png'}")
    figures: dict[str, Any] = {
        "false_alarms_most": max(float(np.mean(np.isfinite(same[n]))) for n in RECORDS),
        "median_episodes_95_to_60": summary(worse["success 95 to 60 %"])["median_episodes"],
        "naive_false_alarms": naive,
        "episodes_of_a_trial": EPISODES,
        "same": {str(n): summary(at) for n, at in same.items()},
        "worse": {name: summary(at) for name, at in worse.items()},
        "success_95_to_60_by_record": {str(n): summary(at) for n, at in short.items()},
        "other": {name: summary(at) for name, at in harder.items()},
    }
    record("probation", figures, console)


def _table(title: str, rows: Mapping[str, NDArray[np.float64]]) -> Table:
    table = Table(title=f"{title}: trials of {EPISODES} episodes", title_justify="left")
    for column in ("", "runs", "taken back", "within 20", "episodes, median", "90 %"):
        table.add_column(column, justify="right" if column else "left")
    for name, at in rows.items():
        found = summary(at)
        counts = ("–" if found[key] is None else f"{found[key]:.0f}" for key in ("median_episodes", "p90_episodes"))
        table.add_row(name, str(at.size), f"{found['taken_back']:.1%}", f"{found['within_20']:.1%}", *counts)
    return table


if __name__ == "__main__":
    main()
