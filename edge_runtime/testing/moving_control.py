"""Control in a process that can be killed: arms a robot, and moves one axis slowly until it is ended.

python -m edge_runtime.testing.moving_control ROBOT_TOML PORT AXIS TRAVEL
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
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import Result, State
from edge_runtime.testing.driven_robot import SPEED_SCALE, wait_for

_SECONDS = 4.0


def main() -> None:
    """Move there in four seconds, say so, and go on until the end."""
    path, name, axis, travel = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    config = load_config(path)
    with DriverPort.attach(name, timeout_s=10.0) as port:
        loop = ControlLoop(port, kernel_config(config.safety, config.embodiment))
        with loop:
            loop.tighten(speed_scale=SPEED_SCALE)
            wait_for(loop, State.READY)
            answer = loop.arm()
            if answer is not Result.DONE:
                sys.exit(f"it can't be armed: {answer.name.lower()}")
            feedback = port.read_feedback()
            assert feedback is not None
            start_ns = time.monotonic_ns() + 50_000_000
            share = np.linspace(0.0, 1.0, 80)
            axes = config.embodiment.axes
            start = np.where([one.is_velocity for one in axes], 0.0, feedback.q)
            q = np.repeat(start[None, :], len(share), axis=0)
            # A base drives at one speed from a while after the beginning on.
            rising = np.minimum(1.0, 5.0 * share) / _SECONDS if axes[axis].is_velocity else share
            q[:, axis] += travel * rising
            t_ns = start_ns + (share * _SECONDS * 1e9).astype(np.int64)
            loop.set_plan(Plan(seq=1, chunk_seq=1, observation_ns=start_ns, t_ns=t_ns, q=q))
            wait_for(loop, State.ACTIVE)
            print("moving", flush=True)
            time.sleep(_SECONDS)


if __name__ == "__main__":
    main()
