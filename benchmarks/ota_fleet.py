"""A fleet against one hub: ``python -m benchmarks.ota_fleet [--agents 300]``.

The hub is `edge-hub serve`, with keys, a published bundle (the shipped policy under another version) and enrolled
robots. Each robot is a process of its own with the real update agent (`ota_fleet_robot.py` says what of it is
simulated). All are switched on at once. Of the 30 % that drop in and out, every other one is killed and switched on
again, the rest lose the network, again and again until they are done. It ends when every robot has reported, signed,
that it runs the new bundle. Needs the extras `ota` and `hub`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from benchmarks.ota_fleet_robot import DOWN_S, UP_S, Account, Count, Start
from benchmarks.record import record
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.contracts.release import ReleaseManifest, load
from edge_runtime.releases.key_files import create_key

AGENTS = 300
DROPPING = 0.3
PROBATION_S = 1
CHECK_INTERVAL_S = 5.0
LONGEST_S = 1800.0
HARDWARE = "sim_arm"
_LOOK_S = 0.1


def edge_hub(*words: object) -> str:
    """An `edge-hub` command, as a person types it; what it said."""
    return _command("hub", *words)


def _command(module: str, *words: object) -> str:
    done = subprocess.run([sys.executable, "-m", module, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module} {words[0]}: {done.stderr}")
    return done.stdout


def set_up(folder: Path, agents: int) -> tuple[ReleaseManifest, list[str]]:
    """A hub in `folder` with a published bundle, and robots that it knows; nobody is told anything yet."""
    hub, packed, bundle = folder / "hub", folder / "packed", folder / "bundle"
    shutil.copytree(load_config(SIM_CONFIG).bundle_dir, bundle)
    manifest = read_manifest(bundle)
    write_manifest(bundle, msgspec.structs.replace(manifest, version=f"{manifest.version}.fleet"))
    _write_strange(folder / "shipped", bundle)
    edge_hub("init", hub)
    _command("export_tools", "pack", bundle, "-o", packed)
    released = next(packed.glob("bundles/*/*.json"))
    keys, draft = hub / "development_keys", folder / "draft.json"
    published = hub / "image" / "metadata"
    sign = ("sign", released, "--key", keys / "exporter.key", "--hardware", HARDWARE, "--metadata", published)
    _command("export_tools", *sign, "--out", draft)
    edge_hub("approve", draft, "--key", keys / "approver.key")
    edge_hub("publish", hub, draft, packed)
    robots = [f"arm-{number:04}" for number in range(agents)]
    for robot in robots:
        create_key(folder / "keys", robot)
    edge_hub("robots", "enrol-all", hub, folder / "keys")
    return load(released.read_bytes()), robots


def _write_strange(folder: Path, bundle: Path) -> None:
    """The bundle that came with the robots: as large as `bundle`, with no byte in the place where that has it."""
    shutil.copytree(bundle, folder)
    manifest = read_manifest(bundle)
    for blob in manifest.blobs:
        path = folder / blob.path
        path.write_bytes(bytes(255 - byte for byte in path.read_bytes()))
    blobs = tuple(blob_of(folder, blob.path) for blob in manifest.blobs)
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=blobs))


def write_config(folder: Path, robot: str, url: str) -> Path:
    """`robot.toml` of one robot."""
    home = SIM_CONFIG.resolve().parent
    text = re.sub(
        r'^(embodiment|safety) = "(.*)"$',
        lambda line: f'{line[1]} = "{(home / line[2]).resolve()}"',
        SIM_CONFIG.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    text = re.sub(r'^bundle = ".*"$', f'bundle = "{folder / "shipped"}"', text, flags=re.MULTILINE)
    section = {
        "robot_id": robot,
        "hardware": HARDWARE,
        "image_url": f"{url}/image",
        "director_url": f"{url}/director/robots",
        "image_root": str(folder / "hub" / "robot" / "image.root.json"),
        "director_root": str(folder / "hub" / "robot" / "director.root.json"),
        "report_url": url,
        "robot_key": str(folder / "keys" / f"{robot}.key"),
        "store": str(folder / "robots" / robot),
        "check_interval_s": CHECK_INTERVAL_S,
    }
    path = folder / "robots" / f"{robot}.toml"
    lines = (f"{key} = {json.dumps(value)}" for key, value in section.items())
    path.write_text("\n".join([text, "[ota]", *lines]), encoding="utf-8")
    return path


class Hub:
    """`edge-hub serve` as a process."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "hub", "serve", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = next((line for line in self.process.stdout if line.startswith("serving")), "")
        if not line:
            raise SystemExit("the hub did not start")
        self.url = line.split()[-1]

    @property
    def cpu_s(self) -> float:
        """Processor time it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_rss_mb(self) -> float:
        """The most memory it ever had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60.0)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Robot:
    """One robot as the benchmark drives it."""

    name: str
    start: Start
    account: Account
    is_killed: bool
    pid: int = 0
    handle: int = -1
    due_s: float = 0.0
    kills: int = 0
    is_dying: bool = False
    last_words: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether the hub has taken its report that it runs the new bundle."""
        return self.account[Count.DONE] > 0

    @property
    def log(self) -> Path:
        """What its processes said."""
        return Path(f"{self.start.account}.log")

    @property
    def is_on(self) -> bool:
        """Whether its process is there."""
        return self.handle >= 0 and not select.select([self.handle], [], [], 0.0)[0]

    def kill(self) -> None:
        """End its process, and no other that has come to the same number."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self.kills += 1
        self.is_dying = True

    def has_ended(self, next_s: float) -> None:
        """Its process is gone: it is to be switched on again at `next_s`."""
        if not self.is_dying:
            # Nobody killed it: the service manager would start it again, and so does this.
            self.last_words.append(self.log.read_text(encoding="utf-8")[-500:])
        os.close(self.handle)
        self.pid, self.handle, self.is_dying, self.due_s = 0, -1, False, next_s


