"""A few looks show what looking at every tick of a stop would show.

The functions are the reference's; `test_reference.py` holds the C ones to them bit for bit."""

from __future__ import annotations

import copy
import math
import random

from edge_runtime.safety import KernelConfig, Reason
from edge_runtime.safety.kinematics import GeometryModel
from edge_runtime.safety.reference.kernel import fastest_tool_m_s
from edge_runtime.safety.reference.profile import ProfileState, StopProfile, stop_profile_at, stop_profile_of
from edge_runtime.safety.reference.structs import CONTINUOUS, Base, Config, is_gripper
from edge_runtime.safety.reference.walk import axis_limits, verify_stop
from tests.safety.geometry_robot import NativeGeometry
from tests.safety.stream import random_config

ENOUGH = 100_000
HAIR = 1e-9


def at_every_tick(limits: KernelConfig, profiles: list[StopProfile | None]) -> tuple[float, list[float]]:
    """Smallest clearance and largest speed of each tool along the stop, its base carried out."""
    assert isinstance(limits.geometry, GeometryModel)
    geometry = NativeGeometry(limits.geometry)
    tick_s = limits.tick_ns * 1e-9
    clearance_m, speeds_m_s = 1e9, [0.0] * len(limits.geometry.tools)
    place = [0.0, 0.0, 0.0]
    for tick in range(max(profile.ticks for profile in profiles if profile) + 1):
        moments = [stop_profile_at(profile, tick, tick_s) if profile else (0.0, 0.0) for profile in profiles]
        drive = [0.0 if i is None else moments[i][1] for i in limits.base_axes]
        if tick > 0:
            cosine, sine = math.cos(place[2]), math.sin(place[2])
            place[0] += (cosine * drive[0] - sine * drive[1]) * tick_s
            place[1] += (sine * drive[0] + cosine * drive[1]) * tick_s
            place[2] += drive[2] * tick_s
        geometry.move_to([q for q, _ in moments], place if limits.needs_odometry else (0.0, 0.0, 0.0))
        world_m, pair_m = geometry.clearance()
        clearance_m = min(clearance_m, *world_m, *pair_m)
        for tool in range(len(speeds_m_s)):
            speed_m_s = math.hypot(*velocity_of(limits.geometry, geometry, tool, drive, [v for _, v in moments]))
            speeds_m_s[tool] = max(speeds_m_s[tool], speed_m_s)
    return clearance_m, speeds_m_s


def velocity_of(
    model: GeometryModel, geometry: NativeGeometry, tool: int, drive: list[float], v: list[float]
) -> list[float]:
    """Of a tool in the world: of its joints, and of the base."""
    names = model.axis_names
    rates = [joint.ratio * v[names.index(joint.axis_name)] for joint in model.joints]
    columns = geometry.tool_columns(tool)
    velocity = [sum(c[k] * rate for c, rate in zip(columns, rates, strict=True)) for k in range(3)]
    turns, origins = geometry.pose()
    base_turn, base_origin = geometry.base()
    link, point = model.tools[tool].link, model.tools[tool].point_m
    number = None if link is None else [joint.name for joint in model.joints].index(link)
    turn, origin = (base_turn, base_origin) if number is None else (turns[number], origins[number])
    at = [origin[k] + sum(turn[3 * k + i] * point[i] for i in range(3)) - base_origin[k] for k in range(3)]
    for k in range(3):
        velocity[k] += base_turn[3 * k] * drive[0] + base_turn[3 * k + 1] * drive[1]
    velocity[0] -= drive[2] * at[1]
    velocity[1] += drive[2] * at[0]
    return velocity


def random_joints(generator: random.Random, config: Config, vigour: float) -> list[ProfileState]:
    """Any motion inside the limits, at up to that part of them."""
    low = [-3.0 if config.axis_kind[i] == CONTINUOUS else config.q_min[i] for i in range(config.n_axes)]
    high = [3.0 if config.axis_kind[i] == CONTINUOUS else config.q_max[i] for i in range(config.n_axes)]
    return [
        ProfileState(
            low[i] + generator.uniform(0.2, 0.8) * (high[i] - low[i]),
            generator.uniform(-vigour, vigour) * config.dq_max[i],
            generator.uniform(-vigour, vigour) * config.ddq_max[i],
        )
        for i in range(config.n_axes)
    ]


