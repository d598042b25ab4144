"""The topic table: who sends what, how often, how old it may get, how large it may be, and its codec.

A topic of a process has one producer, which binds the endpoint ``ipc://<run_dir>/<topic>.ipc``; everyone else
connects. A topic of the operator, or of anyone, may be sent by any number of them: each process that it is for binds
``<topic>.<process>.ipc``, and the senders connect. An open one is for any process that binds such an endpoint under a
name of its own. Who may connect is decided by the permissions of the sockets. Docs
and process units are tested against this table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.contracts.engine_status import EngineStatus
from edge_runtime.contracts.errors import DecodeError, Refusal
from edge_runtime.contracts.messages import (
    ActionChunk,
    ChunkReceipt,
    EpisodeEnded,
    EpisodeStarted,
    Heartbeat,
    JogCommand,
    JogStatus,
    Message,
    Observation,
    OperatorCommand,
    SafetyReport,
    SceneCommand,
    SceneStatus,
)
from edge_runtime.contracts.updates import PolicyOrder, PolicyStatus, UpdateCommand, UpdateStatus

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Topic:
    """One row of the table.

    Attributes:
        name: also the file name of its endpoint.
        message: the only type that may travel on it.
        producer: name of the process that binds it (see `edge_runtime.processes`), or "operator", or "anyone".
        receivers: processes that each bind an endpoint of their own for it; empty where the producer binds.
        is_open: any other process may as well, under a name of its own.
        rate_hz: nominal rate, 0 for on event.
        max_age_s: a message older than this is refused as stale, where a slow policy does not need more time
            (`edge_runtime.pace`); 0 where age does not matter.
        max_bytes: a longer frame is refused unread.
        log_every: one of this many is recorded.
    """

    name: str
    message: type[Message]
    producer: str
    rate_hz: float
    max_age_s: float
    max_bytes: int
    log_every: int
    receivers: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def has_senders(self) -> bool:
        """Whether any number of processes may send it, and those that it is for bind."""
        return bool(self.receivers) or self.is_open

    def endpoint(self, run_dir: Path, receiver: str = "") -> str:
        """ZeroMQ endpoint of this topic below `run_dir`; that of one of its `receivers`, where it has some."""
        return f"ipc://{self.socket_path(run_dir, receiver)}"

    def socket_path(self, run_dir: Path, receiver: str = "") -> Path:
        """The socket of that endpoint.

        Raises:
            ValueError: the topic has no such receiver, or has some and none was named.
        """
        if self.is_open and _NAME.fullmatch(receiver):
            return run_dir / f"{self.name}.{receiver}.ipc"
        if receiver not in (self.receivers or ("",)) or self.is_open:
            raise ValueError(f"{self.name} is not received by {receiver!r}: {self.receivers}")
        return run_dir / (f"{self.name}.{receiver}.ipc" if receiver else f"{self.name}.ipc")


OBSERVATION = Topic("observation", Observation, "driver", 20, 0.25, 4096, 1)
SCENE_STATUS = Topic("scene_status", SceneStatus, "driver", 20, 0, 4096, 20)
ACTION_CHUNK = Topic("action_chunk", ActionChunk, "engine", 10, 1.0, 65536, 1)
SAFETY_REPORT = Topic("safety_report", SafetyReport, "control", 20, 0, 16384, 1)
CHUNK_RECEIPT = Topic("chunk_receipt", ChunkReceipt, "control", 10, 0, 2048, 1)
OPERATOR = Topic("operator", OperatorCommand, "operator", 0, 0, 2560, 1, ("control", "engine"))
SCENE_COMMAND = Topic("scene_command", SceneCommand, "operator", 0, 0, 512, 1, ("driver",))
HEARTBEAT_DRIVER = Topic("heartbeat_driver", Heartbeat, "driver", 10, 0, 4096, 10)
HEARTBEAT_ENGINE = Topic("heartbeat_engine", Heartbeat, "engine", 10, 0, 4096, 10)
HEARTBEAT_CONTROL = Topic("heartbeat_control", Heartbeat, "control", 10, 0, 4096, 10)
ENGINE_STATUS = Topic("engine_status", EngineStatus, "engine", 10, 0, 8192, 10)
POLICY_STATUS = Topic("policy_status", PolicyStatus, "engine", 10, 0, 8192, 10)
POLICY_ORDER = Topic("policy_order", PolicyOrder, "ota", 10, 0, 512, 10)
UPDATE_STATUS = Topic("update_status", UpdateStatus, "ota", 10, 0, 16384, 10)
UPDATE_COMMAND = Topic("update_command", UpdateCommand, "operator", 0, 0, 2560, 1, ("ota",))
JOG = Topic("jog", JogCommand, "operator", 30, 0.25, 2048, 30, ("control",))
JOG_STATUS = Topic("jog_status", JogStatus, "control", 20, 0, 16384, 20)
EPISODE_STARTED = Topic("episode_started", EpisodeStarted, "anyone", 0, 0, 2560, 1, is_open=True)
EPISODE_ENDED = Topic("episode_ended", EpisodeEnded, "anyone", 0, 0, 5120, 1, ("ota",), is_open=True)

TOPICS: tuple[Topic, ...] = (
    OBSERVATION,
    SCENE_STATUS,
    ACTION_CHUNK,
    SAFETY_REPORT,
    CHUNK_RECEIPT,
    OPERATOR,
    SCENE_COMMAND,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    HEARTBEAT_CONTROL,
    ENGINE_STATUS,
    POLICY_STATUS,
    POLICY_ORDER,
    UPDATE_STATUS,
    UPDATE_COMMAND,
    JOG,
    JOG_STATUS,
    EPISODE_STARTED,
    EPISODE_ENDED,
)

_encoder = msgspec.msgpack.Encoder()
_decoders = {topic.name: msgspec.msgpack.Decoder(topic.message) for topic in TOPICS}


def encode(topic: Topic, message: Message) -> bytes:
    """Bytes of `message` for `topic`.

    Raises:
        TypeError: the message is not of the topic's type.
        ValueError: the message is larger than the topic allows.
    """
    if type(message) is not topic.message:
        raise TypeError(f"{topic.name} carries {topic.message.__name__}, not {type(message).__name__}")
    data = _encoder.encode(message)
    if len(data) > topic.max_bytes:
        raise ValueError(f"{topic.name}: {len(data)} bytes exceed the cap of {topic.max_bytes}")
    return data


def decode(topic: Topic, data: bytes | memoryview) -> Message:
    """The message in `data`; any bytes give a message of the topic's type or a `DecodeError`, nothing else.

    Raises:
        DecodeError: too long, not MessagePack, another type, an unknown field, a value out of range.
    """
    size = len(data)
    if size > topic.max_bytes:
        raise DecodeError(topic.name, Refusal.OVERSIZED, f"{size} bytes, cap {topic.max_bytes}")
    try:
        message: Message = _decoders[topic.name].decode(data)
    except msgspec.ValidationError as error:
        raise DecodeError(topic.name, _kind_of(str(error)), str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise DecodeError(topic.name, Refusal.MALFORMED, str(error)) from error
    return message


def _kind_of(detail: str) -> Refusal:
    if detail.startswith("not finite"):
        return Refusal.NOT_FINITE
    if detail.startswith("shape"):
        return Refusal.SHAPE
    return Refusal.MALFORMED
