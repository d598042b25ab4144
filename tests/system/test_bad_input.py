"""Everything bad that can be sent to control and to the driver, over real sockets: refused by kind, counted, arm safe.

The test sits in the engine's and the operator's place, on their sockets, and lies. (The engine's own sockets are put
through the same in tests/engine/test_engine_process.py.)
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.status import Watcher
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import (
    ActionChunk,
    ChunkReceipt,
    Heartbeat,
    InferenceTiming,
    OperatorCommand,
    OperatorKind,
    SafetyReport,
    SceneCommand,
)
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    HEARTBEAT_ENGINE,
    OPERATOR,
    POLICY_STATUS,
    SAFETY_REPORT,
    SCENE_COMMAND,
    SCENE_STATUS,
    Topic,
    encode,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.limits import kernel_config
from edge_runtime.processes import CONTROL, DRIVER

DT_NS = 50_000_000
AXES = 8


class Liar:
    """Sits where engine and operator would, sends whatever it likes, and watches what comes of it."""

    def __init__(self, robot_toml: Path, run_dir: Path, stack: ExitStack) -> None:
        self.config = load_config(robot_toml)
        self.digest = read_manifest(self.config.bundle_dir).digest
        self.run_dir = run_dir
        self.table = stack.enter_context(ProcessTable(self.config, run_dir, restart=False, processes=(DRIVER, CONTROL)))
        self.table.start()
        context = stack.enter_context(zmq.Context())
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        for topic in (ACTION_CHUNK, HEARTBEAT_ENGINE, POLICY_STATUS, OPERATOR, SCENE_COMMAND):
            socket = context.socket(zmq.PUB)
            stack.callback(socket.close, 0)
            if topic.receivers:
                socket.connect(topic.endpoint(run_dir, topic.receivers[0]))
            else:
                socket.bind(topic.endpoint(run_dir))
            self._sockets[topic.name] = socket
        self.watcher = stack.enter_context(Watcher(run_dir))
        self.reports: list[SafetyReport] = []
        self.receipts: list[ChunkReceipt] = []
        self._sequence = self._beats = 0
        self._id = time.monotonic_ns() // 1000
        self.until(lambda: self.watcher.control_state == "ready", timeout_s=30.0)

    def send(self, topic: Topic, *frames: bytes) -> None:
        self._sockets[topic.name].send_multipart(frames)

    def listen(self, timeout_s: float = 0.02) -> None:
        self._live()
        for message in self.watcher.receive(timeout_s):
            if isinstance(message, SafetyReport):
                self.reports.append(message)
            elif isinstance(message, ChunkReceipt):
                self.receipts.append(message)

    def _live(self) -> None:
        """What control asks of an engine before it arms: that it is there, and that its policy is proved."""
        now_ns, pid = time.monotonic_ns(), os.getpid()
        self._beats += 1
        beat = Heartbeat(
            process="engine", pid=pid, stamp_ns=now_ns, sequence=self._beats, counters={}, refusals={}, gauges={}
        )
        status = PolicyStatus(
            stamp_ns=now_ns,
            pid=pid,
            order_id=0,
            serving=self.digest,
            serving_since_ns=0,
            proof=ProofVerdict.MATCHED,
        )
        self.send(HEARTBEAT_ENGINE, encode(HEARTBEAT_ENGINE, beat))
        self.send(POLICY_STATUS, encode(POLICY_STATUS, status))

    def until(
        self, condition: Callable[[], bool], timeout_s: float = 10.0, send: Callable[[], None] | None = None
    ) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, self.watcher.status()
            if send is not None:
                send()
            self.listen(0.05)
            self.table.tend()

    def chunk(self, **changes: Any) -> dict[str, Any]:
        """A good chunk that turns the last joint a little, as the map that travels; keywords replace fields."""
        self._sequence += 1
        now_ns = time.monotonic_ns()
        report = self.watcher.report
        assert report is not None
        start = report.position_commanded
        exposure_ns = changes.get("exposure_ns", now_ns - 40_000_000)
        chunk = ActionChunk(
            sequence=self._sequence,
            observation_sequence=self._sequence,
            exposure_ns=exposure_ns,
            published_ns=min(now_ns, exposure_ns + 30_000_000),
            dt_ns=DT_NS,
            joint_digest=self.config.embodiment.joint_digest,
            bundle_digest=self.digest,
            instruction_id=1,
            position=tuple((*start[:6], start[6] + 0.002 * (k + 1), 0.04) for k in range(16)),
            timing=InferenceTiming(received_ns=exposure_ns, preprocess_ns=1, model_ns=1, postprocess_ns=1),
        )
        return {**msgspec.msgpack.decode(encode(ACTION_CHUNK, chunk)), **changes}

    def send_chunk(self, **changes: Any) -> None:
        self.send(ACTION_CHUNK, msgspec.msgpack.encode(self.chunk(**changes)))

    def command(self, kind: OperatorKind, answers: tuple[str, ...] = ("ok", "done")) -> None:
        """Ask control, again and again until it has answered; fails unless it is one of `answers`."""
        self._id += 1
        command = OperatorCommand(id=self._id, kind=kind, stamp_ns=time.monotonic_ns())
        data = encode(OPERATOR, command)
        watcher = self.watcher

        def answer() -> str | None:
            given = watcher.report.answer_to(command) if watcher.report is not None else None
            return None if given is None else given.answer

        self.until(lambda: answer() is not None, send=lambda: self.send(OPERATOR, data))
        assert answer() in answers

    def get_moving(self) -> None:
        if self.watcher.control_state == "fault":
            self.command(OperatorKind.RESET)
        if self.watcher.control_state not in ("active", "holding"):
            self.command(OperatorKind.ARM)
        self.until(lambda: self.watcher.control_state == "active", send=self.send_chunk)

    def refused(self, key: str, send: Callable[[], None]) -> None:
        """Send until `key` was counted by the process it names."""
        before = self.watcher.refusals.get(key, 0)
        self.until(lambda: self.watcher.refusals.get(key, 0) > before, send=send)

    def assert_safe(self) -> None:
        """Nothing that was sent stopped the robot, and every command of the test was inside its own limits.

        A machine that withholds the processor for a tenth of a second does stop it; no message has a part in that.
        """
        starved = set(self.watcher.status().verdicts) & {"feedback_stale", "clock_gap", "driver_fault"}
        assert self.watcher.control_state in ("active", "holding") or starved
        kernel = kernel_config(self.config.safety, self.config.embodiment)
        limits = list(zip(kernel.q_min, kernel.q_max, kernel.dq_max, strict=True))
        powered = [r for r in self.reports if r.state.value in ("active", "holding", "stopping")]
        for report in powered:
            for value, (low, high, _) in zip(report.position_commanded, limits, strict=True):
                assert low <= value <= high
        for earlier, later in itertools.pairwise(powered):
            seconds = (later.stamp_ns - earlier.stamp_ns) / 1e9
            for a, b, (_, _, fastest) in zip(earlier.position_commanded, later.position_commanded, limits, strict=True):
                assert abs(b - a) <= fastest * seconds + 0.02


@pytest.fixture(scope="module")
def liar(robot_toml: Path) -> Iterator[Liar]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-"))
        liar = Liar(robot_toml, Path(folder), stack)
        yield liar


@pytest.fixture
def moving(liar: Liar) -> Iterator[Liar]:
    """In motion at the start of the test, and safe and able to move at its end."""
    liar.get_moving()
    liar.reports.clear()
    liar.receipts.clear()
    yield liar
    liar.assert_safe()
    liar.get_moving()


def now_ns() -> int:
    return time.monotonic_ns()


NAN_ROWS = ((float("nan"),) * AXES,) * 16
BAD_CHUNKS: dict[str, Callable[[], dict[str, Any]]] = {
    "not_finite": lambda: {"position": NAN_ROWS},
    "shape": lambda: {"position": ((0.0,) * 6,) * 16},
    "joint_order": lambda: {"joint_digest": "0" * 64},
    "wrong_bundle": lambda: {"bundle_digest": "0" * 64},
    "stale": lambda: {"exposure_ns": now_ns() - 3_000_000_000},
    "future": lambda: {"exposure_ns": now_ns() + 1_000_000_000, "published_ns": now_ns()},
    "out_of_order": lambda: {"exposure_ns": now_ns() - 700_000_000},
    "out_of_range": lambda: {"position": ((100.0,) * AXES,) * 16},
    "malformed": lambda: {"dt_ns": "soon"},
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_by_its_kind(moving: Liar, kind: str) -> None:
    moving.refused(f"control.action_chunk.{kind}", lambda: moving.send_chunk(**BAD_CHUNKS[kind]()))
    if kind not in ("not_finite", "malformed"):
        assert kind in {receipt.refusal for receipt in moving.receipts}


def test_a_chunk_that_comes_twice_is_refused(moving: Liar) -> None:
    data = msgspec.msgpack.encode(moving.chunk())
    moving.refused("control.action_chunk.duplicate", lambda: moving.send(ACTION_CHUNK, data))


@pytest.mark.parametrize("topic", [ACTION_CHUNK, OPERATOR, HEARTBEAT_ENGINE], ids=lambda topic: topic.name)
@pytest.mark.parametrize(
    ("kind", "frames"),
    [
        ("malformed", [b""]),
        ("malformed", [b"\x00\xff\xc1" * 50]),
        ("malformed", [b"one", b"two"]),
        ("malformed", [encode(SCENE_COMMAND, SceneCommand(id=1, seed=1, split="eval", stamp_ns=1))]),
        ("oversized", [bytes(1 + max(topic.max_bytes for topic in (ACTION_CHUNK, OPERATOR, HEARTBEAT_ENGINE)))]),
    ],
    ids=["empty", "garbage", "two frames", "another topic's", "oversized"],
)
def test_what_is_no_message_is_refused_by_control(moving: Liar, topic: Topic, kind: str, frames: list[bytes]) -> None:
    moving.refused(f"control.{topic.name}.{kind}", lambda: moving.send(topic, *frames))


@pytest.mark.parametrize("topic", [ACTION_CHUNK, HEARTBEAT_ENGINE], ids=lambda topic: topic.name)
def test_what_is_beyond_the_hard_cap_is_refused_by_control(moving: Liar, topic: Topic) -> None:
    moving.refused(f"control.{topic.name}.oversized", lambda: moving.send(topic, bytes(2 << 20)))


def test_an_operator_beyond_the_hard_cap_loses_his_connection_and_nobody_else_theirs(moving: Liar) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as flood:
        flood.setsockopt(zmq.LINGER, 0)
        flood.connect(OPERATOR.endpoint(moving.run_dir, "control"))
        moving.refused("control.operator.malformed", lambda: flood.send(b"x"))
        for _ in range(20):
            flood.send(bytes(2 << 20))
            moving.send_chunk()
            moving.command(OperatorKind.RESUME)


def test_a_heartbeat_that_lies_about_its_type_is_refused(moving: Liar) -> None:
    beat = Heartbeat(process="engine", pid=1, stamp_ns=1, sequence=1, counters={}, refusals={}, gauges={})
    fields = msgspec.msgpack.decode(encode(HEARTBEAT_ENGINE, beat))
    data = msgspec.msgpack.encode({**fields, "counters": {"x": "many"}})
    moving.refused("control.heartbeat_engine.malformed", lambda: moving.send(HEARTBEAT_ENGINE, data))


def test_arming_an_armed_robot_is_refused_and_changes_nothing(moving: Liar) -> None:
    chunk = moving.chunk(exposure_ns=now_ns())
    moving.command(OperatorKind.ARM, answers=("refused_state",))
    data = msgspec.msgpack.encode(chunk)
    moving.until(
        lambda: moving.reports[-1].chunk_sequence == chunk["sequence"],
        send=lambda: moving.send(ACTION_CHUNK, data),
    )


def test_an_old_request_of_the_operator_is_refused(moving: Liar) -> None:
    data = encode(OPERATOR, OperatorCommand(id=1, kind=OperatorKind.DISARM, stamp_ns=1))
    moving.refused("control.operator.out_of_order", lambda: moving.send(OPERATOR, data))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("malformed", {"seed": -1}),
        ("malformed", {"split": "test"}),
        ("malformed", {"id": 0}),
        ("not_allowed_now", {}),
    ],
)
def test_a_bad_scene_command_is_refused_by_the_driver(moving: Liar, kind: str, change: dict[str, Any]) -> None:
    def send() -> None:
        moving.send_chunk()
        fields = {"type": "SceneCommand", "id": now_ns(), "seed": 1, "split": "eval", "stamp_ns": 1, **change}
        moving.send(SCENE_COMMAND, msgspec.msgpack.encode(fields))

    moving.refused(f"driver.scene_command.{kind}", send)


def test_whoever_looks_on_refuses_bad_messages_too(run_dir: Path) -> None:
    with Watcher(run_dir) as watcher, zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(SAFETY_REPORT.endpoint(run_dir))
        socket.bind(SCENE_STATUS.endpoint(run_dir))
        deadline_s = time.monotonic() + 20.0
        while len(watcher.refusals) < 2 and time.monotonic() < deadline_s:
            socket.send(b"garbage")
            assert watcher.receive(0.02) == []
        assert set(watcher.refusals) == {"operator.safety_report.malformed", "operator.scene_status.malformed"}
        assert watcher.status().state == "unknown"
