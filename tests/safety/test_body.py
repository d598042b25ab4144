"""The body's limits, clearance, tool speed and singular postures: on arms so simple that the answer is known, and on
one that is not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime.safety import Kernel, KernelConfig, Reason, Request, Result, State
from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, Keepout, KinematicJoint, Plane, ToolPoint
from tests.safety.geometry_robot import HOME_RAD, UPRIGHT, NativeGeometry, arm
from tests.safety.robot import Robot, make_config

RADIUS_M = 0.05
CLEARANCE_M = 0.01
WALL = Plane(normal=(0.0, -1.0, 0.0), offset_m=-0.8)
"""Allowed is y <= 0.8."""
BOX = Keepout(min_m=(-1.0, 0.8, -0.1), max_m=(1.0, 0.9, 0.1))
POST = Keepout(min_m=(0.8, 0.8, 0.0), max_m=(0.8, 0.8, 0.0), radius_m=0.1)


def lever(*, planes: tuple[Plane, ...] = (), keepouts: tuple[Keepout, ...] = ()) -> GeometryModel:
    """One joint at the origin that turns a rod of one metre about z; the tool is its end."""
    return GeometryModel(
        joints=(KinematicJoint(name="joint0", parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0)),),
        capsules=(
            Capsule(
                name="rod",
                link="joint0",
                a_m=(0.0, 0.0, 0.0),
                b_m=(1.0, 0.0, 0.0),
                radius_m=RADIUS_M,
                in_world=True,
            ),
        ),
        pairs=(),
        tools=(ToolPoint(link="joint0", point_m=(1.0, 0.0, 0.0)),),
        planes=planes,
        keepouts=keepouts,
    )


def elbow() -> GeometryModel:
    """Two rods of half a metre in a plane that may not touch each other; the second begins 0.15 m behind its joint."""
    joints = (
        KinematicJoint(name="joint0", parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0)),
        KinematicJoint(name="joint1", parent="joint0", rotation=UPRIGHT, offset_m=(0.5, 0.0, 0.0)),
    )
    rods = tuple(
        Capsule(name=f"rod{i}", link=f"joint{i}", a_m=(x, 0.0, 0.0), b_m=(0.5, 0.0, 0.0), radius_m=0.05, in_world=True)
        for i, x in enumerate((0.0, 0.15))
    )
    return GeometryModel(
        joints=joints,
        capsules=rods,
        pairs=(("rod0", "rod1"),),
        tools=(ToolPoint(link="joint1", point_m=(0.5, 0.0, 0.0)),),
    )


def with_body(model: GeometryModel, **changes: object) -> KernelConfig:
    """The usual limits, for this body."""
    limits = {"geometry": model, "clearance_min_m": CLEARANCE_M, "axis_names": model.axis_names} | changes
    return make_config(len(model.joints), **limits)


OBSTACLES = [
    pytest.param({"planes": (WALL,)}, lambda y_m: 0.8 - y_m, id="plane"),
    pytest.param({"keepouts": (BOX,)}, lambda y_m: 0.8 - y_m, id="box"),
]


@pytest.mark.parametrize(("world", "distance_of"), OBSTACLES)
@pytest.mark.parametrize("stream", ["jump", "steady", "noise"])
def test_the_arm_comes_to_rest_in_front_of_an_obstacle(
    world: dict[str, Any], distance_of: Callable[[float], float], stream: str
) -> None:
    config = with_body(lever(**world))
    robot = Robot(Kernel(config))
    robot.arm()
    generator = random.Random(1)
    seen, nearest = Reason(0), math.inf
    for k in range(2500):
        goal = {"jump": 2.0, "steady": min(2.0, 1.9e-3 * k), "noise": generator.uniform(0.0, 3.0)}[stream]
        verdict = robot.step([goal])
        seen |= verdict.reasons
        clearance_m = distance_of(math.sin(verdict.q[0])) - RADIUS_M
        assert clearance_m >= CLEARANCE_M - 1e-9
        assert verdict.stop_margin_m <= clearance_m + 1e-9
        assert verdict.stop_margin_m >= CLEARANCE_M - 1e-9
        nearest = min(nearest, clearance_m)
    assert Reason.LIMIT_GEOMETRY in seen
    assert nearest <= CLEARANCE_M + 2e-3
    assert verdict.state is State.ACTIVE
    # Away from it there is nothing in the way.
    for _ in range(1500):
        verdict = robot.step([-0.5])
    assert robot.q == pytest.approx([-0.5], abs=1e-12)


def test_a_round_zone_is_kept_off_from_all_sides() -> None:
    for side in (-1.0, 1.0):
        robot = Robot(Kernel(with_body(lever(keepouts=(POST,)))), [math.pi / 4 - side])
        robot.arm()
        for _ in range(2000):
            q = robot.step([math.pi / 4 + side]).q[0]
            assert rod_to_post(q) - 0.1 - RADIUS_M >= CLEARANCE_M - 1e-9
        assert rod_to_post(robot.q[0]) - 0.1 - RADIUS_M <= CLEARANCE_M + 2e-3


def rod_to_post(q: float) -> float:
    """From the rod's middle line to the middle of POST."""
    along = min(1.0, max(0.0, 0.8 * math.cos(q) + 0.8 * math.sin(q)))
    return math.hypot(0.8 - along * math.cos(q), 0.8 - along * math.sin(q))


