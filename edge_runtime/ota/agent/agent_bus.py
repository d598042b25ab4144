"""The update agent on the robot's bus: what arrives, and what the agent says.

Guarantees: it calls nobody. What arrives is returned, and what is to be said is handed in, so that whoever holds a bus
decides alone when it is listened to. Refuses to know what is decided. Use from one thread.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_runtime.contracts.messages import Message
from edge_runtime.contracts.topics import (
    CHUNK_RECEIPT,
    ENGINE_STATUS,
    EPISODE_ENDED,
    HEARTBEAT_CONTROL,
    HEARTBEAT_DRIVER,
    HEARTBEAT_ENGINE,
    POLICY_ORDER,
    POLICY_STATUS,
    SAFETY_REPORT,
    UPDATE_COMMAND,
    UPDATE_STATUS,
)
from edge_runtime.contracts.updates import PolicyOrder, UpdateStatus
from edge_runtime.ipc.bus import Publisher, Subscriber

LISTEN_S = 0.05
_TOPICS = (
    SAFETY_REPORT,
    CHUNK_RECEIPT,
    HEARTBEAT_DRIVER,
    HEARTBEAT_CONTROL,
    HEARTBEAT_ENGINE,
    ENGINE_STATUS,
    POLICY_STATUS,
    UPDATE_COMMAND,
    EPISODE_ENDED,
)


class Bus(Protocol):
    """Where a robot is heard and spoken to."""

    def listen(self, timeout_s: float = LISTEN_S) -> Sequence[Message]:
        """What has arrived, after waiting up to `timeout_s` for the first."""

    def say(self, order: PolicyOrder | None, status: UpdateStatus | None) -> None:
        """Say what the engine should have, and how the update stands; None: nothing yet."""


class AgentBus:
    """The robot's sockets in `run_dir`; use as a context manager.

    Raises:
        ProcessError: another agent is on this bus.
    """

    def __init__(self, run_dir: Path) -> None:
        self._subscriber = Subscriber(_TOPICS, run_dir, process="ota")
        try:
            self._order_line = Publisher(POLICY_ORDER, run_dir)
            try:
                self._status_line = Publisher(UPDATE_STATUS, run_dir)
            except BaseException:
                self._order_line.close()
                raise
        except BaseException:
            self._subscriber.close()
            raise

    def __enter__(self) -> AgentBus:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._status_line.close()
        self._order_line.close()
        self._subscriber.close()

    def listen(self, timeout_s: float = LISTEN_S) -> Sequence[Message]:
        """See `Bus.listen`."""
        return self._subscriber.receive(timeout_s)

    def say(self, order: PolicyOrder | None, status: UpdateStatus | None) -> None:
        """See `Bus.say`."""
        if order is not None:
            self._order_line.send(order)
        if status is not None:
            self._status_line.send(status)


class SilentBus:
    """Where nothing of the robot runs."""

    def listen(self, timeout_s: float = LISTEN_S) -> Sequence[Message]:
        """Nothing arrives."""
        time.sleep(timeout_s)
        return ()

    def say(self, order: PolicyOrder | None, status: UpdateStatus | None) -> None:
        """Nobody hears."""
