"""Policies that look back, and that were trained for a delay: what they are fed, what comes of it, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, Refusal
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import ActionSteps, Offsets, blob_of, read_manifest, write_manifest
from edge_runtime.contracts.messages import (
    ActionChunk,
    ChunkReceipt,
    FrameRef,
    Observation,
    OperatorCommand,
    OperatorKind,
)
from edge_runtime.contracts.topics import OBSERVATION
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.golden import check
from edge_runtime.engine.planner import Planner
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.frames import SLOTS, FrameRing, ring_name
from export_tools.check import check_bundle
from tests.engine.test_planner import HandClock
from tests.other_families import CAMERA_PX, two_armed
from tests.past_families import (
    DT_NS,
    HORIZON,
    TOLD,
    delayed_bundle,
    delayed_plan,
    diffusion_bundle,
    diffusion_plan,
)

CAMERA = "high"
FRAME_NS = 50_000_000
OPENING_M = 0.04


@pytest.fixture(scope="module")
def robot() -> Embodiment:
    return two_armed()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[FrameRing]:
    with FrameRing.create(ring_name(tmp_path, CAMERA), CAMERA, *CAMERA_PX) as ring:
        yield ring


class Robot:
    """A robot that moves on by a thousandth of a radian a frame, in ever brighter light."""

    def __init__(self, robot: Embodiment, policy: BundlePolicy, ring: FrameRing | None = None) -> None:
        self.embodiment, self.ring, self.clock, self.refusals = robot, ring, HandClock(), Refusals()
        self.planner = Planner(policy, robot, self.clock, replan_interval_ns=0, refusals=self.refusals)
        self.sequence = 0

    def state(self, sequence: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array((*(np.array(self.embodiment.home[:-1]) + 0.001 * sequence), OPENING_M))

    def observe(self, after_ns: int = FRAME_NS) -> Observation:
        self.clock.time_ns += after_ns
        self.sequence += 1
        frames: tuple[FrameRef, ...] = ()
        if self.ring is not None:
            self.ring.slot()[:] = grey_of(self.sequence)
            frames = (self.ring.commit(self.clock.time_ns),)
        position = tuple(self.state(self.sequence).tolist())
        return Observation(
            sequence=self.sequence,
            exposure_ns=self.clock.time_ns,
            published_ns=self.clock.time_ns,
            joint_digest=self.embodiment.joint_digest,
            position=position,
            velocity=(0.0,) * len(position),
            frames=frames,
        )

    def answer(self, *observations: Observation) -> ActionChunk | None:
        return self.planner.answer(observations or (self.observe(),))

    def expected(self, oldest: int, newest: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        states = np.stack((self.state(oldest), self.state(newest)))
        return diffusion_plan(states, (grey_of(oldest), grey_of(newest)))


def grey_of(sequence: int) -> int:
    return 40 + 3 * sequence


def rows(chunk: ActionChunk | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    assert chunk is not None
    return np.array(chunk.position)


# ---- looking back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["time", "features"])
def test_an_observation_is_fed_with_the_one_an_action_before(
    tmp_path: Path, robot: Embodiment, ring: FrameRing, axis: str
) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA, axis=axis), robot, threads=1)
    bench = Robot(robot, policy, ring)
    # Before the first there is nothing: the contract says that it is repeated.
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(1, 1), atol=1e-5)
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(1, 2), atol=1e-5)
    for newest in range(3, 9):
        # Two frames are one action's time.
        np.testing.assert_allclose(rows(bench.answer()), bench.expected(newest - 2, newest), atol=1e-5)


def test_given_offsets_are_those_that_are_looked_for(tmp_path: Path, robot: Embodiment, ring: FrameRing) -> None:
    instants = Offsets(before_ns=(250_000_000, 100_000_000, 0))
    folder = diffusion_bundle(tmp_path / "b", robot, CAMERA, instants=instants, tolerance_ns=20_000_000)
    bench = Robot(robot, BundlePolicy.load(folder, robot, threads=1), ring)
    for newest in range(1, 12):
        chunk = bench.answer()
        np.testing.assert_allclose(rows(chunk), bench.expected(max(1, newest - 5), newest), atol=1e-5)


def test_what_came_while_a_chunk_was_computed_is_remembered(tmp_path: Path, robot: Embodiment, ring: FrameRing) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA), robot, threads=1)
    bench = Robot(robot, policy, ring)
    question = bench.planner.begin([bench.observe()])
    assert question is not None
    meanwhile = [bench.observe() for _ in range(3)]
    bench.planner.pass_over(meanwhile[:-1])
    # What is under computation is not touched by what is remembered meanwhile.
    np.testing.assert_allclose(rows(bench.planner.finish(question, question.infer())), bench.expected(1, 1), atol=1e-5)
    # By now the frames of those that were passed over may be written anew.
    for _ in range(SLOTS - 2):
        ring.slot()[:] = 255
        ring.commit(0)
    np.testing.assert_allclose(rows(bench.answer(meanwhile[-1])), bench.expected(2, 4), atol=1e-5)


def test_without_the_observation_of_an_instant_there_is_no_chunk_until_there_is(
    tmp_path: Path, robot: Embodiment, ring: FrameRing
) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA), robot, threads=1)
    bench = Robot(robot, policy, ring)
    assert bench.answer() is not None
    # A frame is lost: the one that the next but one looks back to.
    np.testing.assert_allclose(rows(bench.answer(bench.observe(2 * FRAME_NS))), bench.expected(1, 2), atol=1e-5)
    assert bench.answer() is None
    assert bench.refusals.as_dict() == {f"{OBSERVATION.name}.{Refusal.HISTORY_MISSING}": 1}
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(2, 4), atol=1e-5)


def command(number: int, kind: OperatorKind) -> OperatorCommand:
    return OperatorCommand(id=number, kind=kind, stamp_ns=0, instruction="go" if kind is OperatorKind.INSTRUCT else "")


def test_who_arms_the_robot_begins_anew(tmp_path: Path, robot: Embodiment, ring: FrameRing) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA), robot, threads=1)
    bench = Robot(robot, policy, ring)
    assert [bench.answer() is None for _ in range(3)] == [False] * 3
    bench.planner.instruct(command(1, OperatorKind.ARM))
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(4, 4), atol=1e-5)
    # The same request, sent again until it is answered, and others, which end nothing that was seen.
    bench.planner.instruct(command(1, OperatorKind.ARM))
    bench.planner.instruct(command(2, OperatorKind.INSTRUCT))
    bench.planner.instruct(command(3, OperatorKind.STOP))
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(4, 5), atol=1e-5)


def test_after_a_silence_it_begins_anew(tmp_path: Path, robot: Embodiment, ring: FrameRing) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA), robot, threads=1)
    bench = Robot(robot, policy, ring)
    assert bench.answer() is not None
    np.testing.assert_allclose(rows(bench.answer(bench.observe(10 * FRAME_NS))), bench.expected(2, 2), atol=1e-5)
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(2, 3), atol=1e-5)


def test_a_policy_that_waits_for_its_history_says_nothing_before(
    tmp_path: Path, robot: Embodiment, ring: FrameRing
) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA, at_start="wait"), robot, threads=1)
    bench = Robot(robot, policy, ring)
    assert [bench.answer() for _ in range(2)] == [None, None]
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(1, 3), atol=1e-5)


def test_another_bundle_begins_with_a_history_of_its_own(tmp_path: Path, robot: Embodiment, ring: FrameRing) -> None:
    folder = diffusion_bundle(tmp_path / "b", robot, CAMERA)
    bench = Robot(robot, BundlePolicy.load(folder, robot, threads=1), ring)
    assert [bench.answer() is None for _ in range(4)] == [False] * 4
    bench.planner.change(BundlePolicy.load(folder, robot, threads=1))
    np.testing.assert_allclose(rows(bench.answer()), bench.expected(5, 5), atol=1e-5)


def test_the_same_observation_without_any_before_gives_the_same_actions(
    tmp_path: Path, robot: Embodiment, ring: FrameRing
) -> None:
    policy = BundlePolicy.load(diffusion_bundle(tmp_path / "b", robot, CAMERA), robot, threads=1)
    observation = Robot(robot, policy, ring).observe()
    first, again = (policy.infer(observation, "", 0).position for _ in range(2))
    np.testing.assert_array_equal(first, again)


# ---- under way -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", TOLD)
def test_the_first_actions_of_a_chunk_are_those_under_way(tmp_path: Path, robot: Embodiment, how: str) -> None:
    delay = 3
    policy = BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, how, actions=delay), robot, threads=1)
    bench = Robot(robot, policy)
    first = bench.answer()
    state = bench.state(1)
    held = np.tile(state, (delay, 1)) if TOLD[how].at_start == "hold" else None
    np.testing.assert_allclose(rows(first), delayed_plan(state, held, how, delay), atol=1e-6)
    # Half an action later: what is asked for between two actions is what lies between them.
    second = bench.answer()
    whole = rows(first)
    under_way = (whole[:delay] + whole[1 : delay + 1]) / 2.0
    np.testing.assert_allclose(rows(second), delayed_plan(bench.state(2), under_way, how, delay), atol=1e-6)
    assert policy.horizon == len(rows(second)) == HORIZON + (delay if how == "left out" else 0)


def receipt(sequence: int, refusal: Refusal) -> ChunkReceipt:
    return ChunkReceipt(
        chunk_sequence=sequence,
        exposure_ns=0,
        observation_published_ns=None,
        chunk_published_ns=0,
        received_ns=0,
        model_ns=0,
        refusal=str(refusal),
        expired_actions=0,
        first_command_ns=None,
    )


def test_what_control_refused_is_not_under_way(tmp_path: Path, robot: Embodiment) -> None:
    delay, how = 2, "tensor"
    policy = BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, how, actions=delay), robot, threads=1)
    bench = Robot(robot, policy)
    first, second = bench.answer(), bench.answer(bench.observe(DT_NS))
    assert first is not None
    assert second is not None
    bench.planner.learn(receipt(second.sequence, Refusal.PREDICTED_DEVIATION))
    # The first one goes on: two actions later it is at its third.
    under_way = rows(first)[2 : 2 + delay]
    third = bench.answer(bench.observe(DT_NS))
    np.testing.assert_allclose(rows(third), delayed_plan(bench.state(3), under_way, how, delay), atol=1e-6)
    assert third is not None
    bench.planner.learn(receipt(third.sequence, Refusal.BEFORE_ARMING))
    fourth = bench.answer(bench.observe(DT_NS))
    np.testing.assert_allclose(rows(fourth), delayed_plan(bench.state(4), None, how, delay), atol=1e-6)


@pytest.mark.parametrize("kind", ["arm", "disarm", "stop", "reset", "resume"])
def test_where_the_robot_stands_still_nothing_is_under_way(tmp_path: Path, robot: Embodiment, kind: str) -> None:
    delay, how = 2, "tensor"
    policy = BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, how, actions=delay), robot, threads=1)
    bench = Robot(robot, policy)
    assert bench.answer() is not None
    bench.planner.instruct(command(1, OperatorKind(kind)))
    second = bench.answer()
    np.testing.assert_allclose(rows(second), delayed_plan(bench.state(2), None, how, delay), atol=1e-6)
    # One that was under computation meanwhile is of the time before.
    question = bench.planner.begin([bench.observe()])
    assert question is not None
    bench.planner.instruct(command(2, OperatorKind(kind)))
    assert bench.planner.finish(question, question.infer()) is not None
    second = bench.answer()
    np.testing.assert_allclose(rows(second), delayed_plan(bench.state(4), None, how, delay), atol=1e-6)
    # The same request again ends nothing that has begun since.
    bench.planner.instruct(command(2, OperatorKind(kind)))
    third = bench.answer(bench.observe(DT_NS))
    np.testing.assert_allclose(rows(third)[:delay], rows(second)[1 : 1 + delay], atol=1e-9)


def test_a_chunk_that_has_ended_is_not_under_way(tmp_path: Path, robot: Embodiment) -> None:
    delay, how = 2, "decoder"
    policy = BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, how, actions=delay), robot, threads=1)
    bench = Robot(robot, policy)
    assert bench.answer() is not None
    late = bench.answer(bench.observe(HORIZON * DT_NS))
    np.testing.assert_allclose(rows(late), delayed_plan(bench.state(2), None, how, delay), atol=1e-6)


def test_of_another_bundle_what_is_under_way_goes_on(tmp_path: Path, robot: Embodiment) -> None:
    """In the robot's own units: each policy has its own statistics."""
    delay = 2
    before = BundlePolicy.load(delayed_bundle(tmp_path / "a", robot, "left out", actions=delay), robot, threads=1)
    bench = Robot(robot, before)
    first = bench.answer()
    bench.planner.change(
        BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, "decoder", actions=delay), robot, threads=1)
    )
    chunk = bench.answer(bench.observe(DT_NS))
    np.testing.assert_allclose(rows(chunk)[:delay], rows(first)[1 : 1 + delay], atol=1e-9)


