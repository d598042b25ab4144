"""May this policy act on this machine? One row of `edge-runtime check`, from what its chunks took here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.manifest import PolicyContract
from edge_runtime.ipc.clock import MonotonicClock
from edge_runtime.pace import pace_of
from edge_runtime.policies.processor import allowed, describe, threads_for

_AT_LEAST = 5
_LONG_ENOUGH_NS = 8_000_000_000

Item = TypeVar("Item")


def for_a_while(items: Iterable[Item]) -> Iterator[Item]:
    """`items`, of a slow policy's fewer: five at least, and no further one after eight seconds."""
    clock = MonotonicClock()
    started_ns = clock.now_ns()
    for count, item in enumerate(items):
        if count >= _AT_LEAST and clock.now_ns() - started_ns > _LONG_ENOUGH_NS:
            return
        yield item


def verdict(took_s: list[float], policy: PolicyContract, config: RobotConfig) -> tuple[str, str, str]:
    """Level ("ok", "warn" or "fail"), what was found, and what to do, of a policy whose chunks took so long here."""
    p50_s, p99_s = np.percentile(took_s, (50, 99)).tolist()
    horizon_s = policy.rows * policy.action_dt_ns * 1e-9
    usual, worst = pace_of(p50_s, horizon_s, config), pace_of(p99_s, horizon_s, config)
    asked, possible = config.engine.threads, allowed()
    threads = threads_for(asked)
    reduced = f" ({asked} asked, {possible} processors allowed)" if threads < asked else ""
    found = f"{p50_s * 1e3:.1f} / {p99_s * 1e3:.1f} ms (p50 / p99), threads: {threads}{reduced}, on {describe()}; "
    found += f"a chunk each {usual.interval_s * 1e3:.0f} ms, its plan reaches {horizon_s * 1e3:.0f} ms"
    if usual.problem is not None:
        return "fail", f"{found}: it can't act. {_sentence(usual.detail)}", usual.remedy
    if worst.problem is not None:
        remedy = f"a quieter machine, or {worst.remedy}"
        return "warn", f"{found}, which its slowest chunks outlast: it will hold now and then", remedy
    return "ok", found, ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