@dataclass
class Fleet:
    """All robots and the warm process that they come from."""

    robots: list[Robot]
    draw: random.Random
    warm: subprocess.Popen[str]
    peak_rss_mb: float = 0.0
    began_s: float = field(default_factory=time.monotonic)

    def switch_on(self, robot: Robot) -> None:
        """Start its process."""
        assert self.warm.stdin is not None
        assert self.warm.stdout is not None
        self.warm.stdin.write(msgspec.json.encode(robot.start).decode() + "\n")
        self.warm.stdin.flush()
        robot.pid = int(self.warm.stdout.readline())
        robot.handle = os.pidfd_open(robot.pid)
        robot.due_s = time.monotonic() + self.draw.uniform(*UP_S)

    def look(self) -> int:
        """Switch robots on and off as they are due; how many are done."""
        now_s = time.monotonic()
        for robot in self.robots:
            if robot.is_done:
                continue
            if not robot.is_on:
                if robot.handle >= 0 and not robot.is_done:
                    robot.has_ended(now_s + self.draw.uniform(*DOWN_S))
                elif robot.handle < 0 and now_s >= robot.due_s:
                    self.switch_on(robot)
            elif robot.is_killed and not robot.is_dying and now_s >= robot.due_s:
                robot.kill()
        return sum(robot.is_done for robot in self.robots)

    def measure(self) -> None:
        """Memory of all robots' processes, shared pages by their share."""
        pids = [robot.pid for robot in self.robots if robot.is_on]
        self.peak_rss_mb = max(self.peak_rss_mb, sum(map(_pss_mb, pids)))


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1024


