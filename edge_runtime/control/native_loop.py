"""The 1 kHz loop from Python: start, stop, hand over plans, ask, and read what it did.

The loop runs on a thread of its own that never takes the interpreter's lock; everything here talks to it through
lock-free mailboxes, and every wait has a timeout. See `loop/loop.h`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contracts.errors import HandshakeError, PortError, SafetyError
from edge_runtime.native import ffi, lib
from edge_runtime.robots.port import DriverPort, PortRole
from edge_runtime.safety import KernelConfig, Reason, Request, Result, State
from edge_runtime.safety.recording import RECORD_DTYPE

MAX_KNOTS: int = lib.PLAN_MAX_KNOTS


def _numpy_type(ctype: Any) -> Any:
    if ctype.kind == "array":
        return (_numpy_type(ctype.item), ctype.length)
    return {"int64_t": "i8", "uint64_t": "u8", "uint32_t": "u4", "int32_t": "i4", "double": "f8"}[ctype.cname]


def _report_dtype() -> np.dtype[np.void]:
    ctype = ffi.typeof("loop_report")
    names, formats, offsets = zip(*((n, _numpy_type(f.type), f.offset) for n, f in ctype.fields), strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(ctype)})


REPORT_DTYPE = _report_dtype()
"""One tick, with the fields of `loop_report` in `loop.h`; joint vectors have 16 values, the unused ones zero."""


class PlanResult(IntEnum):
    """Answer to a plan handed over."""

    OK = lib.PLAN_OK
    REFUSED_KNOTS = lib.PLAN_REFUSED_KNOTS
    REFUSED_JOINTS = lib.PLAN_REFUSED_JOINTS
    REFUSED_TIMES = lib.PLAN_REFUSED_TIMES
    REFUSED_NOT_FINITE = lib.PLAN_REFUSED_NOT_FINITE
    REFUSED_SEQUENCE = lib.PLAN_REFUSED_SEQUENCE


class Granted(IntFlag):
    """What the machine granted the loop of its real-time wishes."""

    PRIORITY = lib.LOOP_GRANTED_PRIORITY
    CPU = lib.LOOP_GRANTED_CPU
    MEMORY = lib.LOOP_GRANTED_MEMORY
    DMA_LATENCY = lib.LOOP_GRANTED_DMA_LATENCY
    TIMER_SLACK = lib.LOOP_GRANTED_TIMER_SLACK


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Joint positions at absolute times. The arrays are copied when the plan is handed over.

    Attributes:
        seq: number of the plan; each one handed over needs a higher one than the last.
        chunk_seq: the chunk it was made from.
        observation_ns: exposure of the observation behind that chunk.
        t_ns: shape (k,), 1 ≤ k ≤ 128, strictly increasing instants on the port's clock.
        q_rad: shape (k, n_joints).
        gripper_m: shape (k,), opening.
        active_from_ns: evaluated from this instant on; until then the plan before it stays in force.
    """

    seq: int
    chunk_seq: int
    observation_ns: int
    t_ns: NDArray[np.int64]
    q_rad: NDArray[np.float64]
    gripper_m: NDArray[np.float64]
    active_from_ns: int = 0


@dataclass(frozen=True, slots=True)
class LoopCounters:
    """What the loop has counted since it started, and where it stands. `page_faults` is known once it has stopped."""

    ticks: int
    overruns: int
    torn_feedback: int
    torn_plans: int
    plans_taken: int
    plans_refused: int
    reports_dropped: int
    page_faults: int
    tick_ns: int
    reasons: Reason
    faults: Reason
    plan_seq: int
    state: State
    granted: Granted
    running: bool


