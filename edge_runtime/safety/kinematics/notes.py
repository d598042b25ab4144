"""What the compiler decided by itself, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_runtime.safety.kinematics.file import TOUCH_M, Pair
from edge_runtime.safety.kinematics.model import HeldJoint
from edge_runtime.safety.kinematics.pairs import PairDecisions


def held_note(joint: HeldJoint) -> str:
    """What becomes of a joint that is not controlled."""
    if joint.covered:
        return f"joint {joint.name} is not controlled: covered from {joint.low:g} to {joint.high:g} {joint.unit}"
    return f"joint {joint.name} is not controlled: held at 0 {joint.unit}; its motion is not covered"


def pair_notes(decided: PairDecisions) -> Iterator[str]:
    """What becomes of pairs of capsules, where a person should know."""
    for near in decided.near:
        kept = "proved never to come" if near.proved else "kept from coming"
        yield f"{' and '.join(near.pair)} are near at home: {kept} nearer than {near.at_least_m * 1e3:g} mm"
    if decided.neighbours:
        yield f"not watched, on neighbouring links and overlapping at home: {names_of(decided.neighbours)}"
    if decided.apart:
        yield f"not watched, proved never to be within {TOUCH_M * 1e3:g} mm: {names_of(decided.apart)}"
    for pair in decided.inseparable:
        yield (
            f"{' and '.join(pair)} overlap at home so deep that no distance is left to watch, and the robot is refused "
            f"until {_let_touch(pair)}"
        )
    for pair in decided.often:
        yield (
            f"{' and '.join(pair)} are too near to each other in most postures, and will often stop the robot: if that "
            f"is how it is built, {_let_touch(pair)}"
        )


def _let_touch(pair: Pair) -> str:
    return f'a person writes may_touch = [["{pair[0]}", "{pair[1]}"]] under [geometry] of the safety file'


def names_of(pairs: Sequence[Pair]) -> str:
    """Pairs in one line."""
    return ", ".join(" and ".join(pair) for pair in pairs)
