"""Descriptions written by others, from the file to jogging under the safety kernel: one row for each robot.

    python -m benchmarks.robots FOLDER_OF_UNPACKED_WHEELS [--out DIR] [--only NAME,NAME] [--json]

FOLDER holds unpacked wheels, each in a folder of its name: example_robot_data, pybullet, gym_aloha,
gymnasium_robotics, robosuite, dm_control (`pip download --no-deps NAME`, then unzip). Each robot is made with
`edge-runtime new robot --yes`, nothing edited; then every axis is jogged both ways by a real kernel, with a robot that
follows with a lag. The folders stay in DIR: `edge-runtime run --hold --config DIR/NAME/robot.toml` runs each with the
real processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.commissioning.armed import armed_kernel
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.control.limits import TICK_NS
from edge_runtime.drivers.kinematic.driver import KinematicPlant
from edge_runtime.safety import Measurement, Reason, Result, State, Target

_ERD = "example_robot_data/cmeel.prefix/share/example-robot-data/robots"
_PB = "pybullet/pybullet_data"
_GR = "gymnasium_robotics/gymnasium_robotics/envs/assets"
_RS = "robosuite/robosuite/models/assets/robots"


@dataclass(frozen=True)
class Robot:
    """One description.

    Attributes:
        file: below the folder of wheels.
        shows: what of a robot's shapes it stands for.
        flags: of `edge-runtime new robot` beside --yes.
    """

    file: str
    shows: str
    flags: tuple[str, ...] = ()


ROBOTS: dict[str, Robot] = {
    "so101": Robot(f"{_ERD}/so_arm_description/urdf/so101.urdf", "arm of hobby servos with a jaw"),
    "so100": Robot(f"{_ERD}/so_arm_description/urdf/so100.urdf", "arm of hobby servos with a jaw"),
    "panda": Robot(f"{_ERD}/panda_description/urdf/panda.urdf", "arm with a parallel gripper"),
    "ur10": Robot(f"{_ERD}/ur_description/urdf/ur10_robot.urdf", "arm without a gripper, on a table at z = 0"),
    "ur5e": Robot(f"{_RS}/ur5e/robot.xml", "arm without a gripper"),
    "kinova": Robot(f"{_ERD}/kinova_description/robots/kinova.urdf", "joints without end"),
    "z1": Robot(f"{_ERD}/z1_description/urdf/z1.urdf", "arm with a jaw"),
    "xarm6": Robot(f"{_PB}/xarm/xarm6_with_gripper.urdf", "arm with coupled fingers"),
    "iiwa": Robot(f"{_PB}/kuka_iiwa/model.urdf", "arm without a gripper"),
    "aloha": Robot("gym_aloha/gym_aloha/assets/bimanual_viperx_transfer_cube.xml", "two arms, several roots"),
    "baxter": Robot(f"{_ERD}/baxter_description/urdf/baxter.urdf", "two arms and a head on a pedestal"),
    "allegro": Robot(f"{_ERD}/allegro_hand_description/urdf/allegro_left_hand.urdf", "hand of 16"),
    "shadow": Robot(f"{_GR}/hand/reach.xml", "hand of 22 on a wrist of 2"),
    "fetch": Robot(f"{_GR}/fetch/reach.xml", "base by joints, lift, head, arm, two fingers"),
    "tiago": Robot(f"{_ERD}/tiago_description/robots/tiago_no_hand.urdf", "arm on a lift on a base with wheels"),
    "husky": Robot(f"{_PB}/husky/husky.urdf", "a base alone"),
    "jaco": Robot("dm_control/dm_control/third_party/kinova/jaco_arm.xml", "joints without end, MJCF"),
    "pr2": Robot(f"{_ERD}/pr2_description/urdf/pr2.urdf", "two arms, lift, head, jaws, endless joints"),
}
_JOG_S = 0.6
_SHARE = 0.5


def make(robot: Robot, name: str, wheels: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `edge-runtime new robot` on it."""
    command = [str(Path(sys.executable).with_name("edge-runtime")), "new", "robot", str(wheels / robot.file)]
    command += ["--yes", "--json", "--name", name, "--output", str(folder), "--force", *robot.flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800)


@dataclass(frozen=True)
class Jogged:
    """What became of jogging every axis.

    Attributes:
        moved: axes that moved both ways as they were asked, or as far as something was in the way.
        blocked: axes that geometry kept from moving at all from the posture at home.
        faults: reasons of the kernel that ended it.
        ticks: of the kernel.
    """

    moved: tuple[str, ...]
    blocked: tuple[str, ...]
    faults: Reason
    ticks: int