def test_few_looks_are_as_good_as_all() -> None:
    generator = random.Random(12)
    answers: dict[Reason, int] = {}
    fewest = 0
    for _ in range(25):
        limits = random_config(generator, body=True)
        config = Config.of(limits.to_native())
        for _ in range(16):
            joints = random_joints(generator, config, generator.choice((0.05, 0.3, 0.9)))
            profiles = [
                None if is_gripper(config, i) else stop_profile_of(joint, axis_limits(config, i))
                for i, joint in enumerate(joints)
            ]
            if not any(profiles):
                continue
            fastest_m_s = fastest_tool_m_s(config) * generator.choice((1.0, 5.0))
            base = Base(told=[0.0 if i < 0 else joints[i].q for i in config.base_axis])
            reasons, left, stop = verify_stop(config, fastest_m_s, base, joints, ENOUGH)
            answers[reasons] = answers.get(reasons, 0) + 1
            if reasons & Reason.LIMIT_BRAKING:
                continue
            clearance_m, speeds_m_s = at_every_tick(limits, profiles)
            room_m_s = [
                min(most, fastest_m_s) - speed
                for most, speed in zip(config.tool_speed_max_m_s, speeds_m_s, strict=False)
            ]
            far = clearance_m - config.clearance_min_m
            if not reasons:
                assert far >= -HAIR
                assert min(room_m_s, default=0.0) >= -HAIR
                fewest += ENOUGH - left < stop.ticks // 2
            elif reasons == Reason.LIMIT_GEOMETRY:
                assert stop.margin_m < config.clearance_min_m
            else:
                assert min(room_m_s) < HAIR
            # What a base may go is counted whichever way it goes: there it may be further off than is told.
            if limits.needs_odometry:
                continue
            if not reasons:
                assert stop.margin_m >= clearance_m - HAIR
            elif reasons == Reason.LIMIT_GEOMETRY:
                assert far < HAIR
    # Worth something only if each answer came up, and if the looks were few.
    assert {Reason(0), Reason.LIMIT_GEOMETRY, Reason.LIMIT_TOOL_SPEED, Reason.LIMIT_BRAKING} <= set(answers)
    assert fewest > answers[Reason(0)] // 2


def test_without_looks_nothing_is_shown() -> None:
    generator = random.Random(13)
    config = Config.of(random_config(generator, body=True).to_native())
    middle = [ProfileState((a + b) / 2, 0.0, 0.0) for a, b in zip(config.q_min, config.q_max, strict=True)]
    assert verify_stop(config, 1.0, Base(), middle, 0)[:2] == (Reason.LIMIT_GEOMETRY, 0)


def test_pairs_that_are_passed_over_would_have_changed_nothing() -> None:
    """With balls around the capsules that show nothing, every pair is measured: the answer is the same."""
    generator = random.Random(14)
    looked = measured = 0
    for _ in range(60):
        config = Config.of(random_config(generator, body=True).to_native())
        blind = copy.deepcopy(config)
        blind.geometry.ball_m = [1e3] * len(config.geometry.ball_m)
        for _ in range(8):
            joints = random_joints(generator, config, generator.choice((0.05, 0.3, 0.9)))
            reasons, left, stop = verify_stop(config, config.tool_speed_max_m_s[0], Base(), joints, ENOUGH)
            wanted, blind_left, blind_stop = verify_stop(blind, config.tool_speed_max_m_s[0], Base(), joints, ENOUGH)
            assert (reasons, left) == (wanted, blind_left)
            assert blind_stop.measured == blind_stop.looked
            assert stop.looked >= blind_stop.looked
            if reasons == Reason.LIMIT_GEOMETRY:
                assert stop.margin_m == blind_stop.margin_m
            looked += stop.looked
            measured += stop.measured
    assert measured < 0.7 * looked
