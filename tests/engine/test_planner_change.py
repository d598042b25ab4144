"""One policy after another in one planner: what stays, and what of the old one must not be left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.manifest.version_1 import Normalization
from edge_runtime.contracts.messages import ActionChunk
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.planner import Planner
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.frames import FrameRing, ring_name
from tests.engine.test_planner import STEP_NS, Bench, StillPolicy, _bench

BundleWriter = Callable[..., Path]


@dataclasses.dataclass
class CountingPolicy(StillPolicy):
    """Counts unknown words, one with each chunk."""

    @property
    def counters(self) -> Mapping[str, int]:
        return {"words_unknown": len(self.asked)}


@pytest.fixture
def bench(embodiment: Embodiment) -> Bench:
    return _bench(embodiment)


def answer(bench: Bench, sequence: int, **changes: object) -> ActionChunk | None:
    bench.clock.time_ns += 2 * STEP_NS
    return bench.planner.answer([bench.observe(sequence, **changes)])


def test_the_instruction_and_the_count_of_chunks_stay_and_the_rest_is_the_new_ones(bench: Bench) -> None:
    bench.instruct(3)
    first = answer(bench, 1)
    other = StillPolicy(digest="e" * 64, action_dt_ns=2 * STEP_NS)
    bench.planner.change(other)
    second = answer(bench, 2)
    assert first is not None
    assert second is not None
    assert (first.sequence, first.bundle_digest, first.dt_ns) == (0, "d" * 64, STEP_NS)
    assert (second.sequence, second.bundle_digest, second.dt_ns) == (1, "e" * 64, 2 * STEP_NS)
    assert second.instruction_id == 3
    assert other.asked == [(2, "touch the red cube", 1)]
    assert bench.planner.counters["inferences"] == 2


def test_it_is_not_held_against_the_new_one_what_the_old_one_wanted(bench: Bench) -> None:
    bench.instruct()
    answer(bench, 1)
    second = answer(bench, 2)
    assert second is not None
    assert second.confidence == 1.0
    bench.planner.change(StillPolicy(offset_rad=1.0))
    assert bench.planner.gauges == {}, "nor how fast and how sure the old one was"
    third, fourth = answer(bench, 3), answer(bench, 4)
    assert third is not None
    assert fourth is not None
    assert third.confidence is None
    assert fourth.confidence == 1.0


def test_other_cameras_are_asked_for_and_what_was_answered_is_not_answered_again(bench: Bench) -> None:
    bench.instruct()
    assert answer(bench, 1) is not None
    bench.planner.change(StillPolicy(cameras=("wrist",)))
    assert answer(bench, 2) is None
    assert bench.refusals.as_dict() == {"observation.camera_missing": 1}
    seen = bench.observe(3)
    bench.planner.change(StillPolicy())
    bench.clock.time_ns += 2 * STEP_NS
    assert bench.planner.answer([seen]) is not None
    bench.planner.change(StillPolicy())
    assert bench.planner.answer([seen]) is None
    assert bench.refusals.as_dict()["observation.duplicate"] == 1


def test_counts_go_on_over_changes_also_with_one_that_acted_before(bench: Bench) -> None:
    first, second = CountingPolicy(), CountingPolicy()
    bench.planner.change(first)
    bench.instruct()
    counted = []
    for sequence, policy in enumerate((first, second, first, second)):
        bench.planner.change(policy)
        counted.append(bench.planner.counters["words_unknown"])
        answer(bench, sequence)
        counted.append(bench.planner.counters["words_unknown"])
    before = counted[0]
    assert [count - before for count in counted] == [0, 1, 1, 2, 2, 3, 3, 4]


def test_on_a_virtual_clock_every_observation_is_answered_over_a_change(embodiment: Embodiment) -> None:
    bench = _bench(embodiment, virtual=True)
    bench.instruct()
    digests = []
    for sequence in range(4):
        if sequence == 2:
            bench.planner.change(StillPolicy(digest="e" * 64))
        chunk = bench.planner.answer([bench.observe(sequence)])
        assert chunk is not None
        digests.append(chunk.bundle_digest[0])
        bench.clock.time_ns += 1
    assert digests == ["d", "d", "e", "e"]


@pytest.fixture
def rings(tmp_path: Path) -> Iterator[list[FrameRing]]:
    rings = [FrameRing.create(ring_name(tmp_path, camera), camera, 128, 128) for camera in ("scene", "wrist")]
    yield rings
    for ring in rings:
        ring.close()


def test_what_the_new_one_is_fed_is_normalised_with_its_own_statistics(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: list[FrameRing], tmp_path: Path
) -> None:
    first = write_bundle().rename(tmp_path / "first")
    home = (*embodiment.home[:-1], 0.04)
    second = write_bundle(
        state_normalization=Normalization(mean=tuple(value + 0.2 for value in home), std=(0.05,) * 7 + (0.2,)),
        action_normalization=Normalization(mean=(0.01,) * 7 + (0.02,), std=(0.3,) * 7 + (0.01,)),
    )
    bench = _bench(embodiment)

    def plans(*policies: BundlePolicy) -> list[tuple[tuple[float, ...], ...]]:
        """What each of them wants in turn, of the same observation."""
        made = []
        planner = Planner(policies[0], embodiment, bench.clock, replan_interval_ns=0, refusals=Refusals())
        bench.planner = planner
        bench.instruct()
        for policy in policies:
            planner.change(policy)
            bench.clock.time_ns += STEP_NS
            refs = []
            for ring in rings:
                ring.slot()[:] = 51
                refs.append(ring.commit(bench.clock.time_ns))
            position = (*(value + 0.05 for value in embodiment.home[:-1]), 0.02)
            chunk = planner.answer([bench.observe(1, position=position, frames=tuple(refs))])
            assert chunk is not None
            made.append(chunk.position)
        return made

    one, other = (BundlePolicy.load(folder, embodiment, threads=1) for folder in (first, second))
    (alone,), (other_alone,) = plans(one), plans(other)
    assert np.abs(np.subtract(alone, other_alone))[:, :-1].min() > 0.01
    # The noise that a chunk begins with is another one each time, and leaves its rounding.
    np.testing.assert_allclose(plans(one, other, one, other), [alone, other_alone, alone, other_alone], atol=1e-6)


def test_an_instruction_that_the_new_policy_cannot_read_ends_and_does_not_come_back_by_itself(bench: Bench) -> None:
    bench.instruct(3)
    assert answer(bench, 1) is not None
    first = StillPolicy(digest="d" * 64)
    bench.planner.change(StillPolicy(digest="e" * 64, vocabulary=("touch", "the", "cube")))
    status = bench.planner.status()
    assert (status.instruction_id, status.answer) == (3, InstructionAnswer.REFUSED_UNREADABLE)
    assert "does not know: red" in status.detail
    assert answer(bench, 2) is None
    bench.planner.change(first)
    assert bench.planner.status().answer is InstructionAnswer.REFUSED_UNREADABLE
    assert answer(bench, 3) is None
    bench.instruct(4)
    assert answer(bench, 4) is not None


def test_the_pace_of_the_old_one_is_not_the_new_ones(bench: Bench) -> None:
    bench.instruct()
    answer(bench, 1)
    bench.planner.change(StillPolicy(digest="e" * 64, trial_ns=1_500_000_000, horizon=60))
    status = bench.planner.status()
    assert (status.bundle, status.latency_ns, status.horizon_ns) == ("e" * 64, 1_500_000_000, 60 * STEP_NS)
