"""Control alone, as a process to be killed or frozen: arms, follows one long plan, and on a line of input stops and
prints what happened as JSON.

    python -m tests.control.control_process NAME
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

from edge_runtime.control.native_loop import ControlLoop, Granted
from edge_runtime.control.plan import Plan
from edge_runtime.ipc.port import DriverPort
from edge_runtime.safety import AxisKind, KernelConfig, Result, State
from tests.control.perfect_driver import AXES, JOINTS, ROBOT


def make_config(**changes: object) -> KernelConfig:
    """Limits of the perfect driver's robot, patient enough for a busy machine; changes of an axis field that has one
    value for each joint leave the gripper's as it is."""
    n = len(JOINTS)
    fields: dict[str, object] = {
        "axis_names": AXES,
        "axis_kinds": (AxisKind.BOUNDED,) * n + (AxisKind.GRIPPER,),
        "joint_digest": ROBOT.joint_digest,
        "q_min": (-2.5,) * n + (0.0,),
        "q_max": (2.5,) * n + (0.08,),
        "dq_max": (2.0,) * n + (0.2,),
        "ddq_max": (10.0,) * n + (1.0,),
        "dddq_max": (5000.0,) * n + (1.0,),
        "tracking_max": (1.0,) * n + (1.0,),
        "step_max": (5.0,) * n + (1.0,),
        "feedback_max_age_ns": 300_000_000,
        "future_tolerance_ns": 300_000_000,
        "observation_max_age_ns": 60_000_000_000,
    }
    for name, value in changes.items():
        if isinstance(value, tuple) and len(value) == n and name in _PER_AXIS:
            value = (*value, _PER_AXIS[name])
        fields[name] = value
    return KernelConfig(**fields)  # type: ignore[arg-type]


_PER_AXIS = {
    "q_min": 0.0,
    "q_max": 0.08,
    "dq_max": 0.2,
    "ddq_max": 1.0,
    "dddq_max": 1.0,
    "tracking_max": 1.0,
    "step_max": 1.0,
    "tau_max": 1e6,
    "retract": 0.0,
}
"""What stands for the gripper."""


def wait_for(loop: ControlLoop, state: State, timeout_s: float = 20.0) -> None:
    """Return once the loop is in that state.

    Raises:
        TimeoutError: it did not get there.
    """
    deadline_s = time.monotonic() + timeout_s
    while loop.counters().state is not state:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"state is {loop.counters().state.name}, not {state.name}")
        time.sleep(0.002)


def wave(seq: int, start_ns: int, seconds: float, amplitude_rad: float = 0.3) -> Plan:
    """A plan of up to 100 knots, 50 ms apart, that swings all joints from zero and back."""
    k = np.arange(int(seconds / 0.05) + 1)
    swing = amplitude_rad * (1.0 - np.cos(k * 0.05 * 2.0)) / 2.0
    return Plan(
        seq=seq,
        chunk_seq=seq * 10,
        observation_ns=start_ns,
        t_ns=start_ns + k * 50_000_000,
        q=np.column_stack([np.outer(swing, np.ones(len(JOINTS))), np.full(k.size, 0.04)]),
    )


def main() -> None:
    """Arm, move, wait for a line, stop, report."""
    with DriverPort.attach(sys.argv[1], timeout_s=20.0) as port:
        loop = ControlLoop(port, make_config())
        with loop:
            wait_for(loop, State.READY, 20.0)
            pidfd = os.pidfd_open(os.getppid())
            loop.watch(pidfd)
            os.close(pidfd)
            assert loop.arm() is Result.DONE
            loop.set_plan(wave(1, port.now_ns(), 6.0))
            wait_for(loop, State.ACTIVE)
            print("moving", flush=True)
            sys.stdin.readline()
        counters = loop.counters()
        reports = loop.drain_reports()
        phases = sorted({int(t) % 1_000_000 for t in reports["tick_ns"]})
        summary = {
            "overruns": counters.overruns,
            "faults": counters.faults,
            "phases": phases,
            "page_faults": counters.page_faults,
            "memory_locked": Granted.MEMORY in counters.granted,
        }
        print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