def test_a_seam_that_is_given_does_not_make_a_policy_surer(tmp_path: Path, robot: Embodiment) -> None:
    policy = BundlePolicy.load(delayed_bundle(tmp_path / "b", robot, "tensor"), robot, threads=1)
    bench = Robot(robot, policy)
    bench.answer()
    chunk = bench.answer(bench.observe(DT_NS))
    actions = policy.infer(bench.observe(), "", 0, policy.context_of(bench.observe(), chunk))
    assert actions.under_way == 3


# ---- proofs ----------------------------------------------------------------------------------------------------------


def sealed(folder: Path) -> Path:
    manifest = read_manifest(folder)
    write_manifest(
        folder, msgspec.structs.replace(manifest, blobs=tuple(blob_of(folder, b.path) for b in manifest.blobs))
    )
    return folder


@pytest.fixture(params=["history", *TOLD])
def bundle(request: pytest.FixtureRequest, tmp_path: Path, robot: Embodiment) -> Path:
    if request.param == "history":
        return diffusion_bundle(tmp_path / "bundle", robot, CAMERA)
    return delayed_bundle(tmp_path / "bundle", robot, request.param)


def test_golden_pairs_match_for_robot_and_exporter(bundle: Path, robot: Embodiment) -> None:
    report = check(bundle, robot, threads=1)
    assert (report.verdict, check_bundle(bundle, robot)) == ("matched", report)


