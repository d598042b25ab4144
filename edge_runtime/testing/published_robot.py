"""A robot that is only said to be one: real messages on the real bus of a run, for whoever listens to robots.

For what looks at a robot and has to be shown what none here does, such as each fault of a kernel. Nothing of it reads
requests: what a request does is tried with the real processes.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import (
    ActionChunk,
    Authority,
    ChunkReceipt,
    ControlState,
    GateState,
    Heartbeat,
    InferenceTiming,
    KernelReason,
    LoopTiming,
    Message,
    Observation,
    PolicyState,
    SafetyReport,
)
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    POLICY_STATUS,
    SAFETY_REPORT,
    UPDATE_STATUS,
    Topic,
)
from edge_runtime.contracts.updates import PolicyStatus, UpdateStatus
from edge_runtime.ipc.bus import Publisher
from edge_runtime.ipc.frames import FrameRing, ring_name

BUNDLE = "ab" * 32
_INTERVAL_S = 0.05
_CHUNK_EVERY = 4
_HORIZON = 24
_DT_NS = 50_000_000
_TOPICS = (
    SAFETY_REPORT,
    CHUNK_RECEIPT,
    ACTION_CHUNK,
    ENGINE_STATUS,
    POLICY_STATUS,
    OBSERVATION,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
)


class PublishedRobot:
    """Says twenty times a second how it is, until it is closed. A context manager.

    Args:
        run_dir: folder of the run's sockets.
        embodiment: which axes and cameras it has.

    Attributes:
        report: fields of the next reports that differ from a robot at work.
        engine: fields of what the engine says of its work.
        update: what an update agent says; None: there is none.
        refusal: why each chunk is refused; None: they are followed.
        is_silent: whether it says nothing at all.
    """

    def __init__(self, run_dir: Path, embodiment: Embodiment) -> None:
        self._run_dir, self._embodiment = run_dir, embodiment
        self.report: dict[str, Any] = {}
        self.engine: dict[str, Any] = {}
        self.update: UpdateStatus | None = None
        self.refusal: Refusal | None = None
        self.is_silent = False
        self._stack = contextlib.ExitStack()
        self._publishers = {topic.name: self._stack.enter_context(Publisher(topic, run_dir)) for topic in _TOPICS}
        self._rings: list[FrameRing] = []
        for camera in embodiment.cameras:
            name = ring_name(run_dir, camera.name)
            ring = FrameRing.create(name, camera.name, camera.width_px, camera.height_px)
            self._rings.append(self._stack.enter_context(ring))
        self._sequence = 0
        self._chunk_sequence = 0
        self._started_ns = time.monotonic_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="published", daemon=True)
        self._thread.start()

    def say(self, **report: Any) -> None:
        """How it is from now on: fields of `SafetyReport`, all others as of a robot at work."""
        self.report = report

    def close(self) -> None:
        """Say nothing more."""
        self._stopping.set()
        self._thread.join(2.0)
        self._stack.close()

    def __enter__(self) -> PublishedRobot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _send(self, topic: Topic, message: Message) -> None:
        publisher = self._publishers.get(topic.name)
        if publisher is None:
            publisher = self._stack.enter_context(Publisher(topic, self._run_dir))
            self._publishers[topic.name] = publisher
        publisher.send(message)

    def _work(self) -> None:
        while not self._stopping.wait(_INTERVAL_S):
            if not self.is_silent:
                self._say_all(time.monotonic_ns())

    def _say_all(self, now_ns: int) -> None:
        self._sequence += 1
        if self._is_armed() and self._sequence % _CHUNK_EVERY == 0:
            self._say_chunk(now_ns)
        self._send(SAFETY_REPORT, self._report(now_ns))
        self._send(OBSERVATION, self._observation(now_ns))
        if self._sequence % 2 == 0:
            for process, topic in (
                ("control", HEARTBEAT_CONTROL),
                ("driver", HEARTBEAT_DRIVER),
                ("engine", HEARTBEAT_ENGINE),
            ):
                self._send(topic, self._beat(process, now_ns))
            self._send(ENGINE_STATUS, msgspec.structs.replace(self._engine(now_ns), **self.engine))
            self._send(POLICY_STATUS, self._policy(now_ns))
        if self.update is not None:
            self._send(UPDATE_STATUS, msgspec.structs.replace(self.update, stamp_ns=now_ns))

    def _is_armed(self) -> bool:
        return self.report.get("state", ControlState.ACTIVE) in (ControlState.ACTIVE, ControlState.HOLDING)

    def _asked(self, at_ns: int) -> tuple[float, ...]:
        """Where each axis shall be: to and fro in a tenth of its range."""
        t_s = (at_ns - self._started_ns) / 1e9
        values = []
        for index, axis in enumerate(self._embodiment.axes):
            half = 0.12 * (axis.high - axis.low) if axis.has_range else 0.5
            middle = axis.home if axis.has_range or not axis.is_velocity else 0.0
            value = middle + half * math.sin(0.9 * t_s + 0.7 * index)
            values.append(min(max(value, axis.low), axis.high))
        return tuple(values)

    def _say_chunk(self, now_ns: int) -> None:
        self._chunk_sequence += 1
        exposure_ns = now_ns - 95_000_000
        rows = tuple(self._asked(exposure_ns + (k + 1) * _DT_NS) for k in range(_HORIZON))
        timing = InferenceTiming(
            received_ns=exposure_ns + 9_000_000,
            preprocess_ns=2_000_000,
            model_ns=61_000_000,
            postprocess_ns=1_000_000,
        )
        chunk = ActionChunk(
            sequence=self._chunk_sequence,
            observation_sequence=self._sequence,
            exposure_ns=exposure_ns,
            published_ns=exposure_ns + 73_000_000,
            dt_ns=_DT_NS,
            joint_digest=self._embodiment.joint_digest,
            bundle_digest=BUNDLE,
            instruction_id=1,
            position=rows,
            timing=timing,
            observation_published_ns=exposure_ns + 7_500_000,
            confidence=0.93,
        )
        self._send(ACTION_CHUNK, chunk)
        receipt = ChunkReceipt(
            chunk_sequence=chunk.sequence,
            exposure_ns=exposure_ns,
            observation_published_ns=chunk.observation_published_ns,
            chunk_published_ns=chunk.published_ns,
            received_ns=chunk.published_ns + 1_200_000,
            model_ns=timing.model_ns,
            refusal=self.refusal,
            expired_actions=1,
            first_command_ns=None if self.refusal else chunk.published_ns + 2_900_000,
        )
        self._send(CHUNK_RECEIPT, receipt)

    def _report(self, now_ns: int) -> SafetyReport:
        is_armed = self._is_armed()
        commanded = self._asked(now_ns) if is_armed else self._embodiment.home
        measured = self._asked(now_ns - 18_000_000) if is_armed else self._embodiment.home
        is_following = is_armed and self._chunk_sequence > 0 and self.refusal is None
        fields: dict[str, Any] = {
            "stamp_ns": now_ns,
            "state": ControlState.ACTIVE,
            "reasons": (KernelReason.LIMIT_JERK,) if is_armed else (),
            "interventions": 3 if is_armed else 0,
            "chunk_sequence": self._chunk_sequence if is_following else None,
            "chunk_age_ns": 120_000_000 if is_following else None,
            "plan_left_ns": 900_000_000 if is_following else 0,
            "bundle_digest": BUNDLE,
            "safety_digest": "cd" * 32,
            "stop_margin": 0.31,
            "stop_margin_axis": 0,
            "stop_margin_m": 0.042,
            "position_measured": measured,
            "position_commanded": commanded,
            "loop": LoopTiming(
                ticks=1000 * self._sequence // 20,
                overruns=2,
                lateness_p50_ns=4_000,
                lateness_p99_ns=31_000,
                lateness_max_ns=90_000,
                cost_p50_ns=4_000,
                cost_p99_ns=9_000,
                realtime_priority=True,
            ),
            "engine_alive": True,
            "gate": GateState.SURE,
            "confidence": 0.93,
            "policy": PolicyState.ALIVE,
            "grade": "A",
            "authority": Authority.POLICY if is_armed else Authority.NONE,
            "chunks_taken": self._chunk_sequence,
        }
        return SafetyReport(**{**fields, **self.report})

    def _observation(self, now_ns: int) -> Observation:
        frames = []
        for ring in self._rings:
            pixels = ring.slot()
            height, width, _ = pixels.shape
            shift = self._sequence % width
            ramp = (np.arange(width) + shift) % width * 255 // width
            pixels[:, :, 0] = ramp
            pixels[:, :, 1] = (np.arange(height) * 255 // height)[:, None]
            pixels[:, :, 2] = 90
            frames.append(ring.commit(now_ns))
        values = self._asked(now_ns) if self._is_armed() else self._embodiment.home
        return Observation(
            sequence=self._sequence,
            exposure_ns=now_ns,
            published_ns=now_ns + 1_000_000,
            joint_digest=self._embodiment.joint_digest,
            position=values,
            velocity=(0.0,) * len(values),
            frames=tuple(frames),
        )

    def _beat(self, process: str, now_ns: int) -> Heartbeat:
        gauges = {"inference_p50_ms": 64.0, "inference_p99_ms": 71.0} if process == "engine" else {}
        return Heartbeat(
            process=process,
            pid=os.getpid(),
            stamp_ns=now_ns,
            sequence=self._sequence,
            counters={},
            refusals={},
            gauges=gauges,
        )

    def _engine(self, now_ns: int) -> EngineStatus:
        return EngineStatus(
            stamp_ns=now_ns,
            pid=os.getpid(),
            bundle=BUNDLE,
            instruction_id=1,
            answer=InstructionAnswer.FOLLOWED,
            latency_ns=70_000_000,
            horizon_ns=_HORIZON * _DT_NS,
            asked="touch the red cube",
            instruction="touch the red cube",
        )

    def _policy(self, now_ns: int) -> PolicyStatus:
        return PolicyStatus(
            stamp_ns=now_ns,
            pid=os.getpid(),
            order_id=0,
            serving=BUNDLE,
            serving_since_ns=self._started_ns,
            proof=ProofVerdict.MATCHED,
            proof_detail="worst joint 0.004 rad over 12 pairs",
        )


def wait_until(holds: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Whether `holds` became true in time."""
    until_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True
