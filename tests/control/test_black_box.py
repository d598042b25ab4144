"""The ring alone, the ring of a real loop, and the files that a trip leaves."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.client.run_dir import recordings_folder
from edge_runtime.control.black_box import BlackBox, Origin, save
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.ipc.port import DriverPort
from edge_runtime.native import ffi, lib
from edge_runtime.native.build import FLAGS, HEADERS, PACKAGE
from edge_runtime.safety import Reason, Result, State
from edge_runtime.safety.recording import KIND_REQUEST, KIND_TICK, KIND_TIGHTEN, RECORD_DTYPE, read_recording
from edge_runtime.safety.replay import replay
from tests.control.control_process import make_config, wait_for, wave
from tests.control.perfect_driver import DriverProcess, LockstepPlant

ORIGIN = Origin("perfect", "ab" * 32, "cd" * 32)
RING: int = lib.BLACK_BOX_RECORDS


class Ring:
    """A ring without a loop, written with records all of whose bytes are one number."""

    def __init__(self) -> None:
        self.box = ffi.new("black_box *")
        self.parts = [ffi.new(f"kernel_{part} *") for part in ("state", "feedback", "setpoint", "verdict")]

    def write(self, number: int) -> None:
        for part in self.parts:
            ffi.memmove(part, bytes([number % 251]) * ffi.sizeof(part[0]), ffi.sizeof(part[0]))
        lib.black_box_tick(self.box, *self.parts, number, number)

    def copy(self, from_seq: int = 1, count: int = RING) -> np.ndarray[Any, Any]:
        records = np.zeros(count, dtype=RECORD_DTYPE)
        copied = lib.black_box_copy(self.box, from_seq, ffi.cast("black_box_record *", records.ctypes.data), count)
        return records[:copied]


def is_whole(records: np.ndarray[Any, Any]) -> bool:
    """Whether every record is what `Ring.write` made of its own number."""
    raw = records.view("u1").reshape(len(records), RECORD_DTYPE.itemsize)
    assert RECORD_DTYPE.fields is not None
    content = raw[:, RECORD_DTYPE.fields["before"][1] :]
    return bool((content == (records["seq"] % 251).astype("u1")[:, None]).all()) and bool(
        (records["tick_ns"] == records["seq"]).all()
    )


def test_a_ring_holds_the_newest() -> None:
    ring = Ring()
    assert lib.black_box_newest(ring.box) == 0
    assert len(ring.copy()) == 0
    for number in range(1, RING + 101):
        ring.write(number)
    records = ring.copy()
    assert records["seq"].tolist() == list(range(101, RING + 101))
    assert is_whole(records)
    assert lib.black_box_newest(ring.box) == RING + 100
    assert ring.copy(from_seq=RING + 90)["seq"].tolist() == list(range(RING + 90, RING + 101))
    assert ring.copy(from_seq=RING + 101).size == 0
    assert ring.copy(count=5)["seq"].tolist() == [101, 102, 103, 104, 105]


def test_a_request_after_a_tick_leaves_nothing_of_the_tick() -> None:
    ring = Ring()
    for number in range(1, RING + 1):
        ring.write(number)
    lib.black_box_request(ring.box, ring.parts[0], ring.parts[1], lib.KERNEL_REQUEST_ARM, lib.KERNEL_REFUSED_STATE, 7)
    tightening = ffi.new("kernel_tightening *", [0.25, 2.0])
    lib.black_box_tighten(ring.box, ring.parts[0], tightening, lib.KERNEL_DONE)
    request, tighten = ring.copy(from_seq=RING + 1)
    assert (request["kind"], request["request"], request["result"], request["now_ns"]) == (
        KIND_REQUEST,
        lib.KERNEL_REQUEST_ARM,
        lib.KERNEL_REFUSED_STATE,
        7,
    )
    assert tighten["kind"] == KIND_TIGHTEN
    assert tighten["tightening"]["speed_scale"] == 0.25
    for record in (request, tighten):
        assert not any(record["setpoint"].tobytes() + record["verdict"].tobytes())
    assert any(request["feedback"].tobytes())
    assert not any(tighten["feedback"].tobytes())


LAPPING = """
#include "black_box.h"
/* Writes records as Ring.write() does, without a pause, until told to stop. */
void write_until(black_box *box, kernel_state *before, kernel_feedback *feedback, kernel_setpoint *setpoint,
                 kernel_verdict *verdict, const int *stop) {
    for (int64_t number = (int64_t)black_box_newest(box) + 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); number++) {
        const int byte = (int)(number % 251);
        memset(before, byte, sizeof *before);
        memset(feedback, byte, sizeof *feedback);
        memset(setpoint, byte, sizeof *setpoint);
        memset(verdict, byte, sizeof *verdict);
        black_box_tick(box, before, feedback, setpoint, verdict, number, number);
    }
}
"""


def test_a_reader_never_sees_half_a_record(tmp_path: Path) -> None:
    """A writer that never pauses laps the reader again and again, both outside the interpreter's lock."""
    includes = [f"-I{(PACKAGE / header).parent}" for header in HEADERS]
    flags = [*FLAGS, *includes, "-include", "string.h", "-shared", "-fPIC", "-x", "c"]
    library = tmp_path / "lapping.so"
    command = ["gcc", *flags, "-", str(PACKAGE / "control/loop/black_box.c"), "-o", str(library)]
    subprocess.run(command, input=LAPPING, text=True, check=True, timeout=60)
    ring = Ring()
    for number in range(1, RING + 1):
        ring.write(number)
    stop = ctypes.c_int(0)
    pointers = [ctypes.c_void_p(int(ffi.cast("uintptr_t", part))) for part in (ring.box, *ring.parts)]
    writer = threading.Thread(target=ctypes.CDLL(str(library)).write_until, args=(*pointers, ctypes.byref(stop)))
    writer.start()
    try:
        overtaken, deadline_s = 0, time.monotonic() + 60.0
        while overtaken < 20 and time.monotonic() < deadline_s:
            records = ring.copy()
            assert is_whole(records)
            assert (np.diff(records["seq"].astype(np.int64)) > 0).all()
            overtaken += len(records) < RING
    finally:
        stop.value = 1
        writer.join()
    assert overtaken >= 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "black_box"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"test-box-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"


