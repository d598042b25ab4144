"""A robot without a policy, held, and a person beside it: what jogging is tried on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.messages import Asker
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import HOLDING, port_name
from edge_runtime.testing.jog_typist import WatchedRobot


class HeldRobot(WatchedRobot):
    """The robot, its processes, and the person."""

    def __init__(self, run_dir: Path, operator: Operator, port: DriverPort) -> None:
        super().__init__(port)
        self.run_dir, self.operator = run_dir, operator

    def until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Listen until `condition` holds; fails the test if it does not in time."""
        assert self.operator.wait_until(condition, timeout_s), self.operator.watcher.status()

    def state_is(self, *states: str) -> None:
        """Listen until control is in one of these."""
        self.until(lambda: self.operator.watcher.control_state in states)

    def make_ready(self, *, moved: bool = False) -> None:
        """Whatever the test before left; a robot that was moved since it stopped only where that is said."""
        operator = self.operator
        operator.wait_until(lambda: False, 0.2)
        if operator.watcher.control_state in ("active", "holding", "stopping"):
            operator.disarm()
            self.state_is("ready", "fault")
        if operator.watcher.control_state == "fault":
            operator.reset(moved=moved)
        self.state_is("ready")


@contextmanager
def held(robot_toml: Path) -> Iterator[HeldRobot]:
    """The real processes of a robot with these settings, in a folder of their own, as long as the block lasts."""
    run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
    try:
        with (
            Operator(run_dir, asker=Asker.PERSON) as operator,
            ProcessTable(load_config(robot_toml), run_dir, processes=HOLDING, hold=True, restart=False) as table,
        ):
            table.start()
            operator.on_wait = table.tend
            assert operator.wait_until(lambda: operator.watcher.control_state == "ready", 60.0)
            with DriverPort.attach(port_name(run_dir)) as port:
                yield HeldRobot(run_dir, operator, port)
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
