"""A recording of the black box as MCAP: one JSON message a tick and topic, each topic with its schema.

Guarantees that every tick and request of the recording is in the file, in order, with numbers as they were recorded; a
value that is no number is null. Stamps are wall time: the newest record is from when the recording was written.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.cli.replay import reason_names
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.installation import explain
from edge_runtime.contracts.subcommand import say, warn
from edge_runtime.safety import Reason, Request, Result, State
from edge_runtime.safety.recording import KIND_REQUEST, KIND_TICK, Recording, read_recording

Number = float | None


class JointStates(msgspec.Struct, frozen=True):
    """`/asked`, `/commanded`, `/measured`: one value for each axis, in the unit of that axis."""

    name: tuple[str, ...]
    unit: tuple[str, ...]
    position: tuple[Number, ...]
    velocity: tuple[Number, ...] = ()
    effort: tuple[Number, ...] = ()


class KernelVerdict(msgspec.Struct, frozen=True):
    """`/verdict`: what the safety kernel decided in a tick."""

    record: int
    state: str
    reasons: tuple[str, ...]
    faults: tuple[str, ...]
    accepted: Number
    speed_scale: Number
    stop_margin: Number
    stop_margin_axis: str
    stop_margin_m: Number
    time_to_rest_s: Number


class LogTime(msgspec.Struct, frozen=True):
    """Of a log message."""

    sec: int
    nsec: int


class Log(msgspec.Struct, frozen=True):
    """`/events`: foxglove.Log; level 2 informs, 3 warns, 4 is an error."""

    timestamp: LogTime
    level: int
    message: str
    name: str = "safety_kernel"
    file: str = ""
    line: int = 0


_TOPICS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "/asked": ("edge_runtime.JointStates", JointStates),
    "/commanded": ("edge_runtime.JointStates", JointStates),
    "/measured": ("edge_runtime.JointStates", JointStates),
    "/verdict": ("edge_runtime.KernelVerdict", KernelVerdict),
    "/events": ("foxglove.Log", Log),
}


def export_mcap(options: argparse.Namespace) -> int:
    """Write `options.file` as MCAP; the exit code.

    Raises:
        EdgeError: it is no recording, the package mcap is missing, or the file can't be written.
    """
    recording = read_recording(options.file)
    if recording.torn:
        warn(recording.torn)
    path: Path = options.output or options.file.with_suffix(".mcap")
    count = write_mcap(recording, path)
    say(f"wrote {path}: {count} messages of {len(recording.records)} records; open it in Foxglove")
    return 0


def write_mcap(recording: Recording, path: Path) -> int:
    """Write `recording` to `path`, whole or not at all; how many messages there are.

    Raises:
        EdgeError: the package mcap is not installed, or the file can't be written.
    """
    try:
        from mcap.writer import Writer
    except ModuleNotFoundError as error:
        raise EdgeError(f"export-mcap: {explain(error, ('mcap',))}") from None
    part = path.with_name(f"{path.name}.part")
    header, count = recording.header, 0
    try:
        with part.open("wb") as file:
            writer = Writer(file)
            writer.start(profile="", library=f"edge-runtime {header.runtime_version}")
            schemas = {
                name: writer.register_schema(name, "jsonschema", _schema(kind)) for name, kind in _TOPICS.values()
            }
            channels = {
                topic: writer.register_channel(topic, "json", schemas[name]) for topic, (name, _) in _TOPICS.items()
            }
            about = {
                "robot": header.robot,
                "cause": header.cause,
                "reasons": " ".join(header.reasons),
                "written_utc": header.written_utc,
                "safety_digest": header.safety_digest,
                "bundle_digest": header.bundle_digest or "",
            }
            writer.add_metadata("recording", about)
            for topic, at_ns, sequence, message in _messages(recording):
                count += 1
                data = msgspec.json.encode(message)
                writer.add_message(channels[topic], log_time=at_ns, publish_time=at_ns, sequence=sequence, data=data)
            writer.finish()  # type: ignore[no-untyped-call]
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise EdgeError(f"{path}: {error.strerror}") from error
    return count


def _schema(kind: type[msgspec.Struct]) -> bytes:
    """JSON schema with the struct itself at the top, as Foxglove reads it."""
    (_, components) = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    top = components.pop(kind.__name__)
    return msgspec.json.encode({**top, "$defs": components} if components else top)


def wall_offset_ns(recording: Recording) -> int:
    """What makes wall time of a stamp: the newest record is from when the recording was written."""
    with contextlib.suppress(ValueError):
        written = datetime.fromisoformat(recording.header.written_utc)
        if written.tzinfo is None:
            written = written.replace(tzinfo=timezone.utc)
        return round(written.timestamp() * 1e9) - int(recording.records["now_ns"][-1])
    return 0


def _messages(recording: Recording) -> Iterator[tuple[str, int, int, msgspec.Struct]]:
    """Topic, stamp, record and message, in order."""
    offset_ns = wall_offset_ns(recording)
    names, n = recording.header.axis_names, len(recording.header.axis_names)
    units = recording.header.units or ("",) * n
    state = faults = -1
    for record in recording.records:
        at_ns, seq = max(0, int(record["now_ns"]) + offset_ns), int(record["seq"])
        if record["kind"] != KIND_TICK:
            yield "/events", at_ns, seq, _log(at_ns, 2, _request(record))
            continue
        feedback, setpoint, verdict = record["feedback"], record["setpoint"], record["verdict"]
        if setpoint["present"]:
            yield "/asked", at_ns, seq, JointStates(names, units, _numbers(setpoint["q"][:n]))
        moved = JointStates(names, units, _numbers(verdict["q"][:n]), _numbers(verdict["dq"][:n]))
        yield "/commanded", at_ns, seq, moved
        effort = _numbers(feedback["tau"][:n]) if feedback["has_torque"] else ()
        seen = JointStates(names, units, _numbers(feedback["q"][:n]), _numbers(feedback["dq"][:n]), effort)
        yield "/measured", at_ns, seq, seen
        yield "/verdict", at_ns, seq, _verdict(seq, verdict, names)
        if int(verdict["state"]) != state or int(verdict["faults"]) != faults:
            state, faults = int(verdict["state"]), int(verdict["faults"])
            tripped = f": {reason_names(faults)}" if faults else ""
            yield "/events", at_ns, seq, _log(at_ns, 4 if faults else 2, f"{_state(state)}{tripped}")


def _verdict(seq: int, verdict: Any, names: tuple[str, ...]) -> KernelVerdict:
    axis = int(verdict["stop_margin_axis"])
    return KernelVerdict(
        record=seq,
        state=_state(int(verdict["state"])),
        reasons=_names(int(verdict["reasons"])),
        faults=_names(int(verdict["faults"])),
        accepted=_number(verdict["accepted"]),
        speed_scale=_number(verdict["speed_scale"]),
        stop_margin=_number(verdict["stop_margin"]),
        stop_margin_axis=names[axis] if 0 <= axis < len(names) else "",
        stop_margin_m=_number(verdict["stop_margin_m"]),
        time_to_rest_s=_number(verdict["time_to_rest_s"]),
    )


def _request(record: Any) -> str:
    kind, result = int(record["request"]), int(record["result"])
    known = Request(kind).name.lower() if kind in set(Request) else f"number {kind}"
    answer = Result(result).name.lower() if result in set(Result) else str(result)
    return f"request {known}: {answer}" if record["kind"] == KIND_REQUEST else f"tightening: {answer}"


def _log(at_ns: int, level: int, words: str) -> Log:
    return Log(LogTime(at_ns // 1_000_000_000, at_ns % 1_000_000_000), level, words)


def _state(number: int) -> str:
    return State(number).name.lower()


def _names(bits: int) -> tuple[str, ...]:
    return tuple(reason.name.lower() for reason in Reason if reason.name and bits & reason)


def _numbers(values: NDArray[np.float64]) -> tuple[Number, ...]:
    return tuple(map(_number, values.tolist()))


def _number(value: float) -> Number:
    return float(value) if math.isfinite(value) else None
