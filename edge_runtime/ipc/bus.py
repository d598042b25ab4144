"""Typed messages over ZeroMQ, every queue bounded: what a process says has one publisher and any number of subscribers,
what an operator asks has any number of senders.

A subscriber never raises for what it received: bytes that are not a valid message are refused, counted by topic and
kind, and the next ones are looked at. Nobody is trusted: not lengths, not types, not numbers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import struct
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

import zmq

from edge_runtime.contracts.errors import DecodeError, ProcessError, Refusal
from edge_runtime.contracts.messages import Message
from edge_runtime.contracts.topics import Topic, decode, encode

_QUEUE_LENGTH = 64
_HARD_FRAME_CAP_BYTES = 1 << 20
"""Above this ZeroMQ itself drops the connection; below, the topic's own cap refuses and counts."""

_RECEIVERS_MAX = 32
_RETRY_GRACE_S = 0.2
_UNLINK_S = 0.5


class Refusals:
    """Counts of what was declined, keyed ``topic.kind``."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, topic: str, refusal: Refusal) -> None:
        """One more refusal of this kind on this topic."""
        self._counts[f"{topic}.{refusal}"] += 1

    def as_dict(self) -> dict[str, int]:
        """A copy of all counts."""
        return dict(self._counts)


class Publisher:
    """The only sender of one topic on this robot.

    Args:
        topic: row of the topic table.
        run_dir: folder of the run's sockets; made if missing.

    Raises:
        ProcessError: another process already sends this topic, or the folder can't hold its socket.
    """

    def __init__(self, topic: Topic, run_dir: Path) -> None:
        self._topic = topic
        endpoint = topic.endpoint(run_dir)
        self._lock = claim(run_dir, topic.name, "sends this topic")
        self._socket = _sending_socket(run_dir)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ProcessError(f"{endpoint}: {error}; use another --run-dir") from error

    def send(self, message: Message) -> None:
        """Send to all subscribers; one whose queue is full loses this message, the sender never waits."""
        self._socket.send(encode(self._topic, message))

    def close(self) -> None:
        """Close the socket and release the topic."""
        self._socket.close()
        self._lock.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def claim(run_dir: Path, name: str, does: str) -> IO[bytes]:
    """Be the only process that `does` this below `run_dir`, until the file that is returned is closed.

    Raises:
        ProcessError: another process does, or the folder can't hold files.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        file = (run_dir / f"{name}.lock").open("wb")
    except OSError as error:
        raise ProcessError(f"{run_dir}: {error.strerror}; use another --run-dir, one that can be written") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ProcessError(
            f"{name}: another process already {does} in {run_dir}; stop that run first, or use another --run-dir"
        ) from None
    return file


