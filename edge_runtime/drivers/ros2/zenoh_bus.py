"""ROS 2 topics over Zenoh, in the words of rmw_zenoh: keys, attachments and tokens of liveliness as its design states
them.

A topic /joint_states of domain 0 is the key 0/joint_states/sensor_msgs::msg::dds_::JointState_/RIHS01_..., its payload
is CDR, and the attachment says number, time and publisher.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import threading
import time
from typing import Any, Generic, TypeVar

import zenoh

from edge_runtime.drivers.ros2.bus import Received
from edge_runtime.drivers.ros2.cdr import decode, encode
from edge_runtime.drivers.ros2.messages import Message
from edge_runtime.drivers.ros2.type_hash import type_hash

M = TypeVar("M", bound=Message)

NODE = "edge_runtime"
_GID_BYTES = 16
_ATTACHMENT = struct.Struct(f"<qqB{_GID_BYTES}s")
_BEST_EFFORT, _RELIABLE = "2::,1:,:,:,,", "::,1:,:,:,,"
"""Quality of service as a token has it: what is left out is as rmw_zenoh's defaults have it; keep last, 1."""


def key_of(domain: int, topic: str, kind: type[Message]) -> str:
    """The key of a topic."""
    return f"{domain}/{topic.strip('/')}/{kind.dds_type()}/{type_hash(kind)}"


class ZenohBus:
    """One session, and one node of the ROS graph.

    Args:
        domain: as ROS_DOMAIN_ID.
        connect: endpoints of a router or of the robot, as tcp/127.0.0.1:7447.
    """

    def __init__(self, domain: int, connect: tuple[str, ...]) -> None:
        config = zenoh.Config()
        for key, value in (
            ("mode", "client"),
            ("connect/endpoints", list(connect)),
            ("connect/timeout_ms", 3000),
            ("scouting/multicast/enabled", False),
        ):
            config.insert_json5(key, json.dumps(value))
        self._domain = domain
        self._session: Any = zenoh.open(config)
        self._ids = itertools.count(1)
        self._tokens = [self._session.liveliness().declare_token(f"{self._entity(0, 'NN')}/%/%/{NODE}")]

    def inbox(self, topic: str, kind: type[M]) -> _Inbox[M]:
        """Subscribe."""
        inbox: _Inbox[M] = _Inbox(kind)
        inbox.subscriber = self._session.declare_subscriber(key_of(self._domain, topic, kind), inbox.hear)
        self._announce("MS", topic, kind, _BEST_EFFORT)
        return inbox

    def outbox(self, topic: str, kind: type[M]) -> _Outbox[M]:
        """Publish."""
        # Dropped rather than waited for: the next one is newer anyway.
        publisher = self._session.declare_publisher(
            key_of(self._domain, topic, kind), congestion_control=zenoh.CongestionControl.DROP, express=True
        )
        self._announce("MP", topic, kind, _RELIABLE)
        return _Outbox(publisher)

    def close(self) -> None:
        """Leave."""
        self._session.close()

    def _entity(self, number: int, kind: str) -> str:
        return f"@ros2_lv/{self._domain}/{self._session.info.zid()}/0/{number}/{kind}"

    def _announce(self, kind: str, topic: str, message: type[Message], qos: str) -> None:
        name = "%" + topic.strip("/").replace("/", "%")
        what = f"{name}/{message.dds_type()}/{type_hash(message)}/{qos}"
        token = f"{self._entity(next(self._ids), kind)}/%/%/{NODE}/{what}"
        self._tokens.append(self._session.liveliness().declare_token(token))


class _Inbox(Generic[M]):
    def __init__(self, kind: type[M]) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._newest: tuple[bytes, int, bytes] | None = None
        self.subscriber: Any = None

    def hear(self, sample: Any) -> None:
        arrival_ns = time.monotonic_ns()
        attachment = b"" if sample.attachment is None else bytes(sample.attachment)
        with self._lock:
            self._newest = (bytes(sample.payload), arrival_ns, attachment[17 : 17 + _GID_BYTES])

    def take(self) -> Received[M] | None:
        with self._lock:
            newest, self._newest = self._newest, None
        if newest is None:
            return None
        data, arrival_ns, publisher = newest
        return Received(decode(self._kind, data), arrival_ns, publisher)


class _Outbox(Generic[M]):
    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._gid = os.urandom(_GID_BYTES)
        self._numbers = itertools.count(1)

    def send(self, message: M) -> None:
        attachment = _ATTACHMENT.pack(next(self._numbers), time.time_ns(), _GID_BYTES, self._gid)
        self._publisher.put(encode(message), attachment=attachment)

    def is_heard(self) -> bool:
        return bool(self._publisher.matching_status.matching)
