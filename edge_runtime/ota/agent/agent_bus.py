"""The update agent on the robot's bus: hears what the robot does, gives the engine its orders, takes people's requests.

Guarantees: the newest order and the state of the update are said ten times a second for as long as somebody calls
`pump`; no wait is longer than its limit, and a person who wants to go back ends the one for a new bundle. Refuses to
know what is decided. Use from one thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.messages import ControlState, EpisodeEnded, Heartbeat, Message, SafetyReport
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
from edge_runtime.contracts.updates import (
    MAX_UPDATE_ANSWERS,
    PolicyStatus,
    UpdateAnswer,
    UpdateCommand,
    UpdateKind,
    UpdateStatus,
)
from edge_runtime.ipc.bus import Publisher, Subscriber
from edge_runtime.ota.lifecycle.desired_policy import ALIVE_NS, DesiredPolicy, Standing

OBEY_S = 10.0
"""In which an engine that is there has to run what it is ordered to."""
APPEAR_S = 30.0
"""In which one has to be there for a bundle that goes on trial; after a power cut it starts when this process does."""
HEARD_S = 1.0
"""In which what is there is heard of by a process that has just started."""
_INTERVAL_NS = 100_000_000
_LISTEN_S = 0.05
_REMEMBERED = 64
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


class AgentBus:
    """See the module.

    Args:
        run_dir: folder of the robot's sockets.
        orders: to its engine.
        obey_s, appear_s: how long one that is there, and one that is not, is waited for.

    Attributes:
        on_message: called with each message, and the monotonic seconds at which it was taken in.
        status: what to say about the update; None: nothing yet.
        honoured: requests to go back that have ended `serve`, and still have to be answered.

    Raises:
        ProcessError: another agent is on this bus.
    """

    def __init__(
        self, run_dir: Path, orders: DesiredPolicy, *, obey_s: float = OBEY_S, appear_s: float = APPEAR_S
    ) -> None:
        self.on_message: Callable[[Message, float], None] = lambda _message, _now_s: None
        self.status: Callable[[], UpdateStatus | None] = lambda: None
        self.answers: deque[UpdateAnswer] = deque(maxlen=MAX_UPDATE_ANSWERS)
        self.outcome_heard = 0
        self.honoured: list[UpdateCommand] = []
        self._orders = orders
        self._obey_s, self._appear_s = obey_s, appear_s
        self._pending: deque[UpdateCommand] = deque(maxlen=MAX_UPDATE_ANSWERS)
        self._known: deque[tuple[int, UpdateKind]] = deque(maxlen=_REMEMBERED)
        self._heard_ns: dict[str, int] = {}
        self._state: ControlState | None = None
        self._listened_ns = time.monotonic_ns() + round(HEARD_S * 1e9)
        self._due_ns = 0
        self._since_ns = time.monotonic_ns()
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

    @property
    def is_at_work(self) -> bool:
        """Whether the robot is armed, as far as control can be heard. May be asked from any thread.

        Before there was time to hear of it, it may be.
        """
        if self._state is None:
            return time.monotonic_ns() < self._listened_ns
        return self._state.is_armed and self.is_alive("report")

    def is_alive(self, process: str) -> bool:
        """Whether `process` sent a message in the last second."""
        return time.monotonic_ns() - self._heard_ns.get(process, -ALIVE_NS) < ALIVE_NS

    def pump(self, timeout_s: float = _LISTEN_S) -> None:
        """Take in what arrives, waiting up to `timeout_s` for the first; say what is due."""
        messages = self._subscriber.receive(timeout_s)
        now_ns = time.monotonic_ns()
        for message in messages:
            self._take(message, now_ns)
            self.on_message(message, now_ns * 1e-9)
        if now_ns >= self._due_ns:
            self._say(now_ns)

    def say_now(self) -> None:
        """Say order and state without waiting for their turn."""
        self._say(time.monotonic_ns())

    def next_command(self) -> UpdateCommand | None:
        """The oldest request that has no answer yet; it is for the caller to give it one."""
        return self._pending.popleft() if self._pending else None

    def answer(self, answer: UpdateAnswer) -> None:
        """Say what became of a request."""
        self.answers.append(answer)
        self.say_now()

    def serve(self, bundle: str, standby: str) -> None:
        """See `effects.Engine`."""
        appear_ns, obey_ns = time.monotonic_ns() + round(self._appear_s * 1e9), 0
        for now_ns in self._ordered(bundle, standby if standby != bundle else ""):
            standing = self._standing(now_ns)
            if standing is Standing.OBEYED:
                return
            self._require_wanted()
            if standing is not Standing.ABSENT:
                obey_ns = obey_ns or now_ns + round(self._obey_s * 1e9)
            if now_ns > min(appear_ns, obey_ns or appear_ns):
                refusal = OtaRefusal.ENGINE_SLOW if obey_ns else OtaRefusal.ENGINE_ABSENT
                limit_s = self._obey_s if obey_ns else self._appear_s
                raise OtaError(refusal, f"no engine runs it within {limit_s:g} s")

    def return_to(self, bundle: str) -> None:
        """See `effects.Engine`."""
        begun_ns = time.monotonic_ns()
        for now_ns in self._ordered(bundle, ""):
            standing = self._standing(now_ns)
            if standing is Standing.OBEYED or (standing is Standing.ABSENT and now_ns - begun_ns > HEARD_S * 1e9):
                return
            if now_ns - begun_ns > self._obey_s * 1e9:
                raise OtaError(OtaRefusal.ENGINE_SLOW, f"the engine does not run it within {self._obey_s:g} s")

    def _ordered(self, bundle: str, standby: str) -> Iterator[int]:
        """The instants of a wait for that order."""
        self._orders.want(bundle, standby, time.monotonic_ns())
        self.say_now()
        while True:
            yield time.monotonic_ns()
            self.pump()

    def _require_wanted(self) -> None:
        self.honoured = [command for command in self._pending if command.kind is UpdateKind.ROLLBACK]
        if self.honoured:
            self._pending = deque((one for one in self._pending if one not in self.honoured), MAX_UPDATE_ANSWERS)
            raise OtaError(OtaRefusal.ROLLBACK_ASKED, self.honoured[0].reason or "a rollback was asked for")

    def _standing(self, now_ns: int) -> Standing:
        standing = self._orders.standing(now_ns)
        if standing is Standing.REFUSED:
            raise OtaError(OtaRefusal.ENGINE_REFUSED, self._orders.problem() or "the engine could not load it")
        return standing

    def _take(self, message: Message, now_ns: int) -> None:
        if isinstance(message, PolicyStatus):
            # One that still loads its first bundle can't obey: for an order it is not there yet.
            if message.serving:
                self._orders.take(message, now_ns)
        elif isinstance(message, SafetyReport):
            self._state = message.state
            self._heard_ns["report"] = now_ns
        elif isinstance(message, Heartbeat):
            self._heard_ns[message.process] = now_ns
        elif isinstance(message, EpisodeEnded):
            self.outcome_heard = message.id
        elif isinstance(message, UpdateCommand) and (message.id, message.kind) not in self._known:
            # Said again until it is answered, and done once: also while it is being done.
            self._known.append((message.id, message.kind))
            if message.stamp_ns < self._since_ns:
                # An agent before this one may have done it, and twice would be once too often.
                anew = OtaError(OtaRefusal.NOT_NOW, "the agent was started anew meanwhile: look at its status")
                self.answer(message.refused(anew))
            else:
                self._pending.append(message)

    def _say(self, now_ns: int) -> None:
        self._due_ns = now_ns + _INTERVAL_NS
        if self._orders.order is not None:
            self._order_line.send(self._orders.order)
        if (status := self.status()) is not None:
            self._status_line.send(status)
