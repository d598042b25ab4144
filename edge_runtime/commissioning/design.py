"""From a description and a person's answers to what a robot is: its axes in groups, and what else its files need.

Guarantees that every decision that a description can't make is an answer, given, asked for or proposed and accepted,
and that all of them are in `Design.answers`, from which the same design comes again. Opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from edge_runtime.commissioning import names
from edge_runtime.commissioning.answers import (
    Answers,
    Asker,
    GripperAnswer,
    GroupAnswer,
    answered,
    names_read,
    names_shown,
    one_of,
)
from edge_runtime.commissioning.grippers import FoundGripper
from edge_runtime.commissioning.ratings import (
    Rated,
    believed,
    converted,
    range_of,
    rated,
    rated_base,
    rated_gripper,
    unit_question,
)
from edge_runtime.commissioning.survey import BaseKind, FoundGroup, Survey, survey
from edge_runtime.contracts.axes import AnyAxis
from edge_runtime.contracts.embodiment import MAX_AXES, Embodiment, Group
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.source import Kind, SourceJoint, SourceTree

MAX_TOOLS = 4


@dataclass(frozen=True)
class Design:
    """What a robot is.

    Attributes:
        tree: the description, with what shifts all of the robot held at 0 and limits in rad and m.
        groups: limbs, of joints that are controlled.
        grippers: by the name of their axis.
        base: how it drives.
        base_names: axes of the base that have names of the description, by x, y and yaw.
        tools: links or points of the description, by the name of the tool.
        lowest_m: z of the lowest point of what stands still.
        confirmed: joints whose limits look like another unit and are not.
        notes: what was decided, one line each.
        answers: all of it, for a file.
    """

    tree: SourceTree
    groups: tuple[FoundGroup, ...]
    grippers: tuple[FoundGripper, ...]
    base: BaseKind
    base_names: Mapping[str, str]
    tools: Mapping[str, str]
    lowest_m: float
    confirmed: tuple[str, ...]
    answers: Answers
    notes: tuple[str, ...] = field(default=())

    @property
    def joints(self) -> tuple[str, ...]:
        """Controlled joints, in the order of the robot's vectors, without grippers and base."""
        return tuple(name for group in self.groups for name in group.joints)

    @property
    def finger_ranges(self) -> dict[str, tuple[float, float]]:
        """Of the joints that drive grippers: their ranges and the way between closed and open, by joint."""
        found = {}
        for gripper in self.grippers:
            for place, name in enumerate(gripper.joints):
                low, high = range_of(self.joints_by_name[name])
                ends = [end for end in (low, high) if end is not None]
                ends += [gripper.closed, gripper.open] if place == 0 else []
                found[name] = (min(ends), max(ends))
        return found

    @property
    def joints_by_name(self) -> dict[str, SourceJoint]:
        """All joints of the description."""
        return {joint.name: joint for joint in self.tree.joints}


def design(tree: SourceTree, answers: Answers, asker: Asker, extra_base: BaseKind | None = None) -> Design:
    """Decide what the robot is, and ask what can't be decided.

    Args:
        tree: as read.
        answers: that are there already.
        asker: who answers the others.
        extra_base: a base that is known although the description shows none.

    Raises:
        ConfigError: names the question that has no answer, or the answer that is not possible.
    """
    notes: list[str] = []
    tree, answers = _in_si(tree, answers, asker, notes)
    found = survey(tree)
    base = _base(found, answers, asker, extra_base)
    answers = msgspec.structs.replace(answers, base=base)
    tree = _standing(tree, found, notes)
    joints = _which(found, answers, asker, notes, 0 if base == "none" else 3)
    grippers = _grippers(tree, found, joints, answers, asker)
    groups = _limbs(found, joints, grippers, answers)
    n_axes = len(grippers) + sum(len(group.joints) for group in groups) + {"none": 0, "differential": 2}.get(base, 3)
    if not n_axes:
        raise ConfigError("joints", "nothing is left to control: name joints with --joints, or a base with --base")
    if n_axes > MAX_AXES:
        raise ConfigError("joints", f"{n_axes} axes are more than {MAX_AXES}: name those that belong with --joints")
    tools = _tools(tree, found, groups, answers, asker)
    answers = msgspec.structs.replace(
        answers,
        joints=joints,
        groups={group.name: GroupAnswer(kind=group.kind, joints=group.joints) for group in groups},
        grippers={one.name: _answer(one) for one in grippers},
        tools=tools,
    )
    return Design(
        tree=tree,
        groups=groups,
        grippers=grippers,
        base=base,
        base_names={
            along: name
            for along, name in zip(("x", "y", "yaw"), found.base_joints, strict=True)
            if name is not None and base == "joints"
        },
        tools=tools,
        lowest_m=found.lowest_m,
        confirmed=answers.confirmed or (),
        answers=answers,
        notes=tuple(notes),
    )


