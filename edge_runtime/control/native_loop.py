"""The 1 kHz loop from Python: start, stop, hand over plans, ask, and read what it did.

The loop runs on a thread of its own that never takes the interpreter's lock; everything here talks to it through
lock-free mailboxes, and every wait has a timeout. See `loop/loop.h`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import IntFlag
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.errors import HandshakeError, PortError, SafetyError
from edge_runtime.control.plan import NativePlan, Plan, PlanResult
from edge_runtime.control.stop_line import StopLine
from edge_runtime.ipc.port import DriverPort, PortRole
from edge_runtime.native import ffi, lib
from edge_runtime.safety import AxisKind, KernelConfig, Policy, Reason, Request, Result, State
from edge_runtime.safety.recording import RECORD_DTYPE


def _numpy_type(ctype: Any) -> Any:
    if ctype.kind == "array":
        return (_numpy_type(ctype.item), ctype.length)
    return {"int64_t": "i8", "uint64_t": "u8", "uint32_t": "u4", "int32_t": "i4", "double": "f8"}[ctype.cname]


def _report_dtype() -> np.dtype[np.void]:
    ctype = ffi.typeof("loop_report")
    names, formats, offsets = zip(*((n, _numpy_type(f.type), f.offset) for n, f in ctype.fields), strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": ffi.sizeof(ctype)})


REPORT_DTYPE = _report_dtype()
"""One tick, with the fields of `loop_report` in `loop.h`; vectors of axes have 32 values, the unused ones zero."""

_SNAPSHOT_TIMEOUT_S = 1.0
_SNAPSHOT_NAP_S = 5e-5
_STOP_GRACE_S = 1.0


class Granted(IntFlag):
    """What the machine granted the loop of its real-time wishes."""

    PRIORITY = lib.LOOP_GRANTED_PRIORITY
    CPU = lib.LOOP_GRANTED_CPU
    MEMORY = lib.LOOP_GRANTED_MEMORY
    DMA_LATENCY = lib.LOOP_GRANTED_DMA_LATENCY
    TIMER_SLACK = lib.LOOP_GRANTED_TIMER_SLACK


@dataclass(frozen=True, slots=True)
class LoopCounters:
    """What the loop has counted since it started, and where it stands. `page_faults` is known once it has stopped;
    `policy_lost_ns` is the tick that found the policy not to be alive, the last time it was not, else 0;
    `policy_beat_ns` the one that saw its last sign of life."""

    ticks: int
    overruns: int
    torn_feedback: int
    torn_plans: int
    plans_taken: int
    plans_refused: int
    reports_dropped: int
    stop_line_opened: int
    page_faults: int
    tick_ns: int
    reasons: Reason
    faults: Reason
    plan_seq: int
    state: State
    granted: Granted
    running: bool
    policy: Policy
    policy_lost_ns: int
    policy_beat_ns: int


class ControlLoop:
    """The loop of one robot. A context manager: entering starts it, leaving stops it.

    Args:
        port: attached to the robot's driver; the loop takes its control role, and keeps it until it is collected.
        config: the robot's limits.
        priority: SCHED_FIFO priority 1 to 99, or 0 for none; what was not permitted shows in `counters().granted`.
        cpu: pin the loop to this CPU.
        lock_memory: keep touched memory resident.
        dma_latency: keep the CPU out of deep sleep.
        stall_timeout_s: a policy whose beats are further apart has stalled; 0 never. Without a first beat, none has.
        progress_timeout_s: one that beats but brings no new plan for so long, although the robot follows plans, is
            stuck; 0 never.
        stop_line: read in every tick; open trips. It stays the caller's, who may close it at once. None: there is none
            but the driver's.

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
        stall_timeout_s: float = 0.0,
        progress_timeout_s: float = 0.0,
        stop_line: StopLine | None = None,
    ) -> None:
        if port.joint_digest != config.joint_digest:
            raise HandshakeError("joint_digest", config.joint_digest, port.joint_digest)
        if not 0 <= priority <= 99:
            raise ValueError(f"priority must be 0 to 99, got {priority}")
        port.claim(PortRole.CONTROL)
        self._port = port
        self._lock = threading.Lock()
        self._reports = np.zeros(lib.LOOP_REPORTS, dtype=REPORT_DTYPE)
        self._plan = NativePlan(len(config.axis_names))
        self._config = config
        options = ffi.new("loop_options *")
        options.priority = priority
        options.cpu = -1 if cpu is None else cpu
        options.lock_memory = lock_memory
        options.dma_latency = dma_latency
        options.stall_timeout_ns = round(stall_timeout_s * 1e9)
        options.progress_timeout_ns = round(progress_timeout_s * 1e9)
        if stop_line is not None:
            options.has_stop_line = True
            options.stop_line_fd = stop_line.fileno()
        error = ffi.new("int *")
        loop = lib.loop_create(port.native, config.to_native(), options, error)
        if loop == ffi.NULL:
            raise PortError(f"the loop cannot be made ({error[0]})")
        self._loop = ffi.gc(loop, lib.loop_destroy)

    @property
    def config(self) -> KernelConfig:
        """The limits that the loop's kernel holds."""
        return self._config

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

    def stop(self, timeout_s: float | None = None) -> bool:
        """Decelerate, wait for rest at most `timeout_s` seconds, leave SILENT on the port, end the thread.

        None waits for as long as the limits let a stop take, and a second more: a driver that finds SILENT in
        mid-motion stops as hard as it can.

        Returns whether the robot had come to rest; True as well if the loop was not running.

        Raises:
            SafetyError: the thread gets no time to run and has not ended a second later; it keeps the control role.
        """
        wait_s = _longest_stop_s(self._config) + _STOP_GRACE_S if timeout_s is None else timeout_s
        with self._lock:
            result = lib.loop_stop(self._loop, int(wait_s * 1e9))
        if result == lib.LOOP_STUCK:
            raise SafetyError("the loop's thread does not run and can't be ended; end this process")
        return bool(result != lib.LOOP_TIMEOUT)

    def release(self) -> None:
        """Give up the control role of a loop that has stopped now, not when it is collected; nothing works after."""
        ffi.release(self._loop)

    def set_plan(self, plan: Plan) -> PlanResult:
        """Hand a plan over; the loop takes it with its next tick. One that is refused changes nothing.

        Raises:
            ValueError: arrays that do not fit each other, or a digest that is none.
        """
        with self._lock:
            refused = self._plan.fill(plan)
            if refused is not PlanResult.OK:
                return refused
            return PlanResult(lib.loop_set_plan(self._loop, self._plan.pointer))

    def arm(self, timeout_s: float = 1.0) -> Result:
        """READY to HOLDING: plans handed over after this move the robot, earlier ones are forgotten. See `request`."""
        return self.request(Request.ARM, timeout_s)

    def disarm(self, timeout_s: float = 1.0) -> Result:
        """Decelerate, then READY. See `request`."""
        return self.request(Request.DISARM, timeout_s)

    def reset(self, timeout_s: float = 1.0, *, moved: bool = False) -> Result:
        """FAULT to READY, if its causes are gone. See `request`.

        Args:
            timeout_s: see `request`.
            moved: also of a robot that was moved since it stopped. A person says so, and no program.
        """
        return self.request(Request.RESET_MOVED if moved else Request.RESET, timeout_s)

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
        return Result(_answered(answer, request.name, timeout_s))

    def tighten(
        self, *, speed_scale: float = 1.0, tool_speed_max_m_s: float | None = None, timeout_s: float = 1.0
    ) -> Result:
        """Set what is tighter than the config from the next tick on; both replace what was set before.

        Tighter is possible at any time, looser (up to the config) only while not armed.

        Args:
            speed_scale: of every axis's velocity limit, above 0, at most 1.
            tool_speed_max_m_s: of every tool that would be faster; None is the config's own.

        Raises:
            SafetyError: see `request`.
        """
        fastest_m_s = self._config.fastest_tool_m_s if tool_speed_max_m_s is None else tool_speed_max_m_s
        tightening = ffi.new("kernel_tightening *", [speed_scale, fastest_m_s])
        with self._lock:
            answer = lib.loop_tighten(self._loop, tightening, int(timeout_s * 1e9))
        return Result(_answered(answer, "TIGHTEN", timeout_s))

    def watch(self, pidfd: int | None, lifeline: int | None = None, pid: int = 0, timeout_s: float = 1.0) -> bool:
        """Take a process for the policy's: when it ends, the next tick knows. Returns whether it has a lifeline.

        Both descriptors stay the caller's, who may close them at once.

        Args:
            pidfd: of the process; None if that is not to be had. It tells the end when all memory has been given back.
            lifeline: descriptor of a file that may hold its lifeline, which tells at once. See `ipc.lifeline`.
            pid: number of the process as it knows it itself, which the lifeline must name.

        Raises:
            SafetyError: see `request`; or no such descriptor.
        """
        with self._lock:
            answer = lib.loop_watch(
                self._loop,
                -1 if pidfd is None else pidfd,
                -1 if lifeline is None else lifeline,
                pid,
                int(timeout_s * 1e9),
            )
        if answer == lib.LOOP_BAD_DESCRIPTOR:
            raise SafetyError(f"watch: {pidfd} can't be duplicated")
        return bool(_answered(answer, "watch", timeout_s))

    def beat(self) -> None:
        """The policy gave a sign of life; it counts from the next tick on."""
        lib.loop_beat(self._loop)

    def set_progress_timeout(self, progress_timeout_s: float) -> None:
        """From the next tick on a policy is stuck after so long without a new plan; 0 never."""
        lib.loop_set_progress_timeout(self._loop, round(progress_timeout_s * 1e9))

    def snapshot(self) -> Any:
        """The kernel's state after the last tick or request: a `kernel_state *` of cffi, a copy of the caller's own.

        Raises:
            SafetyError: there was no tick yet.
        """
        state = ffi.new("kernel_state *")
        if lib.loop_snapshot(self._loop, state) != lib.LOOP_OK:
            raise SafetyError("snapshot: the control loop has not ticked yet")
        return state

    def snapshot_at_tick(self, not_before_ns: int = 0) -> tuple[Any, int]:
        """`snapshot` after a tick that stands for `not_before_ns` or later, with the instant that it does stand for.

        Raises:
            SafetyError: no such tick within a second.
        """
        until_s = time.monotonic() + _SNAPSHOT_TIMEOUT_S
        while True:
            state, tick_ns = self.snapshot(), self.counters().tick_ns
            # Two reads: they belong together if the state has seen a time inside of this tick.
            if 0 <= state.last_now_ns - tick_ns < self._config.tick_ns and tick_ns >= not_before_ns:
                return state, tick_ns
            if time.monotonic() > until_s:
                raise SafetyError("snapshot: the control loop does not tick")
            time.sleep(_SNAPSHOT_NAP_S)

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
            stop_line_opened=counters.stop_line_opened,
            page_faults=counters.page_faults,
            tick_ns=counters.tick_ns,
            reasons=Reason(counters.reasons),
            faults=Reason(counters.faults),
            plan_seq=counters.plan_seq,
            state=State(counters.state),
            granted=Granted(counters.granted),
            running=bool(counters.running),
            policy=Policy(counters.policy),
            policy_lost_ns=counters.policy_lost_ns,
            policy_beat_ns=counters.policy_beat_ns,
        )


def _longest_stop_s(config: KernelConfig) -> float:
    """V/A + 2 A/J + 2 T of the axis that takes longest; a gripper is no part of a stop."""
    limits = zip(config.axis_kinds, config.dq_max, config.ddq_max, config.dddq_max, strict=True)
    stops = [v / a + 2.0 * a / j for kind, v, a, j in limits if kind is not AxisKind.GRIPPER]
    return max(stops, default=0.0) + 2e-9 * config.tick_ns


def _answered(answer: int, what: str, timeout_s: float) -> int:
    if answer == lib.LOOP_NOT_RUNNING:
        raise SafetyError(f"{what}: the control loop is not running")
    if answer == lib.LOOP_TIMEOUT:
        raise SafetyError(f"{what}: the control loop did not answer within {timeout_s} s")
    return answer