@pytest.fixture
def port(name: str) -> Iterator[DriverPort]:
    with DriverProcess(name), DriverPort.attach(name, timeout_s=20.0) as port:
        yield port


def supervise(box: BlackBox, loop: ControlLoop, until: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """What the supervisor does with the box, turn by turn."""
    deadline_s = time.monotonic() + timeout_s
    while not until():
        assert time.monotonic() < deadline_s
        box.observe(loop.drain_reports())
        box.tend()
        time.sleep(0.01)


def written(box: BlackBox) -> int:
    return box.counters()["black_box_written"]


@pytest.mark.realtime
def test_a_trip_is_recorded_and_replays_to_the_bit(port: DriverPort, folder: Path) -> None:
    config = make_config()
    with BlackBox(loop := ControlLoop(port, config), config, folder, ORIGIN) as box, loop:
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        assert loop.tighten(speed_scale=0.5) is Result.DONE
        loop.set_plan(wave(1, port.now_ns(), 5.0))
        wait_for(loop, State.ACTIVE)
        time.sleep(0.3)
        assert loop.request_stop() is Result.DONE
        supervise(box, loop, lambda: written(box) == 1)
        # A second trip gets its own file; the latched one none.
        wait_for(loop, State.FAULT)
        supervise(box, loop, lambda: loop.reset() is Result.DONE)
        wait_for(loop, State.READY)
        calm_ticks = loop.counters().ticks + 50
        supervise(box, loop, lambda: loop.counters().ticks > calm_ticks)
        assert loop.request_stop() is Result.DONE
        supervise(box, loop, lambda: written(box) == 2)
    assert box.counters() == {"black_box_written": 2, "black_box_failed": 0, "black_box_missed": 0}
    first, second = sorted(folder.iterdir())
    assert first.name.endswith("Z_operator_stop.bin")
    recording = read_recording(first)
    header = recording.header
    assert (header.cause, header.reasons) == ("trip", ("operator_stop",))
    assert (header.robot, header.safety_digest, header.bundle_digest) == ("perfect", "ab" * 32, "cd" * 32)
    assert header.limits["q_max"] == (2.5, 2.5, 2.5, 0.08)
    records = recording.records
    at = int(np.flatnonzero(records["seq"] == header.trigger_seq)[0])
    assert records["verdict"]["faults"][at] == Reason.OPERATOR_STOP
    assert records["kind"][at - 1] == KIND_REQUEST, "the operator's stop itself is there"
    assert (records["kind"] == KIND_TIGHTEN).sum() == 1
    assert (records["verdict"]["state"][at:] == State.FAULT).any(), "and so is what came of it"
    assert len(records) - at >= 400
    for path in (first, second):
        result = replay(read_recording(path))
        assert result.identical
        assert not result.gaps
        assert result.ticks > 400


@pytest.mark.realtime
def test_a_trip_that_nobody_came_to_look_at_is_written_at_the_end(name: str, folder: Path) -> None:
    config = make_config(feedback_max_age_ns=100_000_000)
    with (
        DriverProcess(name) as driver,
        DriverPort.attach(name, timeout_s=20.0) as port,
        BlackBox(loop := ControlLoop(port, config), config, folder, ORIGIN) as box,
        loop,
    ):
        wait_for(loop, State.READY)
        assert loop.arm() is Result.DONE
        driver.process.kill()
        wait_for(loop, State.FAULT)
    assert written(box) == 1
    (path,) = folder.iterdir()
    recording = read_recording(path)
    assert recording.header.reasons == ("feedback_stale",)
    assert replay(recording).identical


def test_a_full_ring_in_virtual_time(name: str, folder: Path) -> None:
    plant = LockstepPlant(name, ticks=RING + 3000)
    with plant.port, DriverPort.attach(name) as port:
        config = make_config()
        with BlackBox(loop := ControlLoop(port, config), config, folder, ORIGIN) as box, loop:
            plant.start()
            plant.join(timeout=60.0)
            assert plant.error is None
            box.record()
        (path,) = folder.iterdir()
    assert path.name.endswith("Z_operator.bin")
    recording = read_recording(path)
    assert recording.header.cause == "operator"
    assert len(recording.records) == RING
    assert (recording.records["kind"][:-1] == KIND_TICK).all()
    assert (np.diff(recording.records["seq"].astype(np.int64)) == 1).all()
    assert recording.records["seq"][0] > 3000
    assert replay(recording).identical
    assert path.stat().st_size < 4 << 20, "an idle robot's seconds take little room"


def test_a_recording_names_the_bundle_that_was_followed_when_it_became_due(name: str, folder: Path) -> None:
    plant = LockstepPlant(name, ticks=1200)
    with plant.port, DriverPort.attach(name) as port:
        config = make_config()
        with BlackBox(loop := ControlLoop(port, config), config, folder, ORIGIN) as box, loop:
            plant.start()
            supervise(box, loop, lambda: loop.black_box_newest() > 10)
            box.follow("ef" * 32)
            box.record()
            box.follow("ab" * 32)
            supervise(box, loop, lambda: written(box) == 1)
            plant.join(timeout=60.0)
    (path,) = folder.iterdir()
    assert read_recording(path).header.bundle_digest == "ef" * 32


def test_a_full_disk_costs_the_file_and_nothing_else(name: str, folder: Path) -> None:
    plant = LockstepPlant(name, ticks=2000)
    with plant.port, DriverPort.attach(name) as port:
        config = make_config()
        with BlackBox(loop := ControlLoop(port, config), config, folder, ORIGIN) as box, loop:
            plant.start()
            plant.join(timeout=60.0)
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
            try:
                box.record()
                box.close()
                assert box.counters()["black_box_failed"] == 1
                assert box.problem == "black box: File too large"
                assert list(folder.iterdir()) == []
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            box.record()
            box.close()
            assert written(box) == 1
            assert box.problem == ""


def test_control_that_ends_with_an_error_leaves_its_last_seconds(name: str, folder: Path) -> None:
    plant = LockstepPlant(name, ticks=300)
    with plant.port, DriverPort.attach(name) as port:
        config = make_config()
        loop = ControlLoop(port, config)

        def control() -> None:
            with BlackBox(loop, config, folder, ORIGIN), loop:
                plant.start()
                plant.join(timeout=60.0)
                raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            control()
    (path,) = folder.iterdir()
    assert path.name.endswith("Z_RuntimeError.bin")
    header = read_recording(path).header
    assert (header.cause, header.reasons) == ("error", ("RuntimeError",))
    assert header.n_records >= 300


def test_files_go_where_they_outlive_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert recordings_folder(Path("/tmp/run")) == Path("/tmp/run/black_box")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge-runtime:/var/lib/other")
    assert recordings_folder(Path("/run/edge-runtime")) == Path("/var/lib/edge-runtime/black_box")


def test_the_newest_files_stay_and_what_a_dead_process_left_goes(folder: Path) -> None:
    folder.mkdir()
    (folder / "20260101T000000.000Z_x.bin.part").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    for second in range(5):
        save(folder, f"20260101T00000{second}.000Z_x.bin", [b"a", b"b"], keep=3)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"20260101T00000{second}.000Z_x.bin" for second in (2, 3, 4)), "notes.txt"]
    assert (folder / names[0]).read_bytes() == b"ab"


def test_a_failed_write_leaves_the_older_files(folder: Path) -> None:
    save(folder, "20260101T000000.000Z_x.bin", [b"old"], keep=1)

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(folder, "20260101T000001.000Z_x.bin", pieces(), keep=1)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"old"]
