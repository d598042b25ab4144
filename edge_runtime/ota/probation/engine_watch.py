"""Whether the engine ended or fell silent while the rest of the robot lived, and under which bundle.

Guarantees: one end is counted once, however it is noticed; an engine that does not come back is counted again and again
at a slow rate, so that a bundle that no engine survives is found out. What all processes do at once, as on a restart of
the robot, is nobody's fault, and neither is a time in which the watcher itself was away.
Refuses to know why an engine ended: an order from outside looks the same as a fault of its own. One that is back under
the same process number, as in a namespace of its own, is noticed by its silence alone.
"""

from __future__ import annotations

import math
from collections import deque

from edge_runtime.contracts.messages import Heartbeat
from edge_runtime.contracts.updates import PolicyStatus

_OTHERS = frozenset({"control", "driver"})
_GAP_S = 2.0
"""Control speaks ten times a second. After a longer pause it is not known what lived meanwhile."""
_START_S = 60.0
"""How long an engine may take to come up, and how often one that does not is counted again."""
_FORMER = 8


class EngineWatch:
    """Times are monotonic seconds at which messages were heard; none of their stamps is looked at.

    Args:
        silence_s: an engine that says nothing for so long has crashed.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._boots = self._on_trial = ""
        self._pid: int | None = None
        self._former: deque[int] = deque(maxlen=_FORMER)
        self._status: PolicyStatus | None = None
        self._seen_s: float | None = None
        self._counted_s: float | None = None
        self._others: dict[str, int] = {}
        self._others_since_s = self._others_seen_s = -math.inf

    @property
    def serving(self) -> str:
        """What the engine that lives says that it serves; empty before it has."""
        return "" if self._status is None else self._status.serving

    @property
    def _is_starting(self) -> bool:
        """Whether the engine says that it loads its first bundle: libraries may not let it say so all the time."""
        return self._status is not None and not self._status.serving

    def boots(self, bundle: str, *, on_trial: bool = False) -> None:
        """What an engine that starts will run, and whether it is on trial."""
        self._boots, self._on_trial = bundle, bundle if on_trial else ""

    def take(self, message: Heartbeat | PolicyStatus, now_s: float) -> tuple[str, ...]:
        """Hear one message; the bundles that a crash counts against, none for no crash."""
        if isinstance(message, Heartbeat) and message.process in _OTHERS:
            self._hear_other(message, now_s)
            return ()
        if isinstance(message, Heartbeat) and message.process != "engine":
            return ()
        if message.pid in self._former:
            return ()  # of an engine that has gone; each topic has a queue of its own
        blamed: tuple[str, ...] = ()
        if self._pid is not None and message.pid != self._pid:
            known = self._seen_s is not None and self._others_since_s <= self._seen_s
            if known and self._counted_s is None and now_s - self._others_seen_s <= _GAP_S:
                blamed = self._suspects()
            self._former.append(self._pid)
            self._status = None
        self._pid, self._seen_s, self._counted_s = message.pid, now_s, None
        if isinstance(message, PolicyStatus):
            self._status = message
        return blamed

    def look(self, now_s: float) -> tuple[str, ...]:
        """Let time pass; as `take`."""
        if now_s - self._others_seen_s > _GAP_S:
            return ()
        if self._counted_s is not None:
            since_s, patience_s = max(self._counted_s, self._others_since_s), _START_S
        elif self._seen_s is not None and self._seen_s >= self._others_since_s:
            since_s, patience_s = self._seen_s, _START_S if self._is_starting else self._silence_s
        else:
            since_s, patience_s = self._others_since_s, _START_S
        if now_s - since_s < patience_s:
            return ()
        blamed = self._suspects()
        # Whatever comes up next boots what the pointer says.
        self._counted_s, self._status = now_s, None
        return blamed

    def _hear_other(self, heartbeat: Heartbeat, now_s: float) -> None:
        is_another = self._others.get(heartbeat.process, heartbeat.pid) != heartbeat.pid
        if is_another or now_s - self._others_seen_s > _GAP_S:
            self._others_since_s = now_s
        self._others[heartbeat.process] = heartbeat.pid
        if heartbeat.process == "control":
            self._others_seen_s = now_s

    def _suspects(self) -> tuple[str, ...]:
        """What served, and what was being loaded beside it: either may have been the end of the process.

        One on trial has nobody to share it with: it would be excused by what its own crashes are compared with.
        """
        names = (self._boots,) if self._status is None else (self._status.serving, self._status.loading)
        if self._on_trial and self._on_trial in names:
            names = (self._on_trial,)
        return tuple(name for name in names if name)
