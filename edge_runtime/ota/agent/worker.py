"""The thread of the update agent that takes its time: the hub, downloads, verification, builds, checks, reports, scrub.

Guarantees: it runs at lower priority than the robot's other processes and this one's main thread; once interrupted it
lets go of the runner within moments; what ends it unforeseen ends the process. Refuses to decide what acts on the
robot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

from edge_runtime.bundles.slots import Slot
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import UpdateResult
from edge_runtime.ota.agent.agent import Agent
from edge_runtime.ota.agent.history import Entry
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.store.scrub import Scrub

_NICE = 10
_IDLE_S = 0.2
_CHECK_AGAIN_S = 10.0
_END_S = 20.0


class Worker:
    """While entered: takes turns, on a thread of its own.

    Args:
        acting: the slot whose bundle acts, as far as that is known.
        report: tells the hub; raises nothing.
        must_wait: whether the robot is at work, and not to be disturbed.
        should_end: whether to let go of everything.
    """

    def __init__(
        self,
        agent: Agent,
        runner: Runner,
        scrub: Scrub,
        shared: Shared,
        acting: Callable[[], Slot],
        report: Callable[[Slot], None],
        *,
        interval_s: float,
        must_wait: Asked,
        should_end: Asked,
    ) -> None:
        self._agent = agent
        self._runner = runner
        self._scrub = scrub
        self._shared = shared
        self._acting = acting
        self._report = report
        self._interval_s = interval_s
        self._must_wait = must_wait
        self._should_end = should_end
        self._turn_due_s = self._check_due_s = time.monotonic()
        self._reported: tuple[UpdateState, Slot] | None = None
        self._awaits_end_of_trial = False
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ota-worker", daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(_END_S)

    def require_alive(self) -> None:
        """Raise what ended it."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        # Not the lowest priority there is: whoever waits for the interpreter's lock would wait for this thread to be
        # let run at all.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            while not self._ended.is_set():
                if not self._work():
                    self._ended.wait(_IDLE_S)
        except BaseException as error:
            # For the main thread to raise.
            self._error = error

    def _work(self) -> bool:
        """Do what is due; whether there was anything."""
        now_s, shared = time.monotonic(), self._shared
        if shared.interrupt.is_set():
            return False
        if shared.checks:
            self._check()
        elif now_s >= self._turn_due_s:
            self._take(lambda: self._agent.turn(time.time()))
            self._awaits_end_of_trial = shared.superseded.is_set()
            self._turn_due_s = time.monotonic() + self._interval_s
        elif self._awaits_end_of_trial and not shared.superseded.is_set():
            # What is wanted instead is taken as soon as the one on trial is off the robot.
            self._awaits_end_of_trial, self._turn_due_s = False, now_s
        elif self._agent.waits_for_check and now_s >= self._check_due_s and not self._must_wait():
            self._take(lambda: self._agent.examine(time.time()))
            self._check_due_s = time.monotonic() + _CHECK_AGAIN_S
        elif self._reported != self._standing():
            self._tell_hub()
        elif self._scrub.due(time.time()):
            said = self._scrub.run(time.time(), self._has_other_work)
            if said is not None:
                self._agent.note(time.time(), str(said.refusal), said.detail)
        else:
            return False
        return True

    def _has_other_work(self) -> bool:
        shared = self._shared
        return (
            self._ended.is_set()
            or self._should_end()
            or bool(shared.checks)
            or time.monotonic() >= self._turn_due_s
            or self._reported != self._standing()
        )

    def _standing(self) -> tuple[UpdateState, Slot]:
        """What the hub should know soon."""
        return self._runner.journal.state, self._acting()

    def _tell_hub(self) -> None:
        self._reported = self._standing()
        self._report(self._reported[1])

    def _check(self) -> None:
        command = self._shared.checks.popleft()
        try:
            answer = command.answered(UpdateResult.DONE, self._agent.consult(time.time()))
        except EdgeError as error:
            answer = command.refused(error)
        self._shared.answers.append(answer)
        self._turn_due_s = time.monotonic()

    def _take(self, act: Callable[[], Entry]) -> None:
        self._shared.is_working.set()
        try:
            entry = act()
        finally:
            self._shared.is_working.clear()
        logging.info("%s %s: %s %s", entry.state, entry.release or "nothing", entry.refusal or "well:", entry.detail)
        self._tell_hub()
