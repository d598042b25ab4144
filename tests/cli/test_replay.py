"""`edge-runtime replay` on a recording of the real kernel: what it says, draws and exits with."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime.cli import main
from edge_runtime.cli.replay import ReplayReport
from edge_runtime.safety.recording import Recording, encode
from tests.control.perfect_driver import JOINTS
from tests.safety.recorded import ARMED_AT, STOPPED_AT, TICK_NS, recorded

TRIP_SEQ = STOPPED_AT + 4
"""The tick after the stop: before it lie two requests after the arming tick, and the stop itself."""


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded()


@pytest.fixture
def file(recording: Recording, tmp_path: Path) -> Path:
    return write(recording, tmp_path / "trip.bin")


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Exit code and everything that was said, for arguments of `edge-runtime replay`."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["replay", *map(str, arguments)])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out + captured.err

    return run


def write(recording: Recording, path: Path, **header: Any) -> Path:
    path.write_bytes(b"".join(encode(msgspec.structs.replace(recording.header, **header), recording.records)))
    return path


def altered(recording: Recording, change: Callable[[Any], None]) -> Recording:
    records = recording.records.copy()
    change(records)
    return Recording(recording.header, records)


def test_the_summary_says_what_happened(recording: Recording, file: Path, replay: Any) -> None:
    code, out = replay(file)
    assert code == 0
    assert out.splitlines()[-1] == "600 of 600 ticks identical, 3 of 3 requests"
    assert "trip: operator_stop" in out
    assert "600 ticks, 0.599 s, and 3 requests" in out
    assert "ready → active → stopping → fault" in out
    assert "limit_speed_scale" in out
    rows = [line.split() for line in out.splitlines()[:-1] if line.split()[:1] and line.split()[0].isdigit()]
    assert [int(row[0]) for row in rows] == list(range(TRIP_SEQ - 20, TRIP_SEQ + 1))
    assert rows[-1][1:3] == ["0.0", "stopping"]
    assert rows[-2][1:] == ["request", "stop:", "done"]
    assert recording.header.trigger_seq == TRIP_SEQ
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_flipped_bit_fails_and_is_named(recording: Recording, tmp_path: Path, replay: Any) -> None:
    def flip(records: Any) -> None:
        records["verdict"]["dq"][200].view("u1")[0] ^= 1

    code, out = replay(write(altered(recording, flip), tmp_path / "flipped.bin"))
    assert code == 1
    assert "record 201: verdict differs in dq" in out
    assert "599 of 600 ticks identical" in out


def test_many_differences_are_counted_not_listed(recording: Recording, tmp_path: Path, replay: Any) -> None:
    def flip(records: Any) -> None:
        records["verdict"]["speed_scale"] += 1.0

    code, out = replay(write(altered(recording, flip), tmp_path / "flipped.bin"))
    assert code == 1
    assert "… and 590 more" in out
    assert "0 of 600 ticks identical" in out


def test_one_tick_whole(file: Path, replay: Any) -> None:
    code, out = replay(file, "--tick", 300)
    assert code == 0
    for part in ("before", "feedback", "setpoint", "verdict"):
        assert f"\n{part} " in out or f"\n{part}\n" in out
    assert "stop_margin" in out
    assert all(name in out for name in JOINTS)
    code, out = replay(file, "--tick", ARMED_AT + 1)
    assert code == 0
    assert "record 21: request arm: done" in out
    assert "tightening: done" in replay(file, "--tick", ARMED_AT + 2)[1]
    code, out = replay(file, "--tick", 700)
    assert code == 1
    assert "--tick 700: the recording holds 1 to 603" in out


def test_the_summary_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(SystemExit) as caught:
        main(["replay", str(file), "--json"])
    said = capsys.readouterr()
    assert caught.value.code == 0
    assert said.err.startswith("warning: the file ends too early")
    report = msgspec.json.decode(said.out, type=ReplayReport)
    assert (report.cause, report.reasons, report.trigger_seq) == ("trip", ("operator_stop",), TRIP_SEQ)
    assert report.states[:3] == ("ready", "active", "stopping")
    assert 0 < report.interventions < report.ticks_armed
    assert (report.replay.ticks, report.replay.ticks_identical, report.identical) == (509, 509, True)
    assert report.torn


def test_a_torn_file_is_a_warning(file: Path, replay: Any) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    code, out = replay(file)
    assert code == 0
    assert "warning: the file ends too early; 512 of 603 records can be read" in " ".join(out.split())
    assert "509 of 509 ticks identical" in out


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "not a recording"), (b"EDGE-BBX" + bytes(8), "header"), (b"GIF89a", "not a recording")]
)
def test_what_is_no_recording_is_one_line(content: bytes, said: str, tmp_path: Path, replay: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    code, out = replay(path)
    assert code == 1
    assert len(out.splitlines()) == 1
    assert said in out
    assert replay(tmp_path / "missing")[0] == 1


def test_another_build_is_one_line(recording: Recording, tmp_path: Path, replay: Any) -> None:
    code, out = replay(write(recording, tmp_path / "other.bin", layout="f" * 64, runtime_version="7.7.7"))
    assert code == 1
    assert out.startswith("error: layout: written by another build (7.7.7)")


def test_csv_has_a_row_a_tick(recording: Recording, file: Path, tmp_path: Path, replay: Any) -> None:
    assert replay(file, "--csv", tmp_path / "ticks.csv")[0] == 0
    with (tmp_path / "ticks.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    ticks = recording.records[recording.records["kind"] == 1]
    assert len(rows) == 600
    for index in (0, 300, STOPPED_AT, 599):
        row, tick = rows[index], ticks[index]
        assert int(row["tick_ns"]) == (index + 1) * TICK_NS
        assert float(row[f"command.{JOINTS[1]}"]) == tick["verdict"]["q"][1]
        assert float(row["stop_margin"]) == tick["verdict"]["stop_margin"]
    assert rows[0][f"setpoint.{JOINTS[0]}"] == ""
    assert rows[STOPPED_AT]["state"] == "stopping"
    assert rows[STOPPED_AT]["faults"] == "operator_stop"
    assert float(rows[STOPPED_AT]["t_s"]) == 0.0
    code, out = replay(file, "--csv", tmp_path / "no" / "ticks.csv")
    assert (code, len(out.splitlines()[-1:])) == (1, 1)
    assert "No such file" in out


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_plots(ending: str, magic: bytes, file: Path, tmp_path: Path, replay: Any) -> None:
    path = tmp_path / f"trip.{ending}"
    assert replay(file, "--plot", path)[0] == 0
    assert path.read_bytes().startswith(magic)
    assert path.stat().st_size > 10_000


def test_a_plot_names_what_it_shows(file: Path, tmp_path: Path, replay: Any) -> None:
    path = tmp_path / "trip.svg"
    code, _ = replay(file, "--plot", path)
    assert code == 0
    # Text is drawn as shapes; the drawing program leaves it as comments.
    text = path.read_text(encoding="utf-8")
    for label in ("setpoint", "command", "measured", "range", "limit_speed_scale", "operator_stop", "stopping"):
        assert label in text


def test_numbers_without_bounds_can_be_drawn(recording: Recording, tmp_path: Path, replay: Any) -> None:
    def spoil(records: Any) -> None:
        records["feedback"]["q"][250:260] = [[np.nan], [np.inf], [-np.inf], [1e308], [-1e308]] * 2
        records["setpoint"]["q"][260:262] = [[np.nan], [1e308]]

    path = write(altered(recording, spoil), tmp_path / "spoilt.bin")
    code, out = replay(path, "--plot", tmp_path / "spoilt.png")
    assert code == 1
    assert "verdict differs" in out
    assert (tmp_path / "spoilt.png").stat().st_size > 10_000


def test_wrong_endings_and_folders_are_one_line(file: Path, tmp_path: Path, replay: Any) -> None:
    code, out = replay(file, "--plot", tmp_path / "trip.doc")
    assert code == 1
    assert ".png, .svg, .pdf" in " ".join(out.split())
    code, out = replay(file, "--plot", tmp_path / "no" / "trip.png")
    assert code == 1
    assert "No such file" in out


def test_without_matplotlib_the_rest_works_and_the_plot_says_what_to_install(file: Path, tmp_path: Path) -> None:
    program = "import sys; sys.modules['matplotlib'] = None; from edge_runtime.cli import main; main()"
    plain = [sys.executable, "-c", program, "replay", str(file)]
    assert subprocess.run(plain, capture_output=True, timeout=60).returncode == 0
    done = subprocess.run([*plain, "--plot", str(tmp_path / "x.png")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install -e '.[plot]'" in done.stderr
