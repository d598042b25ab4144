"""What of a robot's body is watched, with its kinematics file and a person's word, and what is not.

Guarantees that no pair of capsules goes missing: a file that does not say of each what becomes of it is refused, as one
that was made before files said it. Nothing but proof, neighbourhood and a person's `may_touch` leaves a pair out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.native import lib
from edge_runtime.safety.kinematics.file import TOUCH_M, KinematicsFile, Pair, read_kinematics
from edge_runtime.safety.kinematics.model import Capsule, GeometryModel, Nearer
from edge_runtime.safety.kinematics.pairs import meet_at_their_joint

AGAIN = "make it again with `edge-runtime kinematics`"
_KEY = "geometry.may_touch"


@dataclass(frozen=True)
class Watch:
    """Every pair of capsules on different links, by what becomes of it.

    Attributes:
        kept: apart by the clearance of the safety file.
        near: apart by so many metres, less than that clearance; below zero they may overlap by as much.
        proved_near: those of `near` that need no watching: no posture brings them nearer.
        neighbours: not watched: on links that one joint joins, overlapping at home.
        apart: not watched: proved never to be nearer than the clearance.
        may_touch: not watched: a person wrote that they may touch.
    """

    kept: tuple[Pair, ...]
    near: dict[Pair, float]
    proved_near: frozenset[Pair]
    neighbours: tuple[Pair, ...]
    apart: tuple[Pair, ...]
    may_touch: tuple[Pair, ...]


def watch_of(file: KinematicsFile, clearance_min_m: float, may_touch: Sequence[Pair]) -> Watch:
    """What becomes of each pair.

    Args:
        clearance_min_m: kept between links that are not near at home.
        may_touch: names of capsules, or of links for all of their capsules, two by two.

    Raises:
        ConfigError: names a pair that the file says nothing of, or says wrong; what `may_touch` names and there is not;
            capsules that only a person may let touch.
    """
    _require_whole(file)
    let = _let_touch(file, may_touch)
    near = {near.pair: near.at_least_m for near in file.near if near.at_least_m < clearance_min_m}
    proved = {near.pair for near in file.near if near.proved}
    farther = [near.pair for near in file.near if near.at_least_m >= clearance_min_m]
    kept = [*file.pairs, *(pair for pair in farther if pair not in proved)]
    apart = [pair for pair in farther if pair in proved]
    # Nothing is proved of distances larger than that.
    (kept if clearance_min_m > file.apart_m else apart).extend(file.apart)
    for first, second in file.inseparable:
        if frozenset((first, second)) not in let:
            raise ConfigError(
                _KEY,
                f"{first} and {second} overlap at home so deep that no distance is left to watch: if they may touch, "
                f'write may_touch = [["{first}", "{second}"]]; else choose another home and {AGAIN}',
            )

    def without(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        return tuple(pair for pair in pairs if frozenset(pair) not in let)

    return Watch(
        kept=without(kept),
        near={pair: near[pair] for pair in without(tuple(near))},
        proved_near=frozenset(proved & near.keys()),
        neighbours=without(file.neighbours),
        apart=without(apart),
        may_touch=tuple(pair for pair in _every_pair(file) if frozenset(pair) in let),
    )


def watched_body(
    file: KinematicsFile,
    clearance_min_m: float = TOUCH_M,
    may_touch: Sequence[Pair] = (),
    *,
    axes: Sequence[str] = (),
    has_base: bool = False,
) -> GeometryModel:
    """The body as the kernel takes it, without surroundings; see `watch_of`.

    Args:
        axes: of the robot, in the order of its vectors, grippers and the axes of a base among them; empty: those that
            move a joint of the body, in the order of the joints.
        has_base: the robot's base moves.

    Raises:
        ConfigError: like `watch_of`; also names the joint, capsule or tool that is not possible.
    """
    # Joints and capsules first: pairs are about them.
    bare = GeometryModel(
        joints=file.joints,
        capsules=file.capsules,
        pairs=(),
        tools=file.tool_points,
        axes=tuple(axes),
        has_base=has_base,
    )
    watch = watch_of(file, clearance_min_m, may_touch)
    near = {pair: least_m for pair, least_m in watch.near.items() if pair not in watch.proved_near}
    pairs = (*watch.kept, *near)
    if len(pairs) > lib.GEOMETRY_MAX_PAIRS:
        problem = (
            f"with {clearance_min_m:g} m there are {len(pairs)} pairs to watch, and the kernel takes "
            f"{lib.GEOMETRY_MAX_PAIRS}: at most {file.apart_m:g} m leaves out what is proved to stay apart"
        )
        raise ConfigError("geometry.clearance_min_m", problem)
    return msgspec.structs.replace(
        bare,
        pairs=pairs,
        nearer=tuple(
            Nearer(first=first, second=second, nearer_m=clearance_min_m - least_m)
            for (first, second), least_m in near.items()
        ),
    )


def load_kinematics(path: Path, clearance_min_m: float = TOUCH_M, may_touch: Sequence[Pair] = ()) -> GeometryModel:
    """The body in a file, without surroundings; see `watched_body`.

    Raises:
        ConfigError: names the key, joint, capsule or pair at fault, and the file.
    """
    try:
        return watched_body(read_kinematics(path), clearance_min_m, may_touch)
    except ConfigError as error:
        if path.name in error.problem:
            raise
        raise ConfigError(error.key, f"{error.problem} (in {path.name})") from error


def _every_pair(file: KinematicsFile) -> list[Pair]:
    return [(one.name, two.name) for one, two in combinations(file.capsules, 2) if one.link != two.link]


def _require_whole(file: KinematicsFile) -> None:
    capsules = {capsule.name: capsule for capsule in file.capsules}
    links = {name: capsule.link for name, capsule in capsules.items()}
    parents: dict[str | None, str | None] = {joint.name: joint.parent for joint in file.joints}
    lists = {
        "pairs": file.pairs,
        "near": tuple(near.pair for near in file.near),
        "neighbours": file.neighbours,
        "apart": file.apart,
        "inseparable": file.inseparable,
    }
    found: dict[frozenset[str], str] = {}
    for field, pairs in lists.items():
        for number, pair in enumerate(pairs):
            for name in pair:
                if name not in links:
                    raise ConfigError(f"{field}[{number}]", f"there is no {name!r}, only {', '.join(links)}")
            if links[pair[0]] == links[pair[1]]:
                raise ConfigError(f"{field}[{number}]", f"{' and '.join(pair)} are of one link")
            if frozenset(pair) in found:
                raise ConfigError(f"{field}[{number}]", f"{' and '.join(pair)} are in {found[frozenset(pair)]} as well")
            found[frozenset(pair)] = field
    for number, (first, second) in enumerate(file.neighbours):
        one, two = links[first], links[second]
        # What is no joint has no parent, not even the base.
        if parents.get(one, one) != two and parents.get(two, two) != one:
            raise ConfigError(f"neighbours[{number}]", f"no one joint joins the links of {first} and {second}")
        if not meet_at_their_joint(file.joints, capsules[first], capsules[second]):
            problem = f"the axis of the joint between {first} and {second} does not pass near both: {AGAIN}"
            raise ConfigError(f"neighbours[{number}]", problem)
    if not 0.0 <= file.apart_m <= 1.0:
        raise ConfigError("apart_m", f"must lie between 0 and 1, got {file.apart_m!r}")
    for number, near in enumerate(file.near):
        deepest_m = -sum(capsules[name].radius_m for name in near.pair)
        if not deepest_m < near.at_least_m <= 1.0:
            problem = f"must lie above {deepest_m:g}, where nothing is left to watch, and at most at 1"
            raise ConfigError(f"near[{number}].at_least_m", f"{problem}, got {near.at_least_m!r}")
    missing = [pair for pair in _every_pair(file) if frozenset(pair) not in found]
    if missing:
        first, second = missing[0]
        raise ConfigError(
            "pairs",
            f"nothing says whether {first} and {second} may touch, nor of {len(missing) - 1} more pairs. Earlier "
            f"versions left pairs unwatched without a proof: {AGAIN}",
        )
    if file.uncovered is None:
        raise ConfigError("uncovered", f"missing: nothing says which links no capsule covers. {AGAIN.capitalize()}")


def _let_touch(file: KinematicsFile, may_touch: Sequence[Pair]) -> set[frozenset[str]]:
    let: set[frozenset[str]] = set()
    links = {capsule.name: capsule.link for capsule in file.capsules}
    for named in may_touch:
        first, second = (_capsules_of(file.capsules, name) for name in named)
        some = {frozenset((one, two)) for one in first for two in second if links[one] != links[two]}
        if not some:
            raise ConfigError(_KEY, f"{' and '.join(named)} are of one rigid body: their distance never changes")
        let |= some
    return let


def _capsules_of(capsules: Sequence[Capsule], name: str) -> list[str]:
    names = [one.name for one in capsules]
    found = [name] if name in names else [one.name for one in capsules if one.source_link == name]
    if not found:
        raise ConfigError(_KEY, f"there is no {name!r}; capsules are {', '.join(names)}")
    return found
