"""Control in a process of its own, which moves one axis to and fro through the real loop and its kernel until it stops.

``python -m benchmarks.driver_faults_control ROBOT_TOML PORT TRAVEL``. Says "moving", and when the kernel has stopped
the robot, at which instant and why.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from edge_runtime.config.robot_file import load_config
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.plan import Plan
from edge_runtime.ipc.port import CommandState, DriverPort
from edge_runtime.safety import Reason, Result, State
from edge_runtime.testing.driven_robot import ready

_PERIOD_S = 2.0
_LASTS_S = 4.0
_KNOTS = 90
_LOOK_S = 0.0005


def main() -> None:
    """Arm, move, tell."""
    path, name, travel = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    config = load_config(path)
    with DriverPort.attach(name, timeout_s=10.0) as port:
        loop = ControlLoop(port, kernel_config(config.safety, config.embodiment))
        with loop:
            ready(loop)
            if (answer := loop.arm()) is not Result.DONE:
                sys.exit(f"it can't be armed: {answer.name.lower()}")
            feedback = port.read_feedback()
            assert feedback is not None
            begun_ns = time.monotonic_ns() + 50_000_000
            _swing(loop, feedback.q, travel, begun_ns, 1)
            until_ns, number, said = begun_ns, 1, False
            while True:
                now_ns, counters = time.monotonic_ns(), loop.counters()
                if counters.faults or counters.state is State.FAULT:
                    command = port.read_command()
                    assert command is not None
                    names = "+".join(r.name.lower() for r in Reason if r.name and r & counters.faults)
                    print(f"stopped {now_ns} {names}", flush=True)
                    break
                if not said and counters.state is State.ACTIVE and now_ns > begun_ns + 250_000_000:
                    print("moving", flush=True)
                    said = True
                if now_ns - until_ns > _PERIOD_S * 1e9:
                    until_ns, number = now_ns, number + 1
                    _swing(loop, feedback.q, travel, begun_ns, number)
                time.sleep(_LOOK_S)
            # The robot is brought to rest by the loop, which goes on.
            while (command := port.read_command()) is None or command.state is not CommandState.FAULT:
                time.sleep(_LOOK_S)
            time.sleep(1.0)


def _swing(loop: ControlLoop, start: np.ndarray, travel: float, begun_ns: int, number: int) -> None:
    """A plan of the next seconds of one and the same swing about `start`, which begins at rest."""
    now_ns = max(time.monotonic_ns(), begun_ns)
    t_ns = now_ns + np.linspace(0.0, _LASTS_S * 1e9, _KNOTS).astype(np.int64)
    phase = 2.0 * np.pi * (t_ns - begun_ns) / 1e9 / _PERIOD_S
    q = np.repeat(start[None, :], _KNOTS, axis=0)
    q[:, 0] += travel * np.minimum(1.0, (t_ns - begun_ns) / 0.5e9) * np.sin(phase)
    loop.set_plan(Plan(seq=number, chunk_seq=number, observation_ns=now_ns, t_ns=t_ns, q=q))


if __name__ == "__main__":
    main()
