"""A few looks show what looking at every tick of a stop would show.

The functions are the reference's; `test_reference.py` holds the C ones to them bit for bit."""

from __future__ import annotations

import copy
import math
import random

from edge_runtime.safety import KernelConfig, Reason
from edge_runtime.safety.reference.profile import ProfileState, StopProfile, stop_profile_at, stop_profile_of
from edge_runtime.safety.reference.structs import Config
from edge_runtime.safety.reference.walk import joint_limits, verify_stop
from tests.safety.geometry_robot import NativeGeometry
from tests.safety.stream import random_config

ENOUGH = 100_000
HAIR = 1e-9


def at_every_tick(limits: KernelConfig, profiles: list[StopProfile]) -> tuple[float, float]:
    """Smallest clearance and largest tool speed along the stop."""
    assert limits.geometry is not None
    geometry = NativeGeometry(limits.geometry)  # type: ignore[arg-type]
    clearance_m, speed_m_s = 1e9, 0.0
    for tick in range(max(profile.ticks for profile in profiles) + 1):
        moments = [stop_profile_at(profile, tick, limits.tick_ns * 1e-9) for profile in profiles]
        geometry.move_to([q for q, _ in moments])
        world_m, pair_m = geometry.clearance()
        clearance_m = min(clearance_m, *world_m, *pair_m)
        columns = geometry.tool_columns()
        velocity = [sum(c[k] * v for c, (_, v) in zip(columns, moments, strict=True)) for k in range(3)]
        speed_m_s = max(speed_m_s, math.hypot(*velocity))
    return clearance_m, speed_m_s


def random_joints(generator: random.Random, config: Config, vigour: float) -> list[ProfileState]:
    """Any motion inside the limits, at up to that part of them."""
    return [
        ProfileState(
            config.q_min[i] + generator.uniform(0.2, 0.8) * (config.q_max[i] - config.q_min[i]),
            generator.uniform(-vigour, vigour) * config.dq_max[i],
            generator.uniform(-vigour, vigour) * config.ddq_max[i],
        )
        for i in range(config.n_joints)
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
            profiles = [stop_profile_of(joint, joint_limits(config, i)) for i, joint in enumerate(joints)]
            tool_speed_max_m_s = config.tool_speed_max_m_s * generator.choice((1.0, 5.0))
            reasons, left, stop = verify_stop(config, tool_speed_max_m_s, joints, ENOUGH)
            answers[reasons] = answers.get(reasons, 0) + 1
            if reasons & Reason.LIMIT_BRAKING:
                continue
            clearance_m, speed_m_s = at_every_tick(limits, profiles)
            far = clearance_m - config.clearance_min_m
            if not reasons:
                assert far >= -HAIR
                assert speed_m_s <= tool_speed_max_m_s * (1.0 + HAIR)
                assert stop.margin_m >= clearance_m - HAIR
                fewest += ENOUGH - left < stop.ticks // 2
            elif reasons == Reason.LIMIT_GEOMETRY:
                assert far < HAIR
                assert stop.margin_m < config.clearance_min_m
            else:
                assert speed_m_s > tool_speed_max_m_s * (1.0 - HAIR)
    # Worth something only if each answer came up, and if the looks were few.
    assert {Reason(0), Reason.LIMIT_GEOMETRY, Reason.LIMIT_TOOL_SPEED, Reason.LIMIT_BRAKING} <= set(answers)
    assert fewest > answers[Reason(0)] // 2


def test_without_looks_nothing_is_shown() -> None:
    generator = random.Random(13)
    config = Config.of(random_config(generator, body=True).to_native())
    middle = [ProfileState((a + b) / 2, 0.0, 0.0) for a, b in zip(config.q_min, config.q_max, strict=True)]
    assert verify_stop(config, 1.0, middle, 0)[:2] == (Reason.LIMIT_GEOMETRY, 0)


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
            reasons, left, stop = verify_stop(config, config.tool_speed_max_m_s, joints, ENOUGH)
            wanted, blind_left, blind_stop = verify_stop(blind, config.tool_speed_max_m_s, joints, ENOUGH)
            assert (reasons, left) == (wanted, blind_left)
            assert blind_stop.measured == blind_stop.looked
            assert stop.looked >= blind_stop.looked
            if reasons == Reason.LIMIT_GEOMETRY:
                assert stop.margin_m == blind_stop.margin_m
            looked += stop.looked
            measured += stop.measured
    assert measured < 0.7 * looked
