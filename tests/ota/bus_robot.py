"""The rest of a robot on a real bus, as far as its update agent can hear it: driver and control, and an engine that
obeys, refuses, is slow, dies or is not there. For tests that are about the agent."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import SHIPPED
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.messages import ControlState, Heartbeat, LoopTiming, SafetyReport
from edge_runtime.contracts.topics import (
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    POLICY_ORDER,
    POLICY_STATUS,
    SAFETY_REPORT,
)
from edge_runtime.contracts.updates import PolicyOrder, PolicyStatus
from edge_runtime.ipc.bus import Publisher, Subscriber

_INTERVAL_S = 0.05
_DOWN_S = 0.3


class BusRobot:
    """While entered: publishes, twenty times a second, on a thread of its own.

    Attributes:
        state: of control; it moves, unless it is told to rest.
        refuses: digests that the engine cannot load.
        changes_over: whether the engine does, once what it should run is warm.
        has_engine: whether there is one; each time that it comes back it is a new one, which runs what boots.
        crash_on: a digest that ends the engine as soon as it serves it.
        boots_instead: what it begins with, whatever the pointer says; empty: what the pointer says.
        served: digests that have acted, in order.
    """

    def __init__(self, config: RobotConfig, run_dir: Path) -> None:
        self.state = ControlState.ACTIVE
        self.refuses: set[str] = set()
        self.changes_over = True
        self.has_engine = True
        self.crash_on = ""
        self.boots_instead = ""
        self.served: list[str] = []
        self.standby = ""
        self._installed = Installed.of(config)
        self._run_dir = run_dir
        self._pid = 100
        self._serving = ""
        self._since_ns = 0
        self._down_until_s = 0.0
        self._order_id = 0
        self._order: PolicyOrder | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-robot", daemon=True)

    def __enter__(self) -> BusRobot:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        run_dir = self._run_dir
        lines = {
            topic: Publisher(topic, run_dir)
            for topic in (HEARTBEAT_DRIVER, HEARTBEAT_CONTROL, HEARTBEAT_ENGINE, SAFETY_REPORT, POLICY_STATUS)
        }
        orders = Subscriber((POLICY_ORDER,), run_dir)
        sequence = 0
        while not self._ended.is_set():
            sequence += 1
            now_ns = time.monotonic_ns()
            for process, topic in (("driver", HEARTBEAT_DRIVER), ("control", HEARTBEAT_CONTROL)):
                lines[topic].send(_beat(process, 1, now_ns, sequence))
            lines[SAFETY_REPORT].send(_report(self.state, self._serving or None, now_ns))
            is_up = self.has_engine and time.monotonic() >= self._down_until_s
            for message in orders.receive(_INTERVAL_S):
                if isinstance(message, PolicyOrder) and is_up:
                    self._obey(message)
            if is_up:
                self._come_up()
                lines[HEARTBEAT_ENGINE].send(_beat("engine", self._pid, now_ns, sequence))
                lines[POLICY_STATUS].send(self._status())
            if self._serving and (not is_up or self._serving == self.crash_on):
                self._end()
        for line in lines.values():
            line.close()
        orders.close()

    def _come_up(self) -> None:
        if not self._serving:
            boot = self._installed.boot()
            digest = boot.bundle if boot.bundle not in (SHIPPED, *self.refuses) else self._installed.shipped_digest
            self._serve(self.boots_instead or digest)

    def _end(self) -> None:
        self._pid += 1
        self._serving = self.standby = ""
        self._order, self._order_id = None, 0
        self._down_until_s = time.monotonic() + _DOWN_S

    def _obey(self, order: PolicyOrder) -> None:
        self._order, self._order_id = order, order.id
        if self.changes_over and order.serve not in self.refuses and order.serve in self._installed.may_act():
            self._serve(order.serve)
        self.standby = "" if order.standby in self.refuses else order.standby

    def _serve(self, digest: str) -> None:
        if digest != self._serving:
            self._serving, self._since_ns = digest, time.monotonic_ns()
            self.served.append(digest)

    def _status(self) -> PolicyStatus:
        order = self._order
        wanted = () if order is None else (order.serve, order.standby)
        failed = next((digest for digest in wanted if digest in self.refuses), "")
        return PolicyStatus(
            stamp_ns=time.monotonic_ns(),
            pid=self._pid,
            order_id=self._order_id,
            serving=self._serving or "0" * 64,
            serving_since_ns=self._since_ns,
            standby=self.standby,
            failed=failed,
            problem="it was told to refuse it" if failed else "",
        )


def _beat(process: str, pid: int, now_ns: int, sequence: int) -> Heartbeat:
    return Heartbeat(process=process, pid=pid, stamp_ns=now_ns, sequence=sequence, counters={}, refusals={}, gauges={})


def _report(state: ControlState, bundle: str | None, now_ns: int) -> SafetyReport:
    return SafetyReport(
        stamp_ns=now_ns,
        state=state,
        reasons=(),
        interventions=0,
        chunk_sequence=None,
        chunk_age_ns=None,
        plan_left_ns=0,
        bundle_digest=bundle,
        safety_digest="0" * 64,
        stop_margin=1.0,
        stop_margin_axis=0,
        position_measured=(0.0,),
        position_commanded=(0.0,),
        loop=LoopTiming(
            ticks=1,
            overruns=0,
            lateness_p50_ns=0,
            lateness_p99_ns=0,
            lateness_max_ns=0,
            cost_p50_ns=0,
            cost_p99_ns=0,
            realtime_priority=False,
        ),
        engine_alive=True,
    )
