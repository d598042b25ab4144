"""Keeps the robot on the bundle that it should have: what the update agent decides between two looks at the bus.

Messages come in as events (`take`), what is decided goes out as an order and a status that others say: nothing here
knows the bus. Guarantees: nothing here waits, for a network, for the hub, for the worker or for the engine; a bundle
that is ready goes on trial only once the engine has it warm and the robot may be changed over; one that fails its
trial, or that a person does not want, is ordered off the robot before anything is written. Refuses to know how a
decision is reached (`probation`) and how orders travel (`agent_bus`). Use from one thread.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.messages import Message
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import (
    MAX_UPDATE_ANSWERS,
    MAX_WORDS_CHARS,
    PolicyStatus,
    UpdateAnswer,
    UpdateCommand,
    UpdateKind,
    UpdateResult,
    UpdateStatus,
    WaitsFor,
)
from edge_runtime.ota.agent.history import History, entry_of
from edge_runtime.ota.agent.requests import Requests
from edge_runtime.ota.agent.robot_activity import RobotActivity
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.lifecycle.changeover import Changeover
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy, Standing, wanted
from edge_runtime.ota.lifecycle.effects import Effects
from edge_runtime.ota.lifecycle.lifecycle import TABLE, Event
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.probation.probation import Terms, Verdict
from edge_runtime.ota.probation.trial import Trial, latency_budget_of
from edge_runtime.processes import PROCESSES

LOOK_S = 0.5
STEADY_S = 600.0
"""A trial that has gone on for as long since this process came back is not what ended the one before."""
_LOCK_S = 30.0


class _Done(NamedTuple):
    """What came of something that was done: the runner's words, or why it could not be written."""

    words: str = ""
    error: OtaError | None = None


@dataclass
class _GoingBack:
    """A return to the bundle from before: ordered first, written by `act` a look later, over with the engine's word.

    Attributes:
        act: writes it; None once that is done.
        refusal, words: for the history.
        until_s: when the worker has to have let go of the runner.
        commands: of the people who asked for it.
    """

    act: Callable[[], str] | None
    refusal: OtaRefusal
    words: str
    until_s: float = 0.0
    commands: list[UpdateCommand] = field(default_factory=list)


