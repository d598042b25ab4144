"""The camera seam: frames lie in shared memory, one ring per camera, and only references travel on the bus.

The writer renders or captures straight into a slot; a reader looks at the same memory, so a frame costs no copy on the
way. A slot is reused, and its generation tells: a reader that checks it before and after use knows that it saw one
whole frame, and the writer never waits for anybody. References come from outside and are not trusted: whatever they
say gives a frame or a `FrameError`.

Region: one header page, then `slots` frames of 8-bit RGB, (height_px, width_px, 3), each at a page boundary. Plain mmap
of a file in /dev/shm instead of `multiprocessing.shared_memory`, whose tracker unlinks regions of living processes.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import MAX_SIDE_PX
from edge_runtime.contracts.errors import FrameError, Refusal
from edge_runtime.contracts.messages import MAX_CAMERAS, FrameRef

MIN_SLOTS = 4
MAX_SLOTS = 64
SLOTS = 8

_SHM = Path("/dev/shm")
_NAME = re.compile(r"edge-frames-[A-Za-z0-9_-]{1,128}")
_PAGE_BYTES = 4096
_MAGIC = 0x31_30_47_4E_52_46_45_45
_HEADER = np.dtype(
    [
        ("magic", "<u8"),
        ("slots", "<u4"),
        ("width_px", "<u4"),
        ("height_px", "<u4"),
        ("reserved", "<u4"),
        ("camera", "S64"),
    ]
)
_TABLE_OFFSET = 256

Pixels = NDArray[np.uint8]


def ring_name(run_dir: Path, camera: str) -> str:
    """Name of the ring of `camera`; differs between runs in different folders."""
    return f"edge-frames-{sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]}-{camera}"


class _Region:
    """Typed views of one mapped ring. A generation is even for a whole frame and odd while the slot is written."""

    def __init__(self, memory: mmap.mmap, inode: int, camera: str, slots: int, width_px: int, height_px: int) -> None:
        self.inode, self.camera = inode, camera
        self.slots, self.width_px, self.height_px = slots, width_px, height_px
        table = np.frombuffer(memory, dtype=np.uint64, count=2 * slots, offset=_TABLE_OFFSET).reshape(slots, 2)
        self.generation = table[:, 0]
        self.exposure_ns = table[:, 1]
        stride_bytes = _stride_bytes(width_px, height_px)
        self.frames: list[Pixels] = [
            np.frombuffer(
                memory, dtype=np.uint8, count=width_px * height_px * 3, offset=_PAGE_BYTES + slot * stride_bytes
            ).reshape(height_px, width_px, 3)
            for slot in range(slots)
        ]


def _stride_bytes(width_px: int, height_px: int) -> int:
    return -(-width_px * height_px * 3 // _PAGE_BYTES) * _PAGE_BYTES


def ring_bytes(width_px: int, height_px: int, slots: int = SLOTS) -> int:
    """What a ring takes in shared memory."""
    return _PAGE_BYTES + slots * _stride_bytes(width_px, height_px)


class FrameRing:
    """The writing end of one camera's ring; there is only one. Made with `create`.

    Each frame stays readable while the next ``slots - 2`` are committed. The slot that is written next is marked when
    the frame before it is committed: a whole frame interval lies between the mark and the first new pixel, so that no
    reader, on any memory model, takes new pixels for the old frame.
    """

    def __init__(self, name: str, region: _Region) -> None:
        self.name = name
        self._region = region
        self._next_slot = 0

    @classmethod
    def create(cls, name: str, camera: str, width_px: int, height_px: int, slots: int = SLOTS) -> FrameRing:
        """Make the ring `name` (see `ring_name`), replacing what an earlier writer left under that name.

        Raises:
            ValueError: a bad name or size, or fewer than 4 slots.
            FrameError: the operating system has no room for it in /dev/shm.
        """
        if not _NAME.fullmatch(name) or not 1 <= len(camera.encode()) < 64:
            raise ValueError(f"not a name for a ring or a camera: {name!r}, {camera!r}")
        if not (MIN_SLOTS <= slots <= MAX_SLOTS and 1 <= width_px <= MAX_SIDE_PX and 1 <= height_px <= MAX_SIDE_PX):
            raise ValueError(f"ring of {slots} slots of {width_px} x {height_px} px is out of range")
        path = _SHM / name
        size_bytes = ring_bytes(width_px, height_px, slots)
        try:
            path.unlink(missing_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                # Reserved now: a full /dev/shm is an error here instead of a SIGBUS at the first pixel.
                os.posix_fallocate(file, 0, size_bytes)
                memory = mmap.mmap(file, size_bytes)
                inode = os.fstat(file).st_ino
            except OSError:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(file)
        except OSError as error:
            raise FrameError(Refusal.FRAME_GONE, f"{path}, {size_bytes} bytes: {error.strerror}") from error
        region = _Region(memory, inode, camera, slots, width_px, height_px)
        # A random start, so that a reference to this ring never fits the one that it replaced.
        region.generation[:] = (int.from_bytes(os.urandom(6), "little") << 1) | 1
        header = np.frombuffer(memory, dtype=_HEADER, count=1)
        header["slots"], header["width_px"], header["height_px"] = slots, width_px, height_px
        header["camera"] = camera.encode()
        header["magic"] = _MAGIC
        return cls(name, region)

    def slot(self) -> Pixels:
        """The memory of the frame to come, (height_px, width_px, 3) uint8, to be filled and then committed."""
        return self._region.frames[self._next_slot]

    def commit(self, exposure_ns: int) -> FrameRef:
        """Declare the frame in `slot()` whole, taken at `exposure_ns`, and go on to the next slot."""
        region, slot = self._region, self._next_slot
        self._next_slot = (slot + 1) % region.slots
        region.generation[self._next_slot] |= np.uint64(1)
        region.exposure_ns[slot] = exposure_ns
        generation = int(region.generation[slot]) + 1
        region.generation[slot] = generation
        return FrameRef(
            camera=region.camera,
            ring=self.name,
            slot=slot,
            generation=generation,
            width_px=region.width_px,
            height_px=region.height_px,
            exposure_ns=exposure_ns,
        )

    def close(self) -> None:
        """Remove the ring's name; readers that look at it keep their memory until they let go of it."""
        if _inode(self.name) == self._region.inode:
            (_SHM / self.name).unlink(missing_ok=True)

    def __enter__(self) -> FrameRing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class FrameReader:
    """The reading end for any number of rings, which are attached when a reference first names them."""

    def __init__(self) -> None:
        self._regions: dict[str, _Region] = {}

    @contextmanager
    def view(self, ref: FrameRef) -> Iterator[Pixels]:
        """The frame that `ref` means, (height_px, width_px, 3) uint8, read-only, without a copy.

        What was computed from it counts only if the block ends without an error.

        Raises:
            FrameError: at entry if there is no such frame, at exit if the writer reused the slot meanwhile.
        """
        region = self._regions.get(ref.ring)
        if region is None or not _holds(region, ref):
            region = self._attach(ref.ring)
            _require_held(region, ref)
        yield region.frames[ref.slot]
        if int(region.generation[ref.slot]) != ref.generation:
            raise FrameError(Refusal.FRAME_GONE, f"{ref.ring} slot {ref.slot} was reused while it was read")

    def _attach(self, name: str) -> _Region:
        region = self._regions.get(name)
        if region is None or region.inode != _inode(name):
            # Never seen, or a writer that started anew made another region under the same name.
            self._regions.pop(name, None)
            region = _map(name)
            if len(self._regions) >= 2 * MAX_CAMERAS:
                self._regions.pop(next(iter(self._regions)))
            self._regions[name] = region
        return region


