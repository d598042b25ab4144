"""A short life of a robot through the real kernel and the real ring, without a loop: the same on every run."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_runtime.native import ffi, lib
from edge_runtime.safety.recording import FORMAT, RECORD_DTYPE, Header, Recording, layout_digest, readable_limits
from tests.control.control_process import make_config
from tests.control.perfect_driver import JOINTS

TICK_NS = 1_000_000
ARMED_AT = 20
STOPPED_AT = 400


def header_of(config: Any, n_records: int, **changes: Any) -> Header:
    """A header that fits the perfect driver's robot."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "layout": layout_digest(),
        "runtime_version": "0.1.0",
        "robot": "perfect",
        "axis_names": make_config().axis_names,
        "written_utc": "2026-01-01T00:00:00.000+00:00",
        "cause": "trip",
        "reasons": ("operator_stop",),
        "trigger_seq": STOPPED_AT + 4,
        "n_records": n_records,
        "safety_digest": "ab" * 32,
        "bundle_digest": None,
        "limits": readable_limits(config),
        "kernel_config": bytes(ffi.buffer(config)),
    }
    return Header(**{**fields, **changes})


def recorded(ticks: int = 600) -> Recording:
    """Armed, tightened, following a sine that asks for too much, and stopped by its operator."""
    config: Any = make_config().to_native()
    box, before = ffi.new("black_box *"), ffi.new("kernel_state *")
    state, feedback = ffi.new("kernel_state *"), ffi.new("kernel_feedback *")
    setpoint, verdict = ffi.new("kernel_setpoint *"), ffi.new("kernel_verdict *")
    tightening = ffi.new("kernel_tightening *", [0.5, config.tool_speed_max_m_s[0]])
    lib.kernel_init(state, config)
    feedback.present, feedback.n, feedback.watchdog_ns = 1, config.n_axes, 100_000_000
    setpoint.n, setpoint.speed_scale = config.n_axes, 1.0

    def request(kind: int, now_ns: int) -> None:
        before[0] = state[0]
        result = lib.kernel_request(state, config, feedback, kind, now_ns)
        assert result == lib.KERNEL_DONE
        lib.black_box_request(box, before, feedback, kind, result, now_ns)

    for k in range(1, ticks + 1):
        now_ns = k * TICK_NS
        feedback.stamp_ns, feedback.seq = now_ns, k
        feedback.q, feedback.dq = verdict.q, verdict.dq
        setpoint.present = k > ARMED_AT
        setpoint.stamp_ns = setpoint.observation_ns = now_ns
        setpoint.seq = k
        setpoint.q[0 : len(JOINTS)] = [1.5 * np.sin(now_ns * 5e-9) for _ in JOINTS]
        before[0] = state[0]
        lib.kernel_step(state, config, feedback, setpoint, now_ns, verdict)
        lib.black_box_tick(box, before, feedback, setpoint, verdict, now_ns, now_ns)
        if k == ARMED_AT:
            request(lib.KERNEL_REQUEST_ARM, now_ns)
            before[0] = state[0]
            result = lib.kernel_tighten(state, config, tightening)
            lib.black_box_tighten(box, before, tightening, result)
        if k == STOPPED_AT:
            request(lib.KERNEL_REQUEST_STOP, now_ns)
    records = np.empty(lib.black_box_newest(box), dtype=RECORD_DTYPE)
    copied = lib.black_box_copy(box, 1, ffi.cast("black_box_record *", records.ctypes.data), len(records))
    assert copied == len(records) == ticks + 3
    return Recording(header_of(config, copied), records)
