"""Robots to inject faults into: the real control process, and a record of every command at its driver port.

`FaultRobot` has the recording driver and one light policy after the other, `WholeRobot` the simulated plant and the
engine with the shipped bundle. Everything is a process of its own and meets the others where it does on a robot.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.policy import Orders
from benchmarks.faults.policy_process import PolicyProcess
from benchmarks.faults.recorder import ENTRY, Continuity, Recorder
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_BUNDLE, SIM_CONFIG, RobotConfig, load_config
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import Asker
from edge_runtime.ipc.frames import ring_name
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.ipc.port import CommandState
from edge_runtime.processes import CONTROL, DRIVER, ENGINE, PROCESSES, Process, command_line, port_name

_SHM = Path("/dev/shm")
STALL_TIMEOUT_S = 0.2
PROGRESS_TIMEOUT_S = 0.3
PLAY_MAX_S = 0.08
WATCHDOG_NS = 200_000_000
# Around the home posture, which geometry leaves room for; the joints near the tool may be fast. The gripper stays
# half open.
CENTRE = (0.0, -0.17, 0.0, -2.0, 0.0, 2.2, 0.6, 0.04)
SWING = (0.5, 0.15, 0.3, 0.2, 0.8, 0.5, 1.0, 0.0)
RATE = (3.6, 4.0, 3.8, 4.4, 4.4, 4.2, 4.2, 0.0)
_CGROUP_BYTES = 192 << 20
_SETTINGS = {
    "bundle": f'"{SIM_BUNDLE}"',
    "blend_s": "0.1",
    "engine_timeout_s": f"{STALL_TIMEOUT_S}\nprogress_timeout_s = {PROGRESS_TIMEOUT_S}\nself_test_s = 0.3",
    "play_max_s": str(PLAY_MAX_S),
    "feedback_timeout_s": "0.2",
}


def write_robot(folder: Path) -> RobotConfig:
    """The shipped simulated arm, with times that are short enough for a thousand faults."""
    for source in SIM_CONFIG.parent.glob("*.toml"):
        lines = []
        for line in source.read_text(encoding="utf-8").splitlines():
            key = line.split("=")[0].strip()
            lines.append(f"{key} = {_SETTINGS[key]}" if key in _SETTINGS else line)
        (folder / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_config(folder / SIM_CONFIG.name)


def memory_cgroup(name: str) -> Path | None:
    """A new group whose processes get no more than a little memory together; None where that is not permitted."""
    root = Path("/sys/fs/cgroup")
    for parent, limit in ((root / "memory", "memory.limit_in_bytes"), (root, "memory.max")):
        folder = parent / name
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(_CGROUP_BYTES))
            except OSError:
                folder.rmdir()
                raise
            return folder
    return None


class Robot:
    """Control, operator and a record of all commands; driver and policy are somebody else's. A context manager.

    Args:
        config: of the robot.
        run_dir: folder of its sockets.
        seed: of everything random here.

    Attributes:
        continuity: of all its commands so far.
        entries: its commands since `forget`.
        armings: how often the operator armed it.
    """

    def __init__(self, config: RobotConfig, run_dir: Path, seed: int) -> None:
        self.config = config
        self.run_dir = run_dir
        self.random = Random(seed)
        self.continuity = Continuity(config)
        self.entries: NDArray[Any] = np.empty(0, ENTRY)
        self.armings = 0
        self.recorder: Recorder | None = None
        self.processes: dict[Process, subprocess.Popen[bytes]] = {}
        self._stack = contextlib.ExitStack()
        self._stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
        self._stack.callback(lifeline_path(port_name(run_dir)).unlink, missing_ok=True)
        self.operator = self.enter_operator()
        self._stack.callback(self._end_all)

    def enter_operator(self) -> Operator:
        """A new operator, once the one before has been closed."""
        return self._stack.enter_context(Operator(self.run_dir, on_wait=self.take, asker=Asker.PERSON))

    def start(self, process: Process) -> None:
        """Start a row of the process table."""
        command = [sys.executable, *command_line(process, self.config, self.run_dir, lockstep=False)]
        with (self.run_dir / f"{process.name}.log").open("ab") as log:
            self.processes[process] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, process: Process) -> int:
        """SIGKILL; stamp of the moment before."""
        popen = self.processes.pop(process)
        now_ns = time.monotonic_ns()
        popen.kill()
        popen.wait(20.0)
        return now_ns

    def listen(self, timeout_s: float = 0.004) -> None:
        """Let a little time pass, and take in what was commanded meanwhile.

        Raises:
            RuntimeError: a process has died that nobody killed.
        """
        self.operator.watcher.receive(timeout_s)
        self.take()

    def take(self) -> None:
        """Take in what was commanded since the last time; raises as `listen` does."""
        if self.recorder is not None:
            new = self.recorder.take()
            self.continuity.add(new)
            self.entries = np.concatenate([self.entries, new])
        for process, popen in self.processes.items():
            if popen.poll() is not None:
                log = (self.run_dir / f"{process.name}.log").read_text(errors="replace")
                raise RuntimeError(f"{process.name} ended with {popen.returncode}:\n{log[-2000:]}")

    def forget(self, keep: int = 5) -> None:
        """Begin a new round: drop all `entries` but the newest."""
        self.entries = self.entries[max(len(self.entries) - keep, 0) :]

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Listen until `condition` holds; whether it did in time."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self.listen()
        return True

    def wait(self, seconds: float) -> None:
        """Listen for so long."""
        self.until(lambda: False, seconds)

    @property
    def state(self) -> CommandState:
        """Of the newest command."""
        return CommandState(int(self.entries["state"][-1])) if len(self.entries) else CommandState.SILENT

    @property
    def speed(self) -> float:
        """Largest share of a joint's velocity limit that the newest command takes."""
        if not len(self.entries):
            return 0.0
        dq = self.entries["dq"][-1, self.continuity.joints]
        return float(np.max(np.abs(dq) / self.continuity.limits["velocity"]))

    def arm(self, timeout_s: float = 60.0) -> None:
        """Reset if there is a fault, and arm: what the operator does. Again, where the machine was too busy to.

        Raises:
            OperatorError: not even after a while.
        """
        end_s = time.monotonic() + timeout_s
        while not self._armed(may_fail=time.monotonic() < end_s):
            self.wait(0.3)

    def _armed(self, *, may_fail: bool) -> bool:
        self.until(lambda: self.state in (CommandState.READY, CommandState.FAULT))
        try:
            if self.state is CommandState.FAULT:
                self.operator.reset()
            self.operator.arm()
        except OperatorError:
            if may_fail:
                return False
            raise
        self.armings += 1
        return True

    def _end_all(self) -> None:
        # Control while its driver still lives, and without the driver's end being an error.
        for process in (ENGINE, CONTROL, DRIVER):
            popen = self.processes.pop(process, None)
            if popen is not None:
                popen.terminate()
                try:
                    popen.wait(5.0)
                except subprocess.TimeoutExpired:
                    popen.kill()
                    popen.wait(5.0)

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()


