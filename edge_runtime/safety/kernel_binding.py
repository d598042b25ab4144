"""The C kernel, one step at a time, from Python: for tests, replays and what-if questions. The robot's own loop calls
the same C function without passing through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.native import ffi, lib
from edge_runtime.safety.limits import KernelConfig
from edge_runtime.safety.states import Reason, Request, Result, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Feedback of one tick as the kernel takes it; see `kernel_feedback` in `kernel.h`. `n` may lie about the shape."""

    stamp_ns: int
    seq: int
    q_rad: Sequence[float]
    dq_rad_s: Sequence[float]
    gripper_m: float = 0.0
    watchdog_ns: int = 100_000_000
    n: int | None = None
    present: bool = True
    torn: bool = False
    stop_line: bool = False
    driver_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Setpoint of one tick as the kernel takes it; see `kernel_setpoint` in `kernel.h`. `n` may lie about the shape."""

    stamp_ns: int
    observation_ns: int
    seq: int
    q_rad: Sequence[float]
    gripper_m: float = 0.0
    n: int | None = None
    present: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the robot may be told, and why; tuples have one value per joint."""

    q_rad: tuple[float, ...]
    dq_rad_s: tuple[float, ...]
    gripper_m: float
    state: State
    reasons: Reason
    faults: Reason
    stop_margin_rad: float
    stop_margin_joint: int
    time_to_rest_s: float


class Kernel:
    """One robot's kernel state with its config. Starts silent."""

    def __init__(self, config: KernelConfig) -> None:
        self.config = config
        self._config = config.to_native()
        self._state = ffi.new("kernel_state *")
        self._feedback = ffi.new("kernel_feedback *")
        self._setpoint = ffi.new("kernel_setpoint *")
        self._verdict = ffi.new("kernel_verdict *")
        lib.kernel_init(self._state)

    @property
    def state(self) -> State:
        """The state after the last step or request."""
        return State(self._state.state)

    def step(self, measurement: Measurement, target: Target | None, now_ns: int) -> Verdict:
        """One tick; `target` None means there is no setpoint. Any values whatever are allowed."""
        self._fill_feedback(measurement)
        setpoint = self._setpoint
        setpoint.present = target is not None and target.present
        if target is not None:
            setpoint.stamp_ns = target.stamp_ns
            setpoint.observation_ns = target.observation_ns
            setpoint.seq = target.seq
            setpoint.q_rad[0 : len(target.q_rad)] = list(target.q_rad)
            setpoint.gripper_m = target.gripper_m
            setpoint.n = len(target.q_rad) if target.n is None else target.n
        lib.kernel_step(self._state, self._config, self._feedback, setpoint, now_ns, self._verdict)
        verdict = self._verdict
        n = len(self.config.joint_names)
        return Verdict(
            q_rad=tuple(verdict.q_rad[0:n]),
            dq_rad_s=tuple(verdict.dq_rad_s[0:n]),
            gripper_m=verdict.gripper_m,
            state=State(verdict.state),
            reasons=Reason(verdict.reasons),
            faults=Reason(verdict.faults),
            stop_margin_rad=verdict.stop_margin_rad,
            stop_margin_joint=verdict.stop_margin_joint,
            time_to_rest_s=verdict.time_to_rest_s,
        )

    def request(self, request: Request | int, measurement: Measurement, now_ns: int) -> Result:
        """Ask between ticks; the answer is all that happens unless it is `Result.DONE`."""
        self._fill_feedback(measurement)
        return Result(lib.kernel_request(self._state, self._config, self._feedback, int(request), now_ns))

    def _fill_feedback(self, measurement: Measurement) -> None:
        feedback = self._feedback
        feedback.stamp_ns = measurement.stamp_ns
        feedback.seq = measurement.seq
        feedback.q_rad[0 : len(measurement.q_rad)] = list(measurement.q_rad)
        feedback.dq_rad_s[0 : len(measurement.dq_rad_s)] = list(measurement.dq_rad_s)
        feedback.gripper_m = measurement.gripper_m
        feedback.watchdog_ns = measurement.watchdog_ns
        feedback.n = len(measurement.q_rad) if measurement.n is None else measurement.n
        feedback.present = measurement.present
        feedback.torn = measurement.torn
        feedback.stop_line = measurement.stop_line
        feedback.driver_fault = measurement.driver_fault
