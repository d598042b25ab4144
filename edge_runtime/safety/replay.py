"""A recording run through the kernel again, record by record, compared bit for bit.

Guarantees: every record is executed from the state that was recorded with it, so that one that differs does not hide
the next; a record counts as identical only if its answer and the state it leads to are, to the last bit. Refuses to
know: where a recording came from. Trusts: what `recording.decode` has let through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.native import ffi, lib
from edge_runtime.safety.recording import KIND_REQUEST, KIND_TICK, RECORD_DTYPE, Recording

_RECORD_BYTES = RECORD_DTYPE.itemsize


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that came out otherwise.

    Attributes:
        seq: number of the record.
        what: "verdict", "answer" or "next state".
        fields: names of the fields that differ.
    """

    seq: int
    what: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that are not in the file: those between these two numbers."""

    after_seq: int
    before_seq: int

    @property
    def missing(self) -> int:
        """How many."""
        return self.before_seq - self.after_seq - 1


@dataclass(frozen=True, slots=True)
class Replay:
    """How a recording compares with what the kernel does now.

    Attributes:
        ticks, ticks_identical: kernel steps.
        requests, requests_identical: requests and tightenings.
        differences: in the order of the records.
        gaps: places where the next state could not be compared, because the next record is missing.
    """

    ticks: int
    ticks_identical: int
    requests: int
    requests_identical: int
    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def replay(recording: Recording) -> Replay:
    """Execute every record again."""
    executor = _Executor(recording)
    seqs = recording.records["seq"].tolist()
    kinds = recording.records["kind"].tolist()
    differences: list[Difference] = []
    gaps: list[Gap] = []
    total = {True: 0, False: 0}
    identical = {True: 0, False: 0}
    for index, (seq, kind) in enumerate(zip(seqs, kinds, strict=True)):
        found = executor.execute(index, seq)
        if index + 1 < len(seqs):
            if seqs[index + 1] == seq + 1:
                found += executor.compare_next_state(index, seq)
            else:
                gaps.append(Gap(seq, seqs[index + 1]))
        is_tick = kind == KIND_TICK
        total[is_tick] += 1
        identical[is_tick] += not found
        differences += found
    return Replay(
        ticks=total[True],
        ticks_identical=identical[True],
        requests=total[False],
        requests_identical=identical[False],
        differences=tuple(differences),
        gaps=tuple(gaps),
    )


class _Executor:
    """The kernel, put back to before each record."""

    def __init__(self, recording: Recording) -> None:
        self._config = recording.native_config()
        self._bytes = recording.records.tobytes()
        self._records = ffi.from_buffer("black_box_record[]", self._bytes)
        self._state = ffi.new("kernel_state *")
        self._verdict = ffi.new("kernel_verdict *")

    def execute(self, index: int, seq: int) -> list[Difference]:
        """Run one record; what its answer differs in."""
        record = self._records[index]
        self._state[0] = record.before
        feedback = ffi.addressof(record, "feedback")
        if record.kind == KIND_TICK:
            setpoint = ffi.addressof(record, "setpoint")
            lib.kernel_step(self._state, self._config, feedback, setpoint, record.now_ns, self._verdict)
            return self._compare(index, "verdict", self._verdict, seq, "verdict")
        if record.kind == KIND_REQUEST:
            result = lib.kernel_request(self._state, self._config, feedback, record.request, record.now_ns)
        else:
            result = lib.kernel_tighten(self._state, self._config, ffi.addressof(record, "tightening"))
        return [] if result == record.result else [Difference(seq, "answer", ("result",))]

    def compare_next_state(self, index: int, seq: int) -> list[Difference]:
        """What the state that the last `execute` led to has different from the one the next record starts from."""
        return self._compare(index + 1, "before", self._state, seq, "next state")

    def _compare(self, index: int, part: str, computed: Any, seq: int, what: str) -> list[Difference]:
        assert RECORD_DTYPE.fields is not None
        dtype, offset = RECORD_DTYPE.fields[part][:2]
        start = index * _RECORD_BYTES + offset
        recorded, now = self._bytes[start : start + dtype.itemsize], bytes(ffi.buffer(computed))
        if recorded == now:
            return []
        a, b = np.frombuffer(recorded, dtype=dtype)[0], np.frombuffer(now, dtype=dtype)[0]
        fields = tuple(name for name in dtype.names or () if a[name].tobytes() != b[name].tobytes())
        return [Difference(seq, what, fields)]
