"""Frame rings with a real second process: whole frames, reused slots, restarted writers, references full of garbage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.errors import FrameError, Refusal
from edge_runtime.contracts.messages import FrameRef
from edge_runtime.ipc.frames import FrameReader, FrameRing, ring_name

WIDTH_PX, HEIGHT_PX = 33, 17


def _commit(ring: FrameRing, value: int, exposure_ns: int = 1) -> FrameRef:
    ring.slot()[:] = value
    return ring.commit(exposure_ns)


def _overwrite(ring: FrameRing) -> None:
    for value in range(4):
        _commit(ring, value)


def _replace(ref: FrameRef, **changes: object) -> FrameRef:
    fields = {name: getattr(ref, name) for name in ref.__struct_fields__}
    return FrameRef(**{**fields, **changes})


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[FrameRing]:
    with FrameRing.create(ring_name(tmp_path, "scene"), "scene", WIDTH_PX, HEIGHT_PX, slots=4) as ring:
        yield ring


def test_a_frame_arrives_as_written_and_read_only(ring: FrameRing) -> None:
    ring.slot()[:] = np.arange(HEIGHT_PX * WIDTH_PX * 3, dtype=np.uint64).reshape(HEIGHT_PX, WIDTH_PX, 3) % 251
    expected = ring.slot().copy()
    ref = ring.commit(exposure_ns=77)
    assert (ref.width_px, ref.height_px, ref.camera, ref.exposure_ns) == (WIDTH_PX, HEIGHT_PX, "scene", 77)
    with FrameReader().view(ref) as pixels:
        np.testing.assert_array_equal(pixels, expected)
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0, 0] = 1


def test_a_frame_stays_readable_while_slots_minus_two_follow(ring: FrameRing) -> None:
    reader = FrameReader()
    ref = _commit(ring, 5)
    for value in (6, 7):
        _commit(ring, value)
        with reader.view(ref) as pixels:
            assert (pixels == 5).all()
    _commit(ring, 8)
    with pytest.raises(FrameError) as caught, reader.view(ref):
        pass
    assert caught.value.refusal is Refusal.FRAME_GONE


def test_a_slot_reused_during_use_is_told_at_the_end(ring: FrameRing) -> None:
    ref = _commit(ring, 5)
    with pytest.raises(FrameError) as caught, FrameReader().view(ref):
        _overwrite(ring)
    assert caught.value.refusal is Refusal.FRAME_GONE


def test_a_restarted_writer_is_found_and_its_forerunners_frames_are_gone(ring: FrameRing) -> None:
    reader = FrameReader()
    old = _commit(ring, 1)
    with reader.view(old):
        pass
    with FrameRing.create(ring.name, "scene", WIDTH_PX, HEIGHT_PX + 1, slots=4) as successor:
        new = _commit(successor, 2)
        with reader.view(new) as pixels:
            assert pixels.shape == (HEIGHT_PX + 1, WIDTH_PX, 3)
            assert (pixels == 2).all()
        with pytest.raises(FrameError), reader.view(old):
            pass
        ring.close()
        with FrameReader().view(new):
            pass


def test_close_removes_the_name(tmp_path: Path) -> None:
    ring = FrameRing.create(ring_name(tmp_path, "wrist"), "wrist", WIDTH_PX, HEIGHT_PX)
    ref = _commit(ring, 1)
    ring.close()
    with pytest.raises(FrameError) as caught, FrameReader().view(ref):
        pass
    assert caught.value.refusal is Refusal.FRAME_GONE


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"slot": -1}, Refusal.OUT_OF_RANGE),
        ({"slot": 4}, Refusal.OUT_OF_RANGE),
        ({"width_px": WIDTH_PX * 1000}, Refusal.SHAPE),
        ({"camera": "wrist"}, Refusal.MALFORMED),
        ({"exposure_ns": 2}, Refusal.FRAME_GONE),
        ({"generation": 3}, Refusal.FRAME_GONE),
        ({"ring": "edge-frames-none"}, Refusal.FRAME_GONE),
        ({"ring": "../../etc/passwd"}, Refusal.MALFORMED),
        ({"ring": "edge-frames-a/../b"}, Refusal.MALFORMED),
        ({"ring": "edge-frames-a\0"}, Refusal.MALFORMED),
        ({"ring": ""}, Refusal.MALFORMED),
    ],
)
def test_a_wrong_reference_is_refused_with_its_kind(
    ring: FrameRing, changes: dict[str, object], refusal: Refusal
) -> None:
    ref = _commit(ring, 1)
    with pytest.raises(FrameError) as caught, FrameReader().view(_replace(ref, **changes)):
        pass
    assert caught.value.refusal is refusal


_ANY_INT = st.integers(-(2**63), 2**64 - 1)


@given(data=st.data())
def test_any_reference_gives_a_frame_or_a_frame_error(data: st.DataObject) -> None:
    name = f"edge-frames-fuzz-{os.getpid()}"
    with FrameRing.create(name, "scene", WIDTH_PX, HEIGHT_PX, slots=4) as ring:
        good = _commit(ring, 9)
        ref = FrameRef(
            camera=data.draw(st.sampled_from(["scene"]) | st.text()),
            ring=data.draw(st.sampled_from([name]) | st.text()),
            slot=data.draw(st.integers(-1, 4) | _ANY_INT),
            generation=(good.generation + data.draw(st.integers(-2, 2) | _ANY_INT)) % 2**64,
            width_px=data.draw(st.just(WIDTH_PX) | _ANY_INT),
            height_px=data.draw(st.just(HEIGHT_PX) | _ANY_INT),
            exposure_ns=data.draw(st.just(1) | _ANY_INT),
        )
        try:
            with FrameReader().view(ref) as pixels:
                assert (pixels == 9).all()
                assert ref == good
        except FrameError:
            assert ref != good


@pytest.mark.parametrize("content", [b"", b"short", os.urandom(4096), bytes(4096), os.urandom(100_000)])
def test_a_file_that_is_no_ring_is_refused(ring: FrameRing, content: bytes) -> None:
    ref = _commit(ring, 1)
    path = Path("/dev/shm") / f"edge-frames-junk-{os.getpid()}"
    path.write_bytes(content)
    try:
        with pytest.raises(FrameError) as caught, FrameReader().view(_replace(ref, ring=path.name)):
            pass
        assert caught.value.refusal is Refusal.MALFORMED
    finally:
        path.unlink()


def test_a_header_that_promises_more_than_is_mapped_is_refused(ring: FrameRing) -> None:
    ref = _commit(ring, 1)
    path = Path("/dev/shm") / f"edge-frames-cut-{os.getpid()}"
    path.write_bytes((Path("/dev/shm") / ring.name).read_bytes()[:-4096])
    try:
        with pytest.raises(FrameError) as caught, FrameReader().view(_replace(ref, ring=path.name)):
            pass
        assert caught.value.refusal is Refusal.MALFORMED
    finally:
        path.unlink()


@pytest.mark.parametrize("size", [(0, 1, 4), (1, 9000, 4), (1, 1, 3), (1, 1, 65)])
def test_a_ring_of_impossible_size_is_a_misuse(tmp_path: Path, size: tuple[int, int, int]) -> None:
    width_px, height_px, slots = size
    with pytest.raises(ValueError, match="out of range"):
        FrameRing.create(ring_name(tmp_path, "scene"), "scene", width_px, height_px, slots)


_WITHOUT_ROOM = """
import resource, signal, sys
from edge_runtime.contracts.errors import FrameError
from edge_runtime.ipc.frames import FrameRing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    FrameRing.create(sys.argv[1], "scene", 320, 240)
except FrameError as error:
    sys.exit(0 if sys.argv[1] in str(error) else 2)
