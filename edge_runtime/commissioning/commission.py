"""From the file that came with a robot to a folder that `edge-runtime check` passes.

Guarantees that what is written is a robot that the real kernel arms in its home posture, or that it says why not; that
every answer is in the folder, so that the same one can be made again; and that an end half-way leaves nothing behind.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edge_runtime.commissioning import picture
from edge_runtime.commissioning.answers import (
    Answers,
    Asker,
    answers_toml,
    one_of,
)
from edge_runtime.commissioning.armed import refusal_at
from edge_runtime.commissioning.description import Description, read_description
from edge_runtime.commissioning.design import Design, design, embodiment_of
from edge_runtime.commissioning.files import embodiment_text, robot_text, safety_text
from edge_runtime.commissioning.folder import all_or_nothing, require_free
from edge_runtime.commissioning.home import CLEAR_M, better_home, first_home
from edge_runtime.commissioning.questions import (
    SIMULATED,
    ask_cameras,
    ask_driver,
    ask_home,
    ask_may_touch,
    ask_odometry,
    ask_resting,
    ask_where,
)
from edge_runtime.commissioning.robot_types import ROBOT_TYPES, RobotType
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import Compiled, KinematicsFile
from edge_runtime.safety.kinematics.compile import compile_tree
from edge_runtime.safety.kinematics.file import Pair, to_toml

WRITTEN = (
    "robot.toml",
    "embodiment.toml",
    "safety.toml",
    "kinematics.toml",
    "answers.toml",
    "robot.svg",
    "robot.png",
    "robot.html",
)


@dataclass(frozen=True)
class Order:
    """What is to be made.

    Attributes:
        source: a description, or the type of a robot that LeRobot knows.
        output: folder for the files; None: one called like the robot, here.
        description: of a robot of a type.
        packages: where ROS packages lie, by name.
        arguments: of a xacro file.
        force: files that are there already may be replaced.
        drivers: names of installed drivers.
    """

    source: str
    output: Path | None = None
    description: Path | None = None
    packages: Mapping[str, Path] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    drivers: tuple[str, ...] = (SIMULATED,)


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        folder: with the files.
        files: their names.
        embodiment: what the robot is.
        assumed: values that come of the careful rule, as "axis.key".
        notes: what was decided, one line each.
        resting: capsules that the surface is not kept from.
        watched: pairs of capsules that the kernel keeps apart.
    """

    folder: Path
    files: tuple[str, ...]
    embodiment: Embodiment
    assumed: tuple[str, ...]
    notes: tuple[str, ...]
    resting: tuple[str, ...]
    watched: int


@dataclass
class _Work:
    """What is known so far."""

    order: Order
    asker: Asker
    progress: Callable[[str], None]
    notes: list[str]


def commission(order: Order, answers: Answers, asker: Asker, progress: Callable[[str], None]) -> Made:
    """Make a robot's files.

    Args:
        answers: that are there already.
        asker: who answers the others.
        progress: is told what is being done, before it is.

    Raises:
        ConfigError: names what is wrong with the description, what has no answer, or why the robot can't be armed.
        ImportError: what reads the description is not installed.
    """
    work = _Work(order, asker, progress, [])
    robot_type = ROBOT_TYPES.get(order.source)
    name = answers.name or (order.source if robot_type is not None else _stem(Path(order.source)))
    folder = order.output or Path(_as_folder(name))
    require_free(folder, WRITTEN, order.force)
    answers = msgspec.structs.replace(answers, name=name)
    if robot_type is None and not Path(order.source).exists() and "/" not in order.source and "." not in order.source:
        known = ", ".join(ROBOT_TYPES)
        raise ConfigError("FILE", f"{order.source} is no file, and no type that LeRobot knows; types are {known}")
    path = Path(order.source) if robot_type is None else order.description
    described: Description | None = None
    if path is not None:
        progress(f"reading {path.name}")
        described, answers = _read(work, path, answers)
    tree = robot_type.tree() if described is None and robot_type is not None else None
    if robot_type is not None:
        answers = _of_type(robot_type, answers, described)
        work.notes.append(f"{order.source}: {robot_type.source}")
    source_tree = described.tree if described is not None else tree
    assert source_tree is not None
    if robot_type is not None and described is not None:
        source_tree = robot_type.tightening(source_tree)
    built = design(source_tree, answers, asker)
    work.notes += built.notes
    return _made(work, built, described, folder)


