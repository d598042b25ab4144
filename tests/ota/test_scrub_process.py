"""The agent's own process heals what the disk altered, and says so."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.ota.agent.history import History
from edge_runtime.testing.web_server import WebServer
from tests.ota.scrubbed_robot import flip
from tests.ota.updated_robot import Scene

PATIENCE_S = 60.0


def test_a_file_that_the_disk_altered_is_healed_from_the_hub(tmp_path: Path) -> None:
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        scene.assign(scene.publish(scene.bundle("1")), 1)
        with scene.agent() as (agent, runner):
            agent.turn(scene.now_s)
            runner.clear()
            runner.prove()
            folder = runner.boot().folder
        asked = scene.packs_asked
        flip(max(folder.iterdir(), key=lambda path: path.stat().st_size), 1000)
        with pytest.raises(BundleError):
            verify_bundle(folder)
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        command = ("-m", "edge_runtime.ota", "--config", scene.config_path, "--run-dir", run_dir)
        with subprocess.Popen([sys.executable, *map(str, command)]) as process:
            try:
                deadline_s = time.monotonic() + PATIENCE_S
                while not any("is healed" in entry.detail for entry in History(scene.settings.store).entries()):
                    assert process.poll() is None
                    assert time.monotonic() < deadline_s
                    time.sleep(0.1)
            finally:
                process.terminate()
        verify_bundle(folder)
        assert scene.packs_asked > asked
