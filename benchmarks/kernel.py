"""What one step of the safety kernel costs for the simulated arm's seven joints, with and without its geometry, and for
two such arms on one base with every pair of links between them.

``python -m benchmarks.kernel``: a small C program (`kernel_cost.c`) is compiled with the kernel's own sources and flags
and times every tick, back to back and paced at 1 kHz with caches as cold as in the loop, at real-time priority where
that is allowed. The same ticks are run several times: what a tick costs in its best run is the kernel's own share, what
it costs beyond is the machine's.

``--against REV`` builds the kernel of another revision in a temporary folder and runs both by turns on the same robot
and the same setpoints: what is said is the ratio, not two figures of two days.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.charts import histogram
from benchmarks.record import record
from benchmarks.setpoints import ADVERSARIAL, Rows, policy, robot, two_arms, without_geometry
from edge_runtime.native import ffi
from edge_runtime.native.build import FLAGS, PACKAGE
from edge_runtime.safety import KernelConfig

SOURCE = Path(__file__).parent / "kernel_cost.c"
KERNEL = PACKAGE / "safety" / "kernel"
PACED_NS = 1_000_000
QUANTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
Costs = NDArray[np.float64]
"""In microseconds, a row for each time the ticks were run."""


def compile_program(folder: Path) -> Path:
    """The program, built as the runtime builds the kernel.

    Raises:
        SystemExit: no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("no C compiler: sudo apt-get install gcc")
    program = folder / "kernel_cost"
    sources = [str(SOURCE), *map(str, sorted(KERNEL.glob("*.c")))]
    subprocess.run([compiler, *FLAGS, f"-I{KERNEL}", *sources, "-lm", "-o", str(program)], check=True)
    return program


def measure(program: Path, limits: KernelConfig, home_rad: Rows, rows: Rows, times: int, pace_ns: int) -> Costs:
    """Costs of the rows, `times` times over.

    Raises:
        SystemExit: the robot did not stay armed; the program has said why.
    """
    parts = (
        bytes(ffi.buffer(limits.to_native())),
        home_rad.tobytes(),
        np.uint32(len(rows)).tobytes(),
        np.ascontiguousarray(rows).tobytes(),
    )
    limit_s = 60 + len(rows) * times * (pace_ns * 1e-9 + 2e-4)
    done = subprocess.run(
        [str(program), str(pace_ns), str(times)], input=b"".join(parts), stdout=subprocess.PIPE, timeout=limit_s
    )
    if done.returncode != 0:
        sys.exit(f"kernel_cost ended with {done.returncode}")
    return np.asarray(np.frombuffer(done.stdout, np.uint32).reshape(times, len(rows)) * 1e-3, np.float64)


INPUTS = """
import sys
from dataclasses import fields, replace
from pathlib import Path
from benchmarks import kernel, setpoints
from edge_runtime.native import ffi
import numpy as np
folder, ticks, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
_, limits, home = setpoints.robot()
step = next(field.name for field in fields(limits) if field.name.startswith("step_max"))
limits = replace(limits, **{step: (1e3,) * len(getattr(limits, step))})
for name, config in (("without geometry", setpoints.without_geometry(limits)), ("with geometry", limits)):
    rows = setpoints.policy(config, home, ticks, seed)
    parts = (bytes(ffi.buffer(config.to_native())), home.tobytes(), np.uint32(len(rows)).tobytes())
    (folder / name).write_bytes(b"".join((*parts, np.ascontiguousarray(rows).tobytes())))
kernel.compile_program(folder)
"""
"""What a tree, this one or an older one, is asked for: its own kernel's program, and what that reads."""


