"""ROS 2 topics over DDS, by Eclipse Cyclone DDS: names and types as every ROS 2 middleware on DDS has them.

A topic /joint_states is "rt/joint_states", of the type sensor_msgs::msg::dds_::JointState_. The bytes are ours
(`cdr.py`); Cyclone needs the types to announce them.
"""

from __future__ import annotations

import time
from typing import Any, Generic, TypeVar

from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from edge_runtime.drivers.ros2.bus import Received
from edge_runtime.drivers.ros2.cdr import decode, encode
from edge_runtime.drivers.ros2.layout import Field, layout_of, once_for_each
from edge_runtime.drivers.ros2.messages import Message

M = TypeVar("M", bound=Message)

_PRIMITIVES = {
    "int32": types.int32,
    "uint32": types.uint32,
    "uint8": types.uint8,
    "float64": types.float64,
    "string": str,
}
_LATEST = Policy.History.KeepLast(1)
_HEARS_ALL = Qos(Policy.Reliability.BestEffort, _LATEST)
_IS_HEARD_BY_ALL = Qos(Policy.Reliability.Reliable(duration(milliseconds=100)), _LATEST)


class DdsBus:
    """One participant.

    Args:
        domain: as ROS_DOMAIN_ID.
        configuration: of Cyclone DDS, as CYCLONEDDS_URI has it: XML, or file://PATH; None: that variable's.
    """

    def __init__(self, domain: int, configuration: str | None = None) -> None:
        # Whoever makes the domain configures it; the participant then joins it.
        self._domain = None if configuration is None else Domain(domain, configuration)
        self._participant: Any = DomainParticipant(domain)
        self._boxes: list[_Inbox[Any] | _Outbox[Any]] = []

    def inbox(self, topic: str, kind: type[M]) -> _Inbox[M]:
        """Subscribe."""
        box: _Inbox[M] = _Inbox(DataReader(self._participant, self._topic(topic, kind), qos=_HEARS_ALL))
        self._boxes.append(box)
        return box

    def outbox(self, topic: str, kind: type[M]) -> _Outbox[M]:
        """Publish."""
        writer = DataWriter(self._participant, self._topic(topic, kind), qos=_IS_HEARD_BY_ALL)
        box: _Outbox[M] = _Outbox(writer, _wire(kind))
        self._boxes.append(box)
        return box

    def _topic(self, name: str, kind: type[Message]) -> Any:
        return Topic(self._participant, f"rt{name}", _wire(kind))

    def close(self) -> None:
        """Leave: inboxes are empty from now on, and what is sent goes nowhere."""
        # Cyclone's objects end with the last reference to them, and a domain only after all that is in it.
        for box in self._boxes:
            box.entity = None
        self._boxes.clear()
        self._participant = None
        self._domain = None


class _Inbox(Generic[M]):
    def __init__(self, reader: Any) -> None:
        self.entity = reader

    def take(self) -> Received[M] | None:
        for sample in () if self.entity is None else self.entity.take(1):
            # A publisher that leaves is told of without data.
            if sample.sample_info.valid_data:
                publisher = sample.sample_info.publication_handle.to_bytes(8, "big")
                return Received(sample.message, time.monotonic_ns(), publisher)
        return None


class _Outbox(Generic[M]):
    def __init__(self, writer: Any, wire: Any) -> None:
        self.entity, self._wire = writer, wire

    def send(self, message: M) -> None:
        if self.entity is not None:
            self.entity.write(self._wire(message))

    def is_heard(self) -> bool:
        return self.entity is not None and bool(self.entity.get_matched_subscriptions())


@once_for_each
def _idl(kind: type[Message]) -> Any:
    fields = {field.name: _idl_field(field) for field in layout_of(kind)}
    return make_idl_struct(kind.__name__, kind.dds_type().replace("::", "."), fields)


def _idl_field(field: Field) -> Any:
    base = _idl(field.base) if isinstance(field.base, type) else _PRIMITIVES[field.base]
    if field.count is None:
        return base
    return types.array[base, field.count] if field.count else types.sequence[base]  # type: ignore[misc]


@once_for_each
def _wire(kind: type[Message]) -> Any:
    """A type of Cyclone's that carries a message of ours, which makes and reads the bytes."""

    class Wire(_idl(kind)):  # type: ignore[misc]
        def __init__(self, message: Message) -> None:
            self.message = message

        def serialize(self, *_: object, **__: object) -> bytes:
            return encode(self.message)

        @classmethod
        def deserialize(cls, data: bytes, *_: object, **__: object) -> Any:
            return cls(decode(kind, data))

    Wire.__idl__ = _idl(kind).__idl__
    return Wire