def test_links_are_kept_off_each_other() -> None:
    robot = Robot(Kernel(with_body(elbow())))
    robot.arm()
    seen = Reason(0)
    for k in range(2500):
        verdict = robot.step([math.sin(k * 1e-3), 2.4])
        seen |= verdict.reasons
        assert verdict.stop_margin_m >= CLEARANCE_M - 1e-9
    assert Reason.LIMIT_GEOMETRY in seen
    # The near end of the second rod is 0.15 sin(q) off the first one's middle line.
    assert 0.15 * math.sin(robot.q[1]) - 0.1 == pytest.approx(CLEARANCE_M, abs=2e-3)
    assert robot.q[1] > math.pi / 2


@pytest.mark.parametrize(
    ("q", "result"),
    [
        (0.8, Result.DONE),
        (0.9, Result.REFUSED_GEOMETRY),
        (1.5, Result.REFUSED_GEOMETRY),
        (2.6, Result.REFUSED_OUTSIDE_LIMITS),
    ],
)
def test_arming_is_refused_too_near_to_something(q: float, result: Result) -> None:
    # The rod's surface is at the wall with sin(q) = 0.75, and at its clearance with 0.74.
    robot = Robot(Kernel(with_body(lever(planes=(WALL,)))), [q])
    robot.step()
    assert robot.request(Request.ARM) is result
    assert robot.kernel.state is (State.HOLDING if result is Result.DONE else State.READY)
    in_between = Robot(Kernel(with_body(lever(planes=(WALL,)))), [math.asin(0.745)])
    in_between.step()
    assert in_between.request(Request.ARM) is Result.REFUSED_GEOMETRY


def test_the_tool_is_no_faster_than_allowed_even_after_tightening() -> None:
    robot = Robot(Kernel(with_body(lever(), tool_speed_max_m_s=(0.25,))), [-2.4])
    robot.arm()

    def run(ticks: int) -> tuple[float, float, Reason]:
        speeds, seen = [], Reason(0)
        for _ in range(ticks):
            verdict = robot.step([2.4])
            speeds.append(verdict.dq[0])
            seen |= verdict.reasons
        return max(speeds), speeds[-1], seen

    fastest, last, seen = run(400)
    assert Reason.LIMIT_TOOL_SPEED in seen
    assert 0.24 <= last <= fastest <= 0.25 * (1 + 1e-9)
    assert robot.kernel.tighten(tool_speed_max_m_s=0.1) is Result.DONE
    run(100)
    fastest, last, seen = run(400)
    assert 0.09 <= last <= fastest <= 0.1 * (1 + 1e-9)


def test_a_joint_that_does_not_move_the_tool_may_be_fast() -> None:
    model = elbow()
    still = replace_tool(model, ToolPoint(link="joint0", point_m=(0.5, 0.0, 0.0)))
    robot = Robot(Kernel(with_body(still, tool_speed_max_m_s=(0.01,))))
    robot.arm()
    assert max(robot.step([0.0, 1.5]).dq[1] for _ in range(800)) == pytest.approx(2.0)
    assert max(robot.step([1.0, 1.5]).dq[0] for _ in range(200)) == pytest.approx(0.02, rel=0.05)