def embodiment_of(
    built: Design, name: str, home: Mapping[str, float], cameras: Sequence[msgspec.Struct] = ()
) -> tuple[Embodiment, dict[str, tuple[str, ...]]]:
    """The robot type, and fields of its axes that come of the careful rule, by axis.

    Args:
        name: of the type.
        home: position of each joint.
        cameras: of the robot.
    """
    by_name = built.joints_by_name
    assumed: dict[str, tuple[str, ...]] = {}
    groups = []

    def take(one: Rated) -> AnyAxis:
        if one.assumed:
            assumed[one.axis.name] = one.assumed
        return one.axis

    carried: dict[str, list[FoundGripper]] = {}
    for gripper in built.grippers:
        carried.setdefault(_limb_of(built, gripper), []).append(gripper)
    for group in built.groups:
        axes = [take(rated(by_name[joint], home[joint], confirmed=joint in built.confirmed)) for joint in group.joints]
        axes += [take(rated_gripper(gripper, by_name)) for gripper in carried.pop(group.name, [])]
        groups.append(Group(name=group.name, kind=group.kind, axes=tuple(axes)))
    for name_of, grippers in carried.items():
        taken = [group.name for group in groups]
        axes = [take(rated_gripper(gripper, by_name)) for gripper in grippers]
        groups.append(Group(name=names.unique(name_of or "gripper", taken), kind="hand", axes=tuple(axes)))
    if built.base != "none":
        base_axes = tuple(take(one) for one in rated_base(built.base, built.base_names))
        groups.append(Group(name=names.unique("base", [group.name for group in groups]), kind="base", axes=base_axes))
    try:
        embodiment = Embodiment(name=name, groups=tuple(groups), cameras=tuple(cameras))  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError("embodiment", f"{error}") from error
    return embodiment, assumed


def _limb_of(built: Design, gripper: FoundGripper) -> str:
    return next((group.name for group in built.groups if gripper.carrier in group.joints), "")


def _in_si(tree: SourceTree, answers: Answers, asker: Asker, notes: list[str]) -> tuple[SourceTree, Answers]:
    """Limits in rad and m: what can't be is asked about, and converted on a yes."""
    joints: list[SourceJoint] = []
    turned: list[str] = []
    confirmed = list(answers.confirmed or ())
    for joint in tree.joints:
        if joint.kind is not Kind.FIXED:
            joint = _one_in_si(joint, answers, asker, turned, confirmed, notes)
        joints.append(joint)
    answers = msgspec.structs.replace(answers, converted=tuple(turned) or None, confirmed=tuple(confirmed) or None)
    return replace(tree, joints=tuple(joints)), answers


def _one_in_si(
    joint: SourceJoint,
    answers: Answers,
    asker: Asker,
    turned: list[str],
    confirmed: list[str],
    notes: list[str],
) -> SourceJoint:
    problem = unit_question(joint)
    unit, si = ("millimetres", "m") if joint.kind is Kind.PRISMATIC else ("degrees", "rad")
    given = "yes" if joint.name in (answers.converted or ()) else "no" if joint.name in confirmed else None
    if problem is not None or given == "yes":
        question = f"Joint {joint.name}: {problem}. Is that in {unit}? Then it is converted to {si}."
        said = answered(asker, f"converted ({joint.name})", given, question, "yes", str, one_of("yes", "no"))
        if said == "yes":
            joint = converted(joint)
            turned.append(joint.name)
            notes.append(f"joint {joint.name}: its limits are read as {unit}")
        elif joint.name not in confirmed:
            confirmed.append(joint.name)
    kept = believed(joint)
    for what, field_name in (("speed", "speed_max"), ("effort", "effort_max")):
        if getattr(kept.limits, field_name) != (stated := getattr(joint.limits, field_name)):
            notes.append(f"joint {joint.name}: a {what} limit of {stated:g} is none, and counts as not stated")
    return kept


