"""Distances of capsules in NumPy are the kernel's, and what is proved never to come near never does."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, KinematicJoint, NearPair, SourceLimits
from edge_runtime.safety.kinematics.pairs import decide_pairs
from edge_runtime.safety.kinematics.proximity import Body, axis_range
from tests.safety.geometry_robot import UPRIGHT, NativeGeometry, random_model, random_posture


@pytest.mark.parametrize("of_any_kind", [False, True])
def test_distances_are_the_kernels(of_any_kind: bool) -> None:
    generator = random.Random(1)
    for _ in range(200):
        model = random_model(generator, tidy=generator.random() < 0.3, of_any_kind=of_any_kind)
        if not model.pairs:
            continue
        model = msgspec.structs.replace(model, nearer=(), has_base=False)
        native, body = NativeGeometry(model), Body(model.joints, model.capsules)
        names = [one.name for one in model.capsules]
        postures = [random_posture(generator, model) for _ in range(3)]
        positions = np.array([positions_of(model, posture) for posture in postures])
        for number, (first, second) in enumerate(model.pairs):
            found_m = body.distances_m(positions, names.index(first), [names.index(second)])[:, 0]
            for posture, one_m in zip(postures, found_m, strict=True):
                native.move_to(posture)
                assert one_m == pytest.approx(native.clearance()[1][number], abs=1e-9)


def positions_of(model: GeometryModel, posture: Sequence[float]) -> list[float]:
    """Of the joints, where the axes are there."""
    at = dict(zip(model.axis_names, posture, strict=True))
    return [joint.ratio * at[joint.axis_name] + joint.at_zero for joint in model.joints]


def ranged(generator: random.Random, joint: KinematicJoint) -> KinematicJoint:
    low = generator.uniform(-2.0, 1.0)
    limits = SourceLimits.of(slides=joint.slides, low=low, high=low + generator.uniform(0.2, 2.0))
    if not joint.slides and generator.random() < 0.2:
        limits = SourceLimits()
    return msgspec.structs.replace(joint, limits=limits, extent_m=3.0 if joint.slides else None)


@pytest.mark.parametrize("of_any_kind", [False, True])
def test_what_is_proved_is_so_and_most_of_what_is_so_is_proved(of_any_kind: bool) -> None:
    """Against the smallest distance on a fine grid: more than that is never proved, a centimetre less nearly always."""
    generator = random.Random(2)
    proved = asked = 0
    while asked < 120:
        model = random_model(generator, of_any_kind=of_any_kind)
        joints = tuple(ranged(generator, joint) for joint in model.joints)
        body = Body(joints, model.capsules)
        if len(body.ranges) > 2:
            continue
        grids = np.meshgrid(*(np.linspace(*ends, 60) for ends in body.ranges))
        postures = body.positions(np.stack([grid.ravel() for grid in grids], axis=1))
        names = [one.name for one in model.capsules]
        for first, second in model.pairs[:6]:
            one, other = names.index(first), names.index(second)
            least_m = float(body.distances_m(postures, one, [other]).min())
            if least_m < 0.03:
                continue
            asked += 1
            assert not body.never_nearer(one, other, least_m + 1e-3)
            proved += body.never_nearer(one, other, least_m - 0.02)
    assert proved > 0.95 * asked


def test_joints_of_one_axis_have_no_posture_that_the_axis_does_not_give() -> None:
    """Two rods that turn in parallel by one axis never meet; each by its own they do. Where the axis turns without end
    it is the same, unless one goes 1.5 times as far: then each may be anywhere."""

    def body(axis: str | None, ratio: float, limits: SourceLimits) -> Body:
        def joint(name: str, y_m: float, **drive: Any) -> KinematicJoint:
            return KinematicJoint(name=name, rotation=UPRIGHT, offset_m=(0.0, y_m, 0.0), **drive)

        joints = (joint("a", 0.3, limits=limits), joint("b", -0.3, axis=axis, ratio=ratio, limits=limits))
        rods = [
            Capsule(name=name, link=name, a_m=(0.1, 0.0, 0.0), b_m=(0.32, 0.0, 0.0), radius_m=0.02) for name in "ab"
        ]
        return Body(joints, rods)

    quarter = SourceLimits(position_min_rad=-1.5, position_max_rad=1.5)
    assert body("a", 1.0, quarter).never_nearer(0, 1, 0.05)
    assert not body(None, 1.0, quarter).never_nearer(0, 1, 0.05)
    endless = SourceLimits()
    assert len(body("a", 1.0, endless).ranges) == 1
    assert body("a", 1.0, endless).never_nearer(0, 1, 0.05)
    assert len(body("a", 1.5, endless).ranges) == 2
    assert not body("a", 1.5, endless).never_nearer(0, 1, 0.05)


def test_a_lift_is_proved_to_stay_below_a_shelf_that_it_does_not_reach() -> None:
    def lift(high_m: float) -> Body:
        limits = SourceLimits(position_min_m=0.0, position_max_m=high_m)
        joint = KinematicJoint(name="z", rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.2), kind="prismatic", limits=limits)
        ends: dict[str, Any] = {"a_m": (0.0, 0.0, 0.0), "b_m": (0.3, 0.0, 0.0), "radius_m": 0.05}
        shelf = {"a_m": (0.0, 0.0, 1.0), "b_m": (0.3, 0.0, 1.0), "radius_m": 0.05}
        return Body((joint,), (Capsule(name="tray", link="z", **ends), Capsule(name="shelf", **shelf)))

    assert lift(0.68).never_nearer(0, 1, 0.01)
    assert not lift(0.70).never_nearer(0, 1, 0.01)


def test_parts_that_slide_along_each_other_are_neighbours() -> None:
    limits = SourceLimits(position_min_m=0.0, position_max_m=0.5)
    joint = KinematicJoint(name="z", rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.2), kind="prismatic", limits=limits)
    mast = Capsule(name="mast", a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.9), radius_m=0.05)
    cart = Capsule(name="cart", link="z", a_m=(0.0, 0.0, 0.0), b_m=(0.2, 0.0, 0.0), radius_m=0.08)
    far = Capsule(name="far", link="z", a_m=(0.3, 0.0, 0.0), b_m=(0.4, 0.0, 0.0), radius_m=0.08)
    found = decide_pairs((joint,), (mast, cart, far), {"z": 0.25})
    assert (found.neighbours, found.apart) == ([("mast", "cart")], [("mast", "far")])


def test_a_joint_without_an_end_may_be_anywhere() -> None:
    def found(low: float | None, high: float | None) -> tuple[float, float]:
        limits = SourceLimits(position_min_rad=low, position_max_rad=high)
        return axis_range(limits)

    assert found(None, None) == (-math.pi, math.pi)
    assert found(-1.0, 2.0) == (-1.0, 2.0)
    assert found(-1.0, None) == (-1.0, -1.0 + 2.0 * math.pi)
    assert found(None, 5.0) == pytest.approx((5.0 - 2.0 * math.pi, 5.0))
    assert found(-40.0, 40.0) == (-40.0, -40.0 + 2.0 * math.pi)


def test_neighbours_that_are_apart_at_home_are_like_any_other_pair() -> None:
    """A rod that folds back onto the one that carries it: watched; where it can't, proved."""

    def decided(low: float, high: float) -> tuple[list[tuple[str, str]], ...]:
        joints = (
            KinematicJoint(name="a", parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0)),
            KinematicJoint(
                name="b",
                parent="a",
                rotation=UPRIGHT,
                offset_m=(0.5, 0.0, 0.0),
                limits=SourceLimits(position_min_rad=low, position_max_rad=high),
            ),
        )
        rods = (
            Capsule(name="near", link="a", a_m=(0.0, 0.0, 0.0), b_m=(0.3, 0.0, 0.0), radius_m=0.03),
            Capsule(name="hub", link="a", a_m=(0.4, 0.0, 0.0), b_m=(0.5, 0.0, 0.0), radius_m=0.03),
            Capsule(name="far", link="b", a_m=(0.0, 0.0, 0.0), b_m=(0.4, 0.0, 0.0), radius_m=0.03),
        )
        found = decide_pairs(joints, rods, {"a": 0.0, "b": 0.0})
        return found.pairs, found.neighbours, found.apart

    assert decided(-3.0, 3.0) == ([("near", "far")], [("hub", "far")], [])
    assert decided(-2.0, 2.0) == ([], [("hub", "far")], [("near", "far")])


