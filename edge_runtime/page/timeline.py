"""Chunks over the last seconds, what each axis did beside what they asked for, and where the time from exposure to
command went.

Fed with messages, bounded, and nothing else: no clock, no bus. Times are on the clock of the stamps, which starts anew
where a run in virtual time does.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice

import numpy as np

from edge_runtime.client.explanations import MESSAGES
from edge_runtime.contracts.messages import ActionChunk, ChunkReceipt, SafetyReport
from edge_runtime.page.shown import ChunkShown, Curve, LatencyPart

_SAMPLES = 600
"""Half a minute of control's reports."""
_CHUNKS = 256
_CHUNKS_SHOWN = 80
_SHOWN_S = 10.0
_LATENCIES = 100
PARTS = ("capture", "wait", "inference", "buffer", "loop", "total")
"""From exposure to command. `capture`: until the driver has the observation ready. `wait`: until the engine takes it
up. `inference`: until the chunk is ready. `buffer`: until control has it. `loop`: until the first command of it."""

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Sample:
    number: int
    stamp_ns: int
    planned: Vector | None
    commanded: Vector
    measured: Vector


@dataclass(slots=True)
class _Chunk:
    chunk: ActionChunk
    receipt: ChunkReceipt | None = None

    @property
    def until_ns(self) -> int:
        return self.chunk.exposure_ns + len(self.chunk.position) * self.chunk.dt_ns


