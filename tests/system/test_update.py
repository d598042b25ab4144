"""A hub, a whole robot with its update agent, and a bundle that its engine does not survive: every process is real."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.contracts.topics import POLICY_STATUS, UPDATE_STATUS
from edge_runtime.contracts.updates import PolicyStatus, UpdateStatus
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.processes import BESIDE, ENGINE, PROCESSES
from edge_runtime.testing.web_server import WebServer
from tests.ota.updated_robot import Scene

PATIENCE_S = 90.0


class Heard:
    """What engine and agent said last."""

    def __init__(self, run_dir: Path, table: ProcessTable) -> None:
        self.engine: PolicyStatus | None = None
        self.update: UpdateStatus | None = None
        self._table = table
        self._subscriber = Subscriber((POLICY_STATUS, UPDATE_STATUS), run_dir)

    def until(self, condition: Callable[[PolicyStatus, UpdateStatus], bool]) -> PolicyStatus:
        """Look after the processes until both have spoken and `condition` holds."""
        assert self.comes(condition, PATIENCE_S), (self.engine, self.update, self._table.last_words(BESIDE[0], 20))
        assert self.engine is not None
        return self.engine

    def comes(self, condition: Callable[[PolicyStatus, UpdateStatus], bool], patience_s: float) -> bool:
        """The same, and whether it does in time."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            self._table.tend()
            for message in self._subscriber.receive(0.1):
                if isinstance(message, PolicyStatus):
                    self.engine = message
                elif isinstance(message, UpdateStatus):
                    self.update = message
            if self.engine is not None and self.update is not None and condition(self.engine, self.update):
                return True
        return False

    def close(self) -> None:
        self._subscriber.close()


def test_a_bundle_whose_engine_ends_again_and_again_is_taken_back_with_the_hub_gone(
    tmp_path: Path, run_dir: Path
) -> None:
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        release = scene.publish(scene.bundle("1"))
        shipped, new = scene.shipped_digest, release.bundle_digest
        scene.assign(release, 1, probation_s=3600)
        with ProcessTable(scene.config, run_dir, processes=(*PROCESSES, *BESIDE)) as table:
            table.start()
            heard = Heard(run_dir, table)
            try:
                heard.until(lambda engine, update: update.state == "probation" and engine.serving == new)
                pid = heard.until(lambda engine, _: engine.standby == shipped).pid
                server.__exit__()
                os.kill(pid, signal.SIGKILL)
                # Another one, and the agent has heard it: it has what the agent wants it to have.
                heard.until(lambda engine, _: engine.pid != pid and engine.standby == shipped)
                # What ends while the whole machine stands still is nobody's crash, so that it may take more than one.
                for _ in range(3):
                    os.kill(table.pids()[ENGINE.name], signal.SIGKILL)
                    if heard.comes(lambda engine, update: engine.serving == shipped == update.running, 30.0):
                        break
                back = heard.until(lambda engine, update: engine.serving == shipped == update.running).pid
                heard.until(lambda _, update: (update.state, update.reason) == ("idle", "probation_crashes"))
            finally:
                heard.close()
            assert table.pids()[ENGINE.name] == back, "it was not a new engine that brought it back"