def is_claimed(run_dir: Path, name: str) -> bool:
    """Whether a process holds the claim `name` below `run_dir`; False where that can't be seen."""
    try:
        with (run_dir / f"{name}.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Sender:
    """One of any number of senders of a topic that has receivers, or is open. What has no receiver is lost.

    Args:
        topic: row of the topic table, of an operator or of anyone.
        run_dir: folder of the run's sockets; receivers may come later, and may come and go.

    Raises:
        ProcessError: the sockets belong to somebody else.
    """

    def __init__(self, topic: Topic, run_dir: Path) -> None:
        self._topic, self._run_dir = topic, run_dir
        self._connected = {topic.socket_path(run_dir, receiver) for receiver in topic.receivers}
        for path in self._connected:
            require_access(path)
        self._socket = _sending_socket(run_dir)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        # Nothing waits in a queue for a process that is down: an arm from before it died may not reach its successor.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        for receiver in topic.receivers:
            self._socket.connect(topic.endpoint(run_dir, receiver))

    def send(self, message: Message) -> None:
        """Send to all receivers that are connected; the sender never waits.

        One that has just come to an open topic hears what is said again a moment later.
        """
        if self._topic.is_open:
            self._connect_new()
        self._socket.send(encode(self._topic, message))

    def _connect_new(self) -> None:
        for path in self._run_dir.glob(f"{self._topic.name}.*.ipc"):
            if path not in self._connected and len(self._connected) < _RECEIVERS_MAX:
                self._connected.add(path)
                with contextlib.suppress(zmq.ZMQError):
                    self._socket.connect(f"ipc://{path}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _sending_socket(run_dir: Path) -> zmq.Socket[bytes]:
    try:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
    except zmq.ZMQError as error:
        raise _no_connection(run_dir, error) from error
    socket.setsockopt(zmq.SNDHWM, _QUEUE_LENGTH)
    socket.setsockopt(zmq.LINGER, 0)
    return socket


def _no_connection(run_dir: Path, error: zmq.ZMQError) -> ProcessError:
    remedy = "; raise the limit of this shell: ulimit -n 1024" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
    return ProcessError(f"no connection to the robot in {run_dir} can be made: {error}{remedy}")


def require_access(path: Path) -> None:
    """Raise if this user may not connect to the socket `path`, where there is one: ZeroMQ would try again and again.

    Raises:
        ProcessError: names whose robot it is.
    """
    try:
        owner = path.stat().st_uid
    except PermissionError as error:
        problem = "only users who may enter the run's folder can operate the robot"
        raise ProcessError(f"{path}: {error.strerror}; {problem}") from error
    except OSError:
        return
    if not os.access(path, os.W_OK, effective_ids=True):
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise ProcessError(
            f"{path}: belongs to {name}: only that user and its group may operate this robot; type: sudo -u {name} ..."
        )


def _next_event(events: zmq.Socket[bytes]) -> int:
    """As of `zmq.utils.monitor`, which would bring asyncio along."""
    event, _value = struct.unpack("=hi", events.recv_multipart()[0])
    return int(event)


class _Line:
    """One connection that comes back even after the other end broke the protocol.

    ZeroMQ reconnects when a peer died. When a peer sent a frame beyond the hard cap, or did not speak ZeroMQ at all, it
    hangs up for good, and one such frame would leave this process deaf. A hang-up that no retry follows is mended here.
    """

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        self.socket = socket
        self._endpoint = endpoint
        self._broken: tuple[float, Refusal] | None = None
        self.events = socket.get_monitor_socket(
            zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        )
        socket.connect(endpoint)

    def read_events(self) -> None:
        """Take note of what happened to the connection."""
        while self.events.poll(0):
            event = _next_event(self.events)
            if event == zmq.EVENT_CONNECT_RETRIED:
                self._broken = None
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self._broken = (time.monotonic(), Refusal.MALFORMED)
            elif self._broken is None:
                self._broken = (time.monotonic(), Refusal.OVERSIZED)

    def repair(self, now_s: float) -> Refusal | None:
        """Connect anew if the connection is gone for good; returns what the other end did to lose it."""
        if self._broken is None or now_s - self._broken[0] < _RETRY_GRACE_S:
            return None
        _, refusal = self._broken
        self._broken = None
        with contextlib.suppress(zmq.ZMQError):
            self.socket.disconnect(self._endpoint)
        self.socket.connect(self._endpoint)
        return refusal

    def close(self) -> None:
        """Close the connection and its event channel; a second time does nothing."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.socket.close()


class _Door:
    """The other way round: senders connect, and one that breaks the protocol harms only itself."""

    def __init__(self, socket: zmq.Socket[bytes], topic: Topic, run_dir: Path, process: str) -> None:
        self._path = topic.socket_path(run_dir, process)
        self._lock = claim(run_dir, f"{topic.name}.{process}", "receives this topic")
        self._refusals = 0
        self.socket = socket
        self.events = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        try:
            socket.bind(topic.endpoint(run_dir, process))
        except zmq.ZMQError as error:
            self.close()
            raise ProcessError(f"{self._path}: {error}; use another --run-dir") from error

    def read_events(self) -> None:
        """Take note of what did not speak ZeroMQ."""
        while self.events.poll(0):
            _next_event(self.events)
            self._refusals += 1

    def repair(self, _now_s: float) -> Refusal | None:
        """What a sender did, once for each."""
        if self._refusals == 0:
            return None
        self._refusals -= 1
        return Refusal.MALFORMED

    def close(self) -> None:
        """Close the socket and release the topic; a second time does nothing."""
        if self.socket.closed:
            return
        self.socket.disable_monitor()
        self.socket.close()
        # ZeroMQ's thread removes the file a little later. It may not be the file of who comes next.
        until_s = time.monotonic() + _UNLINK_S
        while self._path.exists() and time.monotonic() < until_s:
            time.sleep(0.001)
        self._lock.close()


class Subscriber:
    """Receives one or more topics, with a bound on every queue.

    Args:
        topics: rows of the topic table to listen to.
        run_dir: folder of the run's sockets; producers may come later, and may come and go.
        refusals: where to count; a fresh one by default.
        process: which of the topics' receivers this is; needed for topics that have some. Of an open topic any name
            that no other receiver has.

    Raises:
        ProcessError: another process receives such a topic in that place, or the folder can't hold its socket.
    """

    def __init__(
        self, topics: Iterable[Topic], run_dir: Path, refusals: Refusals | None = None, *, process: str = ""
    ) -> None:
        self.refusals = refusals if refusals is not None else Refusals()
        self._poller = zmq.Poller()
        self._topics: dict[zmq.Socket[bytes], Topic] = {}
        self._lines: dict[zmq.Socket[bytes], _Line | _Door] = {}
        try:
            for topic in topics:
                self._listen(topic, run_dir, process)
        except zmq.ZMQError as error:  # of a process that may have no more open files
            self.close()
            raise _no_connection(run_dir, error) from error
        except BaseException:
            self.close()
            raise

    def _listen(self, topic: Topic, run_dir: Path, process: str) -> None:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, _QUEUE_LENGTH)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, _HARD_FRAME_CAP_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        line = _Door(socket, topic, run_dir, process) if topic.has_senders else _Line(socket, topic.endpoint(run_dir))
        self._topics[socket] = topic
        self._lines[line.events] = line
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(line.events, zmq.POLLIN)

    def receive(self, timeout_s: float) -> list[Message]:
        """All valid messages that are waiting, oldest first within a topic.

        Waits up to `timeout_s` for the first. Returns an empty list when time ran out, or all that came was refused.
        """
        messages: list[Message] = []
        for socket, _ in self._poller.poll(max(0, round(timeout_s * 1000))):
            if socket in self._lines:
                self._lines[socket].read_events()
                continue
            topic = self._topics[socket]
            for _ in range(_QUEUE_LENGTH):
                try:
                    parts = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                message = self._decode(topic, parts)
                if message is not None:
                    messages.append(message)
        for line in self._lines.values():
            if (refusal := line.repair(time.monotonic())) is not None:
                self.refusals.count(self._topics[line.socket].name, refusal)
        return messages

    def wait_for(self, message_type: type[Message], timeout_s: float) -> Message | None:
        """The next message of `message_type`, dropping others; None when `timeout_s` ran out."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            for message in self.receive(min(left, 0.1)):
                if isinstance(message, message_type):
                    return message
        return None

    def _decode(self, topic: Topic, parts: list[bytes]) -> Message | None:
        try:
            if len(parts) != 1:
                raise DecodeError(topic.name, Refusal.MALFORMED, f"{len(parts)} frames instead of one")
            return decode(topic, parts[0])
        except DecodeError as error:
            self.refusals.count(topic.name, error.refusal)
            return None

    def close(self) -> None:
        """Close all sockets."""
        for line in self._lines.values():
            line.close()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
