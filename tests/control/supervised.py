"""A supervisor on a stepped loop, and what an engine and an operator say to it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from edge_runtime.bundles.installed import Installed
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import (
    ActionChunk,
    Answer,
    Asker,
    Heartbeat,
    OperatorCommand,
    OperatorKind,
    RequestResult,
    SafetyReport,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.supervisor import Supervisor
from edge_runtime.ipc.bus import Refusals
from edge_runtime.ipc.clock import Clock, VirtualClock
from edge_runtime.safety import State
from tests.control.control_process import make_config
from tests.control.perfect_driver import JOINTS
from tests.control.stepped import SteppedLoop
from tests.control.test_chunk_buffer import make_chunk
from tests.control.test_chunk_pipeline import EMBODIMENT

CONFIG = msgspec.structs.replace(load_config(SIM_CONFIG), embodiment=EMBODIMENT)
SHIPPED = read_manifest(CONFIG.bundle_dir).digest


class RealClock:
    """The stepped loop's time for a supervisor that takes it for real: engines can be late, policies slow."""

    virtual = False

    def __init__(self, stepped: SteppedLoop) -> None:
        self._stepped = stepped

    def now_ns(self) -> int:
        return self._stepped.now_ns


class Bench:
    """A loop that is ready, and the supervisor of a control process that was started just now."""

    def __init__(
        self,
        stepped: SteppedLoop,
        folder: Path,
        bundles: KnownBundles | None = None,
        clock: Clock | None = None,
        *,
        proved: bool = True,
    ) -> None:
        self.stepped = stepped
        self.black_box = BlackBox(stepped.loop, make_config(), folder, Origin("arm", "", SHIPPED))
        self.supervisor = Supervisor(
            CONFIG,
            bundles=bundles or KnownBundles(Installed.of(CONFIG), lambda _: None),
            bundle_digest=SHIPPED,
            port=stepped.port,
            loop=stepped.loop,
            black_box=self.black_box,
            orders=StandingOrders(folder),
            clock=clock or VirtualClock(stepped.port),
            refusals=Refusals(),
        )
        self._id = 0
        self.engine_pid: int | None = None
        if proved:
            self.engine_pid = os.getpid()
            self.engine_lives()
            self.engine_says()

    def engine_lives(self) -> None:
        """A sign of life of the engine, if there is one."""
        if self.engine_pid is not None:
            self.supervisor.take_heartbeat(
                Heartbeat(
                    process="engine",
                    pid=self.engine_pid,
                    stamp_ns=1,
                    sequence=1,
                    counters={},
                    refusals={},
                    gauges={},
                )
            )

    def engine_says(self, proof: ProofVerdict = ProofVerdict.MATCHED, detail: str = "") -> None:
        """What it says of its policy."""
        status = PolicyStatus(
            stamp_ns=1,
            pid=self.engine_pid or 0,
            order_id=0,
            serving=SHIPPED if proof.may_act else "",
            serving_since_ns=0,
            proof=proof,
            proof_detail=detail,
        )
        self.supervisor.take_policy_status(status)

    def command(self, kind: OperatorKind, asker: Asker = Asker.PERSON) -> OperatorCommand:
        self._id += 1
        return OperatorCommand(id=self._id, kind=kind, stamp_ns=time.monotonic_ns(), asker=asker)

    def ask(self, command: OperatorCommand) -> RequestResult | None:
        answer = self.answer(command)
        return None if answer is None else answer.answer

    def answer(self, command: OperatorCommand) -> Answer | None:
        self.engine_lives()
        self.supervisor.take_operator(command)
        self.supervisor.drain()
        report: SafetyReport = self.supervisor.report()
        return report.answer_to(command)

    def state(self) -> State:
        return self.stepped.loop.counters().state


MS = 1_000_000


def engine_status(number: int, text: str = "touch the cube", **changes: object) -> EngineStatus:
    """Of an engine that follows instruction `number`, or with an empty `text` has refused it."""
    fields: dict[str, object] = {
        "stamp_ns": 1,
        "pid": 9,
        "bundle": SHIPPED,
        "instruction_id": number,
        "answer": InstructionAnswer.FOLLOWED if text else InstructionAnswer.REFUSED_UNREADABLE,
        "latency_ns": 30 * MS,
        "horizon_ns": 800 * MS,
        "asked": text or "touch the mug",
        "instruction": text,
        **changes,
    }
    return EngineStatus(**fields)  # type: ignore[arg-type]


def chunk_at(exposure_ns: int, number: int, rows: int = 16) -> ActionChunk:
    line = [0.3 * min(1.0, (k + 1) / 16.0) for k in range(rows)]
    return msgspec.structs.replace(
        make_chunk(exposure_ns, sequence=exposure_ns, horizon=rows),
        joint_digest=EMBODIMENT.joint_digest,
        position=tuple((*(value,) * len(JOINTS), 0.04) for value in line),
        bundle_digest=SHIPPED,
        instruction_id=number,
    )
