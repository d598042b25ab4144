"""A recording as MCAP: every tick is in it, with the numbers of the recording, and what reads MCAP reads it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mcap.reader import make_reader

from edge_runtime.cli.export_mcap import export_mcap, write_mcap
from edge_runtime.contracts.errors import EdgeError, RecordingError
from edge_runtime.safety.recording import KIND_TICK, encode
from tests.safety.recorded import recorded


def test_every_tick_is_in_it_with_the_numbers_of_the_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = recorded()
    path = tmp_path / "trip.bin"
    path.write_bytes(b"".join(encode(recording.header, recording.records)))
    assert export_mcap(SimpleNamespace(file=path, output=None)) == 0  # type: ignore[arg-type]
    assert "open it in Foxglove" in capsys.readouterr().out
    ticks = recording.records[recording.records["kind"] == KIND_TICK]
    n = len(recording.header.axis_names)
    with (tmp_path / "trip.mcap").open("rb") as file:
        reader = make_reader(file)
        found: dict[str, list[dict[str, object]]] = {}
        stamps: dict[str, list[int]] = {}
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            assert schema.encoding == "jsonschema"
            assert json.loads(schema.data)["type"] == "object"
            found.setdefault(channel.topic, []).append(json.loads(message.data))
            stamps.setdefault(channel.topic, []).append(message.log_time)
        (about,) = reader.iter_metadata()
    assert about.metadata["robot"] == recording.header.robot
    assert len(found["/measured"]) == len(found["/commanded"]) == len(found["/verdict"]) == len(ticks)
    measured = np.array([message["position"] for message in found["/measured"]])
    assert np.array_equal(measured, ticks["feedback"]["q"][:, :n]), "to the last bit"
    commanded = np.array([message["position"] for message in found["/commanded"]])
    assert np.array_equal(commanded, ticks["verdict"]["q"][:, :n])
    assert np.array_equal(np.diff(stamps["/verdict"]), np.diff(ticks["now_ns"]))
    assert found["/measured"][0]["name"] == list(recording.header.axis_names)
    states = {message["state"] for message in found["/verdict"]}
    assert {"ready", "active", "stopping", "fault"} <= states
    assert any("operator_stop" in str(event["message"]) for event in found["/events"])
    assert any(str(event["message"]).startswith("request arm: done") for event in found["/events"])


def test_a_value_that_is_no_number_is_null(tmp_path: Path) -> None:
    recording = recorded()
    records = recording.records.copy()
    records["feedback"]["q"][:, 0] = np.nan
    path = tmp_path / "nan.mcap"
    write_mcap(type(recording)(recording.header, records), path)
    with path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages(topics=["/measured"]):
            assert channel.topic == "/measured"
            assert json.loads(message.data)["position"][0] is None


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="No such file or directory"):
        write_mcap(recorded(), tmp_path / "nowhere" / "trip.mcap")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingError):
        export_mcap(SimpleNamespace(file=path, output=None))  # type: ignore[arg-type]
