"""`edge-runtime evaluate` keeps what it has, whatever happens to an episode or to itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_runtime.cli import main
from edge_runtime.cli.evaluate import _ResultFile
from edge_runtime.client.status import Watcher
from edge_runtime.config.robot_file import load_config
from edge_runtime.policies.tokenizers.words import WordTokenizer, write_tokenizer
from edge_runtime.testing.golden_bundles import seal
from tests.cli.conftest import Command, traces
from tests.other_families import blind_bundle


def until(condition: Callable[[], bool], process: subprocess.Popen[str], timeout_s: float = 90.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def outcomes(file: Path) -> list[str]:
    """Of the episodes in a result, which is whole at any time."""
    report: dict[str, Any] = json.loads(file.read_bytes())
    assert report["episodes"] == len(report["per_episode"])
    return [episode["outcome"] for episode in report["per_episode"]]


def test_an_episode_that_trips_is_a_failed_episode_with_its_reason(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    config = shutil.copytree(robot_toml.parent, tmp_path / "robot") / robot_toml.name
    safety = config.parent / "safety.toml"
    text = safety.read_text(encoding="utf-8")
    # So little that the first motion trips it.
    safety.write_text(re.sub(r"tracking_error_max_rad = .*", "tracking_error_max_rad = 0.0001", text))
    file = tmp_path / "result.json"
    process = edge_runtime(*("evaluate", "--config", config, "--run-dir", run_dir, "--episodes", 2, "--json", file))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert f"results go to {file}" in out
    assert "0 of 2" in out
    report = json.loads(file.read_bytes())
    assert report["outcomes"] == {"interrupted": 2}
    assert all("tracking_error" in episode["reason"] for episode in report["per_episode"])
    assert (report["run"]["episodes_wanted"], report["run"]["ended_early"]) == (2, "")
    assert traces(run_dir, config) == []


def test_a_process_that_dies_costs_one_episode(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    process = edge_runtime(*("evaluate", "--config", robot_toml, "--run-dir", run_dir, "--episodes", 3, "--json", file))
    with Watcher(run_dir) as watcher:

        def is_in_the_second() -> bool:
            watcher.receive(0.02)
            return file.exists() and watcher.control_state == "active"

        until(is_in_the_second, process)
        (engine,) = (
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "edge_runtime.engine" in child.cmdline()
        )
        engine.kill()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert "episode 2 (seed 1) error: engine ended (SIGKILL)" in out
    assert "starting the robot again" in out
    assert "0 of 3" in out
    assert outcomes(file) == ["failed", "error", "failed"]
    assert traces(run_dir, robot_toml) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_prints_and_keeps_what_it_has(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path, how: signal.Signals
) -> None:
    file = tmp_path / "result.json"
    file.write_text("an older result")
    process = edge_runtime("evaluate", "--config", robot_toml, "--run-dir", run_dir, "--json", file)
    until(lambda: file.read_bytes()[:1] == b"{", process)
    assert set(outcomes(file)) == {"failed"}
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, ""), out
    assert re.search(r"│ all\s+│\s+0 of \d+", out), out
    assert re.search(r"ended after \d+ of 100 episodes: interrupted", out)
    assert json.loads(file.read_bytes())["run"]["ended_early"] == "interrupted"
    assert traces(run_dir, robot_toml) == []


def test_results_go_where_somebody_made_room_for_them(
    robot_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, words in (
        (tmp_path / "nope" / "x.json", f"{tmp_path / 'nope'} is no folder"),
        (tmp_path, f"{tmp_path} is a folder"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["evaluate", "--config", str(robot_toml), "--json", str(path)])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith(f"error: --json: {words}")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_of_its_own_is_written_to_once_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    results = _ResultFile(pipe)
    results.write({"episodes": 1}, more_follow=True)
    results.write({"episodes": 2})
    reader.join(10.0)
    assert [json.loads(data) for data in received] == [{"episodes": 2}]
    assert pipe.is_fifo()


def test_a_sentence_that_the_policy_cannot_read_fails_its_episode(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    config = shutil.copytree(robot_toml.parent, tmp_path / "robot") / robot_toml.name
    write_tokenizer(config.parent / "bundle" / "words.json", WordTokenizer(words={"touch": 2}, pad=0, unknown=1))
    seal(config.parent / "bundle")
    file = tmp_path / "result.json"
    process = edge_runtime(*("evaluate", "--config", config, "--run-dir", run_dir, "--episodes", 6, "--json", file))
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, ""), out
    assert outcomes(file) == ["refused_unreadable"] * 6
    assert "the policy does not know: " in json.loads(file.read_bytes())["per_episode"][0]["reason"]


def test_a_policy_without_words_or_cameras_is_started_by_arming_and_moves_the_arm(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    config = shutil.copytree(robot_toml.parent, tmp_path / "robot") / robot_toml.name
    shutil.rmtree(config.parent / "bundle")
    blind_bundle(config.parent / "bundle", load_config(robot_toml).embodiment)
    file = tmp_path / "result.json"
    process = edge_runtime(*("evaluate", "--config", config, "--run-dir", run_dir, "--episodes", 2, "--json", file))
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, ""), out
    result = json.loads(file.read_bytes())
    # It does nothing that a task asks for, all its time.
    assert outcomes(file) == ["failed", "failed"]
    assert min(result["model_ms"]["count"], result["exposure_to_first_command_ms"]["count"]) > 20
    assert result["chunks_declined"] == 0
    assert not [kind for kind in result["refusals"] if "instruction" in kind]
