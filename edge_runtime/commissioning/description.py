"""Reads the file that came with a robot: its tree of links and joints, and a posture if it names one.

What the readers of `safety/kinematics` refuse is refused here; which joints of an MJCF file are a robot's is found out,
not asked for: those of every body that stands in the world.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.mjcf import read_mjcf
from edge_runtime.safety.kinematics.packages import Packages
from edge_runtime.safety.kinematics.source import SourceTree
from edge_runtime.safety.kinematics.urdf import read_urdf


@dataclass(frozen=True)
class Description:
    """A robot as its file describes it.

    Attributes:
        path: of the file.
        kind: of the file.
        tree: links and joints.
        home: a posture that the file names, by joint.
    """

    path: Path
    kind: str
    tree: SourceTree
    home: Mapping[str, float] = field(default_factory=dict)


def read_description(
    path: Path,
    packages: Mapping[str, Path] | None = None,
    arguments: Mapping[str, str] | None = None,
    *,
    meshes_in_millimetres: Sequence[str] = (),
) -> Description:
    """The robot in a URDF, xacro or MJCF file.

    Args:
        packages: where ROS packages lie, by name.
        arguments: of a xacro file.
        meshes_in_millimetres: links of a URDF whose meshes are read as millimetres.

    Raises:
        ConfigError: names the file, or what in it is wrong.
        ImportError: what reads the file is not installed.
    """
    kind = _kind(path)
    if kind == "MJCF":
        names, home = _joints_of_mjcf(path)
        return Description(path, kind, read_mjcf(path, names), home)
    if not meshes_in_millimetres:
        return Description(path, kind, read_urdf(path, packages, arguments))
    with _in_metres(path, packages or {}, meshes_in_millimetres) as scaled:
        return Description(path, kind, read_urdf(scaled, packages, arguments))


def _kind(path: Path) -> str:
    try:
        root = ElementTree.parse(path).getroot().tag
    except OSError as error:
        raise ConfigError(str(path), f"{error.strerror}") from error
    except ElementTree.ParseError as error:
        raise ConfigError(str(path), f"not valid XML: {error}") from error
    except (ValueError, LookupError) as error:
        # What expat says of an encoding that it does not know.
        raise ConfigError(str(path), f"its encoding can't be read ({error}): save it as UTF-8") from error
    if root not in ("robot", "mujoco"):
        raise ConfigError(str(path), f"opens with <{root}>: URDF and xacro open with <robot>, MJCF with <mujoco>")
    return "MJCF" if root == "mujoco" else "URDF"


def _joints_of_mjcf(path: Path) -> tuple[list[str], dict[str, float]]:
    """Hinges and slides of everything that does not float, and where the first keyframe has them."""
    import mujoco

    try:
        model = mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ConfigError(str(path), f"MuJoCo can't read it: {' '.join(str(error).split())}") from error
    free = int(mujoco.mjtJoint.mjJNT_FREE)
    moving = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    roots = [int(model.body_rootid[body]) for body in model.jnt_bodyid]
    floating = {root for joint, root in enumerate(roots) if int(model.jnt_type[joint]) == free}
    joints = [j for j in range(model.njnt) if int(model.jnt_type[j]) in moving]
    ours = [j for j in joints if roots[j] not in floating] or joints
    if not ours:
        raise ConfigError(str(path), "has no joint that turns or slides: nothing to control")
    for joint in ours:
        if not model.joint(joint).name:
            body = model.body(model.jnt_bodyid[joint]).name or "without a name"
            raise ConfigError(f"body {body}", "has a joint without a name: give it one")
    keys = sorted(range(model.nkey), key=lambda key: model.key(key).name != "home")
    home = {} if not keys else {model.joint(j).name: float(model.key_qpos[keys[0]][model.jnt_qposadr[j]]) for j in ours}
    return [model.joint(joint).name for joint in ours], home


@contextmanager
def _in_metres(path: Path, packages: Mapping[str, Path], links: Sequence[str]) -> Iterator[Path]:
    """A copy of a URDF in which meshes of these links are a thousandth of their size."""
    tree = ElementTree.parse(path)
    known = Packages(path, packages)
    for link in tree.getroot().findall("link"):
        for mesh in link.iter("mesh"):
            if mesh.get("filename"):
                mesh.set("filename", str(known.file(str(mesh.get("filename")))))
            if link.get("name") in links:
                scale = [float(one) * 1e-3 for one in mesh.get("scale", "1 1 1").split()]
                mesh.set("scale", " ".join(map(repr, scale)))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        tree.write(copy, encoding="utf-8")
        yield copy
