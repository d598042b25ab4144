"""Robots that others described, under a million hostile ticks each, judged by code that is not the kernel's.

    python -m benchmarks.hostile ROBOT [ROBOT ...] [--ticks N] [--seed N] [--jobs N]
    python -m benchmarks.hostile --wheels DIR [--only NAME,NAME] [--out DIR]

ROBOT is a folder that `edge-runtime new robot` made, FOLDER=DESCRIPTION to look at the collision shapes of the
description as well, or a description alone, of which a robot with careful limits is made first. With --wheels the
robots are those of `benchmarks.robots`, from unpacked packages. The exit code is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.hostile.drive import build
from benchmarks.hostile.run import Verdict, judged
from benchmarks.robots import ROBOTS, Robot, make

_HEAD = (
    f"{'robot':10} {'axes':24} {'ticks':>9} {'armed':>5} {'anew':>5} {'s':>5}  {'position':>8} {'speed':>8}"
    f" {'accel.':>8} {'jerk':>8} {'tool':>8} {'least mm':>9}"
    f" {'postures':>9} {'shapes mm':>9} {'contacts':>8} {'let':>7} {'MuJoCo':>7}  verdict"
)


@dataclass(frozen=True)
class _Job:
    name: str
    folder: Path
    description: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("robots", nargs="*", metavar="ROBOT")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="unpacked packages; see benchmarks.robots")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help=f"with --wheels: of {', '.join(ROBOTS)}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where robots that are made stay (default: nowhere)")
    parser.add_argument("--ticks", type=int, default=1_000_000, help="for each robot (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="robots at a time (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="where links are near, shapes in every Nth tick (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="rows for programs, one a line")
    options = parser.parse_args(arguments)
    print(f"{platform.machine()}, {_processor()}, seed {options.seed}", _HEAD, sep="\n", file=sys.stderr, flush=True)
    clean = True
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(options.jobs) as workers:
        jobs = list(_jobs(options.robots, options.wheels, options.only, options.out or Path(scratch)))
        program = build(Path(scratch))
        how = (program, options.ticks, options.seed, options.every)
        running = [workers.submit(judged, job.name, job.folder, job.description, *how) for job in jobs]
        for future in as_completed(running):
            verdict = future.result()
            clean &= verdict.is_clean
            print(json.dumps(asdict(verdict)) if options.json else _line(verdict), flush=True)
    return 0 if clean and running else 1


def _jobs(robots: Sequence[str], wheels: Path | None, only: str, out: Path) -> Iterator[_Job]:
    for robot in robots:
        folder, _, description = robot.partition("=")
        if Path(folder).is_dir():
            yield _Job(Path(folder).name, Path(folder), Path(description) if description else None)
        else:
            file = Path(folder).resolve()
            yield _made(file.stem, Robot(str(file), ""), Path("/"), out)
    if wheels is not None:
        for name in [name for name in only.split(",") if name] or list(ROBOTS):
            yield _made(name, ROBOTS[name], wheels.resolve(), out)


def _made(name: str, robot: Robot, wheels: Path, out: Path) -> _Job:
    folder = out / name
    if not (folder / "robot.toml").exists():
        done = make(robot, name, wheels, folder)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {done.stderr.strip()}")
    return _Job(name, folder, wheels / robot.file)


def _line(verdict: Verdict) -> str:
    found = verdict.found
    axes = ", ".join(f"{count} {kind}" for kind, count in verdict.kinds.items())
    share = [
        f"{found.most.get(what, 0.0):8.6f}" for what in ("position", "velocity", "acceleration", "jerk", "tool speed")
    ]
    words = "clean" if verdict.is_clean else f"{found.violations} violations, {found.contacts} contacts"
    armed = f"{100 * found.armed // max(1, found.ticks):4}% {found.armings:5} {verdict.took_s:5.0f}"
    shapes = f"{found.meshes:9,} {found.nearest_mesh_m * 1e3:9.3f} {found.contacts:8} {found.allowed_contacts:7}"
    shapes += f" {found.kinematics_m:7.0e}"
    line = (
        f"{verdict.name:10} {axes:24} {found.ticks:9,} {armed}  {' '.join(share)} {found.nearest_m * 1e3:9.4f} {shapes}"
    )
    return "\n    ".join((f"{line}  {words}", *found.examples))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