class Timeline:
    """What is remembered of one robot's motion. Not for several threads at a time."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[int, _Chunk] = OrderedDict()
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)
        self._latencies_ns: deque[tuple[int, ...]] = deque(maxlen=_LATENCIES)
        self._number = 0
        self._newest: SafetyReport | None = None

    def add_chunk(self, chunk: ActionChunk) -> None:
        """The engine has made one."""
        if self._chunks and chunk.published_ns < next(reversed(self._chunks.values())).chunk.published_ns:
            # Another engine, or virtual time from its beginning: its numbers start again.
            self._chunks.clear()
        self._chunks[chunk.sequence] = _Chunk(chunk)
        self._chunks.move_to_end(chunk.sequence)
        while len(self._chunks) > _CHUNKS:
            self._chunks.popitem(last=False)

    def add_receipt(self, receipt: ChunkReceipt) -> None:
        """Control says what became of one."""
        known = self._chunks.get(receipt.chunk_sequence)
        if known is None or known.chunk.published_ns != receipt.chunk_published_ns:
            # Of before this page listened.
            return
        known.receipt = receipt
        observed_ns, followed_ns = receipt.observation_published_ns, receipt.first_command_ns
        if observed_ns is None or followed_ns is None:
            return
        taken_up_ns, made_ns = known.chunk.timing.received_ns, receipt.chunk_published_ns
        self._latencies_ns.append(
            (
                observed_ns - receipt.exposure_ns,
                taken_up_ns - observed_ns,
                made_ns - taken_up_ns,
                receipt.received_ns - made_ns,
                followed_ns - receipt.received_ns,
                followed_ns - receipt.exposure_ns,
            )
        )

    def add_report(self, report: SafetyReport) -> None:
        """Control says where the axes are."""
        if self._newest is not None and report.stamp_ns < self._newest.stamp_ns:
            self._samples.clear()
            self._chunks.clear()
        if self._samples and len(self._samples[-1].measured) != len(report.position_measured):
            self._samples.clear()
        self._newest = report
        self._number += 1
        sample = _Sample(
            self._number,
            report.stamp_ns,
            self._planned(report),
            report.position_commanded,
            report.position_measured,
        )
        self._samples.append(sample)

    def _planned(self, report: SafetyReport) -> Vector | None:
        known = self._chunks.get(report.chunk_sequence) if report.chunk_sequence is not None else None
        if known is None:
            return None
        chunk = known.chunk
        row = (report.stamp_ns - chunk.exposure_ns) / chunk.dt_ns - 1.0
        first = int(np.floor(row))
        if not -1 <= first < len(chunk.position):
            return None
        before = chunk.position[max(first, 0)]
        after = chunk.position[min(first + 1, len(chunk.position) - 1)]
        share = row - first
        return tuple(a + share * (b - a) for a, b in zip(before, after, strict=True))

    def curve(self, axis: int, since: int) -> Curve:
        """Axis `axis` after sample number `since`, and what is asked of it from now on."""
        # Newest first until there is nothing new: what is asked for is mostly the last few.
        new = [s for s in islice(reversed(self._samples), _SAMPLES) if s.number > since]
        new.reverse()
        new = [sample for sample in new if axis < len(sample.measured) and axis < len(sample.commanded)]
        ahead_t_s, ahead = self._ahead(axis)
        return Curve(
            axis=axis,
            number=self._number,
            t_s=tuple(round(sample.stamp_ns / 1e9, 4) for sample in new),
            planned=tuple(_of(sample.planned, axis) for sample in new),
            commanded=tuple(_rounded(sample.commanded[axis]) for sample in new),
            measured=tuple(_rounded(sample.measured[axis]) for sample in new),
            ahead_t_s=ahead_t_s,
            ahead=ahead,
        )

    def _ahead(self, axis: int) -> tuple[Vector, Vector]:
        report = self._newest
        known = self._chunks.get(report.chunk_sequence) if report and report.chunk_sequence is not None else None
        if report is None or known is None or axis >= len(known.chunk.position[0]):
            return (), ()
        chunk = known.chunk
        due = [
            (chunk.exposure_ns + (k + 1) * chunk.dt_ns, row[axis])
            for k, row in enumerate(chunk.position)
            if chunk.exposure_ns + (k + 1) * chunk.dt_ns >= report.stamp_ns
        ]
        return tuple(round(at_ns / 1e9, 4) for at_ns, _ in due), tuple(_rounded(value) for _, value in due)

    def chunks(self) -> tuple[ChunkShown, ...]:
        """Those of the last ten seconds, oldest first."""
        report = self._newest
        if report is None:
            return ()
        now_ns = report.stamp_ns
        shown = [known for known in self._chunks.values() if known.until_ns > now_ns - _SHOWN_S * 1e9]
        return tuple(self._shown(known, now_ns, report.chunk_sequence) for known in shown[-_CHUNKS_SHOWN:])

    @staticmethod
    def _shown(known: _Chunk, now_ns: int, followed: int | None) -> ChunkShown:
        chunk, receipt = known.chunk, known.receipt
        first_ns = receipt.first_command_ns if receipt is not None else None
        refusal = receipt.refusal if receipt is not None else None
        words = ""
        if refusal is not None:
            meaning = MESSAGES.get(refusal.value)
            words = meaning.meaning if meaning is not None else refusal.value.replace("_", " ")
        return ChunkShown(
            sequence=chunk.sequence,
            exposure_s=round((chunk.exposure_ns - now_ns) / 1e9, 4),
            published_s=round((chunk.published_ns - now_ns) / 1e9, 4),
            from_s=None if first_ns is None else round((first_ns - now_ns) / 1e9, 4),
            until_s=round((known.until_ns - now_ns) / 1e9, 4),
            fate=(
                "refused"
                if refusal is not None
                else "followed"
                if first_ns is not None or chunk.sequence == followed
                else "replaced"
                if receipt is not None
                else "arrived"
            ),
            refusal=words,
            confidence=chunk.confidence,
        )

    def latency(self) -> tuple[LatencyPart, ...]:
        """Percentiles of each of `PARTS`."""
        if not self._latencies_ns:
            return tuple(LatencyPart(name=name, p50_ms=None, p99_ms=None) for name in PARTS)
        p50, p99 = np.percentile(np.array(self._latencies_ns, dtype=np.float64), (50, 99), axis=0) / 1e6
        return tuple(
            LatencyPart(name=name, p50_ms=round(float(half), 3), p99_ms=round(float(tail), 3))
            for name, half, tail in zip(PARTS, p50, p99, strict=True)
        )


def _of(vector: Vector | None, axis: int) -> float | None:
    return None if vector is None or axis >= len(vector) else _rounded(vector[axis])


def _rounded(value: float) -> float:
    return round(value, 6)
