"""Policies of other kinds than the shipped one load, run and are held to their golden pairs, or are refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edge_runtime
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.errors import BundleError, HandshakeError
from edge_runtime.contracts.manifest import (
    BaseVelocity,
    EndEffectorMotion,
    Held,
    JointPositions,
    Padding,
    Quantiles,
    Unscaled,
    read_manifest,
    verify_bundle,
)
from edge_runtime.contracts.messages import ActionChunk, FrameRef, Observation, OperatorCommand, OperatorKind
from edge_runtime.contracts.topics import ACTION_CHUNK, decode, encode
from edge_runtime.control.chunk_buffer import ChunkBuffer, Offer, Posture
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.golden import check
from edge_runtime.engine.planner import Planner
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.frames import FrameRing, ring_name
from edge_runtime.policies.golden import observation_of
from tests.engine.test_planner import HandClock
from tests.other_families import (
    CAMERA_PX,
    CAMERAS,
    DT_NS,
    HORIZON,
    ORDER,
    one_eyed_bundle,
    regression_bundle,
    regression_contract,
    regression_plan,
    two_armed,
)

GREYS = (60, 120, 180)


@pytest.fixture(scope="module")
def robot() -> Embodiment:
    return two_armed()


@pytest.fixture
def rings(tmp_path: Path) -> Iterator[dict[str, FrameRing]]:
    rings = {name: FrameRing.create(ring_name(tmp_path, name), name, *CAMERA_PX) for name in CAMERAS}
    yield rings
    for ring in rings.values():
        ring.close()


def observe(robot: Embodiment, rings: dict[str, FrameRing], exposure_ns: int, sequence: int = 0) -> Observation:
    frames: list[FrameRef] = []
    for grey, ring in zip(GREYS, rings.values(), strict=True):
        ring.slot()[:] = grey
        frames.append(ring.commit(exposure_ns))
    return Observation(
        sequence=sequence,
        exposure_ns=exposure_ns,
        published_ns=exposure_ns,
        joint_digest=robot.joint_digest,
        position=(*robot.home[:-1], 0.04),
        velocity=(0.0,) * len(robot.axes),
        frames=tuple(frames),
    )


def test_a_regression_head_without_words_answers_what_it_was_trained_to(
    tmp_path: Path, robot: Embodiment, rings: dict[str, FrameRing]
) -> None:
    policy = BundlePolicy.load(regression_bundle(tmp_path / "bundle"), robot, threads=1)
    assert (policy.horizon, policy.cameras, policy.reads_instructions) == (HORIZON, CAMERAS, False)
    actions = policy.infer(observe(robot, rings, 1), "", 0)
    expected = regression_plan(GREYS, np.array((*robot.home[:-1], 0.04)))
    np.testing.assert_allclose(actions.position[:, :-1], expected[:, :-1], atol=1e-5)
    np.testing.assert_allclose(actions.position[:, -1], expected[:, -1], atol=1e-6)


def test_its_golden_pairs_match_and_a_bundle_with_two_cameras_exchanged_differs(
    tmp_path: Path, robot: Embodiment
) -> None:
    report = check(regression_bundle(tmp_path / "bundle"), robot, threads=1)
    assert (report.verdict, report.cases) == ("matched", 3)
    inputs = regression_contract(robot).inputs
    first, second, third = inputs.cameras
    swapped = (
        msgspec.structs.replace(first, tensor=second.tensor),
        msgspec.structs.replace(second, tensor=first.tensor),
        third,
    )
    other = regression_bundle(tmp_path / "other", inputs=msgspec.structs.replace(inputs, cameras=swapped))
    assert check(other, robot, threads=1).verdict == "differs"


def test_it_acts_without_an_instruction_and_its_chunk_of_a_hundred_becomes_a_plan(
    tmp_path: Path, robot: Embodiment, rings: dict[str, FrameRing]
) -> None:
    clock = HandClock()
    policy = BundlePolicy.load(regression_bundle(tmp_path / "bundle"), robot, threads=1)
    planner = Planner(policy, robot, clock, replan_interval_ns=0, refusals=Refusals())
    chunk = planner.answer([observe(robot, rings, clock.time_ns)])
    assert chunk is not None
    received = decode(ACTION_CHUNK, encode(ACTION_CHUNK, chunk))
    assert isinstance(received, ActionChunk)
    assert len(received.position) == HORIZON
    buffer = ChunkBuffer(robot, blend_ns=200_000_000, max_age_ns=10**9, reach_ns=3 * 10**9)
    offer = buffer.offer(received, clock.time_ns + 1, Posture(np.array((*robot.home[:-1], 0.04))))
    assert isinstance(offer, Offer)
    assert offer.plan.t_ns[-1] == clock.time_ns + HORIZON * DT_NS


def test_who_instructs_it_is_told_that_it_follows_none_and_it_goes_on(
    tmp_path: Path, robot: Embodiment, rings: dict[str, FrameRing]
) -> None:
    clock = HandClock()
    policy = BundlePolicy.load(regression_bundle(tmp_path / "bundle"), robot, threads=1)
    planner = Planner(policy, robot, clock, replan_interval_ns=0, refusals=Refusals())
    assert planner.status().answer is InstructionAnswer.READS_NONE
    command = OperatorCommand(id=5, kind=OperatorKind.INSTRUCT, stamp_ns=0, instruction="touch the red cube")
    assert planner.instruct(command)
    status = planner.status()
    assert (status.instruction_id, status.answer, status.instruction) == (5, InstructionAnswer.READS_NONE, "")
    assert "as soon as the robot is armed" in status.detail
    assert planner.answer([observe(robot, rings, clock.time_ns)]) is not None


def without(groups: Any, kind: type) -> tuple[Any, ...]:
    return tuple(group for group in groups if not isinstance(group, kind))


MISFITS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "the end effector's motion": (
        lambda groups: (
            EndEffectorMotion(relative_to="previous", frame="base", rotation="rotation_vector", statistics=Unscaled()),
            *without(groups, JointPositions),
            Held(joints=ORDER, gripper=False),
        ),
        "policy.outputs.groups",
        "no inverse kinematics",
    ),
    "a mobile base": (
        lambda groups: (*groups, BaseVelocity(axes=("x", "yaw"), statistics=Unscaled())),
        "policy.outputs.groups",
        "no mobile base",
    ),
    "a joint that nothing moves": (
        lambda groups: (msgspec.structs.replace(groups[0], joints=ORDER[:-1], statistics=Unscaled()), groups[1]),
        "policy.outputs.groups",
        "right_joint6 in 0 groups",
    ),
    "a joint that two groups move": (
        lambda groups: (*groups, Held(joints=("left_finger",), gripper=False)),
        "policy.outputs.groups",
        "left_finger in 2 groups",
    ),
    "a gripper that nothing moves": (
        lambda groups: groups[:1],
        "policy.outputs.groups",
        "the gripper in 0 groups",
    ),
    "a joint of another robot": (
        lambda groups: (msgspec.structs.replace(groups[0], joints=(*ORDER[:-1], "elbow")), groups[1]),
        "policy.outputs.groups",
        "elbow",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_outputs_that_a_robot_does_not_have_are_refused_by_name(tmp_path: Path, robot: Embodiment, name: str) -> None:
    change, field, words = MISFITS[name]
    outputs = regression_contract(robot).outputs
    altered = msgspec.structs.replace(outputs, groups=change(outputs.groups))
    folder = regression_bundle(tmp_path / "bundle", outputs=altered)
    with pytest.raises(HandshakeError, match=words) as caught:
        read_manifest(folder).require_fit(robot)
    assert caught.value.field == field


def test_a_robot_with_another_order_or_without_a_camera_is_no_robot_of_its(tmp_path: Path, robot: Embodiment) -> None:
    manifest = read_manifest(regression_bundle(tmp_path / "bundle"))
    arm = robot.groups[0]
    backwards = msgspec.structs.replace(arm, axes=(*arm.axes[-2::-1], arm.axes[-1]))
    turned = msgspec.structs.replace(robot, groups=(backwards,))
    with pytest.raises(HandshakeError, match=r"policy\.joint_names"):
        manifest.require_fit(turned)
    blind = msgspec.structs.replace(robot, cameras=robot.cameras[1:])
    with pytest.raises(HandshakeError, match=r"policy\.inputs\.cameras\.camera: .*'high'"):
        manifest.require_fit(blind)


REQUIRED = {
    "inputs.cameras.0": ("resize", "interpolation", "antialias", "colours", "layout", "scale", "tensor", "width_px"),
    "inputs.state.groups.0": ("joints", "statistics"),
    "inputs.state.groups.1": ("unit", "statistics"),
    "outputs": ("horizon", "action_dt_ns", "trained_delay", "groups"),
    "outputs.groups.0": ("joints", "relative_to", "statistics"),
    "outputs.groups.1": ("unit", "statistics"),
    "decoder": ("kind", "actions"),
    "graphs.0": ("role", "path"),
}


@pytest.mark.parametrize(("place", "key"), [(place, key) for place, keys in REQUIRED.items() for key in keys])
def test_what_a_manifest_does_not_say_is_refused_by_name(tmp_path: Path, place: str, key: str) -> None:
    folder = regression_bundle(tmp_path / "bundle")
    raw = json.loads((folder / "manifest.json").read_text())
    part = raw["policy"]
    for step in place.split("."):
        part = part[int(step) if step.isdigit() else step]
    del part[key]
    (folder / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(BundleError, match=rf"required field `{key}`"):
        read_manifest(folder)


def test_a_graph_of_another_width_names_the_tensor(tmp_path: Path, robot: Embodiment) -> None:
    outputs = regression_contract(robot).outputs
    wider = msgspec.structs.replace(outputs, groups=(*outputs.groups, Padding(width=2)))
    with pytest.raises(BundleError, match=r"policy\.onnx: tensor action: .*100, 16.*100, 14"):
        BundlePolicy.load(regression_bundle(tmp_path / "bundle", outputs=wider), robot, threads=1)


def test_a_dimension_that_never_moved_is_named(tmp_path: Path, robot: Embodiment) -> None:
    outputs = regression_contract(robot).outputs
    still = Quantiles(low=(-1.0,) * 12 + (0.2,), high=(1.0,) * 12 + (0.2 + 1e-9,), clip=True)
    groups = (msgspec.structs.replace(outputs.groups[0], statistics=still), outputs.groups[1])
    folder = regression_bundle(tmp_path / "bundle", outputs=msgspec.structs.replace(outputs, groups=groups))
    with pytest.raises(BundleError, match=r"outputs\.groups\[0\]\.statistics: half the range of right_joint6 is 5e-10"):
        verify_bundle(folder)


def test_a_camera_that_the_robot_does_not_have_is_black_and_masked(tmp_path: Path, robot: Embodiment) -> None:
    policy = BundlePolicy.load(one_eyed_bundle(tmp_path / "bundle", robot), robot, threads=1)
    assert policy.cameras == ("high",)
    picture = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), 50, dtype=np.uint8)
    observation = observation_of(robot, np.array((*robot.home[:-1], 0.04)))
    asked = policy.answer_pictures(observation, {"high": picture}, "")
    np.testing.assert_allclose(asked[:, :-1], 0.1 + 0.05, atol=1e-6)
    np.testing.assert_array_equal(asked[:, -1], 0.04)


def test_nothing_on_the_robot_asks_which_family_a_policy_is_of() -> None:
    package = Path(edge_runtime.__file__).parent
    sources = [path for room in ("engine", "control", "policies", "ipc") for path in (package / room).rglob("*.py")]
    assert len(sources) > 40
    asking = [path.name for path in sources if re.search(r"\.family\b|chunk_regression|pocket_vla", path.read_text())]
    assert asking == []
