"""One robot from its folder to a verdict."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.hostile.body import Body
from benchmarks.hostile.commands import Axes, Findings
from benchmarks.hostile.drive import episodes
from benchmarks.hostile.meshes import Meshes
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.config.toml_file import from_table
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety.kinematics import GeometryModel, Keepout, KinematicsFile, Plane
from edge_runtime.safety.limits import KernelConfig

NEAR_M = 0.03
"""Where the kernel's own margin is smaller, shapes are looked at in every tick."""
_EVERY = 20
_SAME_M = 1e-9
_WALLS = (Plane(normal=(-1.0, 0.0, 0.0), offset_m=-2.0), Plane(normal=(0.0, 1.0, 0.0), offset_m=-2.0))
_POST = Keepout(min_m=(1.2, 0.9, 0.0), max_m=(1.4, 1.1, 1.5), radius_m=0.02)


@dataclass(frozen=True)
class Verdict:
    """What became of a robot.

    Attributes:
        kinds: how many axes of each kind.
        pairs: pairs of capsules that the kernel watches.
        shapes: pairs of collision shapes that were looked at in MuJoCo; 0: there is no description.
        took_s: to drive and to judge.
        found: what the judges saw.
    """

    name: str
    kinds: dict[str, int]
    pairs: int
    shapes: int
    took_s: float
    found: Findings

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong, and something was shown."""
        wrong = self.found.violations or self.found.contacts or self.found.kinematics_m > _SAME_M
        return not wrong and self.found.armed > 0


def judged(
    name: str, folder: Path, description: Path | None, program: Path, ticks: int, seed: int, every: int = 1
) -> Verdict:
    """Drive a robot for so many ticks, and judge it.

    Args:
        name: for reports.
        folder: with its robot.toml.
        description: its URDF or MJCF; None: shapes are not looked at.
        program: of `drive.build`.
        every: of the ticks in which something is near, so many are one posture of shapes.
    """
    robot = load_config(folder / "robot.toml")
    config = _among_walls(kernel_config(robot.safety, robot.embodiment))
    return judged_with(name, robot, config, description, program, ticks, seed, every)


def judged_with(
    name: str,
    robot: RobotConfig,
    config: KernelConfig,
    description: Path | None,
    program: Path,
    ticks: int,
    seed: int,
    every: int = 1,
    driven: KernelConfig | None = None,
) -> Verdict:
    """The same, with a kernel's config as given; `driven` is that of the kernel, where the judge's is another."""
    began_s = time.monotonic()
    found = Findings()
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        axes, body = Axes(config), Body(config)
        meshes = None
        if description is not None:
            assert robot.safety.kinematics is not None, "a robot without a body has no shapes to judge"
            meshes = Meshes(
                description, from_table(robot.safety.kinematics, KinematicsFile, robot.path.name), config, folder
            )
        for one in episodes(program, folder, driven or config, robot.embodiment.home, ticks, seed):
            rows, q, v = axes.judge(one, found)
            if not rows.size:
                continue
            places = body.places(one)[rows]
            body.judge(q, v, places, one.odometry_noise, found)
            if meshes is not None:
                near = one.margin_m[rows] < NEAR_M
                at = np.arange(len(rows))
                some = np.flatnonzero((near & (at % every == 0)) | (at % _EVERY == 0))
                meshes.judge(q[some], places[some], draw, found)
    return Verdict(
        name=name,
        kinds=dict(Counter(kind.name.lower() for kind in config.axis_kinds)),
        pairs=len(body.model.pairs),
        shapes=meshes.pairs if meshes is not None else 0,
        took_s=time.monotonic() - began_s,
        found=found,
    )


def _among_walls(config: KernelConfig) -> KernelConfig:
    """A base that knows where it is gets two walls and a post, in addition to what its safety file keeps it off."""
    geometry = config.geometry
    if not isinstance(geometry, GeometryModel) or not (geometry.has_base and config.has_odometry):
        return config
    return replace(config, geometry=geometry.with_world((*geometry.planes, *_WALLS), (*geometry.keepouts, _POST)))