def _base(found: Survey, answers: Answers, asker: Asker, extra: BaseKind | None) -> BaseKind:
    proposal: BaseKind = found.base if extra is None else extra
    if proposal == "none":
        # What has neither wheels nor joints of a base is fixed, unless somebody says otherwise by herself.
        return answers.base or "none"
    shown = f"wheels: {', '.join(found.wheels)}" if found.wheels else "it is carried by joints without a range"
    question = (
        f"The robot seems to drive ({shown}). How? differential: forwards and turning; omnidirectional: sideways as "
        "well; joints: by those joints; none: its base is never driven by this runtime."
    )
    kinds: dict[str, BaseKind] = {"none": "none", "differential": "differential", "omnidirectional": "omnidirectional"}
    if found.base == "joints":
        kinds["joints"] = "joints"
    known = one_of(*kinds)
    return answered(asker, "base", answers.base, question, proposal, str, lambda text: kinds[known(text)])


def _standing(tree: SourceTree, found: Survey, notes: list[str]) -> SourceTree:
    """The tree with wheels, and what shifts all of the robot, fixed where it stands at 0."""
    still = {*found.wheels, *found.held, *(name for name in found.base_joints if name is not None)}
    if found.wheels:
        notes.append(f"wheels are no axes, they are drawn as they stand: {', '.join(found.wheels)}")
    if found.held:
        notes.append(f"held at 0, since the description gives no range: {', '.join(found.held)}")
    joints = tuple(replace(joint, kind=Kind.FIXED) if joint.name in still else joint for joint in tree.joints)
    return replace(tree, joints=joints)


def _which(found: Survey, answers: Answers, asker: Asker, notes: list[str], base_axes: int) -> tuple[str, ...]:
    """Joints that belong to the robot, those that drive its grippers among them."""
    if answers.groups is not None and answers.joints is None:
        fingers = [joint for gripper in (answers.grippers or {}).values() for joint in gripper.joints]
        return (*(joint for group in answers.groups.values() for joint in group.joints), *fingers)
    of_grippers = [joint for gripper in found.grippers for joint in gripper.joints]
    known = [*(joint for group in found.groups for joint in group.joints), *of_grippers]
    proposal, left_out = _that_fit(found, MAX_AXES - base_axes - len(found.grippers))
    if answers.joints is None and left_out:
        notes.append(f"more than {MAX_AXES} axes: not controlled, unless they are named, are {', '.join(left_out)}")
    question = (
        "Which joints belong to the robot? Of the others, fingers and what an arm carries count as being anywhere in "
        f"their range. There are {', '.join(known)}."
    )
    joints = answered(
        asker,
        "joints",
        answers.joints,
        question,
        (*proposal, *of_grippers),
        names_shown,
        names_read(known),
    )
    for name in joints:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise ConfigError("joints", f"the description has no joint {name} that moves by itself; {there}")
    return joints


def _that_fit(found: Survey, room: int) -> tuple[tuple[str, ...], list[str]]:
    groups = list(found.groups)
    left_out: list[str] = []
    for kind in ("hand", "head", "leg", "torso", "arm"):
        while sum(len(group.joints) for group in groups) > room and any(group.kind == kind for group in groups):
            last = [group for group in groups if group.kind == kind][-1]
            groups.remove(last)
            left_out += last.joints
    return tuple(joint for group in groups for joint in group.joints), left_out


