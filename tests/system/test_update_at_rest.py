"""An update with the defaults of its settings, beside a robot that is at work again and again with a second between."""

from __future__ import annotations

import time
from pathlib import Path

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.contracts.updates import WaitsFor
from edge_runtime.processes import BESIDE, PROCESSES
from edge_runtime.testing.web_server import WebServer
from tests.ota.updated_robot import Scene

PATIENCE_S = 150.0
WORK_S, REST_S = 3.0, 1.0


def test_an_update_goes_through_beside_a_robot_that_rests_for_a_second_at_a_time(tmp_path: Path, run_dir: Path) -> None:
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        assert scene.config.ota is not None
        assert scene.config.ota.activate == "at_rest"
        release = scene.publish(scene.bundle("1"))
        waited_for: set[WaitsFor] = set()
        with (
            Operator(run_dir) as operator,
            ProcessTable(scene.config, run_dir, processes=(*PROCESSES, *BESIDE)) as table,
        ):
            table.start()

            def look() -> None:
                table.tend()
                if operator.watcher.update is not None:
                    waited_for.add(operator.watcher.update.waits_for)

            def runs_the_new_one() -> bool:
                engine = operator.watcher.policy
                return engine is not None and engine.serving == release.bundle_digest

            operator.on_wait = look
            operator.wait_ready()
            operator.lay_out(3, "eval")
            operator.instruct("touch the red cube")
            operator.arm()
            scene.assign(release, 1)
            deadline_s = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline_s and not runs_the_new_one():
                operator.wait_until(lambda: False, WORK_S)
                operator.disarm()
                if operator.wait_until(runs_the_new_one, REST_S):
                    break
                operator.wait_ready()
                operator.arm()
            assert runs_the_new_one(), operator.watcher.update
        assert WaitsFor.REST in waited_for, "nothing said what it waited for"
