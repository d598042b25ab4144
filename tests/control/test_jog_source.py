"""Commands of a person who jogs: short plans, never longer than she is heard, and a typed refusal for anything else."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import DecodeError, Refusal
from edge_runtime.contracts.messages import (
    JOG_SPEED_MAX,
    JOG_VALID_MAX_NS,
    AxisSpeeds,
    AxisTargets,
    AxisUnit,
    JogCommand,
)
from edge_runtime.contracts.topics import JOG, decode, encode
from edge_runtime.control.jog_source import JogSource, Motion
from tests.control.control_process import make_config
from tests.control.perfect_driver import ROBOT

CONFIG = make_config()
NOW_NS = 5_000_000_000
VALID_NS = 200_000_000
AT_REST = Motion(np.array([0.1, -0.2, 0.3, 0.02]), np.zeros(4))


def command(motion: AxisSpeeds | AxisTargets, **changes: object) -> JogCommand:
    fields: dict[str, object] = {
        "session": 7,
        "sequence": 1,
        "stamp_ns": NOW_NS,
        "valid_ns": VALID_NS,
        "joint_digest": CONFIG.joint_digest,
        "motion": motion,
        **changes,
    }
    return JogCommand(**fields)  # type: ignore[arg-type]


SPEED = AxisSpeeds(speeds={"a": 0.2})


@pytest.fixture
def source() -> JogSource:
    one = JogSource(ROBOT, CONFIG)
    one.begin(7)
    return one


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"session": 8}, Refusal.OTHER_SESSION),
        ({"joint_digest": "0" * 64}, Refusal.JOINT_ORDER),
        ({"stamp_ns": NOW_NS + 1}, Refusal.FUTURE),
        ({"stamp_ns": NOW_NS - VALID_NS}, Refusal.STALE),
        ({"motion": AxisSpeeds(speeds={"elbow": 0.1})}, Refusal.UNKNOWN_AXIS),
        ({"motion": AxisTargets(targets={"elbow": 0.1}, speed_scale=0.1)}, Refusal.UNKNOWN_AXIS),
        ({"motion": AxisSpeeds(speeds={"a": 2.0 * JOG_SPEED_MAX + 0.01})}, Refusal.OUT_OF_RANGE),
        ({"motion": AxisTargets(targets={"b": 2.6}, speed_scale=0.1)}, Refusal.OUT_OF_RANGE),
        ({"motion": AxisTargets(targets={"gripper": -0.001}, speed_scale=0.1)}, Refusal.OUT_OF_RANGE),
    ],
)
def test_what_is_not_followed_has_a_name(source: JogSource, changes: dict[str, object], refusal: Refusal) -> None:
    wrong = command(**{"motion": SPEED, **changes})  # type: ignore[arg-type]
    refused = source.take(wrong, NOW_NS)
    assert refused is not None
    assert refused.refusal is refusal
    told = refusal is not Refusal.OTHER_SESSION
    assert (source.refused_sequence == wrong.sequence) is told, "nobody is told of what another one did"
    assert source.take(command(SPEED), NOW_NS) is None, "what was refused has changed nothing"


def test_nobody_is_followed_before_and_after_a_session(source: JogSource) -> None:
    for one in (JogSource(ROBOT, CONFIG), source):
        one.end()
        refused = one.take(command(SPEED, session=0), NOW_NS)
        assert refused is not None
        assert refused.refusal is Refusal.NOT_JOGGING


def test_a_command_counts_once_and_no_older_one_after_it(source: JogSource) -> None:
    assert source.take(command(SPEED, sequence=5), NOW_NS) is None
    for sequence, refusal in ((5, Refusal.DUPLICATE), (4, Refusal.OUT_OF_ORDER)):
        refused = source.take(command(SPEED, sequence=sequence), NOW_NS)
        assert refused is not None
        assert refused.refusal is refusal
    source.begin(7)
    assert source.take(command(SPEED, sequence=4), NOW_NS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"motion": {"type": "AxisSpeeds", "speeds": {"a": math.nan}}},
        {"motion": {"type": "AxisTargets", "targets": {"a": math.inf}, "speed_scale": 0.1}},
        {"motion": {"type": "AxisTargets", "targets": {"a": 0.0}, "speed_scale": math.nan}},
        {"motion": {"type": "AxisTargets", "targets": {"a": 0.0}, "speed_scale": 0.3}},
        {"motion": {"type": "AxisSpeeds", "speeds": {f"joint{i}": 0.0 for i in range(33)}}},
        {"motion": {"type": "AxisSpeeds", "speeds": {"a" * 65: 0.0}}},
        {"motion": {"type": "SomethingElse", "speeds": {}}},
        {"valid_ns": JOG_VALID_MAX_NS + 1},
        {"valid_ns": 0},
        {"stamp_ns": -1},
        {"session": 2**63},
    ],
)
def test_what_is_no_command_is_refused_on_the_bus(changes: dict[str, object]) -> None:
    fields = {**msgspec.to_builtins(command(SPEED)), **changes}
    with pytest.raises(DecodeError):
        decode(JOG, msgspec.msgpack.encode(fields))


def test_a_command_survives_the_bus() -> None:
    for motion in (SPEED, AxisTargets(targets={"gripper": 0.03}, speed_scale=0.25)):
        assert decode(JOG, encode(JOG, command(motion))) == command(motion)


@settings(deadline=None, max_examples=100)
@given(
    age_ns=st.integers(0, VALID_NS - 1),
    valid_ns=st.integers(1, JOG_VALID_MAX_NS),
    speeds=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(-0.5, 0.5), max_size=3),
    start=st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4),
)
def test_no_plan_reaches_further_than_its_command_and_none_is_faster_or_rougher_than_asked(
    age_ns: int, valid_ns: int, speeds: dict[str, float], start: list[float]
) -> None:
    one = JogSource(ROBOT, CONFIG)
    asked = command(AxisSpeeds(speeds=speeds), stamp_ns=NOW_NS - age_ns, valid_ns=valid_ns)
    t_ns, knots = one.plan(asked, Motion(AT_REST.position, np.array([*start[:3], 0.0])), NOW_NS)
    assert t_ns[-1] <= max(NOW_NS, asked.stamp_ns + valid_ns)
    assert (np.diff(t_ns) == 10_000_000).all()
    assert np.allclose(knots[1], AT_REST.position)
    velocity = np.diff(knots, axis=0) / 0.01
    fastest = np.array([max(abs(s), abs(speeds.get(n, 0.0))) for n, s in zip("abc", start[:3], strict=True)])
    assert (np.abs(velocity[:, :3]) <= fastest + 1e-6).all()
    assert (np.abs(np.diff(velocity, axis=0)[:, :3]) <= 0.3 * 10.0 * 0.01 + 1e-6).all()
    assert (knots[:, 3] == AT_REST.position[3]).all(), "nobody asked for the gripper"


@settings(deadline=None, max_examples=30)
@given(target=st.floats(-0.5, 0.2), scale=st.sampled_from([0.05, 0.1, 0.25]), gripper=st.floats(0.0, 0.08))
def test_an_axis_arrives_at_its_target_exactly_and_from_one_side(target: float, scale: float, gripper: float) -> None:
    one = JogSource(ROBOT, CONFIG)
    position, speed, now_ns = AT_REST.position, AT_REST.speed, NOW_NS
    for _ in range(300):
        asked = command(
            AxisTargets(targets={"b": target, "gripper": gripper}, speed_scale=scale),
            stamp_ns=now_ns,
            valid_ns=VALID_NS,
        )
        _, knots = one.plan(asked, Motion(position, speed), now_ns)
        # Overtaken by the next command after three steps, as it is in life.
        position, speed, now_ns = knots[4], (knots[5] - knots[3]) / 0.02, now_ns + 30_000_000
        between = sorted((AT_REST.position[1], target))
        assert between[0] - 1e-4 <= position[1] <= between[1] + 1e-4, "no overshoot"
        if (abs(position[[1, 3]] - [target, gripper]) < 1e-9).all():
            break
    else:
        pytest.fail(f"stands at {position}")


def named(*names: str) -> Embodiment:
    """A robot with axes of these names, of which the last is its gripper."""
    (arm,) = ROBOT.groups
    axes = tuple(msgspec.structs.replace(axis, name=name) for axis, name in zip(arm.axes, names, strict=True))
    return msgspec.structs.replace(ROBOT, groups=(msgspec.structs.replace(arm, axes=axes),))


def test_every_axis_has_its_name_and_unit_and_long_names_become_numbers() -> None:
    for names, called in (
        (("a", "b", "c", "gripper"), ["a", "b", "c", "gripper"]),
        (("a", "gripper", "c", "fingers"), ["a", "gripper", "c", "fingers"]),
        (("a", "b" * 65, "c", "gripper"), ["axis1", "axis2", "axis3", "axis4"]),
    ):
        axes = JogSource(named(*names), CONFIG).axes(np.zeros(4), np.zeros(4))
        assert [axis.name for axis in axes] == called
        assert [axis.unit for axis in axes] == [AxisUnit.RAD] * 3 + [AxisUnit.M]
        assert {axis.group for axis in axes} == {"arm"}