def replace_tool(model: GeometryModel, tool: ToolPoint) -> GeometryModel:
    return GeometryModel(joints=model.joints, capsules=model.capsules, pairs=model.pairs, tools=(tool,))


def test_a_blocked_retraction_ends_by_its_time() -> None:
    config = with_body(
        lever(planes=(WALL,)),
        retract=(2.0,),
        retract_speed_scale=1.0,
        hold_timeout_ns=10_000_000,
        retract_timeout_ns=10**9,
    )
    robot = Robot(Kernel(config))
    robot.arm()
    robot.run_until(State.RETRACTING)
    ticks = robot.run_until(State.READY)
    assert 1000 <= ticks <= 1010
    assert math.sin(robot.q[0]) <= 0.74 + 1e-9
    assert robot.verdict is not None
    assert robot.verdict.faults == Reason(0)


def test_it_is_slower_near_a_singular_posture() -> None:
    model = arm(in_a_box=False)
    geometry = NativeGeometry(model)

    def manipulability(elbow_rad: float) -> float:
        geometry.move_to([*HOME_RAD[:3], elbow_rad, *HOME_RAD[4:]])
        return geometry.manipulability()

    slow, stop = manipulability(-1.2), manipulability(-0.6)
    assert slow > stop > 0.0
    limits = {
        "q_min": (-2.9,) * 7,
        "q_max": (2.9,) * 7,
        "manipulability_slow_below": slow,
        "manipulability_stop_below": stop,
    }
    robot = Robot(Kernel(with_body(model, **limits)), HOME_RAD)
    robot.arm()
    seen = Reason(0)
    for _ in range(2500):
        at = robot.q[3]
        verdict = robot.step([*HOME_RAD[:3], -0.3, *HOME_RAD[4:]])
        expected = min(1.0, max(0.1, (manipulability(at) - stop) / (slow - stop)))
        assert verdict.speed_scale == pytest.approx(expected, abs=1e-9)
        seen |= verdict.reasons
        if at < -1.3:
            assert Reason.LIMIT_SINGULARITY not in verdict.reasons
        if -0.5 < at < -0.4:
            assert verdict.dq[3] == pytest.approx(0.2)
            assert Reason.LIMIT_SPEED_SCALE not in verdict.reasons
    assert Reason.LIMIT_SINGULARITY in seen


def test_a_whole_arm_among_obstacles_keeps_every_limit() -> None:
    model = arm()
    config = with_body(
        model,
        q_min=(-2.7, -1.7, -2.7, -3.0, -2.7, 0.0, -2.7),
        q_max=(2.7, 1.7, 2.7, -0.1, 2.7, 3.7, 2.7),
        tool_speed_max_m_s=(0.8,),
    )
    generator = random.Random(8)
    seen = Reason(0)
    for _ in range(4):
        robot = Robot(Kernel(config), HOME_RAD)
        geometry = NativeGeometry(model)
        robot.arm()
        goal = list(HOME_RAD)
        for k in range(1500):
            if k % 300 == 0:
                goal = [generator.uniform(*ends) for ends in zip(config.q_min, config.q_max, strict=True)]
            verdict = robot.step(goal if generator.random() > 0.002 else None)
            seen |= verdict.reasons
            geometry.move_to(list(verdict.q))
            world_m, pair_m = geometry.clearance()
            assert min(*world_m, *pair_m) >= CLEARANCE_M - 1e-9
            assert verdict.stop_margin_m <= min(*world_m, *pair_m) + 1e-9
            columns = geometry.tool_columns()
            velocity = [sum(c[k] * v for c, v in zip(columns, verdict.dq, strict=True)) for k in range(3)]
            assert math.hypot(*velocity) <= 0.8 * (1 + 1e-9)
    assert {Reason.LIMIT_GEOMETRY, Reason.LIMIT_TOOL_SPEED} <= {reason for reason in Reason if reason & seen}