def jog_each(config: RobotConfig) -> Jogged:
    """Move every axis a little each way, one after the other, with the robot following behind a real kernel."""
    embodiment = config.embodiment
    plant = KinematicPlant(embodiment)
    kernel, result = armed_kernel(config, embodiment.home)
    if result is not Result.DONE:
        raise RuntimeError(f"not armed: {result.name}")
    now_ns, seq = 1_000_000_000 + TICK_NS, 1
    is_base = np.array([axis.is_velocity for axis in embodiment.axes])
    at = np.where(is_base, 0.0, np.array(embodiment.home))
    moved: list[str] = []
    blocked: list[str] = []
    faults = Reason(0)
    for number, axis in enumerate(embodiment.axes):
        speed = _SHARE * min(config.safety.axes[axis.name].speed_max or 1.0, 1.0)
        span = 0.0
        start = float(at[number])
        for sign in (1.0, -1.0, -1.0, 1.0):
            target = at.copy()
            for _ in range(round(_JOG_S * 0.5 / (TICK_NS / 1e9))):
                if is_base[number]:
                    target[number] = sign * speed
                else:
                    target[number] = np.clip(target[number] + sign * speed * TICK_NS / 1e9, axis.low, axis.high)
                now_ns, seq = now_ns + TICK_NS, seq + 1
                plant.step(TICK_NS / 1e9)
                measured = Measurement(
                    stamp_ns=now_ns,
                    seq=seq,
                    q=plant.measured().tolist(),
                    dq=plant.dq.tolist(),
                    odometry=plant.odometry.tolist() if is_base.any() else None,
                )
                verdict = kernel.step(
                    measured,
                    Target(stamp_ns=now_ns, observation_ns=now_ns, seq=seq, q=target.tolist()),
                    now_ns,
                )
                plant.follow(np.array(verdict.q), np.array(verdict.dq))
                faults |= verdict.faults
                span = max(
                    span, abs(float(plant.dq[number])) if is_base[number] else abs(float(verdict.q[number]) - start)
                )
                if verdict.state not in (State.HOLDING, State.ACTIVE) or verdict.faults:
                    return Jogged(tuple(moved), tuple(blocked), faults or verdict.reasons, seq)
            at = np.where(is_base, 0.0, np.array(verdict.q))
        (moved if span > 1e-3 * speed else blocked).append(axis.name)
    return Jogged(tuple(moved), tuple(blocked), faults, seq)


def run_one(name: str, wheels: Path, out: Path) -> dict[str, object]:
    """One row."""
    robot = ROBOTS[name]
    folder = out / name
    began_s = time.monotonic()
    made = make(robot, name, wheels, folder)
    took_s = time.monotonic() - began_s
    row: dict[str, object] = {"robot": name, "shows": robot.shows, "made_s": round(took_s, 1)}
    if made.returncode != 0:
        return row | {"result": "not made", "why": made.stderr.strip().splitlines()[-1:]}
    report = json.loads(made.stdout)
    config = load_config(folder / "robot.toml")
    row |= {
        "axes": len(report["axes"]),
        "groups": {group: len(axes) for group, axes in report["groups"].items()},
        "pairs": report["watched_pairs"],
        "assumed": len(report["assumed"]),
        "resting": len(report["resting"]),
    }
    try:
        jogged = jog_each(config)
    except (RuntimeError, ValueError) as error:
        return row | {"result": "not armed", "why": str(error)}
    row |= {"moved": len(jogged.moved), "blocked": list(jogged.blocked), "ticks": jogged.ticks}
    if jogged.faults:
        return row | {"result": "stopped", "why": str(jogged.faults)}
    return row | {"result": "jogged" if not jogged.blocked else "jogged in part"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if any robot was not jogged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the robots' folders stay (default: nowhere)")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help=f"of {', '.join(ROBOTS)}")
    parser.add_argument("--json", action="store_true", help="rows for programs, one a line")
    options = parser.parse_args(arguments)
    names = [name for name in options.only.split(",") if name] or list(ROBOTS)
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        rows = []
        for name in names:
            row = run_one(name, options.wheels, out)
            rows.append(row)
            print(json.dumps(row) if options.json else _line(row), flush=True)
    return 0 if all(str(row["result"]).startswith("jogged") for row in rows) else 1


def _line(row: dict[str, object]) -> str:
    words = f"{row['robot']:10} {row['result']:14} {row['made_s']!s:>6} s"
    if "axes" in row:
        words += f"  {row['axes']!s:>2} axes {row['groups']}, {row['pairs']} pairs, {row['assumed']} assumed"
    if "moved" in row:
        words += f", moved {row['moved']}, blocked {row['blocked']}"
    return words + (f"  {row['why']}" if "why" in row else "")


if __name__ == "__main__":
    sys.exit(main())
