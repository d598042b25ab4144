"""What the two threads of the update agent share; each field may be used from both."""

from __future__ import annotations

import threading
from collections import deque

from edge_runtime.contracts.updates import MAX_UPDATE_ANSWERS, UpdateAnswer, UpdateCommand


class Shared:
    """See the module.

    Attributes:
        lock: of the runner.
        interrupt: set while the worker should let go of the lock.
        superseded: set by the worker: what is on trial is not wanted any more.
        is_working: set while the worker is in a turn.
        checks: people who want the hub to be asked now.
        answers: what became of that.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.interrupt = threading.Event()
        self.superseded = threading.Event()
        self.is_working = threading.Event()
        self.checks: deque[UpdateCommand] = deque(maxlen=MAX_UPDATE_ANSWERS)
        self.answers: deque[UpdateAnswer] = deque(maxlen=MAX_UPDATE_ANSWERS)
