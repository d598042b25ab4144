"""From a trip to a file: notices that the loop tripped, waits for what follows, and writes the black box out.

Guarantees: one file for each trip, whole or not there at all, in the run's `black_box` folder, never more than `keep`
of them; a disk that is full or slow costs that file, is counted and told, and holds up neither the loop nor the
supervisor (copying, compressing and writing happen on a thread of ordinary priority, mostly outside the interpreter's
lock). Refuses to know: why the robot tripped. Trusts: the loop's reports.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.native import ffi
from edge_runtime.safety import KernelConfig, Reason, State
from edge_runtime.safety.recording import FORMAT, Header, encode, layout_digest, readable_limits

_SUFFIX = ".bin"
_AFTER_NS = 500_000_000
"""So much of what follows a trip is recorded with it, on the loop's clock."""
_AFTER_LONGEST_S = 2.0
"""Wait no longer than this for it, on the real clock: the loop may have ended, or virtual time may stand still."""
_CLOSE_TIMEOUT_S = 3.0
_NAMED_REASONS = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose recordings these are. `safety_digest` as in every safety report, `bundle_digest` as in the first one; the
    `units` are those of the axes' values."""

    robot: str
    safety_digest: str
    bundle_digest: str | None
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Trigger:
    cause: str
    reasons: tuple[str, ...]
    tick_ns: int | None
    seq: int
    seen_s: float
    bundle_digest: str | None


