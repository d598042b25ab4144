"""`edge-runtime replay`: a recording of the black box, run through the kernel again and shown.

Guarantees an answer in the exit code: 0 if every record came out as it was recorded, 1 if one differs or the file is
not one that can be replayed. Draws and computes nothing itself; that is `safety.replay` and `cli.replay_plot`.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.subcommand import say_json, warn
from edge_runtime.native import lib
from edge_runtime.safety import AxisKind, Reason, Request, Result, State
from edge_runtime.safety.recording import KIND_REQUEST, KIND_TICK, Recording, read_recording
from edge_runtime.safety.replay import Replay, replay

_ROWS_BEFORE = 20
_SHOWN = 10
_NO_MARGIN = 1e9
_EXPECTED = Reason.SETPOINT_NONE | Reason.FEEDBACK_TORN


def replay_command(options: argparse.Namespace, console: Console) -> int:
    """Replay `options.file`; 1 if anything differs."""
    recording = read_recording(options.file)
    if recording.torn:
        warn(recording.torn)
    result = replay(recording)
    if options.json:
        say_json(replay_report(recording, result))
    elif options.tick is not None:
        _show_tick(recording, options.tick, console)
    else:
        _show_summary(recording, console)
        _show_last(recording, console)
    if options.csv is not None:
        _write_csv(recording, options.csv)
    if options.plot is not None:
        from edge_runtime.cli.replay_plot import plot

        plot(recording, options.plot)
    if not options.json:
        _show_result(result, console)
    return 0 if result.identical else 1


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording holds and how it compares, for programs.

    Attributes:
        cause: "trip", "operator", or "error"; `reasons`: names of the faults that tripped, or of the error.
        trigger_seq: record of the tick that tripped, or the newest one when the recording was asked for.
        duration_s: from its first tick to its last.
        states: of the kernel, in their order, without repetition.
        ticks_armed, interventions: ticks while armed, and those of them in which the kernel changed what was asked for.
        replay: how many records came out as they were recorded, and what differs.
        identical: whether nothing differs.
        torn: why records are missing at the end; empty for a whole file.
    """

    robot: str
    cause: str
    reasons: tuple[str, ...]
    trigger_seq: int
    written_utc: str
    runtime_version: str
    duration_s: float
    states: tuple[str, ...]
    ticks_armed: int
    interventions: int
    safety_digest: str
    bundle_digest: str | None
    replay: Replay
    identical: bool
    torn: str


def replay_report(recording: Recording, result: Replay) -> ReplayReport:
    """What the summary says."""
    header, ticks = recording.header, ticks_of(recording)
    armed, altered = _armed_and_altered(ticks)
    return ReplayReport(
        robot=header.robot,
        cause=header.cause,
        reasons=header.reasons,
        trigger_seq=header.trigger_seq,
        written_utc=header.written_utc,
        runtime_version=header.runtime_version,
        duration_s=_duration_s(ticks),
        states=_states(ticks),
        ticks_armed=int(np.count_nonzero(armed)),
        interventions=int(np.count_nonzero(altered)),
        safety_digest=header.safety_digest,
        bundle_digest=header.bundle_digest,
        replay=result,
        identical=result.identical,
        torn=recording.torn,
    )


def _armed_and_altered(ticks: NDArray[np.void]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Ticks while armed, and those of them in which the kernel changed what was asked for."""
    verdicts = ticks["verdict"]
    armed = np.isin(verdicts["state"], [state for state in State if state.is_armed])
    unexpected = np.uint64(~int(_EXPECTED) & (2**64 - 1))
    return armed, armed & ((verdicts["reasons"] & unexpected) != 0)


def _duration_s(ticks: NDArray[np.void]) -> float:
    return (int(ticks["tick_ns"][-1]) - int(ticks["tick_ns"][0])) / 1e9 if len(ticks) else 0.0


def _states(ticks: NDArray[np.void]) -> tuple[str, ...]:
    states = ticks["verdict"]["state"]
    changes = np.flatnonzero(np.diff(states, prepend=states[:1] + 1))
    return tuple(_state(int(state)) for state in states[changes])


def reason_names(bits: int, nothing: str = "") -> str:
    """Names of the reasons in `bits`, in the order of the kernel's table."""
    return ", ".join(r.name.lower() for r in Reason if r.name and bits & r) or nothing


def ticks_of(recording: Recording) -> NDArray[np.void]:
    """The records that are ticks."""
    ticks: NDArray[np.void] = recording.records[recording.records["kind"] == KIND_TICK]
    return ticks


def trip_ns(recording: Recording) -> int:
    """When the tick that tripped was due, or the newest one before the request: the zero of every time shown."""
    ticks = ticks_of(recording)
    if not len(ticks):
        return 0
    index = int(np.searchsorted(ticks["seq"], recording.header.trigger_seq))
    return int(ticks["tick_ns"][min(index, len(ticks) - 1)])


def _show_summary(recording: Recording, console: Console) -> None:
    header, ticks = recording.header, ticks_of(recording)
    verdicts = ticks["verdict"]
    armed, altered = _armed_and_altered(ticks)
    cause = f"{header.cause}: {', '.join(header.reasons)}" if header.reasons else f"asked for by: {header.cause}"
    rows = {
        "robot": header.robot,
        "cause": cause,
        "at": f"record {header.trigger_seq}, written {header.written_utc} by version {header.runtime_version}",
        "holds": f"{len(ticks)} ticks, {_duration_s(ticks):.3f} s, and {len(recording.records) - len(ticks)} requests",
        "states": " → ".join(_states(ticks)),
        "interventions": f"{np.count_nonzero(altered)} of {np.count_nonzero(armed)} ticks while armed",
        "": ", ".join(f"{name} {count}" for name, count in _counts(verdicts["reasons"][altered])) or "none",
        "limits digest": header.safety_digest,
        "bundle digest": header.bundle_digest or "none",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), Text(value))
    console.print(table)