def _made(work: _Work, built: Design, described: Description | None, folder: Path) -> Made:
    asker, answers = work.asker, built.answers
    stands_on, height_m = ask_where(built, asker, fixed=built.base == "none") if built.tree.shapes else ("nothing", 0.0)
    # The sign of z that is away from the surface, and the least z in that direction.
    surface = None if stands_on == "nothing" else (-1.0, -height_m) if stands_on == "ceiling" else (1.0, -height_m)
    joints = [built.joints_by_name[name] for name in built.joints]
    home = first_home(joints, described.home if described is not None else {})
    home |= {name: value for name, value in (answers.home or {}).items() if name in home}
    for name in answers.home or {}:
        if name not in home:
            raise ConfigError(f"home.{name}", f"is no joint of the robot; joints are {', '.join(home)}")
    compiled: Compiled | None = None
    rests: tuple[str, ...] = ()
    touching: tuple[Pair, ...] = ()
    if built.tree.shapes:
        compiled, home = _body(work, built, home, surface)
        home = ask_home(asker, built, home)
        work.progress("deciding which pairs of links are watched")
        compiled = _compiled(built, home)
        rests, file = ask_resting(asker, work.notes, answers, compiled.file, home, surface)
        compiled = replace(compiled, file=file)
        touching = ask_may_touch(asker, work.notes, built, file, home)
        work.notes += compiled.notes
    cameras = ask_cameras(asker, answers)
    driver = ask_driver(asker, answers, work.order.drivers)
    odometry = built.base != "none" and ask_odometry(asker, answers, driver)
    kind = _as_folder(described.path.stem.split(".")[0] if described is not None else work.order.source)
    embodiment, assumed = embodiment_of(built, kind, home, cameras)
    answers = msgspec.structs.replace(
        answers,
        stands_on=stands_on,
        height_m=height_m,
        rests_on_surface=rests,
        may_touch=touching if compiled is not None else None,
        home=home,
        cameras=tuple(cameras),
        driver=driver,
        odometry=odometry if built.base != "none" else None,
    )
    source = work.order.source if described is None else described.path.name
    texts = {
        "robot.toml": robot_text(answers.name or kind, driver),
        "embodiment.toml": embodiment_text(embodiment, assumed, source),
        "safety.toml": safety_text(
            embodiment,
            home,
            kinematics=None if compiled is None else "kinematics.toml",
            surface=None if surface is None else (stands_on, height_m),
            odometry=odometry,
            may_touch=touching,
        ),
        "answers.toml": answers_toml(
            answers, f"Answers with which `edge-runtime new robot {source}` made these files."
        ),
    }
    if compiled is not None:
        texts["kinematics.toml"] = to_toml(compiled.file, _file_notes(compiled, source, rests, stands_on))
    with all_or_nothing(folder) as partial:
        for file_name, text in texts.items():
            (partial / file_name).write_text(text, encoding="utf-8")
        work.progress("arming it in the safety kernel")
        _require_armed(partial)
        if compiled is not None:
            _draw(partial, compiled.file, home, built, surface, answers.name or kind, work.notes)
        files = tuple(name for name in WRITTEN if (partial / name).exists())
    return Made(
        folder=folder,
        files=files,
        embodiment=embodiment,
        assumed=tuple(f"{axis}.{key}" for axis, keys in assumed.items() for key in keys),
        notes=tuple(work.notes),
        resting=rests,
        watched=0 if compiled is None else _watched(compiled.file),
    )


def _read(work: _Work, path: Path, answers: Answers) -> tuple[Description, Answers]:
    """The description; meshes that are too large for any link are millimetres if somebody says so."""
    order = work.order
    described = read_description(path, order.packages, order.arguments)
    huge = too_large(described)
    if not huge:
        return described, answers
    names = ", ".join(f"{link} ({size_m:g} m)" for link, size_m in huge.items())
    if described.kind == "MJCF":
        raise ConfigError(
            f"link {next(iter(huge))}", f"too large for a link: {names}. Scale its mesh in the description"
        )
    unit = answers.meshes
    if unit is None:
        question = f"No link of a robot is so large: {names}. Is that in millimetres or metres?"
        # A wrong guess here would make capsules that hold nothing: only a person may say so.
        text = work.asker.ask("meshes", question, "")
        if not text:
            raise ConfigError("meshes", f"not answered: {question} Give --meshes millimetres, or --meshes metres")
        unit = "millimetres" if one_of("millimetres", "metres")(text) == "millimetres" else "metres"
    answers = msgspec.structs.replace(answers, meshes=unit)
    if unit == "metres":
        return described, answers
    work.notes.append(f"meshes are read as millimetres: {', '.join(huge)}")
    scaled = read_description(path, order.packages, order.arguments, meshes_in_millimetres=tuple(huge))
    return Description(path, scaled.kind, scaled.tree, scaled.home), answers


