"""What the driver needs of a transport: inboxes with the newest message of a topic, and outboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from edge_runtime.drivers.ros2.messages import Message

M_co = TypeVar("M_co", bound=Message, covariant=True)
M_contra = TypeVar("M_contra", bound=Message, contravariant=True)
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Received(Generic[M_co]):
    """One message that has come.

    Attributes:
        arrival_ns: when, by `time.monotonic_ns()`.
        publisher: who sent it: another one after a restart.
    """

    message: M_co
    arrival_ns: int
    publisher: bytes


class Inbox(Protocol[M_co]):
    """The newest message of one topic: keep last, 1, best effort, which hears any publisher."""

    def take(self) -> Received[M_co] | None:
        """The newest that has come since the last call; None where none has. Does not wait.

        Raises:
            CdrError: what came is no such message.
        """


class Outbox(Protocol[M_contra]):
    """A publisher: keep last, 1, reliable, which any subscriber hears."""

    def send(self, message: M_contra) -> None:
        """Publish. Does not wait."""

    def is_heard(self) -> bool:
        """Whether somebody has subscribed."""


class Bus(Protocol):
    """One connection to all topics."""

    def inbox(self, topic: str, kind: type[M]) -> Inbox[M]:
        """Subscribe to a topic, as "/joint_states"."""

    def outbox(self, topic: str, kind: type[M]) -> Outbox[M]:
        """Publish on a topic."""

    def close(self) -> None:
        """Leave."""
