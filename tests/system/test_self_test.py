"""Control measures its own timing before it may be armed, and says what came of it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import load_config

pytestmark = pytest.mark.realtime

SELF_TEST_S = 2.0


def test_arming_is_answered_when_the_self_test_is_over(robot_toml: Path, run_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(robot_toml.parent, tmp_path / "config")
    settings = tmp_path / "config" / "robot.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[control]", f"[control]\nself_test_s = {SELF_TEST_S}"), encoding="utf-8")
    with Operator(run_dir) as operator, ProcessTable(load_config(settings), run_dir, lockstep=False) as table:
        table.start()
        operator.on_wait = table.tend
        watcher = operator.watcher
        assert operator.wait_until(lambda: watcher.control_state == "ready", 20.0)
        assert watcher.report is not None
        assert watcher.report.grade == ""
        asked_s, ticks = time.monotonic(), watcher.report.loop.ticks
        operator.arm()
        waited_s = time.monotonic() - asked_s
        report = watcher.report
        assert report.grade in ("A", "B", "C"), "what it is depends on the machine"
        assert report.speed_scale == {"A": 1.0, "B": 0.5, "C": 0.25}[report.grade]
        assert report.loop.ticks + report.loop.overruns >= SELF_TEST_S * 1e3
        assert waited_s > SELF_TEST_S - ticks / 1e3 - 0.5
        operator.disarm()
