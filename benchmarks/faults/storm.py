"""A storm of messages at a control that has tripped: none of it may move the robot, arming included, without a reset.

The sender sits in the engine's and the operator's place and lies in every way that bytes can: whole and good messages,
those with bytes altered, cut or added, noise, and messages of other topics. It never loses one: where the queue to
control is full, it waits. Resets are the one thing that it does not send.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
import zmq

from benchmarks.faults.robot import FaultRobot
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import (
    ActionChunk,
    Heartbeat,
    InferenceTiming,
    OperatorCommand,
    OperatorKind,
    SceneCommand,
)
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    HEARTBEAT_ENGINE,
    OPERATOR,
    POLICY_STATUS,
    SCENE_COMMAND,
    Topic,
    encode,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ipc.port import CommandState
from edge_runtime.processes import CONTROL

_TOPICS = (ACTION_CHUNK, HEARTBEAT_ENGINE, OPERATOR, POLICY_STATUS)
_LISTEN_EVERY = 2000
_CONNECT_MS = 10_000
_ASKED = tuple(kind for kind in OperatorKind if kind is not OperatorKind.RESET)


@dataclass(frozen=True)
class Storm:
    """What became of it.

    Attributes:
        messages: sent, and taken in by control.
        seconds: that took.
        states: every state control was in.
        moved: commands that differ from the first in a single bit of an axis, or that are to be followed.
        refused, chunks_taken: as control counted them.
        commands: of the loop meanwhile.
    """

    messages: int
    seconds: float
    states: tuple[str, ...]
    moved: int
    refused: int
    chunks_taken: int
    commands: int


class _Liar:
    """Makes the messages."""

    def __init__(self, robot: FaultRobot, random: Random) -> None:
        self._random = random
        self._joint_digest = robot.config.embodiment.joint_digest
        self._bundle_digest = robot.bundle_digest
        self._here: tuple[float, ...] = tuple(robot.entries["q"][-1, : len(robot.config.embodiment.axes)].tolist())
        self._id = time.monotonic_ns() // 1000
        self._made: dict[str, bytes] = {}
        self._makers: dict[str, Callable[[], bytes]] = {
            ACTION_CHUNK.name: self._chunk,
            HEARTBEAT_ENGINE.name: self._beat,
            OPERATOR.name: self._command,
            POLICY_STATUS.name: self._status,
            SCENE_COMMAND.name: self._scene,
        }

    def next(self) -> tuple[Topic, bytes]:
        """One message and where to send it."""
        random = self._random
        topic = random.choices(_TOPICS, (5, 4, 1, 1))[0]
        dice = random.random()
        if dice < (0.25 if topic is not OPERATOR else 0.1):
            return topic, self._fresh(topic.name)
        if dice < 0.35:
            # A good one that came before, or one of another topic.
            name = random.choice(list(self._makers))
            return topic, self._made.get(name) or self._fresh(name)
        if dice < 0.5:
            return topic, random.randbytes(random.randrange(0, 300))
        return topic, self._altered(self._made.get(topic.name) or self._fresh(topic.name))

    def _fresh(self, name: str) -> bytes:
        self._made[name] = data = self._makers[name]()
        return data

    def _altered(self, data: bytes) -> bytes:
        random = self._random
        changed = bytearray(data)
        for _ in range(random.randrange(1, 6)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        dice = random.random()
        if dice < 0.2:
            return bytes(changed[: random.randrange(len(changed))])
        return bytes(changed) + (random.randbytes(random.randrange(1, 50)) if dice < 0.3 else b"")

    def _chunk(self) -> bytes:
        """One that an armed robot would follow, at once."""
        random, now_ns = self._random, time.monotonic_ns()
        rate = [random.uniform(-1.0, 1.0) for _ in self._here]
        rows = tuple(tuple(q + v * 0.02 * k for q, v in zip(self._here, rate, strict=True)) for k in range(1, 17))
        chunk = ActionChunk(
            sequence=random.randrange(2**40),
            observation_sequence=random.randrange(2**40),
            exposure_ns=now_ns,
            published_ns=now_ns,
            dt_ns=20_000_000,
            joint_digest=self._joint_digest,
            bundle_digest=self._bundle_digest,
            instruction_id=1,
            position=rows,
            timing=InferenceTiming(received_ns=now_ns, preprocess_ns=0, model_ns=0, postprocess_ns=0),
            confidence=random.choice((None, random.random())),
        )
        return encode(ACTION_CHUNK, chunk)

    def _beat(self) -> bytes:
        random = self._random
        beat = Heartbeat(
            process="engine",
            pid=1,
            stamp_ns=time.monotonic_ns(),
            sequence=random.randrange(2**40),
            counters={},
            refusals={},
            gauges={},
        )
        if random.random() < 0.5:
            return encode(HEARTBEAT_ENGINE, beat)
        fields = msgspec.msgpack.decode(encode(HEARTBEAT_ENGINE, beat))
        pid = random.choice((random.randrange(2**31), random.randrange(2**64), -random.randrange(2**63)))
        return msgspec.msgpack.encode({**fields, "pid": pid})

    def _status(self) -> bytes:
        """Of an engine whose policy is proved, or whatever else one may say of it."""
        status = PolicyStatus(
            stamp_ns=time.monotonic_ns(),
            pid=1,
            order_id=0,
            serving=self._bundle_digest,
            serving_since_ns=0,
            proof=self._random.choice((ProofVerdict.MATCHED, *ProofVerdict)),
        )
        return encode(POLICY_STATUS, status)

    def _command(self) -> bytes:
        """Mostly what would move it, if it may be armed."""
        self._id += 1
        kind = self._random.choice((OperatorKind.ARM, *_ASKED))
        command = OperatorCommand(id=self._id, kind=kind, stamp_ns=time.monotonic_ns(), instruction="move")
        return encode(OPERATOR, command)

    def _scene(self) -> bytes:
        command = SceneCommand(id=1 + self._random.randrange(2**40), seed=1, split="eval", stamp_ns=1)
        return encode(SCENE_COMMAND, command)


class _Sockets:
    """In the engine's and an operator's place, waiting where the bus would drop. A context manager."""

    def __init__(self, robot: FaultRobot) -> None:
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        for topic in _TOPICS:
            socket = self._context.socket(zmq.XPUB)
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            socket.setsockopt(zmq.SNDHWM, 64)
            socket.setsockopt(zmq.SNDTIMEO, 20_000)
            socket.setsockopt(zmq.LINGER, 5_000)
            if topic.receivers:
                socket.connect(topic.endpoint(robot.run_dir, CONTROL.name))
            else:
                socket.bind(topic.endpoint(robot.run_dir))
            self._sockets[topic.name] = socket
        for socket in self._sockets.values():
            # Control's subscription; and whoever else listens.
            if not socket.poll(_CONNECT_MS):
                raise RuntimeError("control does not connect")

    def send(self, topic: Topic, data: bytes) -> None:
        """Wait until there is room."""
        self._sockets[topic.name].send(data)

    def __enter__(self) -> _Sockets:
        return self

    def __exit__(self, *_: object) -> None:
        for socket in self._sockets.values():
            socket.close()
        self._context.term()


def storm(robot: FaultRobot, messages: int, seed: int) -> Storm:
    """Trip the robot in motion, and send; afterwards the operator is back, and the robot still in its fault.

    Raises:
        RuntimeError: control does not trip, or does not listen.
    """
    robot.operator.stop()
    if not robot.until(lambda: robot.state is CommandState.FAULT):
        raise RuntimeError("a stop of the operator does not trip it")
    robot.end_policies()
    robot.operator.close()
    robot.forget(1)
    liar = _Liar(robot, Random(seed))
    robot.take()
    first = robot.entries[-1]
    n = len(robot.config.embodiment.axes)
    before = robot.entries["seq"][-1]
    states: set[str] = set()
    moved = 0

    def look() -> None:
        nonlocal moved
        robot.take()
        entries = robot.entries
        states.update(CommandState(int(state)).name.lower() for state in np.unique(entries["state"]))
        differ = (entries["q"][:, :n] != first["q"][:n]).any(axis=1) | (entries["dq"] != 0.0).any(axis=1)
        differ |= (entries["q_measured"][:, :n] != first["q_measured"][:n]).any(axis=1)
        moved += int(np.count_nonzero(differ | (entries["state"] != CommandState.FAULT)))
        robot.forget(1)

    start_s = time.monotonic()
    with _Sockets(robot) as sockets:
        for k in range(messages):
            sockets.send(*liar.next())
            if k % _LISTEN_EVERY == 0:
                look()
        seconds = time.monotonic() - start_s
        # What waits in the queues is taken in before the senders go.
        time.sleep(0.5)
        look()
    robot.operator = robot.enter_operator()
    refusals, taken = _counted(robot)
    look()
    return Storm(
        messages=messages,
        seconds=seconds,
        states=tuple(sorted(states)),
        moved=moved,
        refused=sum(refusals.values()),
        chunks_taken=taken,
        commands=int(robot.entries["seq"][-1] - before),
    )


def _counted(robot: FaultRobot) -> tuple[dict[str, int], int]:
    """What control has refused, by name, and how many chunks it took."""
    watcher = robot.operator.watcher
    robot.until(lambda: "control" in watcher.heartbeats and watcher.report is not None, 20.0)
    if "control" not in watcher.heartbeats or watcher.report is None:
        raise RuntimeError("control has gone silent")
    return watcher.heartbeats["control"].refusals, watcher.report.chunks_taken
