"""`edge-runtime run`: ends by itself or when it is asked to, and leaves nothing behind either way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from edge_runtime.client.status import Watcher
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from hub.hub import make_development_hub
from tests.cli.conftest import Command, traces


def wait_for_state(run_dir: Path, state: str, process: subprocess.Popen[str], timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    with Watcher(run_dir) as watcher:
        while watcher.control_state != state:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s, watcher.status()
            watcher.receive(0.05)


def test_it_ends_by_itself_with_a_summary(edge_runtime: Command, robot_toml: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--episodes", 1, "--no-page")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "0 of 1 episodes" in out
    assert "out of time" in out
    assert "\x1b[" not in out, "no control codes where there is no terminal"
    assert err == ""
    assert len(out.splitlines()) < 40, "events, and a line every ten seconds"
    for line in ("An intervention is a tick in which", "A missed tick is a 1 ms slot"):
        assert line in " ".join(out.split()), "the summary says what its numbers mean"
    assert traces(run_dir, robot_toml) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_clean_stop_disarms_and_leaves_nothing(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, how: signal.Signals
) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", process)
    with Watcher(run_dir) as watcher:
        watcher.receive(0.2)
        process.send_signal(how)
        states = []
        while process.poll() is None:
            watcher.receive(0.02)
            if watcher.report is not None and watcher.report.state.value not in states:
                states.append(watcher.report.state.value)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, out + err
    assert "summary" in out
    assert states[-1] == "ready", states
    assert traces(run_dir, robot_toml) == []


def test_a_killed_run_takes_its_processes_along(edge_runtime: Command, robot_toml: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", process)
    process.kill()
    process.wait()
    deadline_s = time.monotonic() + 10.0
    while (left := traces(run_dir, robot_toml)) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert left == []


def with_updates(robot_toml: Path, folder: Path, **changes: str) -> Path:
    """Settings of the same robot with a section `[ota]`, whose hub is not there."""
    shutil.copytree(robot_toml.parent, folder)
    make_development_hub(folder / "hub", time.time())
    keys = {
        "robot_id": "arm-1",
        "hardware": "sim_arm",
        "image_url": "http://127.0.0.1:9/image",
        "director_url": "http://127.0.0.1:9/director/robots",
        "image_root": "hub/robot/image.root.json",
        "director_root": "hub/robot/director.root.json",
        "store": "store",
        **changes,
    }
    path = folder / robot_toml.name
    path.write_text(path.read_text() + "\n[ota]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    return path


def test_updates_run_beside_and_the_death_of_their_agent_is_not_the_runs(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    config = with_updates(robot_toml, tmp_path / "robot")
    process = edge_runtime("run", "--config", config, "--run-dir", run_dir, "--no-page")
    agents: list[int] = []
    deadline_s = time.monotonic() + 90.0
    with Watcher(run_dir) as watcher:
        while len(agents) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s, agents
            watcher.receive(0.05)
            if watcher.update is not None and watcher.update.pid not in agents:
                agents.append(watcher.update.pid)
                if len(agents) == 1:
                    os.kill(watcher.update.pid, signal.SIGKILL)
    asked = edge_runtime("operator", "outcome", "failure", "--reason", "dropped it", "--run-dir", run_dir)
    out, err = asked.communicate(timeout=30)
    assert asked.returncode == 0, err
    assert out.startswith("reported: failure, of an attempt of 10 s")
    # In a pipe a line comes every ten seconds.
    time.sleep(11.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err
    assert "ota 1" in out
    manifest = read_manifest(config.parent / "bundle")
    assert f"bundle {manifest.name} {manifest.version} ({manifest.digest[:8]})" in out
    assert traces(run_dir, config) == []


def test_a_wrong_setting_of_updates_is_one_line(
    edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> None:
    config = with_updates(robot_toml, tmp_path / "robot", image_root="elsewhere.json")
    process = edge_runtime("run", "--config", config, "--run-dir", run_dir, "--no-page")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.startswith("error: ota.image_root: ")
    assert err.count("\n") == 1


def test_a_robot_has_one_run(edge_runtime: Command, robot_toml: Path, run_dir: Path) -> None:
    first = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", first)
    second = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert err.startswith("error: run: another process already runs this robot")
    assert first.poll() is None


def test_the_page_shows_pictures_and_numbers_to_this_machine_only(
    edge_runtime: Command, robot_toml: Path, run_dir: Path
) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--page-port", 0)
    assert process.stdout is not None
    url, _, token = process.stdout.readline().split()[-1].partition("#token=")
    assert url.startswith("http://127.0.0.1:")
    assert token
    assert token not in (run_dir / "page_token.json").read_text(), "its hash is kept, not itself"
    wait_for_state(run_dir, "active", process)

    page = urllib.request.urlopen(url, timeout=5).read().decode()
    assert "://" not in page, "it works without a network"
    robot = json.load(urllib.request.urlopen(url + "api/robot", timeout=5))
    assert robot["cameras"] == ["scene", "wrist"]
    assert [axis["name"] for group in robot["groups"] for axis in group["axes"]][-1] == "gripper"

    def look() -> Any:
        return json.load(urllib.request.urlopen(url + "api/look", timeout=5))

    seen = look()
    assert seen["standing"]["state"] in ("holding", "active")
    assert (seen["standing"]["why"], seen["standing"]["next_step"]) == ([], "")
    assert seen["machine"]["alive"] == {"driver": True, "control": True, "engine": True}
    manifest = read_manifest(robot_toml.parent / "bundle")
    assert seen["policy"]["bundle"] == f"{manifest.name} {manifest.version} ({manifest.digest[:8]})"
    assert seen["update"] is None
    for camera in ("scene", "wrist"):
        assert urllib.request.urlopen(f"{url}api/cameras/{camera}.jpg", timeout=5).read().startswith(b"\xff\xd8\xff")
    for request in (
        url + "../etc/passwd",
        url + "api/cameras/roof.jpg",
        urllib.request.Request(url, headers={"Host": "elsewhere.example"}),
        urllib.request.Request(url + "api/requests/stop", data=b"{}"),
    ):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=5)

    for asked_for in ("reduce", "stop"):
        asked = edge_runtime("operator", asked_for, "--run-dir", run_dir)
        assert asked.wait(30) == 0
    deadline_s = time.monotonic() + 10.0
    while (seen := look())["standing"]["state"] != "fault":
        assert time.monotonic() < deadline_s, seen
        time.sleep(0.1)
    assert [one["name"] for one in seen["standing"]["why"]] == ["operator_stop"]
    assert seen["standing"]["next_step"] == "To continue: [reset], then [arm]."
    assert "reduced to 0.25 m/s at the tool by an operator" in seen["margins"]["speed"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_monitors_look_on_while_it_runs(edge_runtime: Command, robot_toml: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    wait_for_state(run_dir, "active", process)
    monitors = [edge_runtime("monitor", "--run-dir", run_dir, "--seconds", 2) for _ in range(2)]
    for monitor in monitors:
        out, _ = monitor.communicate(timeout=20)
        assert monitor.returncode == 0
        assert "active" in out
    assert process.poll() is None


@pytest.fixture
def broken_robot(robot_toml: Path, tmp_path: Path) -> Path:
    """A robot whose bundle has a graph that is none; returns the path of robot.toml."""
    for source in robot_toml.parent.rglob("*"):
        if source.is_file():
            target = tmp_path / source.relative_to(robot_toml.parent)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read_bytes())
    (tmp_path / "bundle" / "encode.onnx").write_bytes(b"no graph")
    return tmp_path / "robot.toml"


def test_an_altered_bundle_is_one_line(edge_runtime: Command, broken_robot: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", broken_robot, "--run-dir", run_dir, "--no-page")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "encode.onnx: does not match the manifest" in err


def test_a_run_that_fails_tells_first_what_went_well(edge_runtime: Command, robot_toml: Path, run_dir: Path) -> None:
    process = edge_runtime("run", "--config", robot_toml, "--run-dir", run_dir, "--no-page")
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith("✗   1 ")):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    deadline_s = time.monotonic() + 60.0
    while process.poll() is None:
        assert time.monotonic() < deadline_s
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "edge_runtime.engine" in child.cmdline():
                    child.kill()
        time.sleep(0.05)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.startswith("error: engine ended (SIGKILL)")
    assert "summary" in out
    assert "0 of 1 episodes" in out
    assert traces(run_dir, robot_toml) == []


def test_a_process_that_cannot_start_ends_the_run_with_its_last_words(
    edge_runtime: Command, broken_robot: Path, run_dir: Path
) -> None:
    bundle = broken_robot.parent / "bundle"
    manifest = read_manifest(bundle)
    blobs = tuple(blob_of(bundle, blob.path) for blob in manifest.blobs)
    write_manifest(bundle, msgspec.structs.replace(manifest, blobs=blobs))
    process = edge_runtime("run", "--config", broken_robot, "--run-dir", run_dir, "--no-page")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "engine ended (exit code 1)" in err
    assert "EngineError" in err
    assert "Traceback" not in err
    assert traces(run_dir, broken_robot) == []