class Activation:
    """See the module. All parts are those of one agent, whose runner has recovered.

    Args:
        must_wait: whether the robot is at work, and its owner wants it left alone then.
    """

    def __init__(
        self,
        settings: AgentSettings,
        installed: Installed,
        runner: Runner,
        effects: Effects,
        orders: DesiredPolicy,
        changeover: Changeover,
        activity: RobotActivity,
        requests: Requests,
        trial: Trial,
        history: History,
        shared: Shared,
        *,
        must_wait: Asked,
    ) -> None:
        self._settings = settings
        self._installed = installed
        self._runner = runner
        self._effects = effects
        self._orders = orders
        self._changeover = changeover
        self._activity = activity
        self._requests = requests
        self._trial = trial
        self._history = history
        self._shared = shared
        self._must_wait = must_wait
        self._going_back: _GoingBack | None = None
        self._begun_trial = "" if runner.journal.state is UpdateState.ACTIVATING else None
        self._trial_words = ""
        self._looked_s = time.monotonic()
        self._steady_s = 0.0

    def take(self, message: Message, now_ns: int) -> None:
        """One message of the bus, which arrived at `now_ns` of the monotonic clock."""
        self._activity.take(message, now_ns)
        if isinstance(message, UpdateCommand):
            self._requests.take(message)
        elif isinstance(message, PolicyStatus) and message.serving:
            # One that still loads its first bundle can't obey: for an order it is not there yet.
            self._orders.take(message, now_ns)
        self._trial.take(message, now_ns * 1e-9)

    def look(self, now_s: float) -> None:
        """Decide what there is to decide; `now_s` is monotonic. Call it after each round of messages."""
        going = self._going_back
        # People first: who asks while it goes back has asked for that, and not for one more when it is back.
        self._answer(now_s)
        self._hear_engine()
        if going is not None and going is self._going_back:
            self._go_on_back(going, now_s)
        state = self._runner.journal.state
        if now_s - self._looked_s >= LOOK_S:
            counts = state is UpdateState.PROBATION and all(
                self._activity.is_alive(process.name) for process in PROCESSES
            )
            self._trial.look(now_s, counts=counts)
            self._steady_s += now_s - self._looked_s if counts else 0.0
            self._looked_s = now_s
            if self._going_back is None and not self._runner.awaits_engine:
                self._decide(state, now_s)
        if self._runner.journal.state is not UpdateState.PROBATION:
            self._shared.superseded.clear()
            self._trial_words = ""
            self._steady_s = 0.0
        serve, standby = wanted(self._runner.slots, self._runner.journal, self._installed.digest_of)
        if not self._must_write:
            self._orders.want(serve, standby, time.monotonic_ns())
        self._trial.observer.boots(serve, on_trial=self._runner.journal.state is UpdateState.PROBATION)

    @property
    def must_go_on(self) -> bool:
        """Whether this is no moment to end: an engine that is there changes over, or the disk does not know it yet."""
        changes_over = self._runner.awaits_engine and self._orders.engine(time.monotonic_ns()) is not None
        return self._must_write or changes_over

    @property
    def _must_write(self) -> bool:
        """Whether the engine was ordered back and nothing on the disk says so yet."""
        return self._going_back is not None and self._going_back.act is not None

    def end(self) -> None:
        """Write down what is known of the trial; an end in order does not count against it."""
        self._trial.keep(time.monotonic())
        if self._runner.journal.state is UpdateState.PROBATION and self._runner.journal.restarts:
            self._attempt(self._runner.steady)

    def status(self) -> UpdateStatus | None:
        """What there is to say now; None: nothing yet."""
        journal, slots = self._runner.journal, self._runner.slots
        running = self._installed.digest_of(slots.active)
        if not running:
            return None
        last = journal.update if journal.update.release or not journal.reason else journal.refused
        newest, progress = self._history.newest, self._effects.progress_of(last.release)
        return UpdateStatus(
            stamp_ns=time.monotonic_ns(),
            pid=os.getpid(),
            state=journal.state,
            running=running,
            running_counter=slots.active.release_counter,
            release=last.release,
            release_counter=last.release_counter,
            reason=journal.reason[:MAX_WORDS_CHARS],
            waits_for=self._waits_for(),
            detail="" if newest is None else newest.detail,
            bytes_done=progress.done_bytes,
            bytes_total=progress.total_bytes,
            trial=self._trial_words[:MAX_WORDS_CHARS],
            outcome_heard=self._activity.outcome_heard,
            answers=self._requests.answers,
        )

    def _waits_for(self) -> WaitsFor:
        state = self._runner.journal.state
        is_held_back = state.waits_for_rest or (state is UpdateState.PROBATION and self._shared.superseded.is_set())
        if is_held_back and self._must_wait():
            return WaitsFor.REST
        return WaitsFor.ENGINE if state is UpdateState.READY else WaitsFor.NOTHING

    def _hear_engine(self) -> None:
        """The engine's word is an event for the step that waits for it."""
        # Once the engine is ordered back, what it says is of that order, and not of the step's.
        if not self._runner.awaits_engine or self._must_write:
            return
        outcome = self._changeover.outcome()
        if outcome is None:
            return
        done = self._attempt(lambda: self._runner.hear_engine(outcome.fault))
        if done is not None:
            self._tell_of_trial(done)
            if self._going_back is not None and done.error is not None:
                self._be_back(self._going_back, done.error)

    def _decide(self, state: UpdateState, now_s: float) -> None:
        if state is UpdateState.READY:
            self._try_out()
        elif state is UpdateState.PROBATION:
            self._judge(now_s)
        elif state is UpdateState.ROLLING_BACK:
            self._attempt(self._runner.resume)

    def _answer(self, now_s: float) -> None:
        shared, requests = self._shared, self._requests
        while shared.answers:
            requests.answer(shared.answers.popleft())
        while (command := requests.next()) is not None:
            if command.kind is UpdateKind.ROLLBACK:
                self._obey(command, now_s)
            elif self._is_busy() or len(shared.checks) == MAX_UPDATE_ANSWERS:
                busy = OtaError(OtaRefusal.BUSY, f"the agent is {self._runner.journal.state}")
                requests.answer(command.refused(busy))
            else:
                shared.checks.append(command)

    def _is_busy(self) -> bool:
        """Whether the worker is at something that takes long; a report to the hub does not."""
        return self._shared.is_working.is_set() and not self._runner.journal.state.is_settled

    def _obey(self, command: UpdateCommand, now_s: float) -> None:
        """Begin to go back; who asks while it goes back is told when it is: twice would lead forward again."""
        runner, words = self._runner, command.reason or "asked for by hand"
        going = self._going_back
        if going is None and runner.journal.state is UpdateState.ROLLING_BACK and runner.awaits_engine:
            going = self._going_back = _GoingBack(None, OtaRefusal.ROLLBACK_ASKED, words)
        if going is None:
            is_begun = runner.journal.state is UpdateState.ACTIVATING
            act = partial(runner.fail, OtaRefusal.ROLLBACK_ASKED) if is_begun else runner.roll_back
            try:
                going = self._go_back(act, OtaRefusal.ROLLBACK_ASKED, words, now_s)
            except OtaError as error:
                self._write(str(error.refusal), error.detail)
                self._requests.answer(command.refused(error))
                return
        going.commands.append(command)

    def _try_out(self) -> None:
        if self._must_wait():
            return
        warm = self._orders.standing_beside(time.monotonic_ns())
        if warm is Standing.REFUSED:
            self._attempt(self._give_up)
        elif warm is Standing.OBEYED and (done := self._attempt(self._put_on_trial)) is not None:
            self._tell_of_trial(done)

    def _give_up(self) -> str:
        problem = self._orders.problem()
        self._runner.fail(OtaRefusal.ENGINE_REFUSED)
        self._write(str(OtaRefusal.ENGINE_REFUSED), problem)
        return ""

    def _put_on_trial(self) -> str:
        runner = self._runner
        self._trial.begin(runner.journal.update, runner.slots.committed.bundle)
        self._begun_trial = ""
        return runner.clear()

    def _tell_of_trial(self, done: _Done) -> None:
        """Write down what came of going on trial, once nothing of it waits for the engine any more."""
        if self._begun_trial is None:
            return
        self._begun_trial = done.words or self._begun_trial
        if not self._runner.awaits_engine:
            journal = self._runner.journal
            on_trial = f"on trial for at least {journal.update.probation_s} s"
            self._write(journal.reason, self._begun_trial if journal.reason else on_trial)
            self._begun_trial = None

    def _judge(self, now_s: float) -> None:
        runner, slots = self._runner, self._runner.slots
        # Nothing is wrong with it: that can wait, as what is ready does. Until then it is not committed either.
        is_superseded = self._shared.superseded.is_set()
        if is_superseded and not self._must_wait():
            return self._fail(OtaRefusal.SUPERSEDED, "another bundle is wanted instead", now_s)
        if slots.active.bundle == slots.committed.bundle:
            return self._prove("the bundle that was committed before, under another counter")
        if self._orders.standing(time.monotonic_ns()) is Standing.REFUSED:
            return self._fail(OtaRefusal.ENGINE_REFUSED, self._orders.problem(), now_s)
        digest_of = self._installed.digest_of
        decision = self._trial.judge(digest_of(slots.active), digest_of(slots.committed), self._terms())
        self._trial_words = decision.words
        if decision.verdict is Verdict.PROVEN and not is_superseded:
            return self._prove(decision.words)
        if decision.reason is not None:
            return self._fail(decision.reason, decision.words, now_s)
        if self._steady_s >= STEADY_S and runner.journal.restarts:
            self._attempt(runner.steady)
        return None

    def _prove(self, words: str) -> None:
        def act() -> str:
            said = self._runner.prove()
            self._write(self._runner.journal.reason, words)
            return said

        self._attempt(act)

    def _fail(self, reason: OtaRefusal, words: str, now_s: float) -> None:
        try:
            self._go_back(partial(self._runner.fail, reason), reason, words, now_s)
        except OtaError as error:
            self._write(str(reason), f"{words}; {error}")

    def _go_back(self, act: Callable[[], str], refusal: OtaRefusal, words: str, now_s: float) -> _GoingBack:
        """Order the engine back, which is said at the end of this look; what has to be written is for the next one.

        Raises:
            OtaError: NOT_NOW: there is none to go back to.
        """
        target, state = self._runner.slots.before, self._runner.journal.state
        if target is None:
            raise OtaError(OtaRefusal.NOT_NOW, "there is no previous bundle")
        if state is not UpdateState.ACTIVATING and (state, Event.ROLLBACK_ASKED) not in TABLE:
            raise OtaError(OtaRefusal.NOT_NOW, "this robot is going back already")
        self._orders.want(self._installed.digest_of(target), "", time.monotonic_ns())
        self._shared.interrupt.set()
        self._begun_trial = None
        self._going_back = _GoingBack(act, refusal, words, now_s + _LOCK_S)
        return self._going_back

    def _go_on_back(self, going: _GoingBack, now_s: float) -> None:
        """Write it as soon as the worker has let go, and then wait for the engine's word."""
        if going.act is not None:
            done = self._attempt(going.act)
            if done is None and now_s <= going.until_s:
                return
            busy = OtaError(OtaRefusal.BUSY, f"the store is in use for {_LOCK_S:g} s")
            error = busy if done is None else done.error
            going.act = None
        else:
            error = None
        if error is not None or not self._runner.awaits_engine:
            self._be_back(going, error)

    def _be_back(self, going: _GoingBack, error: OtaError | None = None) -> None:
        self._going_back = None
        self._shared.interrupt.clear()
        self._write(str(going.refusal), going.words if error is None else f"{going.words}; {error}")
        for command in going.commands:
            self._requests.answer(self._gone_back(command) if error is None else command.refused(error))

    def _gone_back(self, command: UpdateCommand) -> UpdateAnswer:
        if self._runner.journal.state is UpdateState.ROLLING_BACK:
            detail = f"the pointer is back, the engine is not: {self._runner.held_up_by}"
            return command.answered(UpdateResult.UNDER_WAY, detail)
        return command.answered(UpdateResult.DONE)

    def _attempt(self, act: Callable[[], str]) -> _Done | None:
        """Do it; None: the worker holds the runner, or has changed the state. There will be another look."""
        state = self._runner.journal.state
        if not self._shared.lock.acquire(blocking=False):
            return None
        try:
            return _Done(act()) if self._runner.journal.state is state else None
        except OtaError as error:
            logging.warning("%s: %s", self._runner.journal.state, error)
            return _Done(error=error)
        finally:
            self._shared.lock.release()

    def _terms(self) -> Terms:
        owners = self._settings.probation
        folder = self._installed.folder(self._installed.digest_of(self._runner.slots.active))
        return Terms(
            probation_s=float(self._runner.journal.update.probation_s),
            episodes_min=owners.episodes_min,
            active_min_s=owners.active_min_s,
            failures_ahead=owners.failures_ahead,
            latency_budget_s=owners.latency_budget_s or latency_budget_of(folder, self._settings.replan_interval_s),
        )

    def _write(self, refusal: str, detail: str) -> None:
        entry = entry_of(self._runner.journal, time.time(), refusal, detail)
        logging.info("%s: %s %s", entry.state, entry.refusal or "well:", entry.detail)
        self._history.write(entry)