def test_golden_pairs_see_what_was_before(bundle: Path, robot: Embodiment) -> None:
    with np.load(bundle / GOLDEN_NAME) as archive:
        golden = dict(archive)
    for name in golden.keys() & {"state_before", "under_way"}:
        golden[name][..., :-1] += 0.02
    np.savez(bundle / GOLDEN_NAME, **golden)
    assert check(sealed(bundle), robot, threads=1).verdict == "differs"


def test_golden_pairs_that_lack_a_part_of_it_are_none(bundle: Path, robot: Embodiment) -> None:
    with np.load(bundle / GOLDEN_NAME) as archive:
        golden = dict(archive)
    parts = golden.keys() & {"before_high", "state_before", "before_ns", "under_way", "action_dt_ns"}
    assert len(parts) >= 2
    for name in parts:
        np.savez(bundle / GOLDEN_NAME, **{key: value for key, value in golden.items() if key != name})
        with pytest.raises(BundleError, match=f"golden.*{name}.* are asked"):
            check(sealed(bundle), robot, threads=1)


@pytest.mark.parametrize("name", ["instants", "action_dt_ns"])
def test_golden_pairs_hold_the_rhythm_of_training(tmp_path: Path, robot: Embodiment, name: str) -> None:
    folder = diffusion_bundle(tmp_path / "bundle", robot, CAMERA)
    manifest = read_manifest(folder)
    policy = manifest.policy
    if name == "instants":
        looks_back = msgspec.structs.replace(policy.inputs.history, instants=ActionSteps(observations=2, every=2))
        policy = msgspec.structs.replace(policy, inputs=msgspec.structs.replace(policy.inputs, history=looks_back))
    else:
        policy = msgspec.structs.replace(
            policy, outputs=msgspec.structs.replace(policy.outputs, action_dt_ns=2 * DT_NS)
        )
    write_manifest(folder, msgspec.structs.replace(manifest, policy=policy))
    with pytest.raises(BundleError, match=r"in another rhythm than that of training"):
        check(folder, robot, threads=1)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_a_graph_that_looks_at_another_number_of_observations_is_named(tmp_path: Path, robot: Embodiment) -> None:
    folder = diffusion_bundle(tmp_path / "bundle", robot, CAMERA)
    manifest = read_manifest(folder)
    looks_back = msgspec.structs.replace(manifest.policy.inputs.history, instants=ActionSteps(observations=3, every=1))
    inputs = msgspec.structs.replace(manifest.policy.inputs, history=looks_back)
    policy = msgspec.structs.replace(manifest.policy, inputs=inputs)
    write_manifest(folder, msgspec.structs.replace(manifest, policy=policy))
    with pytest.raises(
        BundleError, match=r"encode\.onnx: tensor image: expected .*1, 3, 3, 8, 8.* found .*1, 2, 3, 8, 8"
    ):
        BundlePolicy.load(folder, robot, threads=1)