class ControlLoop:
    """The loop of one robot. A context manager: entering starts it, leaving stops it.

    Args:
        port: attached to the robot's driver; the loop takes its control role, and keeps it until it is collected.
        config: the robot's limits.
        priority: SCHED_FIFO priority 1 to 99, or 0 for none; what was not permitted shows in `counters().granted`.
        cpu: pin the loop to this CPU.
        lock_memory: keep touched memory resident.
        dma_latency: keep the CPU out of deep sleep.

    Raises:
        HandshakeError: the driver's joint order is not the config's.
        PortError: another live process controls this robot.
    """

    def __init__(
        self,
        port: DriverPort,
        config: KernelConfig,
        *,
        priority: int = 80,
        cpu: int | None = None,
        lock_memory: bool = True,
        dma_latency: bool = True,
    ) -> None:
        if port.joint_digest != config.joint_digest:
            raise HandshakeError("joint_digest", config.joint_digest, port.joint_digest)
        if not 0 <= priority <= 99:
            raise ValueError(f"priority must be 0 to 99, got {priority}")
        port.claim(PortRole.CONTROL)
        self._port = port
        self._n_joints = len(config.joint_names)
        self._lock = threading.Lock()
        self._reports = np.zeros(lib.LOOP_REPORTS, dtype=REPORT_DTYPE)
        self._plan = ffi.new("loop_plan *")
        self._plan_t_ns = np.frombuffer(ffi.buffer(self._plan.t_ns), dtype=np.int64)
        self._plan_gripper_m = np.frombuffer(ffi.buffer(self._plan.gripper_m), dtype=np.float64)
        self._plan_q_rad = np.frombuffer(ffi.buffer(self._plan.q_rad), dtype=np.float64).reshape(MAX_KNOTS, -1)
        options = ffi.new("loop_options *", [priority, -1 if cpu is None else cpu, lock_memory, dma_latency])
        error = ffi.new("int *")
        loop = lib.loop_create(port.native, config.to_native(), options, error)
        if loop == ffi.NULL:
            raise PortError(f"the loop cannot be made ({error[0]})")
        self._loop = ffi.gc(loop, lib.loop_destroy)

    def __enter__(self) -> ControlLoop:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the loop's thread; the kernel is silent until feedback arrives, and nothing moves until `arm`.

        Raises:
            PortError: the system gives no thread, or the loop was started before.
        """
        if lib.loop_start(self._loop) != lib.LOOP_OK:
            raise PortError("the loop's thread cannot be started")

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Decelerate, wait for rest at most `timeout_s` seconds, leave SILENT on the port, end the thread.

        Returns whether the robot had come to rest; True as well if the loop was not running.
        """
        with self._lock:
            return bool(lib.loop_stop(self._loop, int(timeout_s * 1e9)) != lib.LOOP_TIMEOUT)

    def set_plan(self, plan: Plan) -> PlanResult:
        """Hand a plan over; the loop takes it with its next tick. One that is refused changes nothing.

        Raises:
            ValueError: arrays that do not fit each other.
        """
        t_ns = np.asarray(plan.t_ns, dtype=np.int64)
        q_rad = np.asarray(plan.q_rad, dtype=np.float64)
        gripper_m = np.asarray(plan.gripper_m, dtype=np.float64)
        if t_ns.ndim != 1 or q_rad.ndim != 2 or q_rad.shape[0] != t_ns.size or gripper_m.shape != t_ns.shape:
            raise ValueError(f"plan arrays of shapes {t_ns.shape}, {q_rad.shape}, {gripper_m.shape} do not fit")
        k, n = q_rad.shape
        if not 1 <= k <= MAX_KNOTS:
            return PlanResult.REFUSED_KNOTS
        if n != self._n_joints:
            return PlanResult.REFUSED_JOINTS
        with self._lock:
            native = self._plan
            native.seq = plan.seq
            native.chunk_seq = plan.chunk_seq
            native.observation_ns = plan.observation_ns
            native.active_from_ns = plan.active_from_ns
            native.n_knots = k
            native.n_joints = n
            self._plan_t_ns[:k] = t_ns
            self._plan_q_rad[:k, :n] = q_rad
            self._plan_gripper_m[:k] = gripper_m
            return PlanResult(lib.loop_set_plan(self._loop, native))

    def arm(self, timeout_s: float = 1.0) -> Result:
        """READY to HOLDING: plans handed over after this move the robot, earlier ones are forgotten. See `request`."""
        return self.request(Request.ARM, timeout_s)

    def disarm(self, timeout_s: float = 1.0) -> Result:
        """Decelerate, then READY. See `request`."""
        return self.request(Request.DISARM, timeout_s)

    def reset(self, timeout_s: float = 1.0) -> Result:
        """FAULT to READY, if its causes are gone. See `request`."""
        return self.request(Request.RESET, timeout_s)

    def request_stop(self, timeout_s: float = 1.0) -> Result:
        """Decelerate, then FAULT, latched. See `request`."""
        return self.request(Request.STOP, timeout_s)

    def request(self, request: Request, timeout_s: float = 1.0) -> Result:
        """Ask the kernel, between two ticks; a refusal has changed nothing.

        Raises:
            SafetyError: the loop is not running, or did not answer in time; then the request is withdrawn.
        """
        with self._lock:
            answer = lib.loop_request(self._loop, int(request), int(timeout_s * 1e9))
        if answer == lib.LOOP_NOT_RUNNING:
            raise SafetyError(f"{request.name}: the control loop is not running")
        if answer == lib.LOOP_TIMEOUT:
            raise SafetyError(f"{request.name}: the control loop did not answer within {timeout_s} s")
        return Result(answer)

    def drain_reports(self, limit: int = lib.LOOP_REPORTS) -> NDArray[np.void]:
        """Reports of ticks since the last call, oldest first, at most `limit`; `REPORT_DTYPE`, owned by the caller.

        The ring holds 8192 ticks; ticks beyond are dropped and counted.
        """
        if not 0 <= limit <= len(self._reports):
            raise ValueError(f"limit must lie between 0 and {len(self._reports)}")
        with self._lock:
            moved = lib.loop_drain(self._loop, ffi.cast("loop_report *", self._reports.ctypes.data), limit)
            reports: NDArray[np.void] = self._reports[:moved].copy()
        return reports

    def black_box_newest(self) -> int:
        """Number of the newest record of the black box; 0: none yet. From any thread, also after the loop has ended."""
        return int(lib.loop_black_box_newest(self._loop))

    def black_box_records(self, from_seq: int = 1) -> NDArray[np.void]:
        """What the black box still holds from record `from_seq` on, oldest first; `RECORD_DTYPE`, owned by the caller.

        From any thread, also after the loop has ended. What the loop overwrites meanwhile is left out; `seq` tells.
        """
        records = np.empty(lib.BLACK_BOX_RECORDS, dtype=RECORD_DTYPE)
        target = ffi.cast("black_box_record *", records.ctypes.data)
        return records[: lib.loop_black_box_copy(self._loop, from_seq, target, len(records))]

    def counters(self) -> LoopCounters:
        """What the loop has counted so far; each number is whole, together they may span a tick."""
        counters = ffi.new("loop_counters *")
        lib.loop_read_counters(self._loop, counters)
        return LoopCounters(
            ticks=counters.ticks,
            overruns=counters.overruns,
            torn_feedback=counters.torn_feedback,
            torn_plans=counters.torn_plans,
            plans_taken=counters.plans_taken,
            plans_refused=counters.plans_refused,
            reports_dropped=counters.reports_dropped,
            page_faults=counters.page_faults,
            tick_ns=counters.tick_ns,
            reasons=Reason(counters.reasons),
            faults=Reason(counters.faults),
            plan_seq=counters.plan_seq,
            state=State(counters.state),
            granted=Granted(counters.granted),
            running=bool(counters.running),
        )


