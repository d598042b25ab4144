"""A kernel with a robot that does exactly what it is told: the shortest way to write a safety test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_runtime.safety import AxisKind, Kernel, KernelConfig, Measurement, Request, Result, State, Target, Verdict
from edge_runtime.safety.reference import ReferenceKernel

TICK_NS = 1_000_000


JOINT: dict[str, float] = {
    "q_min": -2.5,
    "q_max": 2.5,
    "dq_max": 2.0,
    "ddq_max": 10.0,
    "dddq_max": 1000.0,
    "tracking_max": 0.2,
    "step_max": 1000.0,
}
AXES: dict[AxisKind, dict[str, float]] = {
    AxisKind.BOUNDED: JOINT,
    AxisKind.CONTINUOUS: JOINT | {"q_min": -1e5, "q_max": 1e5},
    AxisKind.VELOCITY: JOINT | {"q_min": -1.0, "q_max": 1.0, "dq_max": 1.0, "ddq_max": 1.0, "dddq_max": 10.0},
    AxisKind.GRIPPER: JOINT | {"q_min": 0.0, "q_max": 0.08, "dq_max": 0.2, "tracking_max": 0.01},
}


def make_config(n: int = 2, *kinds: AxisKind, **changes: object) -> KernelConfig:
    """Limits of an arm with `n` like joints: ±2.5 rad, 2 rad/s, 10 rad/s², 1000 rad/s³; any step is a motion.

    `kinds`: further axes, each as `AXES` has it.
    """
    every = (AxisKind.BOUNDED,) * n + kinds
    config = KernelConfig(
        axis_names=tuple(f"axis{i}" for i in range(len(every))),
        axis_kinds=every,
        **{field: tuple(AXES[kind][field] for kind in every) for field in JOINT},
    )
    return replace(config, **changes)  # type: ignore[arg-type]


class Robot:
    """Feeds a kernel with perfect feedback and fresh setpoints; every field can be overridden for one tick."""

    def __init__(self, kernel: Kernel | ReferenceKernel, q: Sequence[float] | None = None) -> None:
        self.kernel = kernel
        self.now_ns = 1_000_000_000
        self.seq = 0
        self.setpoint_seq = 0
        self.q = list(q) if q is not None else [0.0] * kernel.config.n_axes
        self.dq = [0.0] * kernel.config.n_axes
        self.verdict: Verdict | None = None

    def measurement(self, **changes: object) -> Measurement:
        """What the driver would report now; neither torque nor force is measured unless given."""
        sample = Measurement(stamp_ns=self.now_ns, seq=self.seq, q=tuple(self.q), dq=tuple(self.dq))
        return replace(sample, **changes)  # type: ignore[arg-type]

    def target(self, q: Sequence[float], **changes: object) -> Target:
        """A fresh setpoint for the next tick."""
        self.setpoint_seq += 1
        fresh = Target(
            stamp_ns=self.now_ns + TICK_NS,
            observation_ns=self.now_ns,
            seq=self.setpoint_seq,
            q=tuple(q),
        )
        return replace(fresh, **changes)  # type: ignore[arg-type]

    def step(
        self, target: Target | Sequence[float] | None = None, *, after_ns: int = TICK_NS, **feedback: object
    ) -> Verdict:
        """One tick; the robot then stands where the verdict says, if it follows."""
        if target is not None and not isinstance(target, Target):
            target = self.target(target)
        self.now_ns += after_ns
        self.seq += 1
        self.verdict = self.kernel.step(self.measurement(**feedback), target, self.now_ns)
        if self.verdict.state.is_armed:
            self.q = list(self.verdict.q)
            self.dq = [
                v if kind is AxisKind.VELOCITY else 0.0
                for v, kind in zip(self.verdict.dq, self.kernel.config.axis_kinds, strict=True)
            ]
        return self.verdict

    def request(self, request: Request, **feedback: object) -> Result:
        """Ask between two ticks."""
        return self.kernel.request(request, self.measurement(**feedback), self.now_ns)

    def arm(self) -> None:
        """From silence to HOLDING."""
        self.step()
        assert self.request(Request.ARM) is Result.DONE

    def run_until(self, state: State, ticks: int = 3000) -> int:
        """Ticks without a setpoint until the state is reached; how many it took."""
        for count in range(ticks):
            if self.kernel.state is state:
                return count
            self.step()
        raise AssertionError(f"still {self.kernel.state.name} after {ticks} ticks")
