"""What Python does beside the loop: chunks, what the engine says, reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.installed import Installed, bundle_folder
from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.engine_status import InstructionAnswer
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import (
    GateState,
    OperatorCommand,
    OperatorKind,
)
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.safety import State
from edge_runtime.safety.recording import read_recording
from edge_runtime.testing.small_bundles import small_bundle
from tests.control.stepped import SteppedLoop
from tests.control.supervised import MS, SHIPPED, Bench, RealClock, chunk_at, engine_status
from tests.control.test_chunk_buffer import make_chunk
from tests.control.test_chunk_pipeline import EMBODIMENT


@pytest.fixture
def real_time(tmp_path: Path) -> Iterator[Bench]:
    """Armed already, and timed well enough to move."""
    with SteppedLoop(priority=0) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        stepped.tick(1100)
        bench.supervisor.drain()
        yield bench


@pytest.fixture
def two_bundles(tmp_path: Path) -> tuple[KnownBundles, str, str]:
    """The bundles of a robot with an installed one beside the shipped one, and their digests."""
    shipped, other = small_bundle(tmp_path / "shipped", "1"), small_bundle(tmp_path / "other", "2")
    digest = read_manifest(other).digest
    target = bundle_folder(tmp_path / "root", digest)
    target.parent.mkdir(parents=True)
    other.rename(target)
    SlotFile(tmp_path / "root" / "slots").write(Slots(active=Slot(digest, 1)))
    return KnownBundles(Installed(shipped, tmp_path / "root"), lambda _: None), read_manifest(shipped).digest, digest


def test_reports_name_the_bundle_whose_plan_is_followed(
    tmp_path: Path, two_bundles: tuple[KnownBundles, str, str]
) -> None:
    bundles, first, second = two_bundles
    with SteppedLoop(priority=0) as stepped:
        bench = Bench(stepped, tmp_path, bundles)
        stepped.tick(2)

        def give(digest: str, exposure_ns: int) -> str | None:
            chunk = msgspec.structs.replace(
                make_chunk(exposure_ns, sequence=exposure_ns),
                joint_digest=EMBODIMENT.joint_digest,
                position=((0.0,) * len(EMBODIMENT.axes),) * 16,
                bundle_digest=digest,
            )
            receipt = bench.supervisor.take_chunk(chunk)
            stepped.tick(200)
            bench.supervisor.drain()
            return None if receipt is None else receipt.refusal

        assert bench.supervisor.report().bundle_digest == SHIPPED
        assert give(second, stepped.now_ns) is None
        assert bench.supervisor.report().bundle_digest == SHIPPED, "nobody moves by it yet"
        assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
        for digest in (first, second, first):
            assert give(digest, stepped.now_ns) is None
            assert bench.supervisor.report().bundle_digest == digest
            assert bench.supervisor.report().chunk_sequence is not None
        assert give("0" * 64, stepped.now_ns) == "wrong_bundle"
        assert bench.supervisor.report().bundle_digest == first
        assert bench.ask(bench.command(OperatorKind.STOP)) == "done"
        stepped.tick(600)
        assert give(second, stepped.now_ns) is None
        assert bench.supervisor.report().bundle_digest == first, "who acted when it was stopped"
        bench.black_box.close()
        (recording,) = tmp_path.glob("*.bin")
        assert read_recording(recording).header.bundle_digest == first


def test_a_refused_sentence_ends_the_motion_and_what_was_begun_for_it_moves_nothing(real_time: Bench) -> None:
    bench, stepped = real_time, real_time.stepped
    bench.supervisor.take_engine_status(engine_status(1))
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    assert bench.supervisor.take_chunk(chunk_at(stepped.now_ns, 1)) is None
    stepped.tick(300)
    assert bench.state() is State.ACTIVE
    bench.supervisor.take_engine_status(engine_status(2, ""))
    stepped.tick(200)
    assert bench.state() is State.HOLDING, "its plan reached 0.3 s further"
    for number in (1, 2):
        late = bench.supervisor.take_chunk(chunk_at(stepped.now_ns, number))
        assert late is not None
        assert late.refusal == "no_instruction"
        stepped.tick(20)
    assert bench.state() is State.HOLDING
    bench.supervisor.take_engine_status(engine_status(3))
    assert bench.supervisor.take_chunk(chunk_at(stepped.now_ns, 3)) is None
    stepped.tick(1)
    assert bench.state() is State.ACTIVE


def test_only_an_instruction_that_is_followed_answers_a_policy_that_asks(real_time: Bench) -> None:
    bench, stepped = real_time, real_time.stepped
    bench.supervisor.take_engine_status(engine_status(1))
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    unsure = msgspec.structs.replace(chunk_at(stepped.now_ns, 1), confidence=0.0)
    assert bench.supervisor.take_chunk(unsure) is not None

    def gate() -> GateState:
        return bench.supervisor.report().gate

    assert gate() is GateState.ASKING
    instruct = OperatorCommand(id=2, kind=OperatorKind.INSTRUCT, stamp_ns=1, instruction="touch the mug")
    bench.supervisor.take_operator(instruct)
    bench.supervisor.take_engine_status(engine_status(2, ""))
    assert gate() is GateState.ASKING
    began_anew = engine_status(0, "", answer=InstructionAnswer.NONE, asked="")
    for status in (began_anew, engine_status(1)):
        bench.supervisor.take_engine_status(status)
    assert gate() is GateState.ASKING, "what was in force before is no answer"
    bench.supervisor.take_engine_status(engine_status(3))
    assert gate() is GateState.SURE


def test_a_slow_policys_chunk_is_followed_and_a_stale_one_is_not(real_time: Bench) -> None:
    bench, stepped = real_time, real_time.stepped
    slow = engine_status(1, latency_ns=1500 * MS, horizon_ns=3200 * MS)
    fast = engine_status(1)

    def age(exposure_ns: int, age_ms: int, rows: int = 64) -> str | None:
        stepped.tick(exposure_ns // MS + age_ms - stepped.now_ns // MS)
        receipt = bench.supervisor.take_chunk(chunk_at(exposure_ns, 1, rows))
        return None if receipt is None else receipt.refusal

    bench.supervisor.take_engine_status(fast)
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    stepped.tick(1)
    assert age(stepped.now_ns, 1500) == "stale"
    bench.supervisor.take_engine_status(slow)
    assert age(stepped.now_ns, 1500) is None
    stepped.tick(1)
    assert bench.state() is State.ACTIVE
    assert age(stepped.now_ns, 3010) == "stale"
    bench.supervisor.take_engine_status(fast)
    assert age(stepped.now_ns, 1500) == "stale", "a faster one is held to what it needs itself"
