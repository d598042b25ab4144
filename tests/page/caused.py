"""Each reason of the safety kernel, caused in the real kernel: by what a driver, a policy or a machine can do to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from edge_runtime.contracts.messages import KernelReason
from edge_runtime.safety import AxisKind, Kernel, Policy, Reason, Request, Result, Verdict
from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, KinematicJoint, Plane, ToolPoint
from edge_runtime.safety.limits import BaseAxes
from tests.safety.geometry_robot import HOME_RAD, UPRIGHT, arm
from tests.safety.robot import Robot, make_config

Cause = Callable[[], Iterator[Verdict]]
_WALL = Plane(normal=(0.0, -1.0, 0.0), offset_m=-0.8)
"""Allowed is y <= 0.8."""
_TICKS = 6000


def _moving(**limits: Any) -> Robot:
    """A robot at work: its first joint at 1 rad/s, with a setpoint for every tick."""
    robot = Robot(Kernel(make_config(**limits)))
    robot.arm()
    for k in range(250):
        robot.step([robot.q[0] + min(1.0, 0.009 * k) * 1e-3, *robot.q[1:]])
    return robot


def _setpoint(**change: Any) -> Cause:
    """A setpoint that is not what it should be; numbers of stamps are added to the good ones."""

    def cause() -> Iterator[Verdict]:
        robot = _moving(step_max=(1.0, 1.0))
        good = robot.target([robot.q[0] + 1e-3, robot.q[1]])
        added = ("stamp_ns", "observation_ns", "seq")
        yield robot.step(replace(good, **{k: getattr(good, k) + v if k in added else v for k, v in change.items()}))

    return cause


def _feedback(limits: dict[str, Any] | None = None, ticks: int = 1, **change: Any) -> Cause:
    """Feedback that is not what it should be, for so many ticks."""

    def cause() -> Iterator[Verdict]:
        robot = _moving(**(limits or {}))
        for _ in range(ticks):
            yield robot.step([robot.q[0] + 1e-3, robot.q[1]], **change)

    return cause


def _asked(*q: float, **limits: Any) -> Cause:
    """A goal that is far, for as long as it takes."""

    def cause() -> Iterator[Verdict]:
        robot = Robot(Kernel(make_config(**limits)))
        robot.arm()
        for _ in range(_TICKS):
            yield robot.step(q)

    return cause


def _without_a_plan(**limits: Any) -> Cause:
    def cause() -> Iterator[Verdict]:
        robot = _moving(**limits)
        for _ in range(_TICKS):
            yield robot.step()

    return cause


def _policy(policy: Policy) -> Cause:
    def cause() -> Iterator[Verdict]:
        robot = _moving()
        lost_ns = robot.now_ns
        for _ in range(_TICKS):
            goal = [robot.q[0] + 1e-4, robot.q[1]]
            yield robot.step(robot.target(goal, policy=policy, policy_lost_ns=lost_ns))

    return cause


def _stuck_encoder() -> Iterator[Verdict]:
    robot = _moving(frozen_travel=(0.02, 0.02))
    stuck = tuple(robot.q)
    for _ in range(100):
        yield robot.step([robot.q[0] + 1e-3, robot.q[1]], q=stuck)


def _slowed() -> Iterator[Verdict]:
    robot = _moving()
    robot.kernel.tighten(speed_scale=0.2)
    for _ in range(200):
        yield robot.step([robot.q[0] + 1e-3, robot.q[1]])


def _stopped() -> Iterator[Verdict]:
    robot = _moving()
    robot.request(Request.STOP)
    yield robot.step()


def _broken_memory() -> Iterator[Verdict]:
    robot = _moving()
    robot.kernel._state.state = 99  # type: ignore[union-attr]
    robot.request(Request.STOP)
    yield robot.step()


def _gripper(closing: bool, **limits: Any) -> Robot:
    robot = Robot(Kernel(make_config(1, AxisKind.GRIPPER, **limits)), [0.0, 0.08 if closing else 0.0])
    robot.arm()
    return robot


def _fast_gripper() -> Iterator[Verdict]:
    robot = _gripper(closing=False)
    for _ in range(20):
        yield robot.step([0.0, 0.08])


def _held_gripper() -> Iterator[Verdict]:
    robot = _gripper(closing=True, jam_ticks=50)
    for _ in range(_TICKS):
        yield robot.step([0.0, 0.0], q=(0.0, 0.06), dq=(0.0, 0.0))


def _strong_gripper() -> Iterator[Verdict]:
    robot = _gripper(closing=True, tau_max=(1e6, 20.0))
    for _ in range(_TICKS):
        yield robot.step([0.0, 0.0], q=(0.0, robot.q[1]), tau=(0.0, 30.0))


def _braked() -> Iterator[Verdict]:
    robot = _moving()
    for _ in range(_TICKS):
        yield robot.step([min(2.5, robot.q[0] + 2e-3), robot.q[1]])


def a_lever(planes: tuple[Plane, ...] = (), **changes: Any) -> GeometryModel:
    """One joint at the origin that turns a rod of one metre about z; the tool is its end."""
    turns = KinematicJoint(name="axis0", parent=BASE, rotation=UPRIGHT, offset_m=(0.0, 0.0, 0.0))
    ends: dict[str, Any] = {"a_m": (0.0, 0.0, 0.0), "b_m": (1.0, 0.0, 0.0), "radius_m": 0.05, "in_world": True}
    fields: dict[str, Any] = {
        "joints": (turns,),
        "capsules": (Capsule(name="rod", link="axis0", **ends),),
        "pairs": (),
        "tools": (ToolPoint(link="axis0", point_m=(1.0, 0.0, 0.0)),),
        "planes": planes,
    }
    return GeometryModel(**{**fields, **changes})


def _near_a_wall() -> Iterator[Verdict]:
    robot = Robot(Kernel(make_config(1, geometry=a_lever((_WALL,)), clearance_min_m=0.01)))
    robot.arm()
    for _ in range(_TICKS):
        yield robot.step([2.0])


def _fast_tool() -> Iterator[Verdict]:
    robot = Robot(Kernel(make_config(1, geometry=a_lever(), tool_speed_max_m_s=(0.25,))), [-2.4])
    robot.arm()
    for _ in range(_TICKS):
        yield robot.step([2.4])


def _stretched_arm() -> Iterator[Verdict]:
    model = arm(in_a_box=False)
    limits: dict[str, Any] = {"manipulability_slow_below": 0.2, "manipulability_stop_below": 0.001}
    config = make_config(7, geometry=model, axis_names=model.axis_names, clearance_min_m=0.01, **limits)
    robot = Robot(Kernel(replace(config, q_min=(-2.9,) * 7, q_max=(2.9,) * 7)), HOME_RAD)
    robot.arm()
    for _ in range(_TICKS):
        yield robot.step([*HOME_RAD[:3], -0.3, *HOME_RAD[4:]])


def _lost_odometry() -> Iterator[Verdict]:
    names = ("axis0", "axis1")
    base: dict[str, Any] = {"base_axes": BaseAxes(x=1), "has_odometry": True, "clearance_min_m": 0.01}
    config = make_config(1, AxisKind.VELOCITY, geometry=a_lever((_WALL,), axes=names, has_base=True), **base)
    robot = Robot(Kernel(config))
    place = {"odometry": (0.0, -2.0, 0.0)}
    robot.step(**place)
    assert robot.request(Request.ARM, **place) is Result.DONE
    for _ in range(5):
        yield robot.step([0.0, 0.0], **place)
    for _ in range(200):
        yield robot.step([0.0, 0.0])


CAUSES: dict[KernelReason, Cause] = {
    KernelReason.OPERATOR_STOP: _stopped,
    KernelReason.STOP_LINE: _feedback(stop_line=True),
    KernelReason.DRIVER_FAULT: _feedback(driver_fault=True),
    KernelReason.SETPOINT_SHAPE: _setpoint(n=3),
    KernelReason.SETPOINT_NOT_FINITE: _setpoint(q=(math.nan, 0.0)),
    KernelReason.SETPOINT_STALE: _setpoint(stamp_ns=-50_000_000),
    KernelReason.SETPOINT_FUTURE: _setpoint(stamp_ns=50_000_000),
    KernelReason.SETPOINT_SEQUENCE: _setpoint(seq=-1),
    KernelReason.SETPOINT_SKIPPED: _setpoint(seq=1),
    KernelReason.OBSERVATION_STALE: _setpoint(observation_ns=-3_000_000_000),
    KernelReason.SETPOINT_STEP: _setpoint(q=(2.0, 0.0)),
    KernelReason.POLICY_LOST: _policy(Policy.DEAD),
    KernelReason.POLICY_DEAD: _policy(Policy.DEAD),
    KernelReason.POLICY_STALLED: _policy(Policy.STALLED),
    KernelReason.POLICY_STUCK: _policy(Policy.STUCK),
    KernelReason.LIMIT_POSITION: _asked(3.5, 0.0),
    KernelReason.LIMIT_BRAKING: _braked,
    KernelReason.LIMIT_VELOCITY: _asked(2.0, 0.0),
    KernelReason.LIMIT_ACCELERATION: _asked(2.0, 0.0),
    KernelReason.LIMIT_JERK: _asked(2.0, 0.0),
    KernelReason.LIMIT_GEOMETRY: _near_a_wall,
    KernelReason.LIMIT_TOOL_SPEED: _fast_tool,
    KernelReason.LIMIT_SPEED_SCALE: _slowed,
    KernelReason.LIMIT_SINGULARITY: _stretched_arm,
    KernelReason.LIMIT_GRIPPER: _fast_gripper,
    KernelReason.GRIPPER_JAMMED: _held_gripper,
    KernelReason.GRIPPER_FORCE: _strong_gripper,
    KernelReason.FEEDBACK_SHAPE: _feedback(n=3),
    KernelReason.FEEDBACK_NOT_FINITE: _feedback(q=(math.nan, 0.0)),
    KernelReason.FEEDBACK_STALE: _feedback(ticks=40, present=False),
    KernelReason.FEEDBACK_FUTURE: _feedback(stamp_ns=10**15),
    KernelReason.FEEDBACK_SEQUENCE: _feedback(seq=0),
    KernelReason.TRACKING_ERROR: _feedback(q=(0.0, 0.3)),
    KernelReason.ENCODER_FROZEN: _stuck_encoder,
    KernelReason.TORQUE: _feedback({"tau_max": (20.0, 20.0)}, 20, tau=(0.0, 30.0)),
    KernelReason.FORCE: _feedback(
        {"force_max_n": (30.0, 30.0, 30.0, 30.0)}, 20, wrenches=((99.0, 0.0, 0.0, 0.0, 0.0, 0.0),)
    ),
    KernelReason.CLOCK_BACKWARD: _feedback(after_ns=0),
    KernelReason.CLOCK_GAP: _feedback(after_ns=101_000_000),
    KernelReason.HOLD_TIMEOUT: _without_a_plan(hold_timeout_ns=50_000_000),
    KernelReason.RETRACT_TIMEOUT: _without_a_plan(
        retract=(-2.3, 2.4), hold_timeout_ns=50_000_000, retract_timeout_ns=50_000_000
    ),
    KernelReason.ODOMETRY_LOST: _lost_odometry,
    KernelReason.INTERNAL: _broken_memory,
}
"""By reason, the stops of a person and of the line first. SETPOINT_NONE and FEEDBACK_TORN are part of ordinary work."""


def verdict_of(reason: KernelReason) -> Verdict:
    """The first verdict of the kernel that names `reason`, caused anew.

    Raises:
        AssertionError: what should cause it does not.
    """
    flag = Reason[reason.name]
    for verdict in CAUSES[reason]():
        if flag in verdict.reasons | verdict.faults:
            return verdict
    raise AssertionError(f"{reason} was not caused")