def evaluate_plan(plan: Plan, instants_ns: Sequence[int] | NDArray[np.int64], n_joints: int) -> NDArray[np.float64]:
    """What the loop would ask of the kernel at these instants: shape (len, n_joints + 1), gripper last, NaN where the
    plan has played out.

    Raises:
        ValueError: a plan that the loop would refuse.
    """
    t_ns: ArrayLike = plan.t_ns
    native = ffi.new("loop_plan *")
    k = np.asarray(t_ns).size
    native.n_knots = k
    native.n_joints = n_joints
    np.frombuffer(ffi.buffer(native.t_ns), dtype=np.int64)[:k] = t_ns
    np.frombuffer(ffi.buffer(native.gripper_m), dtype=np.float64)[:k] = plan.gripper_m
    np.frombuffer(ffi.buffer(native.q_rad), dtype=np.float64).reshape(MAX_KNOTS, -1)[:k, :n_joints] = plan.q_rad
    if lib.plan_check(native, n_joints) != lib.PLAN_OK:
        raise ValueError("the loop would refuse this plan")
    at_ns = np.ascontiguousarray(instants_ns, dtype=np.int64)
    rows = np.empty((len(at_ns), n_joints + 1))
    lib.plan_evaluate_rows(native, ffi.from_buffer("int64_t[]", at_ns), len(at_ns), ffi.from_buffer("double[]", rows))
    return rows
