"""A robot as the update agent hears it: messages at their rates, each through the codec of its topic."""

from __future__ import annotations

from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    ChunkReceipt,
    ControlState,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    GateState,
    Heartbeat,
    LoopTiming,
    Message,
    SafetyReport,
)
from edge_runtime.contracts.topics import (
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    EPISODE_ENDED,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    POLICY_STATUS,
    SAFETY_REPORT,
    Topic,
    decode,
    encode,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ota.probation.observer import Observer

STEP_NS = 50_000_000
TIMING = LoopTiming(
    ticks=1,
    overruns=0,
    lateness_p50_ns=0,
    lateness_p99_ns=0,
    lateness_max_ns=0,
    cost_p50_ns=0,
    cost_p99_ns=0,
    realtime_priority=True,
)


def sent(topic: Topic, message: Message) -> Message:
    """As it arrives."""
    return decode(topic, encode(topic, message))


def report(stamp_ns: int, bundle: str | None, **changed: object) -> SafetyReport:
    """Of a robot that moves and does well, but for what is `changed`."""
    fields: dict[str, object] = {
        "stamp_ns": stamp_ns,
        "state": ControlState.ACTIVE,
        "reasons": (),
        "interventions": 0,
        "chunk_sequence": 1,
        "chunk_age_ns": 50_000_000,
        "plan_left_ns": 500_000_000,
        "bundle_digest": bundle,
        "safety_digest": "s",
        "stop_margin": 1.0,
        "stop_margin_axis": 0,
        "position_measured": (0.0,),
        "position_commanded": (0.0,),
        "loop": TIMING,
        "engine_alive": True,
    }
    message = sent(SAFETY_REPORT, SafetyReport(**{**fields, **changed}))  # type: ignore[arg-type]
    assert isinstance(message, SafetyReport)
    return message


class TalkingRobot:
    """Says what a robot says while time passes; what is set here changes what it says.

    Attributes:
        listener: hears everything. Its clock is ahead of that of the stamps by a thousand seconds.
        bundle: that the engine serves and control follows; None: the robot does not move.
        engine, control, driver: process numbers; None: it says nothing.
    """

    def __init__(self, listener: Observer, bundle: str) -> None:
        self.listener = listener
        self.bundle = bundle
        self.state = ControlState.ACTIVE
        self.gate = GateState.OFF
        self.interventions = 0
        self.faults: tuple[str, ...] = ()
        self.engine: int | None = 100
        self.control: int | None = 200
        self.driver: int | None = 300
        self.loading = ""
        self.says_status = True
        self.not_finite = 0
        self.refusal: Refusal | None = None
        self.age_ns = 80_000_000
        self.now_ns = 10**12
        self._serving = (bundle, self.now_ns)
        self._steps = 0
        self._outcomes = 0

    @property
    def now_s(self) -> float:
        """When the listener hears it."""
        return self.now_ns * 1e-9 + 1000.0

    def hear(self, topic: Topic, message: Message) -> None:
        """The listener gets one message."""
        self.listener.take(sent(topic, message), self.now_s)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.now_ns += STEP_NS
            self._steps += 1
            if self.bundle != self._serving[0]:
                self._serving = (self.bundle, self.now_ns)
            if self.control is not None:
                self._report()
            if self._steps % 2 == 0:
                self._beat()
            self.listener.look(self.now_s)

    def episode(self, success: bool, seconds: float = 20.0) -> None:
        """One attempt at the task, judged by somebody."""
        started_ns = self.now_ns
        self.run(seconds)
        self.tell(success, started_ns)

    def tell(self, success: bool, started_ns: int) -> EpisodeEnded:
        """Say how an attempt that began then has ended now."""
        self._outcomes += 1
        ended = EpisodeEnded(
            id=self._outcomes,
            started_ns=started_ns,
            ended_ns=self.now_ns,
            outcome=EpisodeOutcome.SUCCESS if success else EpisodeOutcome.FAILURE,
            judge=EpisodeJudge.PERSON,
        )
        self.hear(EPISODE_ENDED, ended)
        return ended

    def status(self) -> PolicyStatus:
        """What the engine says of its policies."""
        return PolicyStatus(
            stamp_ns=self.now_ns,
            pid=self.engine or 0,
            order_id=1,
            serving=self._serving[0],
            serving_since_ns=self._serving[1],
            loading=self.loading,
        )

    def receipt(self, **changed: object) -> ChunkReceipt:
        """What control made of a chunk of now."""
        fields: dict[str, object] = {
            "chunk_sequence": self._steps,
            "exposure_ns": self.now_ns - self.age_ns,
            "observation_published_ns": None,
            "chunk_published_ns": self.now_ns,
            "received_ns": self.now_ns,
            "model_ns": 0,
            "refusal": self.refusal,
            "expired_actions": 0,
            "first_command_ns": None,
        }
        return ChunkReceipt(**{**fields, **changed})  # type: ignore[arg-type]

    def heartbeat(self, process: str, pid: int) -> Heartbeat:
        """A sign of life."""
        return Heartbeat(
            process=process,
            pid=pid,
            stamp_ns=self.now_ns,
            sequence=self._steps,
            counters={},
            refusals={},
            gauges={},
        )

    def work(self) -> EngineStatus:
        """What the engine says of its work."""
        return EngineStatus(
            stamp_ns=self.now_ns,
            pid=self.engine or 0,
            bundle=self.bundle,
            instruction_id=0,
            answer=InstructionAnswer.NONE,
            latency_ns=0,
            horizon_ns=0,
            not_finite=self.not_finite,
        )

    def _report(self) -> None:
        changed = {
            "state": self.state,
            "gate": self.gate,
            "interventions": self.interventions,
            "faults": self.faults,
        }
        self.listener.take(report(self.now_ns, self.bundle, **changed), self.now_s)

    def _beat(self) -> None:
        for topic, process, pid in (
            (HEARTBEAT_CONTROL, "control", self.control),
            (HEARTBEAT_DRIVER, "driver", self.driver),
            (HEARTBEAT_ENGINE, "engine", self.engine),
        ):
            if pid is not None:
                self.hear(topic, self.heartbeat(process, pid))
        if self.engine is not None:
            if self.says_status:
                self.hear(POLICY_STATUS, self.status())
            self.hear(ENGINE_STATUS, self.work())
            self.hear(CHUNK_RECEIPT, self.receipt())
