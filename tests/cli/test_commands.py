"""The other commands and what they say when something is wrong."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from edge_runtime.cli import build_parser, main
from edge_runtime.cli.commands import operator
from edge_runtime.cli.display import Score, describe, plain_line
from edge_runtime.client.status import Watcher
from edge_runtime.contracts.messages import EpisodeOutcome, GateState
from tests.cli.conftest import Command, traces

COMMANDS = (
    "run",
    "evaluate",
    "monitor",
    "operator",
    "jog",
    "ota",
    "check",
    "claims",
    "page",
    "replay",
    "view",
    "export-mcap",
    "kinematics",
    "new",
    "calibrate",
    "completion",
)


def test_every_command_is_in_the_help_and_in_its_examples() -> None:
    usage = build_parser().format_help()
    listed = re.findall(r"^    ([a-z][a-z-]+)", usage, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
    for command in COMMANDS:
        assert f"  edge-runtime {command}" in usage


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_teaches_by_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args([*command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert command == ["check"] or "example" in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["run", "--episodes", "0"],
        ["run", "--seed", "-1"],
        ["run", "--page-port", "70000"],
        ["run", "--run-dir", "x" * 100],
        ["run", "--run-dir", "ö" * 50],
        ["evaluate", "--min-success", "85"],
        ["evaluate", "--split", "test"],
        ["operator"],
        ["operator", "fly"],
        ["operator", "instruct"],
        ["operator", "instruct", "  "],
        ["operator", "instruct", "x" * 513],
        ["operator", "instruct", "touch \udcff"],
        ["operator", "outcome", "failure", "--reason", "\ud800"],
        ["monitor", "--seconds", "nan"],
        ["monitor", "--seconds", "-1"],
        ["operator", "stop", "--run-dir", "x" * 100],
        ["jog", "joint1", "far"],
        ["jog", "joint1", "nan"],
        ["jog", "joint1", "0.1", "--speed", "26"],
        ["jog", "joint1", "0.1", "--speed", "0"],
        ["jog", "joint1"],
        ["jog"],
        ["ota"],
        ["ota", "install"],
    ],
)
def test_a_wrong_argument_is_said_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["run", "evaluate", "check", "claims"])
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    command: str, robot_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "robot.toml"
    bad.write_text(robot_toml.read_text(encoding="utf-8").replace("threads =", "thread ="), encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main([command, "--config", str(bad)])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err == "error: engine.thread: unknown key in robot.toml; did you mean `threads`?\n"


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_a_bundle_that_needs_more_than_the_robot_allows_starts_nothing(
    command: str, robot_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(robot_toml.parent, tmp_path / "robot")
    manifest = tmp_path / "robot" / "bundle" / "manifest.json"
    needs = {"requires_safety": {"velocity_rad_s": [1.0] * 6 + [9.0]}}
    manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes()) | needs))
    with pytest.raises(SystemExit) as caught:
        main([command, "--config", str(tmp_path / "robot" / robot_toml.name)])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("error: requires_safety.velocity_rad_s of joint7: expected 'at least 9'")


def test_results_that_cannot_be_written_end_an_evaluation_before_it_starts(
    robot_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--config", str(robot_toml), "--json", str(tmp_path / "file" / "result.json")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: --json: ")


def test_a_package_that_is_not_installed_is_one_line() -> None:
    without = "import sys; sys.modules['cv2'] = None; from edge_runtime.cli import main; main(['run'])"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert ".[robot,sim]" in done.stderr


def test_monitor_says_when_nobody_is_there(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["monitor", "--run-dir", str(run_dir), "--seconds", "0.3"])
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert "no message was received" in said.err
    assert "error: " not in said.out


def test_a_status_without_news_can_be_shown(run_dir: Path) -> None:
    with Watcher(run_dir) as watcher:
        status = watcher.status()
    for width in (40, 100):
        console = Console(width=width, record=True)
        console.print(describe(status, "robot", Score()))
        shown = " ".join(console.export_text().split())
        assert "down driver, control, engine" in shown, "nothing is cut off in a narrow terminal"
    assert "\n" not in plain_line(status)
    assert "''" not in plain_line(status), "no instruction is nothing to quote"


@pytest.mark.parametrize(
    ("gate", "meaning"),
    [(GateState.ASKING, "asks for help"), (GateState.ESCALATED, "waits for an answer"), (GateState.CAUTIOUS, "slower")],
)
def test_a_policy_that_is_not_sure_is_seen_in_both_displays(run_dir: Path, gate: GateState, meaning: str) -> None:
    with Watcher(run_dir) as watcher:
        sure = msgspec.structs.replace(watcher.status(), gate=GateState.SURE, confidence=0.93)
    unsure = msgspec.structs.replace(sure, gate=gate, confidence=0.12)
    console = Console(width=160, record=True)
    console.print(describe(unsure, "robot"))
    assert meaning in console.export_text()
    assert meaning in plain_line(unsure)
    assert "0.12" in plain_line(unsure)
    assert meaning not in plain_line(sure)


def test_brackets_from_elsewhere_are_shown_as_they_are(run_dir: Path) -> None:
    with Watcher(run_dir) as watcher:
        status = msgspec.structs.replace(watcher.status(), reason="[/] of [engine]", refusals={"driver.[/x].y": 1})
    console = Console(width=100, record=True)
    console.print(describe(status, "[robot]"))
    text = console.export_text()
    assert all(part in text for part in ("[robot]", "[/] of [engine]", "driver.[/x].y"))


def test_evaluate_writes_what_it_prints(edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    arguments = ("evaluate", "--config", robot_toml, "--run-dir", run_dir, "--episodes", 1, "--json", file)
    process = edge_runtime(*arguments, "--min-success", 0.5)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 1, out + err
    assert "below the asked 50%" in out
    report = json.loads(file.read_bytes())
    assert (report["episodes"], report["successes"]) == (1, 0)
    assert report["outcomes"] == {"failed": 1}
    assert report["interval_95"][1] == pytest.approx(0.793, abs=0.001)
    assert report["exposure_to_first_command_ms"]["p50"] == 100.0
    assert report["model_ms"]["count"] >= 45
    assert len(report["per_episode"][0]["trace_digest"]) == 64
    assert report["run"]["clock"] == "lockstep"
    assert traces(run_dir, robot_toml) == []


def test_an_evaluation_that_is_terminated_leaves_nothing(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(run_dir))
    process = edge_runtime("evaluate", "--config", robot_toml)
    deadline_s = time.monotonic() + 30.0
    while not list(run_dir.glob("edge-*/heartbeat_engine.ipc")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    (folder,) = run_dir.glob("edge-*")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, ""), out
    assert not folder.exists()
    assert traces(folder, robot_toml) == []


def test_check_finds_this_machine_fit_or_says_why_not(edge_runtime: Command, robot_toml: Path) -> None:
    out, err = edge_runtime("check", "--config", robot_toml).communicate(timeout=60)
    assert err == ""
    for row in ("Python", "real-time priority", "memory lock", "bundle", "inference", "drawing", "loop, 2 s at 1 kHz"):
        assert row in out


def test_a_refused_sentence_shows_with_its_reason_and_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    with Watcher(tmp_path) as watcher:
        status = msgspec.structs.replace(
            watcher.status(),
            instruction_refused="touch the \x1b[31mmug",
            instruction_problem="the policy does not know: mug",
        )
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(describe(status, "arm"))
    for text in (console.export_text(), plain_line(status)):
        assert "was refused: the policy does not know: mug" in " ".join(text.split())
        assert "\x1b" not in text


def test_every_outcome_of_an_episode_can_be_told() -> None:
    assert tuple(outcome.value for outcome in EpisodeOutcome) == operator._OUTCOMES
