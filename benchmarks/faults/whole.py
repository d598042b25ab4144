"""Faults of whole processes: control killed, which the driver's own watchdog must answer, and the engine that ships.

What stops a robot without control is its driver. What is asked of the control that comes next is that it moves nothing
until somebody resets and arms it, although a policy sends it good chunks all the while.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.faults.robot import WATCHDOG_NS, FaultRobot, Robot, WholeRobot
from benchmarks.faults.rounds import Kind, Stop, judge_stop, wait_moving
from edge_runtime.ipc.port import CommandState
from edge_runtime.processes import CONTROL, ENGINE
from edge_runtime.safety import Reason

WATCHDOG_S = WATCHDOG_NS * 1e-9
SIM_WATCHDOG_S = 0.1
_AT_REST_RAD_S = 0.02
_SILENCE_S = 0.3


@dataclass(frozen=True)
class ControlKill:
    """What became of a robot whose control was killed in motion; times in seconds.

    Attributes:
        stopped_s: from the last command until the driver stood still by itself, or was at rest.
        moved_by_itself: commands of the new control that were to be followed before anybody armed it.
    """

    stopped_s: float
    moved_by_itself: int


def kill_control(robot: FaultRobot) -> ControlKill:
    """One round with the recording driver, from motion to motion.

    Raises:
        RuntimeError: the driver did not stop by itself.
    """
    robot.wait(robot.random.uniform(0.0, 0.25))
    stops = robot.plant.watchdog_stops
    robot.kill(CONTROL)
    if not robot.until(lambda: robot.plant.watchdog_stops > stops, 5.0):
        raise RuntimeError("the driver follows a dead control")
    # Where this process was kept waiting, the last commands of the dead control are still to be read.
    robot.listen()
    last_ns = int(robot.entries["stamp_ns"][-1])
    stopped_s = (robot.plant.stopped_ns - last_ns) * 1e-9
    moved = _moved_by_itself(robot)
    wait_moving(robot)
    return ControlKill(stopped_s, moved)


def _moved_by_itself(robot: Robot) -> int:
    """Start control anew and look at what it says before anybody arms it."""
    robot.forget(0)
    robot.start(CONTROL)
    if not robot.until(lambda: robot.state in (CommandState.READY, CommandState.FAULT), 60.0):
        raise RuntimeError("control does not come up")
    robot.wait(_SILENCE_S)
    return int(np.count_nonzero([CommandState(int(state)).follows for state in robot.entries["state"]]))


def kill_whole_control(robot: WholeRobot) -> ControlKill:
    """One round with the simulated plant: until its joints are measured at rest.

    Raises:
        RuntimeError: it does not come to rest.
    """
    robot.set_moving()
    robot.wait(robot.random.uniform(0.0, 0.7))
    robot.kill(CONTROL)
    robot.wait(0.02)
    assert robot.recorder is not None
    last_ns = int(robot.entries["stamp_ns"][-1])
    end_s = time.monotonic() + 5.0
    while True:
        stamp_ns, speeds = robot.recorder.measured()
        is_late = stamp_ns - last_ns > SIM_WATCHDOG_S * 1e9
        if is_late and np.abs(speeds).max() < _AT_REST_RAD_S:
            break
        if time.monotonic() > end_s:
            raise RuntimeError(f"without control the arm moves on: {speeds}")
        time.sleep(0.0005)
    moved = _moved_by_itself(robot)
    return ControlKill((stamp_ns - last_ns) * 1e-9, moved)


@dataclass(frozen=True)
class EngineRound:
    """What became of a robot whose engine was killed or frozen in motion; see `rounds.Round`."""

    kind: Kind
    detected_s: float
    stop: Stop | None


def fault_of_engine(robot: WholeRobot, kind: Kind) -> EngineRound:
    """Kill or freeze the engine at a random moment of a task.

    Raises:
        RuntimeError: nobody noticed.
    """
    robot.set_moving()
    robot.wait(robot.random.uniform(0.0, 0.7))
    robot.forget()
    engine = robot.processes[ENGINE]
    fault_ns = time.monotonic_ns()
    engine.send_signal(signal.SIGKILL if kind is Kind.KILL else signal.SIGSTOP)
    bit = np.uint64(int(Reason.POLICY_DEAD if kind is Kind.KILL else Reason.POLICY_STALLED))
    if kind is Kind.KILL:
        del robot.processes[ENGINE]

    def at_rest() -> bool:
        return robot.speed == 0.0 and bool((robot.entries["reasons"] & bit).any())

    if not robot.until(at_rest, 10.0):
        raise RuntimeError(f"the end of the engine was not noticed: {robot.operator.watcher.status()}")
    seen = int(np.flatnonzero((robot.entries["reasons"] & bit) != 0)[0])
    detected_s = (int(robot.entries["stamp_ns"][seen]) - fault_ns) * 1e-9
    stop = judge_stop(robot.entries, robot.continuity)
    if kind is Kind.KILL:
        engine.wait(20.0)
        robot.start(ENGINE)
    else:
        engine.send_signal(signal.SIGCONT)
    return EngineRound(kind, detected_s, stop)