def prepare(tree: Path, folder: Path, ticks: int, seed: int) -> None:
    """Inputs and program of a tree whose extension is built."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", INPUTS, str(folder), str(ticks), str(seed)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
    )


def check_out(revision: str, tree: Path) -> None:
    """Another revision of this repository, built there."""
    tree.mkdir()
    archive = subprocess.run(["git", "archive", revision], cwd=PACKAGE.parent, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive.stdout, check=True)
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, env=environment, check=True)


def compare(revision: str, rounds: int, ticks: int, seed: int, console: Console) -> dict[str, float]:
    """Median cost of this kernel over that of the other revision, run by turns; one number for each body."""
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        check_out(revision, folder / "tree")
        prepare(folder / "tree", folder / "other", ticks, seed)
        prepare(PACKAGE.parent, folder / "this", ticks, seed)
        for body in ("without geometry", "with geometry"):
            medians: dict[str, list[float]] = {"other": [], "this": []}
            for _ in range(rounds):
                for which, known in medians.items():
                    given = (folder / which / body).read_bytes()
                    done = subprocess.run(
                        [str(folder / which / "kernel_cost"), "0", "1"], input=given, stdout=subprocess.PIPE, check=True
                    )
                    known.append(float(np.median(np.frombuffer(done.stdout, np.uint32))) * 1e-3)
            by_turns = [one / other for one, other in zip(medians["this"], medians["other"], strict=True)]
            ratios[body] = float(np.median(by_turns))
            this_us, other_us = (float(np.median(medians[which])) for which in ("this", "other"))
            console.print(f"{body}: {this_us:.2f} µs, {revision} {other_us:.2f} µs, ratio {ratios[body]:.3f}")
    return ratios


def figures_of(costs_us: Costs) -> dict[str, float]:
    """Quantiles as the median over the runs, and the largest of what each tick cost in its best run."""
    tail = {name: float(np.median(np.percentile(costs_us, q, axis=1))) for name, q in QUANTILES.items()}
    return {**tail, "worst_tick_at_its_best": float(costs_us.min(axis=0).max())}


def streams(limits: KernelConfig, home_rad: Rows, ticks: int, seed: int) -> dict[str, Rows]:
    """What the kernel is given; the adversarial kinds one after the other in equal parts."""
    share = ticks // len(ADVERSARIAL)
    parts = [stream(limits, home_rad, share, seed) for stream in ADVERSARIAL.values()]
    return {"policy-like": policy(limits, home_rad, ticks, seed), "adversarial": np.concatenate(parts)}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=50_000, help="of each stream, back to back (default 50000)")
    parser.add_argument("--paced", type=int, default=5_000, help="of each stream at 1 kHz (default 5000)")
    parser.add_argument("--times", type=int, default=5, help="each stream is run (default 5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", metavar="REV", help="compare with the kernel of that revision, and nothing else")
    parser.add_argument("--rounds", type=int, default=15, help="of the comparison (default 15)")
    arguments = parser.parse_args()
    console = Console()
    if arguments.against:
        compare(arguments.against, arguments.rounds, arguments.ticks, arguments.seed, console)
        return
    _, limits, home_rad = robot()
    # Nothing is refused for being far away: it is the work of limiting that is measured.
    limits = replace(limits, step_max=(1e3,) * len(limits.axis_names))
    robots = {
        "without geometry": (without_geometry(limits), home_rad),
        "with geometry": (limits, home_rad),
        "two arms with geometry": two_arms(limits, home_rad),
    }
    figures: dict[str, dict[str, float]] = {}
    all_costs: dict[str, Costs] = {}
    table = Table(title="kernel_step, 7 joints an arm, µs", title_justify="left")
    for column in ("", *QUANTILES, "worst tick at its best"):
        table.add_column(column, justify="left" if column == "" else "right", no_wrap=column == "")
    with tempfile.TemporaryDirectory() as folder:
        program = compile_program(Path(folder))
        for body, (config, home) in robots.items():
            for pace, (pace_ns, ticks) in {"": (0, arguments.ticks), " at 1 kHz": (PACED_NS, arguments.paced)}.items():
                if ticks == 0:
                    continue
                for name, rows in streams(config, home, ticks, arguments.seed).items():
                    costs = measure(program, config, home, rows, arguments.times, pace_ns)
                    key = f"{name}, {body}{pace}"
                    figures[key], all_costs[key] = figures_of(costs), costs
                    table.add_row(key, *(f"{value:.1f}" for value in figures[key].values()))
    console.print(table)
    for key, costs in all_costs.items():
        histogram(key, costs.ravel(), console)
    full = {key: row for key, row in figures.items() if key.partition(", ")[2].startswith("with geometry")}
    twice = {key: row for key, row in figures.items() if "two arms" in key}
    record(
        "kernel",
        {
            "ticks": arguments.ticks,
            "paced_ticks": arguments.paced,
            "times": arguments.times,
            "policy_p50_us": max(row["p50"] for key, row in full.items() if key.startswith("policy-like")),
            "worst_p999_us": max(row["p99.9"] for row in full.values()),
            "two_arms_policy_p50_us": max(row["p50"] for key, row in twice.items() if key.startswith("policy-like")),
            "two_arms_worst_p999_us": max(row["p99.9"] for row in twice.values()),
            "two_arms_pairs": robots["two arms with geometry"][0].to_native().geometry.n_pairs,
            "cost_us": figures,
        },
        console,
    )


if __name__ == "__main__":
    main()
