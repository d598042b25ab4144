"""The engine as a process that is given orders: for whole bundles, altered and unknown ones, and ended meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.manifest import Blob, MotionLimits, read_manifest, write_manifest
from edge_runtime.contracts.manifest.version_1 import FlowSampler
from edge_runtime.contracts.messages import ActionChunk
from edge_runtime.contracts.topics import POLICY_STATUS
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from edge_runtime.testing.golden_bundles import seal
from edge_runtime.testing.two_bundles import Orders, TwoBundles, variant_of
from tests.engine.test_engine_process import PATIENCE_S, Start, Surroundings, config, start, surroundings

__all__ = ["config", "start", "surroundings"]

ENDLESS_BYTES = 1 << 36
"""So much takes longer to verify than any test waits; the file is empty all the same."""


class Bench:
    """A robot with three bundles, and somebody who gives orders and listens."""

    def __init__(self, config: Path, surroundings: Surroundings, orders: Orders) -> None:
        self.surroundings, self.orders = surroundings, orders
        self.bundles = TwoBundles(config)
        self.shipped = self.bundles.shipped
        self.other, self.third = (
            self.bundles.install(self.variant(f"steps-{steps}", sampler=FlowSampler(steps, 1, False)))
            for steps in (3, 4)
        )
        self.bundles.point(self.shipped, previous=self.other)
        self._statuses = Subscriber((POLICY_STATUS,), surroundings.run_dir)

    def variant(self, name: str, **policy: object) -> Path:
        """A bundle of its own, not installed yet."""
        return variant_of(self.bundles.config.bundle_dir, self.bundles.root.parent / name, **policy)

    def endless(self) -> str:
        """Installs a bundle that is never done being verified, lets it act, and returns its digest."""
        made = self.variant("endless")
        with (made / "endless.bin").open("wb") as file:
            file.truncate(ENDLESS_BYTES)
        manifest = read_manifest(made)
        blob = Blob(path="endless.bin", size_bytes=ENDLESS_BYTES, sha256="0" * 64)
        write_manifest(made, msgspec.structs.replace(manifest, blobs=(blob, *manifest.blobs)))
        digest = self.bundles.install(made)
        self.bundles.point(digest, previous=self.other)
        return digest

    def until(self, condition: Callable[[PolicyStatus], bool]) -> PolicyStatus:
        """The first status for which `condition` holds."""
        deadline_s, status = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline_s:
            self.orders.tend()
            status = self._statuses.wait_for(PolicyStatus, 0.05)
            if isinstance(status, PolicyStatus) and condition(status):
                return status
        raise AssertionError(f"no such status; the last was {status}")

    def until_alone(self) -> PolicyStatus:
        """The first status of an engine that has just been started and has loaded what it serves."""
        return self.until(lambda status: status.order_id == 0 and bool(status.serving))

    def chunk(self) -> ActionChunk:
        return self.surroundings.chunk()

    def close(self) -> None:
        self._statuses.close()


def _open_files(pid: int) -> set[str]:
    names = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        # The process goes on meanwhile, and closes what was seen a moment ago.
        with contextlib.suppress(FileNotFoundError):
            names.add(file.readlink().name)
    return names


@pytest.fixture
def bench(config: Path, surroundings: Surroundings) -> Iterator[Bench]:
    with Orders(surroundings.run_dir) as orders:
        bench = Bench(config, surroundings, orders)
        yield bench
        bench.close()


def test_orders_over_the_bus_change_who_answers_and_bad_ones_change_nothing(start: Start, bench: Bench) -> None:
    process = start()
    bench.surroundings.instruct()
    assert bench.chunk().bundle_digest == bench.shipped
    first_pid = bench.until_alone().pid
    bench.orders.give(bench.other, bench.shipped)
    status = bench.until(lambda status: status.serving == bench.other)
    assert (status.standby, status.pid) == (bench.shipped, first_pid)
    chunk = bench.chunk()
    assert chunk.bundle_digest == bench.other
    assert status.serving_since_ns <= chunk.published_ns

    for bad, words in ((bench.third, "pointer"), ("0" * 64, "pointer")):
        bench.orders.give(bad, bench.other)
        status = bench.until(lambda status: bool(status.failed))
        assert (status.failed, status.serving) == (bad, bench.other)
        assert words in status.problem
        assert bench.chunk().bundle_digest == bench.other

    bench.bundles.point(bench.third, previous=bench.other)
    blob = bench.bundles.folder(bench.third) / "encode.onnx"
    altered = bytearray(blob.read_bytes())
    altered[100] ^= 1
    blob.write_bytes(altered)
    bench.orders.give(bench.third, bench.other)
    status = bench.until(lambda status: bool(status.failed))
    assert (status.failed, status.serving) == (bench.third, bench.other)
    assert "encode.onnx" in status.problem
    assert bench.chunk().bundle_digest == bench.other

    altered[100] ^= 1
    blob.write_bytes(altered)
    bench.orders.give(bench.third, bench.other)
    bench.until(lambda status: status.serving == bench.third and not status.failed)
    assert bench.chunk().bundle_digest == bench.third
    assert bench.chunk().sequence > chunk.sequence, "one count of chunks over all of them"
    assert process.poll() is None


def test_a_bundle_that_is_never_done_keeps_neither_chunks_nor_the_end_waiting(start: Start, bench: Bench) -> None:
    process = start()
    bench.surroundings.instruct()
    bench.chunk()
    endless = bench.endless()
    bench.orders.give(endless, bench.shipped)
    bench.until(lambda status: status.loading == endless)
    for _ in range(5):
        assert bench.chunk().bundle_digest == bench.shipped
    bench.until(lambda status: status.loading == endless)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Traceback" not in stderr
    port = port_name(bench.surroundings.run_dir)
    assert not (Path("/dev/shm") / f"{port}-policy").exists(), "nothing is left in shared memory"

    # And the same while it boots, which is when it has nothing to answer with.
    process = start()
    deadline_s = time.monotonic() + PATIENCE_S
    while "endless.bin" not in _open_files(process.pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_killed_in_the_middle_of_a_change_it_comes_back_as_the_pointer_says(start: Start, bench: Bench) -> None:
    process = start()
    bench.until_alone()
    endless = bench.endless()
    bench.orders.give(endless, bench.shipped)
    bench.until(lambda status: status.loading == endless)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    bench.bundles.point(bench.other, previous=bench.third)
    bench.orders.give(bench.other, bench.third)
    start()
    status = bench.until(lambda status: status.pid != process.pid and bool(status.serving))
    assert status.serving == bench.other
    assert bench.until(lambda status: bool(status.standby)).standby == bench.third


def test_one_that_needs_more_speed_than_this_robot_may_have_does_not_act(start: Start, bench: Bench) -> None:
    made = bench.variant("fast", sampler=FlowSampler(steps=2, noise_seed=1, fixed_noise=True))
    fast = bench.bundles.install(seal(made, requires_safety=MotionLimits(velocity_rad_s=(99.0,) * 7)))
    bench.bundles.point(fast, previous=bench.other)
    start()
    status = bench.until_alone()
    assert (status.serving, status.failed) == (bench.other, fast)
    assert "requires_safety.velocity_rad_s" in status.problem
    bench.orders.give(fast, bench.other)
    status = bench.until(lambda status: status.order_id > 0 and bool(status.failed))
    assert (status.serving, status.failed) == (bench.other, fast)


def test_what_cannot_be_loaded_at_boot_is_passed_over_and_named(start: Start, bench: Bench) -> None:
    bench.bundles.point(bench.other, previous=bench.third)
    (bench.bundles.folder(bench.other) / "denoise.onnx").write_bytes(
        bytes((bench.bundles.folder(bench.other) / "denoise.onnx").stat().st_size)
    )
    start()
    status = bench.until_alone()
    assert (status.serving, status.failed) == (bench.third, bench.other)
    assert "denoise.onnx" in status.problem


def test_in_lockstep_every_observation_gets_its_chunk_over_a_change(start: Start, bench: Bench) -> None:
    surroundings = bench.surroundings
    name, embodiment = port_name(surroundings.run_dir), surroundings.embodiment
    with DriverPort.create(name, len(embodiment.axes), embodiment.joint_digest, 0, virtual_clock=True) as port:
        port.advance_clock(1)
        start("--lockstep")
        surroundings.instruct()
        bench.orders.give(bench.shipped, bench.other)
        bench.until(lambda status: status.standby == bench.other)
        digests = []
        for step in range(1, 9):
            if step in (3, 6):
                serve, standby = (bench.other, bench.shipped) if step == 3 else (bench.shipped, bench.other)
                bench.orders.give(serve, standby)
                since_ns = bench.until(lambda status, serve=serve: status.serving == serve).serving_since_ns  # type: ignore[misc]
                assert since_ns == (step - 1) * 1_000_000, "on the clock of the stamps"
            port.advance_clock(step * 1_000_000)
            observation = surroundings.observe(exposure_ns=step * 1_000_000)
            chunk = surroundings.chunks.wait_for(ActionChunk, PATIENCE_S)
            assert isinstance(chunk, ActionChunk)
            assert chunk.observation_sequence == observation.sequence
            digests.append(chunk.bundle_digest)
        other, shipped = bench.other, bench.shipped
        assert digests == [shipped, shipped, other, other, other, shipped, shipped, shipped]
