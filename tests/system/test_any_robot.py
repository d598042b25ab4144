"""Robots of every shape through the real processes: a policy moves all axes, and the recording replays to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.messages import Asker
from edge_runtime.safety import State
from edge_runtime.safety.recording import read_recording
from edge_runtime.safety.replay import replay
from edge_runtime.testing.other_robots import OTHER_ROBOTS, write_settings
from tests import any_policy

MOVES_S = 3.0

pytestmark = [pytest.mark.realtime, pytest.mark.in_company]


def written(operator: Operator) -> int:
    return 0 if operator.watcher.report is None else operator.watcher.report.recordings_written


@pytest.mark.parametrize("name", sorted(OTHER_ROBOTS))
def test_a_policy_moves_every_axis_and_its_recording_replays(name: str, tmp_path: Path, run_dir: Path) -> None:
    robot = OTHER_ROBOTS[name]
    any_policy.bundle(tmp_path / "bundle", robot)
    path = write_settings(tmp_path, robot, driver="kinematic")
    path.write_text(path.read_text() + 'bundle = "bundle"\n')
    config = load_config(path)
    with (
        Operator(run_dir, asker=Asker.PERSON) as operator,
        ProcessTable(config, run_dir, restart=False) as table,
    ):
        table.start()
        operator.on_wait = table.tend
        operator.wait_ready()
        operator.arm()
        assert operator.wait_until(lambda: operator.watcher.control_state == "active", 20.0), operator.watcher.status()
        operator.wait_until(lambda: False, MOVES_S)
        operator.record()
        assert operator.wait_until(lambda: written(operator) > 0, 10.0), operator.watcher.report
        report = operator.watcher.report
        assert report is not None
        recorded = Path(report.recording)
        assert report.faults == ()
        assert report.chunks_taken >= 10
        assert report.bundle_digest is not None
        operator.disarm()
        assert operator.wait_until(lambda: operator.watcher.control_state.may_be_armed, 10.0)
    recording = read_recording(recorded)
    result = replay(recording)
    assert result.identical, result.differences[:3]
    ticks = recording.records["verdict"]
    active = ticks[ticks["state"] == State.ACTIVE]
    assert len(active) > 0.8 * MOVES_S * 1000
    axes = len(robot.axes)
    q, dq = active["q"][:, :axes], active["dq"][:, :axes]
    for number, axis in enumerate(robot.axes):
        values = dq[:, number] if axis.is_velocity else q[:, number]
        _, reach = any_policy.middle_and_reach(axis)
        assert np.ptp(values) > 0.2 * reach, (axis.name, np.ptp(values), reach)
        if axis.has_range:
            assert axis.low - 1e-9 <= values.min() <= values.max() <= axis.high + 1e-9, axis.name
        if not axis.is_gripper:
            assert np.abs(dq[:, number]).max() <= axis.speed_max * (1 + 1e-9), axis.name