class FaultRobot(Robot):
    """A robot that is at once where the command has it, and policies that are quick to start.

    Args:
        driver: the compiled `driver.c`.
        seed: of everything random here.
    """

    def __init__(self, driver: Path, seed: int) -> None:
        run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
        super().__init__(write_robot(run_dir), run_dir, seed)
        self.bundle_digest = read_manifest(self.config.bundle_dir).digest
        embodiment = self.config.embodiment
        drive = [str(len(embodiment.axes)), embodiment.joint_digest, str(WATCHDOG_NS), *map(str, CENTRE)]
        self.plant = self.recorder = Recorder(driver, port_name(run_dir), drive)
        self.cgroup = memory_cgroup(f"edge-faults-{os.getpid()}-{seed}")
        self.policy: PolicyProcess | None = None
        self._standby = PolicyProcess(run_dir)

    def start_policy(self, *, ballast_bytes: int = 0, confined: bool = False) -> None:
        """Replace the policy by the one that stands by, and let another stand by.

        Args:
            ballast_bytes: memory that it holds.
            confined: there is little memory that it may have.
        """
        if self.policy is not None:
            self.policy.end()
        self.policy = self._standby
        digest = self.config.embodiment.joint_digest
        here = self.entries["q_measured"][-1, : len(CENTRE)] if len(self.entries) else np.array(CENTRE)
        self.policy.go(
            Orders(
                joint_digest=digest,
                bundle_digest=self.bundle_digest,
                start=tuple(here.tolist()),
                centre=CENTRE,
                swing=tuple(swing * self.random.uniform(0.7, 1.0) for swing in SWING),
                rate=RATE,
                # Some plans end before a stall is noticed, most reach beyond.
                horizon=self.random.randrange(15, 41),
                ballast_bytes=ballast_bytes,
            ),
            self.cgroup if confined else None,
        )
        self._standby = PolicyProcess(self.run_dir)

    def start_anew(self) -> None:
        """Let a policy stand by again, after `end_policies`."""
        self.policy, self._standby = None, PolicyProcess(self.run_dir)

    def end_policies(self) -> None:
        """Kill the policy and the one that stands by."""
        for policy in (self.policy, self._standby):
            if policy is not None:
                policy.end()

    def __enter__(self) -> FaultRobot:
        self._stack.enter_context(self.plant)
        if self.cgroup is not None:
            self._stack.callback(self.cgroup.rmdir)
        self._stack.callback(self.end_policies)
        self._stack.callback(self._end_all)
        self.start(CONTROL)
        return self


class WholeRobot(Robot):
    """The shipped simulated arm, every process of it.

    Args:
        driver: the compiled `driver.c`, which looks on.
        seed: of everything random here.
    """

    def __init__(self, driver: Path, seed: int) -> None:
        super().__init__(load_config(SIM_CONFIG), Path(tempfile.mkdtemp(prefix="edge-")), seed)
        self._program = driver

    def __enter__(self) -> WholeRobot:
        port = port_name(self.run_dir)
        rings = [ring_name(self.run_dir, camera.name) for camera in self.config.embodiment.cameras]
        for name in (port, *rings):
            self._stack.callback((_SHM / name).unlink, missing_ok=True)
        self._stack.callback(self._end_all)
        for process in PROCESSES:
            self.start(process)
        # Not before control has the port: then it is whole.
        self.until(lambda: self.operator.watcher.control_state.is_known, 60.0)
        self.recorder = self._stack.enter_context(Recorder(self._program, port, None))
        self.operator.wait_ready()
        return self

    def set_moving(self) -> None:
        """Lay out the next task, and wait until the arm moves for it. The operator's doing, arming included.

        Raises:
            RuntimeError: it does not.
        """
        for _ in range(5):
            if self.state.follows:
                self.operator.disarm()
            self.operator.wait_ready()
            self.until(lambda: self.state is CommandState.READY)
            self.operator.lay_out(self.random.randrange(10_000), "eval")
            scene = self.operator.watcher.scene
            assert scene is not None
            self.operator.instruct(scene.instruction)
            self.arm()
            if self.until(lambda: self.state is CommandState.ACTIVE and self.speed > 0.1, 10.0):
                return
        raise RuntimeError(f"it does not move: {self.operator.watcher.status()}")
