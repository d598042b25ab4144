"""`python -m edge_runtime.page.opened FILE`: one recording as JSON on stdout, with the verdict of its replay.

A program of its own, so that neither a large file nor a hostile one is in the page's process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.client.explanations import REASONS, STATES
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.messages import KernelReason
from edge_runtime.contracts.text import printable, printable_lines
from edge_runtime.page.shown import RecordedAxis, RecordingOpened, Sentence, Span
from edge_runtime.page.standing import reason_sentences
from edge_runtime.safety import AxisKind, Reason, State
from edge_runtime.safety.recording import KIND_TICK, Recording, read_recording
from edge_runtime.safety.replay import Replay, replay

_FINE_S = 0.15
"""So long around the trip every tick is drawn."""
_COARSE = 700
"""At most so many ticks of the rest are."""
_EXPECTED = Reason.SETPOINT_NONE | Reason.FEEDBACK_TORN
_SHOWN = 3


def opened(recording: Recording, name: str) -> RecordingOpened:
    """A recording for the page; runs every record through the kernel again."""
    header, records = recording.header, recording.records
    ticks = records[records["kind"] == KIND_TICK]
    if not len(ticks):
        raise EdgeError("the recording holds no tick")
    at = int(np.searchsorted(ticks["seq"], header.trigger_seq))
    zero_ns = int(ticks["tick_ns"][min(at, len(ticks) - 1)])
    t_s = (ticks["tick_ns"] - zero_ns) / 1e9
    drawn = _drawn(t_s)
    result = replay(recording)
    return RecordingOpened(
        name=name,
        robot=header.robot,
        cause=header.cause,
        reasons=tuple(_reason(reason) for reason in header.reasons),
        written_utc=header.written_utc,
        runtime_version=header.runtime_version,
        torn=recording.torn,
        ticks=len(ticks),
        t_s=tuple(np.round(t_s[drawn], 4).tolist()),
        axes=tuple(_axes(recording, ticks[drawn])),
        states=tuple(_states(ticks, t_s)),
        acted=tuple(_acted(ticks, t_s)),
        verdict=_verdict(result),
        is_identical=result.identical,
    )


def _reason(name: str) -> Sentence:
    """A trip, or what control ended with."""
    try:
        return reason_sentences((KernelReason(name),))[0]
    except ValueError:
        return Sentence(name=printable(name), words=f"Control ended with {printable(name)}.", is_alarming=True)


def _drawn(t_s: NDArray[np.float64]) -> NDArray[np.intp]:
    stride = max(1, len(t_s) // _COARSE)
    is_drawn = (np.arange(len(t_s)) % stride == 0) | (np.abs(t_s) <= _FINE_S)
    is_drawn[-1] = True
    return np.flatnonzero(is_drawn)


def _axes(recording: Recording, ticks: NDArray[np.void]) -> Iterator[RecordedAxis]:
    config, header = recording.native_config(), recording.header
    has_setpoint = ticks["setpoint"]["present"] != 0
    units = header.units or ("",) * len(header.axis_names)
    for axis, (name, unit) in enumerate(zip(header.axis_names, units, strict=True)):
        # Of a base's axis a velocity is asked for, and its position is only summed up.
        field = "dq" if config.axis_kind[axis] == AxisKind.VELOCITY else "q"
        yield RecordedAxis(
            name=name,
            unit=unit,
            low=float(config.q_min[axis]),
            high=float(config.q_max[axis]),
            setpoint=_numbers(np.where(has_setpoint, ticks["setpoint"]["q"][:, axis], np.nan)),
            command=_numbers(ticks["verdict"][field][:, axis]),
            measured=_numbers(ticks["feedback"][field][:, axis]),
        )


def _numbers(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    # What trips a robot may be a number that no chart has room for.
    fit = np.isfinite(values) & (np.abs(values) < 1e6)
    return tuple(round(value, 5) if good else None for value, good in zip(values.tolist(), fit.tolist(), strict=True))


def _states(ticks: NDArray[np.void], t_s: NDArray[np.float64]) -> Iterator[Span]:
    states = ticks["verdict"]["state"]
    edges = np.flatnonzero(np.diff(states)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(states)], strict=True):
        said = State(int(states[first])).said
        yield Span(
            name=said.value,
            words=STATES[said].meaning,
            from_s=round(float(t_s[first]), 4),
            until_s=round(float(t_s[last - 1]), 4),
        )


def _acted(ticks: NDArray[np.void], t_s: NDArray[np.float64]) -> Iterator[Span]:
    for reason in Reason:
        acted = (ticks["verdict"]["reasons"] & np.uint64(reason)) != 0
        if not reason.name or reason & _EXPECTED or not acted.any():
            continue
        known = REASONS[KernelReason[reason.name]]
        indices = np.flatnonzero(acted)
        yield Span(
            name=reason.name.lower(),
            words=f"{known.meaning} ({len(indices)} of {len(ticks)} ticks)",
            from_s=round(float(t_s[indices[0]]), 4),
            until_s=round(float(t_s[indices[-1]]), 4),
        )


def _verdict(result: Replay) -> str:
    words = f"{result.ticks_identical:,} of {result.ticks:,} ticks came out bit for bit as recorded"
    if result.requests:
        words += f", and {result.requests_identical:,} of {result.requests:,} requests"
    for difference in result.differences[:_SHOWN]:
        words += f"; record {difference.seq}: {difference.what} differs in {', '.join(difference.fields)}"
    if result.gaps:
        words += f"; {sum(gap.missing for gap in result.gaps):,} records are missing in between"
    return f"{words}."


def main() -> int:
    """Print one recording; 1 with a line on stderr if it is none."""
    parser = argparse.ArgumentParser(description="one recording of the black box as JSON")
    parser.add_argument("file", type=Path)
    parser.add_argument("--nice", type=int, default=0)
    options = parser.parse_args()
    with contextlib.suppress(OSError):
        os.nice(options.nice)
    try:
        shown = opened(read_recording(options.file), options.file.name)
    except EdgeError as error:
        print(printable_lines(error), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