@contextmanager
def fleet_of(folder: Path, names: list[str], url: str, seed: int) -> Iterator[Fleet]:
    """The robots, switched off."""
    draw = random.Random(seed)
    (folder / "robots").mkdir()
    dropping = sorted(draw.sample(range(len(names)), round(DROPPING * len(names))))
    robots = []
    for number, name in enumerate(names):
        drops = number in dropping
        is_killed = drops and dropping.index(number) % 2 == 0
        account = folder / "robots" / f"{name}.account"
        start = Start(str(write_config(folder, name, url)), str(account), number, drops and not is_killed)
        robots.append(Robot(name, start, Account(account), is_killed))
    command = [sys.executable, "-m", "benchmarks.ota_fleet_robot"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as warm:
        try:
            yield Fleet(robots, draw, warm)
        finally:
            # Every robot's process ends with the one that it came from.
            warm.kill()


def update(folder: Path, agents: int, seed: int, console: Console) -> dict[str, float]:
    """Have the fleet go through an update; the figures."""
    console.print(f"a hub, a bundle that two people signed, {agents} robots with keys …")
    release, names = set_up(folder, agents)
    hub = Hub(folder / "hub")
    try:
        began_s = time.monotonic()
        edge_hub(
            "assign", folder / "hub", release.target_path, "--all", "--hardware", HARDWARE, "--probation", PROBATION_S
        )
        assign_s = time.monotonic() - began_s
        hub_cpu_s = hub.cpu_s
        with fleet_of(folder, names, hub.url, seed) as fleet:
            began_unix_s = time.time()
            _see_through(fleet, console)
            for robot in fleet.robots:
                for words in robot.last_words:
                    console.print(f"{robot.name} ended by itself: {words}", highlight=False, markup=False)
            figures = {"agents": agents, **_moved(fleet, release), "agents_peak_mb": fleet.peak_rss_mb}
        figures |= {"assign_s": assign_s, "hub_cpu_s": hub.cpu_s - hub_cpu_s, "hub_peak_rss_mb": hub.peak_rss_mb}
        return figures | _as_reported(folder / "hub", release, began_unix_s, figures)
    finally:
        hub.close()


def _see_through(fleet: Fleet, console: Console) -> None:
    words = "{task.completed:.0f} of {task.total:.0f} robots have reported that they run it, after {task.elapsed:.0f} s"
    with Progress(SpinnerColumn(), TextColumn(words), TextColumn("{task.description}"), console=console) as progress:
        task = progress.add_task("", total=len(fleet.robots))
        until_s, measure_s = time.monotonic() + LONGEST_S, 0.0
        while (done := fleet.look()) < len(fleet.robots):
            now_s = time.monotonic()
            if now_s >= until_s:
                raise SystemExit(f"only {done} robots were done within {LONGEST_S:.0f} s")
            if now_s >= measure_s:
                fleet.measure()
                measure_s = now_s + 5.0
            kills = sum(robot.kills for robot in fleet.robots)
            losses = sum(robot.account[Count.LOSSES] + robot.account[Count.CUTS] for robot in fleet.robots)
            moved_mb = sum(robot.account[Count.BYTES] for robot in fleet.robots) / 1e6
            said = f"{moved_mb:,.0f} MB moved, {kills} kills, {losses} losses of the network"
            progress.update(task, completed=done, description=said)
            time.sleep(_LOOK_S)
        progress.update(task, completed=done)


def _moved(fleet: Fleet, release: ReleaseManifest) -> dict[str, float]:
    robots = fleet.robots
    planned_bytes = sum(blob.stored_bytes for blob in release.blobs.values())
    largest_bytes = max(blob.stored_bytes for blob in release.blobs.values())
    again = [robot.account[Count.PACK_BYTES] - planned_bytes for robot in robots]
    kills, cuts = sum(robot.kills for robot in robots), sum(robot.account[Count.CUTS] for robot in robots)
    return {
        "bundle_mb": planned_bytes / 1e6,
        "dropping": sum(robot.is_killed or robot.start.loses_network for robot in robots),
        "kills": kills,
        "transfers_cut": cuts,
        "asked_out_of_reach": sum(robot.account[Count.LOSSES] for robot in robots),
        "ended_by_itself": sum(len(robot.last_words) for robot in robots),
        "agent_cpu_s": sum(robot.account[Count.CPU_MS] for robot in robots) / 1e3 / len(robots),
        "requests": sum(robot.account[Count.REQUESTS] for robot in robots),
        "served_mb": sum(robot.account[Count.BYTES] for robot in robots) / 1e6,
        "moved_twice_mb": sum(again) / 1e6,
        "moved_twice_over_moved": sum(again) / (planned_bytes * len(robots)),
        "moved_twice_worst_robot_blobs": max(again) / largest_bytes,
        "moved_twice_blobs_per_drop": sum(again) / largest_bytes / max(1, kills + cuts),
    }


def _as_reported(hub: Path, release: ReleaseManifest, began_s: float, figures: dict[str, float]) -> dict[str, float]:
    """What the hub knows, from signed reports alone."""
    asked_s = time.monotonic()
    known = json.loads(edge_hub("status", hub, "--json"))
    status_s = time.monotonic() - asked_s
    took_s = [robot["reported_s"] - began_s for robot in known["robots"] if robot["standing"] == "runs"]
    bundles = {robot["report"]["running_bundle"] for robot in known["robots"]}
    if len(took_s) != figures["agents"] or bundles != {release.bundle_digest}:
        raise SystemExit(f"not every robot runs the new bundle, as far as the hub knows: {known['updates']}")
    return {
        "finished_s": max(took_s),
        "agent_p50_s": float(np.percentile(took_s, 50)),
        "agent_p99_s": float(np.percentile(took_s, 99)),
        "not_running_it": figures["agents"] - len(took_s),
        "status_s": status_s,
    }


def main() -> None:
    """Run, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=AGENTS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell has them ignored: hub and robots are processes, and end with this one.
        signal.signal(number, lambda _number, _frame: sys.exit("interrupted"))
    console = Console()
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        figures = update(Path(folder), arguments.agents, arguments.seed, console)
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    if arguments.agents == AGENTS:
        record("ota_fleet", figures, console)


if __name__ == "__main__":
    main()