sys.exit(1)
"""


def test_a_ring_without_room_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    name = ring_name(tmp_path, "scene")
    assert subprocess.run([sys.executable, "-c", _WITHOUT_ROOM, name], timeout=30, check=False).returncode == 0
    assert not (Path("/dev/shm") / name).exists()


_WRITER = """
import sys, time
import msgspec
from edge_runtime.ipc.frames import FrameRing
ring = FrameRing.create(sys.argv[1], "scene", 320, 240, slots=4)
for count in range(int(sys.argv[2])):
    ring.slot()[:] = count % 251
    sys.stdout.buffer.write(msgspec.json.encode(ring.commit(count + 1)) + b"\\n")
    sys.stdout.buffer.flush()
    time.sleep(0.0005 * (count // 100 % 2))  # by turns at a camera's leisure and far too fast for any reader
"""


def test_another_process_never_shows_a_torn_frame(tmp_path: Path) -> None:
    frames = 2000
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, ring_name(tmp_path, "scene"), str(frames)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    reader, whole, gone = FrameReader(), 0, Counter[Refusal]()
    for line in writer.stdout:
        ref = msgspec.json.decode(line, type=FrameRef)
        try:
            with reader.view(ref) as pixels:
                lowest, highest = int(pixels.min()), int(pixels.max())
        except FrameError as error:
            gone[error.refusal] += 1
        else:
            assert lowest == highest == (ref.exposure_ns - 1) % 251
            whole += 1
    assert writer.wait(timeout=10) == 0
    # A writer that ended leaves its last frames in place, so the ring is still there to be read, and is removed here.
    (Path("/dev/shm") / ring_name(tmp_path, "scene")).unlink()
    assert whole > 0
    assert gone.keys() <= {Refusal.FRAME_GONE}
    assert whole + sum(gone.values()) == frames