def too_large(described: Description, longest_m: float = 3.0) -> dict[str, float]:
    """Links with shapes longer than any link, and how long they are."""
    found: dict[str, float] = {}
    for link, shapes in described.tree.shapes.items():
        for shape in shapes:
            low_m = (shape.centres_m - shape.radii_m[:, None]).min(axis=0)
            high_m = (shape.centres_m + shape.radii_m[:, None]).max(axis=0)
            size_m = float((high_m - low_m).max())
            if size_m > longest_m:
                found[link] = max(found.get(link, 0.0), size_m)
    return found


def _of_type(robot_type: RobotType, answers: Answers, described: Description | None) -> Answers:
    names = [*robot_type.joint_names, *robot_type.grippers]
    if described is not None:
        there = {joint.name for joint in described.tree.joints}
        missing = [name for name in names if name not in there]
        if missing:
            problem = f"{described.path.name} has no joint {', '.join(missing)}: its names are not those of the type"
            raise ConfigError("--description", problem)
    return msgspec.structs.replace(
        answers,
        joints=answers.joints or tuple(names),
        grippers=answers.grippers if answers.grippers is not None or described is not None else robot_type.grippers,
        base=answers.base or ("omnidirectional" if robot_type.base else None),
    )


def _compiled(built: Design, home: Mapping[str, float]) -> Compiled:
    names = built.joints
    return compile_tree(
        built.tree,
        names,
        [home[name] for name in names],
        built.tools or None,
        limits_in_rad=True,
        sizes_in_m=True,
        grippers=built.finger_ranges,
        has_base=built.base != "none",
    )


def _body(
    work: _Work, built: Design, home: dict[str, float], surface: tuple[float, float] | None
) -> tuple[Compiled, dict[str, float]]:
    """The body, and a posture that is clear of itself and of the surface, as near as there is to the first one."""
    work.progress("putting capsules around the links")
    compiled = _compiled(built, home)
    if built.answers.home is not None:
        return compiled, home
    work.progress("looking for a posture to be at home in")
    joints = [built.joints_by_name[name] for name in built.joints]
    better, clear_m = better_home(compiled.file, joints, home, surface)
    if clear_m < CLEAR_M:
        work.notes.append(
            f"no posture was found that keeps {CLEAR_M * 1e3:g} mm from everything; home keeps {clear_m * 1e3:.3g} mm"
        )
    return compiled, better


def _require_armed(folder: Path) -> None:
    config = load_config(folder / "robot.toml")
    problem = refusal_at(config, config.embodiment.home)
    if problem is not None:
        raise ConfigError("home", f"the safety kernel does not arm there: {problem}. Give another one with --home")


def _draw(
    folder: Path,
    file: KinematicsFile,
    home: Mapping[str, float],
    built: Design,
    surface: tuple[float, float] | None,
    title: str,
    notes: list[str],
) -> None:
    drawn = picture.draw(file, home, [group.joints for group in built.groups], surface, title)
    (folder / "robot.svg").write_text(picture.svg(drawn), encoding="utf-8")
    (folder / "robot.html").write_text(picture.page(drawn, file, notes), encoding="utf-8")
    picture.write_png(drawn, folder / "robot.png")


def _file_notes(compiled: Compiled, source: str, rests: tuple[str, ...], stands_on: str) -> list[str]:
    opening = (
        f"Where this robot's links are, and capsules around them: made by `edge-runtime new robot` from {source}. "
        "Metres, radians. Each joint turns about +z of its own frame, or slides along it; that stands at `rotation` "
        "(row-major) and `offset_m` in the frame of its parent. Capsules are in the frame of `link`."
    )
    lines = textwrap.wrap(opening, 118)
    if rests:
        lines += textwrap.wrap(
            f"in_world = false, because they rest on the {stands_on} in every posture: {', '.join(rests)}. Nothing "
            "keeps these off zones either.",
            118,
        )
    decided = [line for note in compiled.notes for line in textwrap.wrap(note, 114, subsequent_indent="  ")]
    return [*lines, "", "Decided by the compiler:", *decided]


def _watched(file: KinematicsFile) -> int:
    return len(file.pairs) + sum(not near.proved for near in file.near)


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or "robot"


def _as_folder(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name) or "robot"