def _counts(reasons: NDArray[np.uint64]) -> Iterator[tuple[str, int]]:
    for reason in Reason:
        count = int(np.count_nonzero(reasons & np.uint64(reason)))
        if reason.name and count and not reason & _EXPECTED:
            yield reason.name.lower(), count


def _show_last(recording: Recording, console: Console) -> None:
    """The ticks that led to the trip, the one that tripped, and the requests between them."""
    records, zero_ns = recording.records, trip_ns(recording)
    end = int(np.searchsorted(records["seq"], recording.header.trigger_seq, side="right"))
    title = "\nthe last ticks before it (margin and tracking error in thousandths of a unit, time to rest in ms)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("record", "ms", "state", "accepted", "margin", "rest", "error", "reasons"):
        is_text = column in ("state", "reasons")
        table.add_column(column, justify="left" if is_text else "right", no_wrap=column != "reasons")
    for record in records[max(0, end - _ROWS_BEFORE - 1) : end]:
        verdict = record["verdict"]
        if record["kind"] != KIND_TICK:
            table.add_row(str(record["seq"]), "", "", "", "", "", "", Text(_request(record), "cyan"))
            continue
        table.add_row(
            str(record["seq"]),
            f"{(int(record['tick_ns']) - zero_ns) / 1e6:.1f}",
            _state(int(verdict["state"])),
            f"{verdict['accepted']:.3f}",
            _margin(recording, verdict),
            f"{verdict['time_to_rest_s'] * 1e3:.0f}",
            _error(recording, record),
            Text(reason_names(int(verdict["reasons"])), "bold red" if verdict["faults"] else ""),
        )
    console.print(table)


def _margin(recording: Recording, verdict: Any) -> str:
    """The margin of a full stop, of the axis whose it is; a dash where no axis has a range."""
    margin, i = float(verdict["stop_margin"]), int(verdict["stop_margin_axis"])
    return f"{margin * 1e3:.1f} {_thousandths(recording, i)}".strip() if margin < _NO_MARGIN else "–"


def _error(recording: Recording, record: Any) -> str:
    """The largest distance of an axis from its command, as the kernel sees it: grippers may be elsewhere."""
    config = recording.native_config()
    errors = [
        _away(AxisKind(config.axis_kind[i]), record["verdict"], record["feedback"], i) for i in range(config.n_axes)
    ]
    i = int(np.argmax(errors))
    return f"{errors[i] * 1e3:.2f} {_thousandths(recording, i)}".strip()


def _away(kind: AxisKind, verdict: Any, feedback: Any, i: int) -> float:
    if kind is AxisKind.GRIPPER:
        return 0.0
    if kind is AxisKind.VELOCITY:
        return abs(float(verdict["dq"][i] - feedback["dq"][i]))
    away = float(verdict["q"][i] - feedback["q"][i])
    if not math.isfinite(away):
        return math.inf
    return abs(math.remainder(away, 2.0 * math.pi) if kind is AxisKind.CONTINUOUS else away)


def _thousandths(recording: Recording, i: int) -> str:
    units = recording.header.units
    return f"m{units[i]}" if i < len(units) else ""