def test_a_near_pair_that_never_comes_nearer_is_proved_and_one_that_does_is_watched() -> None:
    """A ball that two joints turn about one axis, beside a post: it keeps its distance if it is on the axis."""

    def decided(off_axis_m: float, ball_m: float, post_m: float, home_rad: float) -> NearPair:
        joints = tuple(
            KinematicJoint(name=name, parent=parent, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.1))
            for parent, name in ((BASE, "a"), ("a", "b"))
        )
        place = (off_axis_m, 0.0, 0.0)
        capsules = (
            Capsule(name="post", link=BASE, a_m=(0.205, 0.0, 0.0), b_m=(0.205, 0.0, 0.6), radius_m=post_m),
            Capsule(name="ball", link="b", a_m=place, b_m=place, radius_m=ball_m),
        )
        (near,) = decide_pairs(joints, capsules, {"a": home_rad, "b": 0.0}).near
        return near

    assert decided(0.0, 0.1, 0.1, 0.35) == NearPair(pair=("post", "ball"), at_least_m=0.003, proved=True)
    # From 6 mm apart at home the other joint brings it to 5 mm inside the post.
    watched = decided(0.1, 0.05, 0.06, 0.35)
    assert not watched.proved
    assert watched.at_least_m == pytest.approx(0.0063 - 0.002, abs=2e-4)
    # From 9 mm to 5 mm: no nearer than 5 mm less is proved.
    assert decided(0.05, 0.05, 0.1, 0.35) == NearPair(
        pair=("post", "ball"), at_least_m=pytest.approx(0.0039, abs=2e-4), proved=True
    )