class RingWatch:
    """Looks for the newest frame of one ring, for whoever is not told of it. A ring that is not there has none."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._region: _Region | None = None

    def newest(self) -> FrameRef | None:
        """A reference to the frame that was exposed last; whoever reads it finds out whether it is still there."""
        if self._region is None:
            try:
                self._region = _map(self._name)
            except FrameError:
                return None
        region = self._region
        generations, exposures_ns = region.generation.copy(), region.exposure_ns.copy()
        whole = np.flatnonzero(generations % 2 == 0)
        if len(whole) == 0:
            return None
        slot = int(whole[np.argmax(exposures_ns[whole])])
        return FrameRef(
            camera=region.camera,
            ring=self._name,
            slot=slot,
            generation=int(generations[slot]),
            width_px=region.width_px,
            height_px=region.height_px,
            exposure_ns=int(exposures_ns[slot]),
        )


def _holds(region: _Region, ref: FrameRef) -> bool:
    return (
        0 <= ref.slot < region.slots
        and ref.generation % 2 == 0
        and int(region.generation[ref.slot]) == ref.generation
        and int(region.exposure_ns[ref.slot]) == ref.exposure_ns
        and (ref.width_px, ref.height_px, ref.camera) == (region.width_px, region.height_px, region.camera)
    )


def _require_held(region: _Region, ref: FrameRef) -> None:
    if _holds(region, ref):
        return
    if not 0 <= ref.slot < region.slots:
        raise FrameError(Refusal.OUT_OF_RANGE, f"{ref.ring} has no slot {ref.slot}")
    if (ref.width_px, ref.height_px) != (region.width_px, region.height_px):
        raise FrameError(Refusal.SHAPE, f"{ref.ring} is {region.width_px} x {region.height_px} px")
    if ref.camera != region.camera:
        raise FrameError(Refusal.MALFORMED, f"{ref.ring} belongs to camera {region.camera!r}, not {ref.camera!r}")
    raise FrameError(Refusal.FRAME_GONE, f"{ref.ring} slot {ref.slot} no longer holds {ref.generation}")


def _inode(name: str) -> int:
    try:
        return os.stat(_SHM / name, follow_symlinks=False).st_ino
    except OSError:
        return 0


def _map(name: str) -> _Region:
    if not _NAME.fullmatch(name):
        raise FrameError(Refusal.MALFORMED, "not the name of a ring")
    try:
        file = os.open(_SHM / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise FrameError(Refusal.FRAME_GONE, f"{name}: {error.strerror}") from error
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size < _PAGE_BYTES:
            raise FrameError(Refusal.MALFORMED, f"{name} is not a ring")
        memory = mmap.mmap(file, status.st_size, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        raise FrameError(Refusal.MALFORMED, f"{name}: {error}") from error
    finally:
        os.close(file)
    header = np.frombuffer(memory, dtype=_HEADER, count=1)[0]
    slots, width_px, height_px = int(header["slots"]), int(header["width_px"]), int(header["height_px"])
    if (
        int(header["magic"]) != _MAGIC
        or not MIN_SLOTS <= slots <= MAX_SLOTS
        or not (1 <= width_px <= MAX_SIDE_PX and 1 <= height_px <= MAX_SIDE_PX)
        or status.st_size < ring_bytes(width_px, height_px, slots)
    ):
        raise FrameError(Refusal.MALFORMED, f"{name} is not a ring, or not a finished one")
    camera = bytes(header["camera"]).decode("utf-8", "replace")
    return _Region(memory, status.st_ino, camera, slots, width_px, height_px)
