"""Questions after what the robot is: where it stands, where it is at home, what it sees, and what moves it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from edge_runtime.commissioning.answers import Answers, Asker, answered, names_read, names_shown, number, one_of
from edge_runtime.commissioning.design import Design
from edge_runtime.commissioning.home import in_the_way, resting
from edge_runtime.commissioning.ratings import range_of
from edge_runtime.contracts.embodiment import Camera
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics import KinematicsFile
from edge_runtime.safety.kinematics.file import TOUCH_M, Pair

SIMULATED = "kinematic"


def ask_where(built: Design, asker: Asker, fixed: bool) -> tuple[str, float]:
    """What the robot stands on, and how far that surface is from the origin of the frame of its base, in m.

    Args:
        fixed: it does not drive.
    """
    answers = built.answers
    is_hand = all(group.kind == "hand" for group in built.groups)
    proposal = ("nothing" if is_hand else "table") if fixed else "floor"
    stands_on = answered(
        asker,
        "stands_on",
        answers.stands_on,
        "What does it stand on? table or floor: under it, ceiling: above it, nothing: no surface is kept from it. Its "
        f"frame is that of {built.tree.root}, z up.",
        proposal,
        str,
        one_of("table", "floor", "ceiling", "nothing"),
    )
    if stands_on == "nothing":
        return stands_on, 0.0
    # What stands a little below the frame is a foot that the surface carries.
    height = 0.0 if abs(built.lowest_m) < 0.005 else round(-built.lowest_m, 4) + 0.0
    question = (
        f"How far is the {stands_on} from the origin of that frame, in m? Above it as below it a positive number."
    )
    height_m = answered(
        asker, "height_m", answers.height_m, question, 0.0 if stands_on == "ceiling" else height, repr, number
    )
    return stands_on, height_m


def ask_home(asker: Asker, built: Design, home: dict[str, float]) -> dict[str, float]:
    def shown(posture: dict[str, float]) -> str:
        return ", ".join(f"{name}={value:g}" for name, value in posture.items())

    def read(text: str) -> dict[str, float]:
        found = dict(home)
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name.strip() not in home:
                raise ValueError(f"there is no joint {name.strip()!r}; joints are {', '.join(home)}")
            found[name.strip()] = float(value)
        return found

    given = home if built.answers.home is not None else None
    question = "Home posture, in rad and m? It is clear of the robot itself and of what it stands on."
    posture = answered(asker, "home", given, question, home, shown, read)
    for name, value in posture.items():
        low, high = range_of(built.joints_by_name[name])
        if (low is not None and value < low) or (high is not None and value > high):
            raise ConfigError(f"home.{name}", f"{value:g} lies outside its range, {low:g} to {high:g}")
        if low is None or high is None:
            posture[name] = round(math.remainder(value, 2.0 * math.pi), 6)
    return posture


def ask_resting(
    asker: Asker,
    notes: list[str],
    answers: Answers,
    file: KinematicsFile,
    home: Mapping[str, float],
    surface: tuple[float, float] | None,
) -> tuple[tuple[str, ...], KinematicsFile]:
    """Capsules that never leave the surface, and the body with these let off."""
    if surface is None:
        return (), file
    found = resting(file, home, surface, TOUCH_M)
    rests = found
    if found or answers.rests_on_surface:
        question = (
            f"{', '.join(found)} stay nearer than {TOUCH_M * 1e3:g} mm to the surface in every posture. Are they let "
            "off? Then surfaces and zones are not kept from these, and from all others they are."
        )
        known = [capsule.name for capsule in file.capsules]
        rests = answered(
            asker, "rests_on_surface", answers.rests_on_surface, question, found, names_shown, names_read(known)
        )
    if rests:
        notes.append(f"surfaces and zones are not kept from {', '.join(rests)}: no joint changes their height")
    replace = msgspec.structs.replace
    capsules = tuple(replace(one, in_world=False) if one.name in rests else one for one in file.capsules)
    return rests, replace(file, capsules=capsules)


def ask_may_touch(
    asker: Asker, notes: list[str], built: Design, file: KinematicsFile, home: Mapping[str, float]
) -> tuple[Pair, ...]:
    """Pairs that nothing keeps apart: parts that are built into each other, whose capsules overlap in most postures."""
    often = in_the_way(file, [built.joints_by_name[name] for name in built.joints], home)
    # What overlaps at home so deep that nothing is left to watch needs a word; the others only get in the way.
    needed = tuple(pair for pair in file.inseparable if pair in often)
    given = built.answers.may_touch
    known = [*often, *(pair for pair in file.inseparable if pair not in often)]
    if not known and given is None:
        return ()
    listed = "; ".join(f"{one} + {other}" for one, other in known)
    question = (
        f"These capsules overlap in most postures: {listed}. Where parts are built into each other they may touch, and "
        "nothing keeps them apart; others will often stop the robot. Which may touch?"
    )

    def shown(pairs: tuple[Pair, ...]) -> str:
        return "; ".join(f"{one} + {other}" for one, other in pairs) or "none"

    def read(text: str) -> tuple[Pair, ...]:
        found = []
        for part in text.split(";") if text != "none" else ():
            one, _, other = (word.strip() for word in part.partition("+"))
            if (one, other) not in known:
                raise ValueError(f"{part.strip()!r} is none of {listed}")
            found.append((one, other))
        return tuple(found)

    pairs = answered(asker, "may_touch", given, question, needed, shown, read)
    if pairs:
        notes.append(f"may touch, since they overlap in most postures: {shown(pairs)}")
    return pairs


def ask_cameras(asker: Asker, answers: Answers) -> tuple[Camera, ...]:
    def shown(cameras: tuple[Camera, ...]) -> str:
        return ", ".join(f"{c.name}:{c.width_px}x{c.height_px}@{c.rate_hz:g}" for c in cameras) or "none"

    def read(text: str) -> tuple[Camera, ...]:
        return () if text == "none" else tuple(camera_of(part.strip()) for part in text.split(","))

    question = "Cameras, each as name:WIDTHxHEIGHT@RATE, with commas between them?"
    return answered(asker, "cameras", answers.cameras, question, (), shown, read)


def camera_of(text: str) -> Camera:
    """A camera as a person types it: scene:640x480@30.

    Raises:
        ValueError: it is none, with words.
    """
    name, _, rest = text.partition(":")
    size, _, rate = rest.partition("@")
    width, _, height = size.partition("x")
    try:
        return Camera(name=name, width_px=int(width), height_px=int(height), rate_hz=float(rate or 30.0))
    except ValueError as error:
        why = str(error) if str(error).startswith("camera") else "expected name:WIDTHxHEIGHT@RATE"
        raise ValueError(f"{text!r}: {why}, such as scene:640x480@30") from error


def ask_driver(asker: Asker, answers: Answers, known: Sequence[str]) -> str:
    question = f"Which driver? Installed are {', '.join(known)}; {SIMULATED} simulates any robot, without physics."

    def read(text: str) -> str:
        if text not in known and not text.endswith(".py") and "/" not in text:
            raise ValueError(f"there is no driver {text!r}; installed are {', '.join(known)}, or the path of a file")
        return text

    return answered(asker, "driver", answers.driver, question, SIMULATED, str, read)


def ask_odometry(asker: Asker, answers: Answers, driver: str) -> bool:
    if answers.odometry is not None:
        return answers.odometry
    question = (
        "Does the driver measure where the base is? yes: surfaces and zones stand in the room, and the robot stops "
        "when that is lost; no: they go with the base, and nothing keeps the base itself off anything."
    )
    proposal = "yes" if driver == SIMULATED else "no"
    return answered(asker, "odometry", None, question, proposal, str, one_of("yes", "no")) == "yes"
