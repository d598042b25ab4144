"""The recordings that a whole robot leaves: on request, after a stop, and when its driver is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from edge_runtime.config.robot_file import load_config
from edge_runtime.safety import State
from edge_runtime.safety.recording import Recording, read_recording
from edge_runtime.safety.replay import replay
from tests.system.conftest import Robot


def next_recording(robot: Robot, known: set[Path]) -> Recording:
    """Wait for a file that is not in `known`, add it, and require that it replays to the bit."""
    folder = robot.run_dir / "black_box"
    robot.until(lambda: bool(set(folder.glob("*.bin")) - known))
    (path,) = set(folder.glob("*.bin")) - known
    known.add(path)
    recording = read_recording(path)
    assert replay(recording).identical
    return recording


def test_a_robot_leaves_recordings_that_replay(moving_robot: Robot, robot_toml: Path) -> None:
    robot, known = moving_robot, set[Path]()
    config = load_config(robot_toml)
    robot.operator.record()
    asked_for = next_recording(robot, known)
    assert asked_for.header.cause == "operator"
    assert asked_for.header.robot == config.robot.name
    assert asked_for.header.safety_digest == config.safety.digest
    assert (asked_for.records["verdict"]["state"] == State.ACTIVE).sum() > 50

    robot.operator.stop()
    stopped = next_recording(robot, known)
    assert stopped.header.reasons[-1:] == ("operator_stop",)
    heartbeat = robot.operator.watcher.heartbeats["control"]
    assert heartbeat.counters["black_box_failed"] == 0
    assert heartbeat.note == ""

    robot.until(lambda: robot.operator.watcher.control_state == "fault")
    robot.operator.wait_ready()
    robot.operator.arm()
    os.kill(robot.table.pids()["driver"], signal.SIGKILL)
    last = next_recording(robot, known)
    # Control sees that its driver has gone, and may bring the arm to rest before the feedback is too old.
    assert last.header.cause in ("trip", "error")
    assert set(last.header.reasons) & {"feedback_stale", "PortError"}