def _grippers(
    tree: SourceTree, found: Survey, joints: Sequence[str], answers: Answers, asker: Asker
) -> tuple[FoundGripper, ...]:
    by_name = {joint.name: joint for joint in tree.joints}
    carriers = {gripper.joints: gripper.carrier for gripper in found.grippers}
    if answers.grippers is not None:
        return tuple(
            _checked(name, given, by_name, carriers.get(given.joints)) for name, given in answers.grippers.items()
        )
    proposals = [gripper for gripper in found.grippers if all(joint in joints for joint in gripper.joints)]
    kept = []
    for gripper in proposals:
        if gripper.kind == "parallel_gripper":
            said = f"a parallel gripper that opens to {gripper.opening_m:g} m"
        else:
            said = f"a jaw, closed at {gripper.closed:g} rad, open at {gripper.open:g} rad"
        question = (
            f"{' and '.join(gripper.joints)}: {said}. Is that so? swap: it closes the other way; no: plain joints."
        )
        if gripper.kind == "parallel_gripper" and len(gripper.joints) > 1:
            question += " Both fingers follow one axis."
        word = answered(asker, f"grippers ({gripper.name})", None, question, "yes", str, one_of("yes", "swap", "no"))
        if word == "swap":
            kept.append(replace(gripper, closed=gripper.open, open=gripper.closed))
        elif word == "yes":
            kept.append(gripper)
    return tuple(kept)


def _checked(name: str, given: GripperAnswer, by_name: Mapping[str, SourceJoint], carrier: str | None) -> FoundGripper:
    key = f"grippers.{name}"
    for joint in given.joints:
        if joint not in by_name or by_name[joint].kind is Kind.FIXED:
            raise ConfigError(key, f"there is no joint {joint} that moves")
    if not given.joints or given.closed == given.open:
        raise ConfigError(key, "needs joints, and different positions when closed and when open")
    low, high = range_of(by_name[given.joints[0]])
    for end in (given.closed, given.open):
        if (low is not None and end < low - 1e-6) or (high is not None and end > high + 1e-6):
            raise ConfigError(key, f"{end:g} lies outside the range of {given.joints[0]}, {low} to {high}")
    opening_m = given.opening_m or abs(given.open - given.closed) * 2.0
    return FoundGripper(name, given.kind, given.joints, given.closed, given.open, opening_m, carrier)


def _answer(gripper: FoundGripper) -> GripperAnswer:
    return GripperAnswer(
        kind=gripper.kind,
        joints=gripper.joints,
        closed=gripper.closed,
        open=gripper.open,
        opening_m=float(f"{gripper.opening_m:.6g}"),
    )


def _limbs(
    found: Survey, joints: Sequence[str], grippers: Sequence[FoundGripper], answers: Answers
) -> tuple[FoundGroup, ...]:
    in_grippers = {joint for gripper in grippers for joint in gripper.joints}
    if answers.groups is not None:
        groups = [FoundGroup(name, given.kind, given.joints) for name, given in answers.groups.items()]
    else:
        groups = [
            FoundGroup(group.name, group.kind, tuple(name for name in group.joints if name in joints))
            for group in found.groups
        ]
    grouped = {name for group in groups for name in group.joints}
    loose = [name for name in joints if name not in grouped and name not in in_grippers]
    if loose:
        # Fingers that somebody has called plain joints.
        taken = [group.name for group in groups]
        groups.append(FoundGroup(names.unique("hand", taken), "hand", tuple(loose)))
    return tuple(group for group in groups if group.joints)


def _tools(
    tree: SourceTree, found: Survey, groups: Sequence[FoundGroup], answers: Answers, asker: Asker
) -> dict[str, str]:
    links = [tree.root, *(joint.child for joint in tree.joints)]
    known = [*tree.points, *links]
    if answers.tools is not None:
        for name, place in answers.tools.items():
            if place not in known:
                raise ConfigError(f"tools.{name}", f"there is no link or site {place}; there are {', '.join(known)}")
        if len(answers.tools) > MAX_TOOLS:
            raise ConfigError("tools", f"at most {MAX_TOOLS}, got {len(answers.tools)}")
        return dict(answers.tools)
    if not tree.shapes:
        return {}
    tools = {}
    limbs = {group.name for group in groups}
    for limb, place in found.tools.items():
        if limb in limbs:
            question = f"Which link or site is the tool of {limb}, the point whose speed is limited?"
            tools[limb] = answered(asker, f"tools ({limb})", None, question, place, str, one_of(*known))
    return tools
