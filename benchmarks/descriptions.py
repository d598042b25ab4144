"""Robots' descriptions that others wrote, compiled: what each has, and whether links are where others' code puts them.

    python -m benchmarks.descriptions FOLDER_OR_PACKAGE ... [--postures 50] [--json results.json]

Every URDF, xacro and MJCF file below the folders, or below installed packages of those names, is compiled with all the
joints that it has. Where links are is asked of MuJoCo for MJCF and of Pinocchio for URDF (`pip install pin`) in random
postures inside the joints' ranges: joints' origins, axes and frames, as seen from the base. Neither takes part
in compiling. A file that is no robot, or that is refused, is told with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import multiprocessing
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import ffi, lib
from edge_runtime.safety.kinematics import Compiled, GeometryModel, compile_file
from edge_runtime.safety.kinematics.base import from_the_base
from edge_runtime.safety.kinematics.urdf import read_urdf

Array = NDArray[np.float64]


@dataclass
class Posed:
    """A joint as seen from the base: its axis (3,), and what else is known.

    Attributes:
        origin_m: (3,) of its frame; of one that slides any point of its axis may be that.
        frame, point_m: (3, 3) and (3,), any that move with its link.
    """

    axis: Array
    origin_m: Array | None
    frame: Array | None
    point_m: Array | None


Reference = Callable[[Mapping[str, float]], dict[str, Posed]]
"""Positions of axes in, joints in the frame of the base out."""

_SUFFIXES = (".urdf", ".xacro", ".xml", ".mjcf")
_OPENINGS = ("robot", "mujoco")


@dataclass
class Found:
    """What became of one file; `problem` is empty where it was compiled."""

    file: str
    turning: int = 0
    endless: int = 0
    sliding: int = 0
    links: int = 0
    capsules: int = 0
    pairs: int = 0
    tools: int = 0
    moves: bool = False
    fk_error_m: float | None = None
    fk_error: float | None = None
    problem: str = ""


def descriptions(place: str) -> Iterator[Path]:
    """Files in a folder, or in the folders of an installed package."""
    folders = [Path(place)]
    if not folders[0].exists():
        spec = importlib.util.find_spec(place)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"{place} is neither a folder nor an installed package")
        folders = [Path(location) for location in spec.submodule_search_locations]
    for folder in folders:
        files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        yield from (file for file in files if file.suffix in _SUFFIXES and _opening(file) in _OPENINGS)


def _opening(file: Path) -> str:
    try:
        return str(ElementTree.parse(file).getroot().tag)
    except (OSError, ElementTree.ParseError, ValueError, LookupError):
        return ""


def look_at(file: Path, postures: int) -> Found:
    """Compile one file, and compare."""
    found = Found(str(file))
    try:
        compiled = compile_file(file, sizes_in_m=True, limits_in_rad=True)
    except (ConfigError, ImportError) as error:
        found.problem = " ".join(str(error).split())
        return found
    body = compiled.file
    axes = [joint for joint in body.joints if joint.axis is None]
    found.sliding = sum(joint.slides for joint in axes)
    found.endless = sum(not joint.slides and joint.limits.low is None for joint in axes)
    found.turning = len(axes) - found.sliding - found.endless
    found.links, found.capsules = len(body.joints), len(body.capsules)
    found.pairs = len(body.pairs) + sum(not near.proved for near in body.near)
    found.tools, found.moves = len(body.tool_points), compiled.has_base
    if file.suffix != ".xacro":
        try:
            found.fk_error_m, found.fk_error = errors_of(file, compiled, postures)
        except (ImportError, RuntimeError, ValueError) as error:
            found.problem = f"compiled; not compared: {' '.join(str(error).split())[:100]}"
    return found


def errors_of(file: Path, compiled: Compiled, postures: int = 50) -> tuple[float, float]:
    """How far joints are at most from where MuJoCo or Pinocchio puts them: origins in m, and axes and frames.

    Raises:
        ImportError: what would know is not installed: MuJoCo for MJCF, Pinocchio for URDF.
    """
    reference = _by_mujoco(file, compiled) if _opening(file) == "mujoco" else _by_pinocchio(file, compiled)
    generator = np.random.default_rng(0)
    model = GeometryModel(
        joints=compiled.file.joints,
        capsules=compiled.file.capsules,
        pairs=(),
        tools=(),
        axes=compiled.axes,
        has_base=compiled.has_base,
    )
    native, pose = ffi.new("geometry_model *"), ffi.new("geometry_pose *")
    model.fill(native)
    limits = {joint.name: joint.limits for joint in compiled.file.joints}
    fixed: dict[str, tuple[Array, Array]] = {}
    off_m = off = 0.0
    for _ in range(postures):
        q = {name: generator.uniform(*_range(limits[name].low, limits[name].high)) for name in compiled.axes}
        lib.geometry_pose_at(native, [0.0] * 3, [q[name] for name in compiled.axes], pose)
        known = reference(q)
        for number, joint in enumerate(compiled.file.joints):
            there = known[joint.name]
            rotation = np.array(list(pose.rotation[number])).reshape(3, 3)
            origin_m = np.array(list(pose.origin_m[number]))
            off = max(off, float(np.abs(there.axis - rotation[:, 2]).max()))
            if there.origin_m is not None:
                off_m = max(off_m, float(np.abs(there.origin_m - origin_m).max()))
            if there.frame is not None and there.point_m is not None:
                here = rotation.T @ there.frame, rotation.T @ (there.point_m - origin_m)
                first = fixed.setdefault(joint.name, here)
                off = max(off, float(np.abs(here[0] - first[0]).max()))
                off_m = max(off_m, float(np.abs(here[1] - first[1]).max()))
    return off_m, off


def _range(low: float | None, high: float | None) -> tuple[float, float]:
    return -math.pi if low is None else low, math.pi if high is None else high


def _by_mujoco(file: Path, compiled: Compiled) -> Reference:
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    slide, hinge = int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE)
    number_of: dict[str, int] = {}
    for j in range(model.njnt):
        body = int(model.jnt_bodyid[j])
        unnamed = f"{model.body(body).name or f'body{body}'}_joint{j - int(model.body_jntadr[body]) + 1}"
        number_of[model.joint(j).name or unnamed] = j
    joints = [number_of[joint.name] for joint in compiled.file.joints]
    roots = {int(model.body_rootid[model.jnt_bodyid[j]]) for j in joints}
    base, base_m = np.eye(3), np.zeros(3)
    if len(roots) == 1:
        root = roots.pop()
        mujoco.mju_quat2Mat(flat := np.zeros(9), model.body_quat[root])
        base, base_m = flat.reshape(3, 3), model.body_pos[root].copy()
    start = model.qpos0.copy()
    for j in range(model.njnt):
        # What the body's compiler holds stands at 0; the base stands where it is drawn.
        if model.jnt_type[j] in (slide, hinge) and not (compiled.has_base and not model.jnt_limited[j]):
            start[model.jnt_qposadr[j]] = 0.0
    coupled = [
        row for row in range(model.neq) if model.eq_type[row] == mujoco.mjtEq.mjEQ_JOINT and model.eq_active0[row]
    ]

    def at(q: Mapping[str, float]) -> dict[str, Posed]:
        data.qpos[:] = start
        for name, value in q.items():
            data.qpos[model.jnt_qposadr[number_of[name]]] = value
        for _ in coupled:
            for row in coupled:
                _follow(model, data, row, {number_of[name] for name in q})
        mujoco.mj_kinematics(model, data)
        found = {}
        for joint, j in zip(compiled.file.joints, joints, strict=True):
            body = int(model.jnt_bodyid[j])
            # A body that several joints move one after the other has the frame of the last one's link alone.
            is_last = j == int(model.body_jntadr[body]) + int(model.body_jntnum[body]) - 1
            found[joint.name] = Posed(
                axis=base.T @ data.xaxis[j],
                origin_m=base.T @ (data.xanchor[j] - base_m) if model.jnt_type[j] == hinge else None,
                frame=base.T @ data.xmat[body].reshape(3, 3) if is_last else None,
                point_m=base.T @ (data.xpos[body] - base_m) if is_last else None,
            )
        return found

    return at


def _follow(model: Any, data: Any, row: int, controlled: set[int]) -> None:
    """Put one of two coupled joints where the other one puts it."""
    y, x = int(model.eq_obj1id[row]), int(model.eq_obj2id[row])
    a0, a1 = (float(value) for value in model.eq_data[row][:2])
    if x < 0 or a1 == 0.0:
        return
    at_y, at_x = int(model.jnt_qposadr[y]), int(model.jnt_qposadr[x])
    if y not in controlled:
        data.qpos[at_y] = model.qpos0[at_y] + a0 + a1 * (data.qpos[at_x] - model.qpos0[at_x])
    elif x not in controlled:
        data.qpos[at_x] = model.qpos0[at_x] + (data.qpos[at_y] - model.qpos0[at_y] - a0) / a1


def _by_pinocchio(file: Path, compiled: Compiled) -> Reference:
    import pinocchio

    tree, _ = from_the_base(read_urdf(file), compiled.axes)
    try:
        model, coupled = pinocchio.buildModelFromUrdf(str(file), mimic=True), {}
    except (RuntimeError, ValueError):
        # It follows no joint that goes with one of another branch: then that is done here.
        model = pinocchio.buildModelFromUrdf(str(file))
        coupled = {joint.name: joint.mimic for joint in tree.joints if joint.mimic is not None}
    data = model.createData()
    root = model.getFrameId(tree.root)
    axes = {joint.name: np.array(joint.axis) for joint in tree.joints}
    names = [joint.name for joint in compiled.file.joints]

    def value_of(name: str, q: Mapping[str, float]) -> float:
        if name in q or name not in coupled:
            return q.get(name, 0.0)  # what the body's compiler holds stands at 0
        goes = coupled[name]
        return goes.multiplier * value_of(goes.joint, q) + goes.offset

    def at(q: Mapping[str, float]) -> dict[str, Posed]:
        positions = pinocchio.neutral(model)
        for j in range(1, model.njoints):
            joint = model.joints[j]
            if joint.shortname() == "JointModelMimic" or joint.nv != 1:
                continue
            value = value_of(model.names[j], q)
            turns = (math.cos(value), math.sin(value)) if joint.nq == 2 else (value,)
            positions[joint.idx_q : joint.idx_q + joint.nq] = turns
        pinocchio.forwardKinematics(model, data, positions)
        pinocchio.updateFramePlacements(model, data)
        X_BW = data.oMf[root].inverse()
        found: dict[str, Posed] = {}
        for name in names:
            X_BJ = X_BW * data.oMi[model.getJointId(name)]
            at_m, frame = X_BJ.translation.copy(), X_BJ.rotation.copy()
            found[name] = Posed(axis=frame @ axes[name], origin_m=at_m, frame=frame, point_m=at_m)
        return found

    return at


def _work(jobs: Any, results: Any, postures: int) -> None:
    while (file := jobs.get()) is not None:
        results.put(look_at(file, postures))


def look_at_all(files: Sequence[Path], postures: int, most_s: float) -> Iterator[Found]:
    """One after the other in a process of its own, which is replaced where a file takes too long or ends it."""
    context = multiprocessing.get_context("spawn")
    jobs, results = context.Queue(), context.Queue()
    worker = None
    for file in files:
        if worker is None or not worker.is_alive():
            jobs, results = context.Queue(), context.Queue()
            worker = context.Process(target=_work, args=(jobs, results, postures), daemon=True)
            worker.start()
        jobs.put(file)
        try:
            yield results.get(timeout=most_s)
        except queue.Empty:
            yield Found(str(file), problem=f"took longer than {most_s:g} s, or ended its process")
            worker.terminate()
            worker.join()
    if worker is not None and worker.is_alive():
        jobs.put(None)
        worker.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", metavar="FOLDER_OR_PACKAGE")
    parser.add_argument("--postures", type=int, default=50, help="random ones of each robot (default: 50)")
    parser.add_argument("--most-s", type=float, default=60.0, help="for one file, in seconds (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all of it there")
    options = parser.parse_args()
    files = [file for place in options.places for file in descriptions(place)]
    print(f"{'turn':>4} {'endless':>7} {'slide':>5} {'links':>5} {'caps':>4} {'pairs':>5} {'tools':>5} base "
          f"{'FK m':>8} {'FK axes':>8}  file")  # fmt: skip
    seen: list[Found] = []
    for found in look_at_all(files, options.postures, options.most_s):
        seen.append(found)
        errors = "".join("        -" if x is None else f" {x:8.1e}" for x in (found.fk_error_m, found.fk_error))
        print(f"{found.turning:4} {found.endless:7} {found.sliding:5} {found.links:5} {found.capsules:4} "
              f"{found.pairs:5} {found.tools:5} {'yes' if found.moves else ' no':>4}{errors}  {found.file}"
              + (f"\n      {found.problem}" if found.problem else ""), flush=True)  # fmt: skip
    compared = [one for one in seen if one.fk_error_m is not None and one.fk_error is not None]
    worst_m = max((one.fk_error_m or 0.0 for one in compared), default=0.0)
    worst = max((one.fk_error or 0.0 for one in compared), default=0.0)
    whole = sum(one.links > 0 or one.moves for one in seen)
    print(f"{len(seen)} files, {whole} compiled, {len(compared)} compared: worst {worst_m:.1e} m, axes {worst:.1e}")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in seen], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
