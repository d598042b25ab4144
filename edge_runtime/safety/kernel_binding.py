"""The C kernel, one step at a time, from Python: for tests, replays and what-if questions. The robot's own loop calls
the same C function without passing through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.native import ffi, lib
from edge_runtime.safety.limits import KernelConfig
from edge_runtime.safety.states import Policy, Reason, Request, Result, State

_NO_DIGEST = bytes(lib.KERNEL_DIGEST_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Feedback of one tick as the kernel takes it; see `kernel_feedback` in `kernel.h`. `n` may lie about the shape.

    `q`, `dq` and `tau` have one value per axis; `wrenches` one (force N, moment Nm; six values) per tool, None for one
    without; `odometry` is x (m), y (m) and yaw (rad) of the base in the world. What nothing measures is None.
    """

    stamp_ns: int
    seq: int
    q: Sequence[float]
    dq: Sequence[float]
    tau: Sequence[float] | None = None
    wrenches: Sequence[Sequence[float] | None] = ()
    odometry: Sequence[float] | None = None
    watchdog_ns: int = 100_000_000
    n: int | None = None
    present: bool = True
    torn: bool = False
    stop_line: bool = False
    driver_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Setpoint of one tick as the kernel takes it; see `kernel_setpoint` in `kernel.h`. `n` may lie about the shape.

    `q` has one value per axis, of a velocity axis its velocity.

    `present` False: there is no setpoint, only `policy` is told. `policy_lost_ns`: when `policy` was found so.
    """

    stamp_ns: int
    observation_ns: int
    seq: int
    q: Sequence[float]
    speed_scale: float = 1.0
    policy: Policy | int = Policy.ALIVE
    policy_lost_ns: int = 0
    bundle_digest: bytes = _NO_DIGEST
    n: int | None = None
    present: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the robot may be told, and why; tuples have one value per axis. See `kernel_verdict` in `kernel.h`."""

    q: tuple[float, ...]
    dq: tuple[float, ...]
    ddq: tuple[float, ...]
    accepted: float
    speed_scale: float
    stop_margin: float
    stop_margin_m: float
    stop_margin_axis: int
    time_to_rest_s: float
    reasons: Reason
    faults: Reason
    state: State
    config_digest: bytes
    bundle_digest: bytes


class Kernel:
    """One robot's kernel state with its config. Starts silent."""

    def __init__(self, config: KernelConfig) -> None:
        self.config = config
        self._config = config.to_native()
        self._state = ffi.new("kernel_state *")
        self._feedback = ffi.new("kernel_feedback *")
        self._setpoint = ffi.new("kernel_setpoint *")
        self._verdict = ffi.new("kernel_verdict *")
        lib.kernel_init(self._state, self._config)

    @property
    def state(self) -> State:
        """The state after the last step or request."""
        return State(self._state.state)

    def step(self, measurement: Measurement, target: Target | None, now_ns: int) -> Verdict:
        """One tick; `target` None means there is no setpoint. Any values whatever are allowed."""
        _fill_feedback(self._feedback, measurement)
        self._setpoint.present = False
        if target is None:
            self._setpoint.policy = Policy.ALIVE
        else:
            _fill_setpoint(self._setpoint, target)
        lib.kernel_step(
            self._state,
            self._config,
            self._feedback,
            self._setpoint,
            now_ns,
            self._verdict,
        )
        return self._read(self._verdict)

    def request(self, request: Request | int, measurement: Measurement, now_ns: int) -> Result:
        """Ask between ticks; the answer is all that happens unless it is `Result.DONE`."""
        _fill_feedback(self._feedback, measurement)
        return Result(lib.kernel_request(self._state, self._config, self._feedback, int(request), now_ns))

    def tighten(self, *, speed_scale: float = 1.0, tool_speed_max_m_s: float | None = None) -> Result:
        """Set what is tighter than the config from now on; None is the config's fastest tool. Between ticks.

        Tighter is possible at any time, looser (up to the config) only while not armed.
        """
        fastest_m_s = self.config.fastest_tool_m_s if tool_speed_max_m_s is None else tool_speed_max_m_s
        tightening = ffi.new("kernel_tightening *", [speed_scale, fastest_m_s])
        return Result(lib.kernel_tighten(self._state, self._config, tightening))

    def rehearse(self, targets: Sequence[Target]) -> list[Verdict]:
        """What would come of setpoints of consecutive ticks, from where the kernel stands; nothing is changed.

        State, digests and margins of these verdicts mean nothing.
        """
        setpoints = ffi.new("kernel_setpoint[]", len(targets))
        for index, target in enumerate(targets):
            _fill_setpoint(setpoints[index], target)
        verdicts = ffi.new("kernel_verdict[]", len(targets))
        lib.kernel_rehearse(self._state, self._config, setpoints, len(targets), verdicts)
        return [self._read(verdicts[index]) for index in range(len(targets))]

    def _read(self, verdict: Any) -> Verdict:
        n = self.config.n_axes
        return Verdict(
            q=tuple(verdict.q[0:n]),
            dq=tuple(verdict.dq[0:n]),
            ddq=tuple(verdict.ddq[0:n]),
            accepted=verdict.accepted,
            speed_scale=verdict.speed_scale,
            stop_margin=verdict.stop_margin,
            stop_margin_m=verdict.stop_margin_m,
            stop_margin_axis=verdict.stop_margin_axis,
            time_to_rest_s=verdict.time_to_rest_s,
            reasons=Reason(verdict.reasons),
            faults=Reason(verdict.faults),
            state=State(verdict.state),
            config_digest=bytes(verdict.config_digest),
            bundle_digest=bytes(verdict.bundle_digest),
        )


def _fill_feedback(feedback: Any, measurement: Measurement) -> None:
    feedback.stamp_ns = measurement.stamp_ns
    feedback.seq = measurement.seq
    feedback.q[0 : len(measurement.q)] = list(measurement.q)
    feedback.dq[0 : len(measurement.dq)] = list(measurement.dq)
    feedback.has_torque = measurement.tau is not None
    if measurement.tau is not None:
        feedback.tau[0 : len(measurement.tau)] = list(measurement.tau)
    feedback.has_wrench = 0
    for tool, wrench in enumerate(measurement.wrenches):
        if wrench is not None:
            feedback.has_wrench |= 1 << tool
            feedback.wrench[tool] = list(wrench)
    feedback.has_odometry = measurement.odometry is not None
    if measurement.odometry is not None:
        feedback.odometry = list(measurement.odometry)
    feedback.watchdog_ns = measurement.watchdog_ns
    feedback.n = len(measurement.q) if measurement.n is None else measurement.n
    feedback.present = measurement.present
    feedback.torn = measurement.torn
    feedback.stop_line = measurement.stop_line
    feedback.driver_fault = measurement.driver_fault


def _fill_setpoint(setpoint: Any, target: Target) -> None:
    setpoint.present = target.present
    setpoint.stamp_ns = target.stamp_ns
    setpoint.observation_ns = target.observation_ns
    setpoint.seq = target.seq
    setpoint.q[0 : len(target.q)] = list(target.q)
    setpoint.speed_scale = target.speed_scale
    setpoint.policy = int(target.policy)
    setpoint.policy_lost_ns = target.policy_lost_ns
    setpoint.bundle_digest[0 : lib.KERNEL_DIGEST_BYTES] = list(target.bundle_digest)
    setpoint.n = len(target.q) if target.n is None else target.n
