"""What no description can know of a robot, as a person answers it: on a terminal, by flags, or in a file.

Guarantees that an answer that was given is never asked for again, and that a question without an answer is never
passed over: it is answered, taken from the proposal because a person said so, or an error with its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec

from edge_runtime.config.toml_file import Section, read_toml
from edge_runtime.contracts.embodiment import Camera
from edge_runtime.contracts.errors import ConfigError

T = TypeVar("T")
StandsOn = Literal["table", "floor", "ceiling", "nothing"]


class GripperAnswer(Section, frozen=True):
    """`[grippers.NAME]`: one gripper; NAME is that of its axis."""

    kind: Literal["parallel_gripper", "jaw_gripper"]
    """Two fingers that slide, told by the distance between them; or a jaw that turns, told by its angle."""
    joints: tuple[str, ...]
    """The joints of the description that drive it. Example: `["finger_left", "finger_right"]`."""
    closed: float
    """Position of the first of them when closed, in rad or m."""
    open: float
    """Position of the first of them when wide open, in rad or m."""
    opening_m: float = 0.0
    """Of a parallel gripper: the distance between the open fingers. Example: `0.08`."""


class GroupAnswer(Section, frozen=True):
    """`[groups.NAME]`: a limb."""

    kind: Literal["arm", "torso", "head", "hand", "leg"]
    """What it is."""
    joints: tuple[str, ...]
    """Its joints from the base outwards. Example: `["shoulder", "elbow"]`."""


class Answers(Section, frozen=True):
    """A file of answers; what is left out is asked for, or proposed with `--yes`."""

    name: str | None = None
    """This robot's own name. Example: `"arm-1"`."""
    joints: tuple[str, ...] | None = None
    """Joints that belong to the robot, in any order; the others are held still. Example: `["shoulder", "elbow"]`."""
    groups: dict[str, GroupAnswer] | None = None
    """Limbs, in the order of every vector of the robot."""
    grippers: dict[str, GripperAnswer] | None = None
    """Its grippers; an empty table says that there is none."""
    base: Literal["none", "differential", "omnidirectional", "joints"] | None = None
    """How it drives. Example: `"none"`."""
    tools: dict[str, str] | None = None
    """Points whose speed is limited: links or sites of the description, by the name of the tool. Example: `{ arm =
    "tool0" }`."""
    stands_on: StandsOn | None = None
    """What is under the frame of its base, or above it. Example: `"table"`."""
    height_m: float | None = None
    """How far that surface is from the origin of the frame of its base. Example: `0.0`."""
    rests_on_surface: tuple[str, ...] | None = None
    """Capsules that the surface is not kept from, since no joint ever changes their distance from it. Example:
    `["shoulder_link"]`."""
    may_touch: tuple[tuple[str, str], ...] | None = None
    """Pairs of capsules that nothing keeps apart. Example: `[["thumb_base", "thumb_tip"]]`."""
    home: dict[str, float] | None = None
    """Posture at home: a value for each joint, rad or m; what is left out is at 0 or at the near end of its range."""
    cameras: tuple[Camera, ...] | None = None
    driver: str | None = None
    """An installed driver, or the path of a file with one. Example: `"kinematic"`."""
    odometry: bool | None = None
    """Whether the driver of a robot that drives measures where its base is. Example: `false`."""
    converted: tuple[str, ...] | None = None
    """Joints whose limits the description has in degrees or millimetres. Example: `["elbow"]`."""
    confirmed: tuple[str, ...] | None = None
    """Joints whose limits are rad or m although they look otherwise. Example: `["winch"]`."""
    meshes: Literal["metres", "millimetres"] | None = None
    """Unit of meshes that are larger than any link. Example: `"millimetres"`."""


def read_answers(path: Path) -> Answers:
    """The file.

    Raises:
        ConfigError: names the key, or the file if it could not be read.
    """
    return read_toml(path, Answers)


def answers_toml(answers: Answers, notes: str) -> str:
    """The text of a file with these answers."""
    lines = [f"# {line}".rstrip() for line in notes.splitlines()]
    tables: list[str] = []
    for field in msgspec.structs.fields(Answers):
        value = getattr(answers, field.name)
        if value is None:
            continue
        if field.name in ("groups", "grippers"):
            tables += [""] if value else ["", f"[{field.name}]"]
            for name, one in value.items():
                tables += [f"[{field.name}.{_toml(name)}]"]
                tables += [f"{key} = {_toml(held)}" for key, held in msgspec.to_builtins(one).items()]
        elif field.name == "cameras":
            lines += [] if value else ["cameras = []"]
            for camera in value:
                tables += ["", "[[cameras]]"]
                tables += [f"{key} = {_toml(held)}" for key, held in msgspec.to_builtins(camera).items()]
        elif isinstance(value, dict):
            tables += ["", f"[{field.name}]", *(f"{_toml(key)} = {_toml(held)}" for key, held in value.items())]
        else:
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


class Asker(Protocol):
    """Who answers what is not answered yet."""

    def ask(self, key: str, question: str, proposal: str) -> str:
        """What was answered; empty: the proposal.

        Raises:
            ConfigError: there is no answer to be had.
        """
        ...

    def tell(self, words: str) -> bool:
        """Say what was wrong with the last answer; False where there is no sense in asking again."""
        ...


class Proposals:
    """Takes every proposal, because a person said so."""

    def ask(self, _key: str, _question: str, _proposal: str) -> str:
        """Never answers otherwise."""
        return ""

    def tell(self, _words: str) -> bool:
        """Would give the same answer again."""
        return False


class Unanswered:
    """Where nobody can be asked: names what would have been."""

    def ask(self, key: str, question: str, proposal: str) -> str:
        """Raises ConfigError."""
        problem = (
            f"not answered: {question} Proposed: {proposal or 'none'}. Give it as a flag or in --answers FILE, or "
        )
        raise ConfigError(key, f"{problem}take what is proposed with --yes")

    def tell(self, _words: str) -> bool:
        """Nobody hears it."""
        return False


def answered(
    asker: Asker,
    key: str,
    given: T | None,
    question: str,
    proposal: T,
    show: Callable[[T], str],
    read: Callable[[str], T],
) -> T:
    """The answer to one question: `given` if it is there, else what is asked for.

    Args:
        key: of the answer in `Answers`.
        show, read: the answer as a person types it; `read` raises ValueError, with words, for what is none.
    """
    if given is not None:
        return given
    while True:
        text = asker.ask(key, question, show(proposal)).strip()
        if not text:
            return proposal
        try:
            return read(text)
        except ValueError as error:
            if not asker.tell(str(error)):
                raise ConfigError(key, str(error)) from error


def names_read(known: list[str], *, some: bool = False) -> Callable[[str], tuple[str, ...]]:
    """Reads names with commas between them, or "none" where there may be none."""

    def read(text: str) -> tuple[str, ...]:
        if text == "none" and not some:
            return ()
        found = tuple(word.strip() for word in text.split(",") if word.strip())
        for name in found:
            if name not in known:
                raise ValueError(f"there is no {name!r}; there are {', '.join(known)}")
        return found

    return read


def names_shown(names: tuple[str, ...]) -> str:
    """The other way round."""
    return ", ".join(names) or "none"


def one_of(*known: str) -> Callable[[str], str]:
    """Reads one of these words."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}, got {text!r}")
        return text

    return read


def number(text: str) -> float:
    """Reads a number.

    Raises:
        ValueError: it is none, with words for a person.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e6 < value < 1e6:
        raise ValueError(f"expected a number, got {text!r}")
    return value