class BlackBox:
    """Writes the loop's black box out when it trips or when told to. One thread calls it. A context manager: leaving
    it, after the loop has stopped, writes what is still due, and leaving it with an error makes it due.

    Args:
        loop: whose ring it reads.
        limits: what that loop's kernel holds the robot to.
        folder: where the files go; made when the first one is written.
        keep: the newest so many files stay.
    """

    def __init__(
        self, loop: ControlLoop, limits: KernelConfig, folder: Path, origin: Origin, *, keep: int = 20
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self._loop = loop
        self._limits = limits
        self._folder = folder
        self._origin = origin
        self._bundle_digest = origin.bundle_digest
        self._keep = keep
        self._after_records = max(1, _AFTER_NS // limits.tick_ns)
        self._tripped = False
        self._due: _Trigger | None = None
        self._thread: threading.Thread | None = None
        self._written = 0
        self._failed = 0
        self._missed = 0
        self._problem = ""
        self._newest = ""

    def observe(self, ticks: NDArray[np.void]) -> None:
        """Look at reports of the loop, `REPORT_DTYPE` in order; call with all of them."""
        tripped = (ticks["faults"] != 0) | (ticks["state"] == State.FAULT)
        for first in np.flatnonzero(tripped & ~np.concatenate(([self._tripped], tripped[:-1]))):
            faults = Reason(int(ticks["faults"][first]))
            names = tuple(reason.name.lower() for reason in Reason if reason.name and reason in faults)
            self._trigger("trip", names, int(ticks["tick_ns"][first]))
        if len(ticks):
            self._tripped = bool(tripped[-1])

    def follow(self, bundle_digest: str) -> None:
        """From now on the robot follows this bundle's policy; recordings say of which it was when they became due."""
        self._bundle_digest = bundle_digest

    def record(self) -> None:
        """Write the last seconds, because somebody asks for them."""
        self._trigger("operator", (), None)

    def tend(self) -> None:
        """Start writing what is due; call often."""
        due = self._due
        if due is None or (self._thread is not None and self._thread.is_alive()):
            return
        enough = self._loop.black_box_newest() - due.seq >= self._after_records
        if enough or time.monotonic() - due.seen_s >= _AFTER_LONGEST_S:
            self._start(due)

    def counters(self) -> dict[str, int]:
        """Files written, files that could not be, and trips too close to another to get one of their own."""
        return {
            "black_box_written": self._written,
            "black_box_failed": self._failed,
            "black_box_missed": self._missed,
        }

    @property
    def written(self) -> int:
        """Files that were written."""
        return self._written

    @property
    def failed(self) -> int:
        """Files that could not be written."""
        return self._failed

    @property
    def problem(self) -> str:
        """Why the last file could not be written; empty once one could."""
        return self._problem

    @property
    def newest(self) -> str:
        """Path of the file that was written last, empty before the first."""
        return self._newest

    def close(self) -> None:
        """Write what is still due, waiting a few seconds for it at most."""
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        self.observe(self._loop.drain_reports())
        if isinstance(error, Exception):
            self._trigger("error", (type(error).__name__,), None)
        self._join()
        if self._due is not None:
            self._start(self._due)
            self._join()

    def __enter__(self) -> BlackBox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(error)

    def _trigger(self, cause: str, reasons: tuple[str, ...], tick_ns: int | None) -> None:
        if self._due is not None and (cause != "trip" or self._due.cause == "trip"):
            # The recording that is due holds this one's moment as well.
            self._missed += cause == "trip"
            return
        self._due = _Trigger(
            cause, reasons, tick_ns, self._loop.black_box_newest(), time.monotonic(), self._bundle_digest
        )

    def _start(self, trigger: _Trigger) -> None:
        self._due = None
        self._thread = threading.Thread(target=self._write, args=(trigger,), name="black-box", daemon=True)
        self._thread.start()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _write(self, trigger: _Trigger) -> None:
        # The supervisor's real-time priority would keep other work off this core while the records are compressed.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        now = datetime.now(timezone.utc)
        try:
            records = self._loop.black_box_records()
            if not len(records):
                return
            header = self._header(trigger, records, now.isoformat(timespec="milliseconds"))
            stamp = now.strftime("%Y%m%dT%H%M%S") + f".{now.microsecond // 1000:03d}Z"
            reasons = "+".join(trigger.reasons[:_NAMED_REASONS]) or trigger.cause
            path = save(self._folder, f"{stamp}_{reasons}{_SUFFIX}", encode(header, records), self._keep)
        except (OSError, MemoryError) as error:
            self._failed += 1
            self._problem = f"black box: {getattr(error, 'strerror', None) or 'out of memory'}"
            return
        except Exception as error:
            # Told as any other file that is missing, and by its traceback in the log.
            self._failed += 1
            self._problem = f"black box: {type(error).__name__}, see the log of control"
            raise
        self._newest = str(path.resolve())
        self._written += 1
        self._problem = ""

    def _header(self, trigger: _Trigger, records: NDArray[np.void], written_utc: str) -> Header:
        config = self._limits.to_native()
        seq = trigger.seq
        if trigger.tick_ns is not None:
            found = np.flatnonzero(records["tick_ns"] == trigger.tick_ns)
            seq = int(records["seq"][found[0]]) if found.size else seq
        return Header(
            format=FORMAT,
            layout=layout_digest(),
            runtime_version=_version(),
            robot=self._origin.robot,
            axis_names=self._limits.axis_names,
            written_utc=written_utc,
            cause=trigger.cause,
            reasons=trigger.reasons,
            trigger_seq=seq,
            n_records=len(records),
            safety_digest=self._origin.safety_digest,
            bundle_digest=trigger.bundle_digest,
            limits=readable_limits(config),
            kernel_config=bytes(ffi.buffer(config)),
            units=self._origin.units,
        )


def _version() -> str:
    try:
        return importlib.metadata.version("edge-runtime")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def save(folder: Path, name: str, pieces: Iterable[bytes], keep: int) -> Path:
    """Write a file that is there whole or not at all, also after a power cut; then only the newest `keep` stay.

    Raises:
        OSError: it could not be written; nothing is left of it, and nothing was removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / name, folder / f"{name}.part"
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    _sync_folder(folder)
    # Names begin with the time; a part without a name was being written when its process died.
    for old in (*sorted(folder.glob(f"*{_SUFFIX}"))[:-keep], *folder.glob(f"*{_SUFFIX}.part")):
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
