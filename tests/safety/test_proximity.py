"""Distances of capsules in NumPy are the kernel's, and what is proved never to come near never does."""

from __future__ import annotations

import math
import random

import msgspec
import numpy as np
import pytest

from edge_runtime.safety.kinematics import BASE, Capsule, KinematicJoint, NearPair, SourceLimits
from edge_runtime.safety.kinematics.pairs import decide_pairs
from edge_runtime.safety.kinematics.proximity import Body, axis_range
from tests.safety.geometry_robot import UPRIGHT, NativeGeometry, random_model, random_posture


def test_distances_are_the_kernels() -> None:
    generator = random.Random(1)
    for _ in range(200):
        model = random_model(generator, tidy=generator.random() < 0.3)
        if not model.pairs:
            continue
        model = msgspec.structs.replace(model, nearer=())
        native, body = NativeGeometry(model), Body(model.joints, model.capsules)
        names = [one.name for one in model.capsules]
        postures = [random_posture(generator, model) for _ in range(3)]
        for number, (first, second) in enumerate(model.pairs):
            found_m = body.distances_m(np.array(postures), names.index(first), [names.index(second)])[:, 0]
            for posture, one_m in zip(postures, found_m, strict=True):
                native.move_to(posture)
                assert one_m == pytest.approx(native.clearance()[1][number], abs=1e-9)


def ranged(generator: random.Random, joint: KinematicJoint) -> KinematicJoint:
    low = generator.uniform(-2.0, 1.0)
    limits = SourceLimits(position_min_rad=low, position_max_rad=low + generator.uniform(0.2, 2.0))
    return msgspec.structs.replace(joint, limits=limits)


def test_what_is_proved_is_so_and_most_of_what_is_so_is_proved() -> None:
    """Against the smallest distance on a fine grid: more than that is never proved, a centimetre less nearly always."""
    generator = random.Random(2)
    proved = asked = 0
    while asked < 120:
        model = random_model(generator)
        if model.n_axes > 2:
            continue
        joints = tuple(ranged(generator, joint) for joint in model.joints)
        body = Body(joints, model.capsules)
        grids = np.meshgrid(*(np.linspace(*ends, 60) for ends in body.ranges))
        postures = np.stack([grid.ravel() for grid in grids], axis=1)
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


def test_a_joint_without_an_end_may_be_anywhere() -> None:
    def found(low: float | None, high: float | None) -> tuple[float, float]:
        limits = SourceLimits(position_min_rad=low, position_max_rad=high)
        return axis_range(
            KinematicJoint(name="j", parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0), limits=limits)
        )

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
        found = decide_pairs(joints, rods, (0.0, 0.0))
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
        (near,) = decide_pairs(joints, capsules, (home_rad, 0.0)).near
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