def _show_tick(recording: Recording, seq: int, console: Console) -> None:
    records, names = recording.records, recording.header.axis_names
    index = int(np.searchsorted(records["seq"], seq))
    if index == len(records) or records["seq"][index] != seq:
        raise EdgeError(f"--tick {seq}: the recording holds {records['seq'][0]} to {records['seq'][-1]}")
    record = records[index]
    is_tick = record["kind"] == KIND_TICK
    title = f"tick at {record['tick_ns']} ns, woken at {record['now_ns']} ns" if is_tick else _request(record)
    console.print(Text(f"record {seq}: {title}", "bold"))
    for part in ("before", "feedback", "setpoint", "verdict") if is_tick else ("before", "feedback"):
        console.print(_fields(part, record[part], names))


def _fields(part: str, values: Any, names: tuple[str, ...]) -> Table:
    table = Table(title=f"\n{part}", title_justify="left")
    table.add_column("field")
    for name in names:
        table.add_column(Text(name), justify="right")
    for field in values.dtype.names:
        value = values[field]
        if value.dtype.names is not None:
            for inner in value.dtype.names:
                table.add_row(f"{field}.{inner}", f"{value[inner]}")
        elif value.ndim == 0:
            text = f"{value}"
            if field == "state":
                text = _state(int(value))
            elif field in ("reasons", "faults"):
                text = reason_names(int(value), "none")
            table.add_row(field, Text(text))
        elif value.dtype == np.uint8:
            table.add_row(field, value.tobytes().hex()[:16])
        elif value.ndim == 2:
            for index, row in enumerate(value):
                table.add_row(f"{field}[{index}]", *(f"{number:.9g}" for number in row[: len(names)]))
        elif value.dtype.kind in "iu" and len(value) != lib.KERNEL_MAX_AXES:
            table.add_row(field, " ".join(f"{number}" for number in value))
        elif len(value) == lib.KERNEL_MAX_AXES:
            table.add_row(field, *(f"{number:.9g}" for number in value[: len(names)]))
        else:
            for index, number in enumerate(value):
                table.add_row(f"{field}[{index}]", f"{number:.9g}")
    return table


def _request(record: Any) -> str:
    known = record["request"] in set(Request)
    name = Request(int(record["request"])).name.lower() if known else f"number {record['request']}"
    what = f"request {name}" if record["kind"] == KIND_REQUEST else "tightening"
    result = int(record["result"])
    return f"{what}: {Result(result).name.lower() if result in set(Result) else result}"


def _state(number: int) -> str:
    return State(number).name.lower()


def _show_result(result: Replay, console: Console) -> None:
    for difference in result.differences[:_SHOWN]:
        fields = ", ".join(difference.fields)
        console.print(Text(f"record {difference.seq}: {difference.what} differs in {fields}", "bold red"))
    if len(result.differences) > _SHOWN:
        console.print(f"… and {len(result.differences) - _SHOWN} more", highlight=False)
    for gap in result.gaps[:_SHOWN]:
        console.print(Text(f"{gap.missing} records are missing after {gap.after_seq}", "yellow"))
    text = f"{result.ticks_identical} of {result.ticks} ticks identical"
    if result.requests:
        text += f", {result.requests_identical} of {result.requests} requests"
    console.print(Text(text, "bold green" if result.identical else "bold red"))


def _write_csv(recording: Recording, path: Path) -> None:
    """One row a tick; reasons by name, values of axes with the axis's, each in its own unit."""
    names, zero_ns = recording.header.axis_names, trip_ns(recording)
    n = len(names)
    vectors = {
        "setpoint": ("setpoint", "q"),
        "command": ("verdict", "q"),
        "command_speed": ("verdict", "dq"),
        "command_acceleration": ("verdict", "ddq"),
        "measured": ("feedback", "q"),
        "measured_speed": ("feedback", "dq"),
    }
    scalars = ("accepted", "speed_scale", "stop_margin", "stop_margin_axis", "stop_margin_m", "time_to_rest_s")
    heading = ["record", "tick_ns", "now_ns", "t_s", "state", "reasons", "faults", *scalars]
    heading += [f"{vector}.{name}" for vector in vectors for name in names]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            for tick in ticks_of(recording):
                verdict = tick["verdict"]
                row = [tick["seq"], tick["tick_ns"], tick["now_ns"], (int(tick["tick_ns"]) - zero_ns) / 1e9]
                row += [_state(int(verdict["state"]))]
                row += [reason_names(int(verdict[field])).replace(", ", " ") for field in ("reasons", "faults")]
                row += [verdict[scalar] for scalar in scalars]
                for part, field in vectors.values():
                    present = part != "setpoint" or tick["setpoint"]["present"]
                    row += tick[part][field][:n].tolist() if present else [""] * n
                writer.writerow(row)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error
