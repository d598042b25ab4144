"""The update agent: ``python -m edge_runtime.ota --config robot.toml --run-dir DIR``.

May be killed at any point: the next one goes on where this one was. One thread sits on the bus and keeps the robot on
the bundle that it should have (`agent/activation.py`), the other one takes its time (`agent/worker.py`); how they are
put together says `agent/assembly.py`.
"""

from __future__ import annotations

import logging

from edge_runtime.contracts.text import PrintableFormatter
from edge_runtime.ota.agent.assembly import update_agent
from edge_runtime.service import Arguments, StopSignal, run_service


def serve(arguments: Arguments, stop: StopSignal) -> None:
    """Keep the robot on what it should run, until told to stop."""
    with update_agent(arguments.config, arguments.run_dir, lambda: bool(stop)) as (keeper, worker):
        while not stop or keeper.activation.must_go_on:
            keeper.turn()
            worker.require_alive()
        keeper.activation.end()


if __name__ == "__main__":
    said = logging.StreamHandler()
    said.setFormatter(PrintableFormatter("ota: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[said])
    for library in ("httpx", "securesystemslib", "tuf"):
        logging.getLogger(library).setLevel(logging.WARNING)
    run_service("Bring updates of the bundle to this robot, checked, without being in its way.", serve)
