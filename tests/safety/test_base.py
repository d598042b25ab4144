"""A base that drives is kept off planes and zones where its odometry says where it is; its tools keep their limit of
speed in the world."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edge_runtime.safety import AxisKind, BaseAxes, Kernel, KernelConfig, Reason, Request, Result, State, Verdict
from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, Keepout, KinematicJoint, Plane, ToolPoint
from tests.safety.robot import Robot, make_config

TICK_S = 1e-3
RADIUS_M = 0.25
CLEARANCE_M = 0.05
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
WALL = Plane(normal=(-1.0, 0.0, 0.0), offset_m=-2.0)
POST = Keepout(min_m=(1.0, 1.0, -1.0), max_m=(1.0, 1.0, 1.0), radius_m=0.2)


def body(*, tools: tuple[ToolPoint, ...] = (), has_base: bool = True) -> GeometryModel:
    """A ball on wheels with a rod that turns on it."""
    joint = KinematicJoint(name="axis3", rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.3))
    ball = Capsule(name="ball", link=BASE, a_m=(0.0, 0.0, 0.2), b_m=(0.0, 0.0, 0.2), radius_m=RADIUS_M)
    rod = Capsule(name="rod", link="axis3", a_m=(0.0, 0.0, 0.0), b_m=(0.2, 0.0, 0.0), radius_m=0.05)
    return GeometryModel(
        joints=(joint,),
        capsules=(ball, rod),
        pairs=(),
        tools=tools,
        planes=(WALL,),
        keepouts=(POST,),
        axes=("axis0", "axis1", "axis2", "axis3"),
        has_base=has_base,
    )


def mobile(model: GeometryModel | None = None, **changes: Any) -> KernelConfig:
    velocity, n = AxisKind.VELOCITY, 4
    kinds = (velocity, velocity, velocity, AxisKind.BOUNDED)
    return make_config(
        0,
        *kinds,
        **{
            "base_axes": BaseAxes(x=0, y=1, yaw=2),
            "has_odometry": True,
            "clearance_min_m": CLEARANCE_M,
            "geometry": model or body(),
            "tracking_max": (1.0,) * n,
            **changes,
        },
    )


class Mobile(Robot):
    """Drives as it is told; its odometry is what its wheels did, up to `late` ticks ago."""

    def __init__(
        self, config: KernelConfig, place: tuple[float, float, float] = (0.0, 0.0, 0.0), late: int = 0
    ) -> None:
        super().__init__(Kernel(config))
        self.places = [place] * (late + 1)

    @property
    def place(self) -> tuple[float, float, float]:
        return self.places[-1]

    def measurement(self, **changes: object) -> Any:
        stamp_ns = self.now_ns - (len(self.places) - 1) * 1_000_000
        return super().measurement(**{"odometry": self.places[0], "stamp_ns": stamp_ns, **changes})

    def step(self, *args: Any, **changes: Any) -> Verdict:
        verdict = super().step(*args, **changes)
        x, y, yaw = self.place
        drive = verdict.dq if verdict.state.is_armed else (0.0,) * 4
        cosine, sine = math.cos(yaw), math.sin(yaw)
        moved = (
            x + TICK_S * (cosine * drive[0] - sine * drive[1]),
            y + TICK_S * (sine * drive[0] + cosine * drive[1]),
            yaw + TICK_S * drive[2],
        )
        self.places = [*self.places[1:], moved]
        return verdict


def gap_m(place: tuple[float, float, float]) -> float:
    """Of the disc of the ball from the wall and the post."""
    x, y, _ = place
    return min(2.0 - x, math.hypot(x - 1.0, y - 1.0) - POST.radius_m) - RADIUS_M


@pytest.mark.parametrize("late", [0, 6])
@pytest.mark.parametrize(("drive", "yaw"), [((0.8, 0.0, 0.0), 0.0), ((0.6, 0.6, 0.0), 0.0), ((0.7, 0.1, 0.9), 0.4)])
def test_it_stops_in_front_of_what_it_is_kept_off(drive: tuple[float, float, float], yaw: float, late: int) -> None:
    robot = Mobile(mobile(), (0.0, 0.0, yaw), late)
    robot.arm()
    nearest = math.inf
    for _ in range(8000):
        verdict = robot.step([*drive, 0.0])
        nearest = min(nearest, gap_m(robot.place))
    assert nearest >= CLEARANCE_M - 1e-9
    assert verdict.state is State.ACTIVE
    if drive[2] == 0.0:
        assert Reason.LIMIT_GEOMETRY in verdict.reasons
        assert nearest < CLEARANCE_M + 0.1 + (0.8 * 0.007 if late else 0.0)
        # And it may drive away again.
        for _ in range(4000):
            robot.step([-0.5, 0.0, 0.0, 0.0])
        assert robot.place[0] < 0.5


def test_a_turning_base_takes_what_sticks_out_along() -> None:
    """The rod ends 0.25 m from the middle: no more than the ball. A longer one is kept off the wall while it turns."""
    long_rod = Capsule(name="rod", link="axis3", a_m=(0.0, 0.0, 0.0), b_m=(-0.8, 0.0, 0.0), radius_m=0.05)
    model = body()
    robot = Mobile(
        mobile(GeometryModel(**{**_fields(model), "capsules": (model.capsules[0], long_rod)})), (1.3, 0.0, 0.0)
    )
    robot.arm()
    for _ in range(6000):
        verdict = robot.step([0.0, 0.0, 0.8, 0.0])
        tip = robot.place[0] - 0.8 * math.cos(robot.place[2])
        assert tip + 0.05 <= 2.0 - CLEARANCE_M + 1e-9
    assert Reason.LIMIT_GEOMETRY in verdict.reasons
    assert robot.place[2] > 1.5


def _fields(model: GeometryModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in model.__struct_fields__}


@pytest.mark.parametrize("lost", [{"odometry": None}, {"odometry": (0.0, 2e5, 0.0)}])
def test_lost_odometry_stops_it_where_there_is_something_to_keep_off(lost: dict[str, Any]) -> None:
    robot = Mobile(mobile())
    robot.arm()
    for _ in range(500):
        robot.step([0.4, 0.0, 0.0, 0.0])
    verdict = robot.step([0.4, 0.0, 0.0, 0.0], **lost)
    assert verdict.faults == Reason.ODOMETRY_LOST
    assert verdict.state is State.STOPPING
    robot.run_until(State.FAULT)
    assert robot.request(Request.RESET, **lost) is Result.REFUSED_FEEDBACK


def test_without_odometry_it_is_not_armed_and_where_none_is_needed_it_is() -> None:
    robot = Mobile(mobile())
    robot.step(odometry=None)
    assert robot.kernel.state is State.SILENT
    free = GeometryModel(**{**_fields(body()), "planes": (), "keepouts": ()})
    for config in (mobile(free), mobile(has_odometry=False)):
        other = Mobile(config)
        other.step(odometry=None)
        assert other.request(Request.ARM, odometry=None) is Result.DONE
        for _ in range(3000):
            verdict = other.step([0.9, 0.0, 0.0, 0.0], odometry=None)
        assert not verdict.faults
        assert verdict.dq[0] == pytest.approx(0.9)


def test_it_is_not_armed_too_near_to_something() -> None:
    robot = Mobile(mobile(), (2.0 - RADIUS_M - CLEARANCE_M + 0.001, 0.0, 0.0))
    robot.step()
    assert robot.request(Request.ARM) is Result.REFUSED_GEOMETRY
    robot.places = [(2.0 - RADIUS_M - CLEARANCE_M - 0.001, 0.0, 0.0)]
    assert robot.request(Request.ARM) is Result.DONE


def test_the_speed_of_a_tool_counts_in_the_world() -> None:
    tools = (
        ToolPoint(name="hand", link="axis3", point_m=(0.2, 0.0, 0.0)),
        ToolPoint(name="mast", point_m=(0.0, 0.0, 1.0)),
    )
    far = GeometryModel(**{**_fields(body(tools=tools)), "planes": (), "keepouts": ()})
    robot = Mobile(mobile(far, tool_speed_max_m_s=(0.3, 0.6)))
    robot.arm()
    seen = Reason(0)
    for k in range(4000):
        verdict = robot.step([0.5 if k < 2000 else 0.0, 0.0, 0.0, 2e-3 * max(0, k - 2000)])
        seen |= verdict.reasons
        hand = (verdict.dq[0] - 0.2 * math.sin(robot.q[3]) * verdict.dq[3], 0.2 * math.cos(robot.q[3]) * verdict.dq[3])
        assert math.hypot(*hand) <= 0.3 * (1 + 1e-9)
    assert Reason.LIMIT_TOOL_SPEED in seen
    assert robot.kernel.tighten(tool_speed_max_m_s=0.61) is Result.REFUSED_VALUE
    assert robot.kernel.tighten(tool_speed_max_m_s=0.45) is Result.DONE
