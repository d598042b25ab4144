"""How long a stop from another terminal takes: from the command being started to the robot decelerating, and to rest.

    python -m benchmarks.stop [--stops N]

The whole robot runs, in the simulator and in motion; `edge-runtime operator stop` is started as a person's shell would.
Deceleration begins in the tick that the black box names; rest is the first tick in FAULT. Both are on one clock.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.record import record
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.messages import Asker, ControlState
from edge_runtime.native import lib
from edge_runtime.safety import Reason, State
from edge_runtime.safety.recording import read_recording

_MOTION_S = 1.0
_COMMAND = (sys.executable, "-c", "from edge_runtime.cli import main; main()", "operator", "stop", "--run-dir")


def measure(operator: Operator, run_dir: Path) -> tuple[float, float]:
    """One stop: milliseconds until deceleration, and until rest."""
    operator.instruct("touch the red cube")
    operator.arm()
    operator.wait_until(lambda: operator.watcher.control_state is ControlState.ACTIVE, 10.0)
    operator.wait_until(lambda: False, _MOTION_S)
    known = set((run_dir / "black_box").glob("*.bin"))
    started_ns = time.monotonic_ns()
    subprocess.run([*_COMMAND, str(run_dir)], check=True, stdout=subprocess.DEVNULL)
    files: set[Path] = set()
    while not files:
        operator.wait_until(lambda: False, 0.1)
        files = set((run_dir / "black_box").glob("*.bin")) - known
    records = read_recording(files.pop()).records
    # A recording reaches back over the stop before.
    ticks = records[(records["kind"] == lib.BLACK_BOX_TICK) & (records["now_ns"] > started_ns)]
    stopped = ticks[(ticks["verdict"]["faults"] & np.uint64(Reason.OPERATOR_STOP)) != 0]
    at_rest = stopped[stopped["verdict"]["state"] == State.FAULT]
    operator.reset()
    return (int(stopped["now_ns"][0]) - started_ns) / 1e6, (int(at_rest["now_ns"][0]) - started_ns) / 1e6


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=20, metavar="N", help="how many (default: 20)")
    options = parser.parse_args()
    run_dir = Path(tempfile.mkdtemp(prefix="edge-"))
    with Operator(run_dir, asker=Asker.PERSON) as operator, ProcessTable(load_config(SIM_CONFIG), run_dir) as table:
        table.start()
        operator.on_wait = table.tend
        operator.wait_ready()
        stops = [measure(operator, run_dir) for _ in range(options.stops)]
    figures = {}
    for name, values in zip(("to_deceleration_ms", "to_rest_ms"), zip(*stops, strict=True), strict=True):
        p50, p95, worst = np.percentile(values, (50, 95, 100)).tolist()
        figures[name] = {"p50": round(p50, 1), "p95": round(p95, 1), "max": round(worst, 1)}
        print(f"{name:20}{p50:8.1f}{p95:8.1f}{worst:8.1f}   p50 p95 max of {options.stops}")
    record("stop", {"stops": options.stops, **figures}, Console())


if __name__ == "__main__":
    main()
