"""Keeps the robot on the bundle that it should have: what the update agent decides between two looks at the bus.

Guarantees: nothing here waits for a network, for the hub or for the worker; a bundle that is ready goes on trial only
once the engine has it warm and the robot may be changed over; one that fails its trial, or that a person does not want,
is off the robot before anything is written. Refuses to know how a decision is reached (`probation`) and how orders
travel (`agent_bus`). Use from one thread, the one that owns the bus.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.updates import (
    MAX_WORDS_CHARS,
    UpdateAnswer,
    UpdateCommand,
    UpdateKind,
    UpdateResult,
    UpdateStatus,
    WaitsFor,
)
from edge_runtime.ota.agent.agent_bus import AgentBus
from edge_runtime.ota.agent.history import History, entry_of
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.agent.shared import Shared
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


class Activation:
    """See the module. `runner`, `effects`, `agent_bus` and `orders` are those of one agent."""

    def __init__(
        self,
        settings: AgentSettings,
        installed: Installed,
        runner: Runner,
        effects: Effects,
        agent_bus: AgentBus,
        orders: DesiredPolicy,
        history: History,
        shared: Shared,
    ) -> None:
        self._settings = settings
        self._installed = installed
        self._runner = runner
        self._effects = effects
        self._agent_bus = agent_bus
        self._orders = orders
        self._history = history
        self._shared = shared
        self._trial = Trial(settings.store, self._known)
        self._trial_words = ""
        self._looked_s = time.monotonic()
        self._steady_s = 0.0
        agent_bus.on_message = self._trial.take
        agent_bus.status = self.status

    def look(self, now_s: float) -> None:
        """Decide what there is to decide; `now_s` is monotonic. Call it after each `pump`."""
        self._answer()
        state = self._runner.journal.state
        if now_s - self._looked_s >= LOOK_S:
            counts = state is UpdateState.PROBATION and all(
                self._agent_bus.is_alive(process.name) for process in PROCESSES
            )
            self._trial.look(now_s, counts=counts)
            self._steady_s += now_s - self._looked_s if counts else 0.0
            self._looked_s = now_s
            if state is UpdateState.READY:
                self._try_out()
            elif state is UpdateState.PROBATION:
                self._judge()
            elif state is UpdateState.ROLLING_BACK:
                self._attempt(self._runner.resume)
        if self._runner.journal.state is not UpdateState.PROBATION:
            self._shared.superseded.clear()
            self._trial_words = ""
            self._steady_s = 0.0
        serve, standby = wanted(self._runner.slots, self._runner.journal, self._installed.digest_of)
        self._orders.want(serve, standby, time.monotonic_ns())
        self._trial.observer.boots(serve, on_trial=self._runner.journal.state is UpdateState.PROBATION)

    def end(self) -> None:
        """Write down what is known of the trial; an end in order does not count against it."""
        self._trial.keep(time.monotonic())
        if self._runner.journal.state is UpdateState.PROBATION and self._runner.journal.restarts:
            self._attempt(self._runner.steady)

    def status(self) -> UpdateStatus | None:
        """What there is to say now."""
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
            outcome_heard=self._agent_bus.outcome_heard,
            answers=tuple(self._agent_bus.answers),
        )

    def _waits_for(self) -> WaitsFor:
        state = self._runner.journal.state
        is_held_back = state.waits_for_rest or (state is UpdateState.PROBATION and self._shared.superseded.is_set())
        if is_held_back and not self._may_change_over():
            return WaitsFor.REST
        return WaitsFor.ENGINE if state is UpdateState.READY else WaitsFor.NOTHING

    def _answer(self) -> None:
        agent_bus, shared = self._agent_bus, self._shared
        while shared.answers:
            agent_bus.answer(shared.answers.popleft())
        for honoured in agent_bus.honoured:
            agent_bus.answer(self._gone_back(honoured))
        agent_bus.honoured = []
        while (command := agent_bus.next_command()) is not None:
            if command.kind is UpdateKind.ROLLBACK:
                agent_bus.answer(self._obey(command))
            elif shared.is_working.is_set():
                busy = OtaError(OtaRefusal.BUSY, f"the agent is {self._runner.journal.state}")
                agent_bus.answer(command.refused(busy))
            else:
                shared.checks.append(command)

    def _obey(self, command: UpdateCommand) -> UpdateAnswer:
        try:
            self._go_back(self._runner.roll_back)
        except OtaError as error:
            self._write(str(error.refusal), error.detail)
            return command.refused(error)
        self._write(str(OtaRefusal.ROLLBACK_ASKED), command.reason or "asked for by hand")
        return self._gone_back(command)

    def _gone_back(self, command: UpdateCommand) -> UpdateAnswer:
        if self._runner.journal.state is UpdateState.ROLLING_BACK:
            detail = f"the pointer is back, the engine is not: {self._effects.words}"
            return command.answered(UpdateResult.UNDER_WAY, detail)
        return command.answered(UpdateResult.DONE)

    def _try_out(self) -> None:
        if not self._may_change_over():
            return
        warm = self._orders.standing_beside(time.monotonic_ns())
        if warm is Standing.REFUSED:
            self._attempt(self._give_up)
        elif warm is Standing.OBEYED:
            self._attempt(self._put_on_trial)

    def _may_change_over(self) -> bool:
        return self._settings.in_motion or not self._agent_bus.is_at_work

    def _give_up(self) -> None:
        problem = self._orders.problem()
        self._runner.fail(OtaRefusal.ENGINE_REFUSED)
        self._write(str(OtaRefusal.ENGINE_REFUSED), problem)

    def _put_on_trial(self) -> None:
        runner = self._runner
        self._effects.words = ""
        self._trial.begin(runner.journal.update, runner.slots.committed.bundle)
        runner.clear()
        journal = runner.journal
        on_trial = f"on trial for at least {journal.update.probation_s} s"
        self._write(journal.reason, self._effects.words if journal.reason else on_trial)

    def _judge(self) -> None:
        runner, slots = self._runner, self._runner.slots
        # Nothing is wrong with it: that can wait, as what is ready does. Until then it is not committed either.
        is_superseded = self._shared.superseded.is_set()
        if is_superseded and self._may_change_over():
            return self._fail(OtaRefusal.SUPERSEDED, "another bundle is wanted instead")
        if slots.active.bundle == slots.committed.bundle:
            return self._prove("the bundle that was committed before, under another counter")
        if self._orders.standing(time.monotonic_ns()) is Standing.REFUSED:
            return self._fail(OtaRefusal.ENGINE_REFUSED, self._orders.problem())
        digest_of = self._installed.digest_of
        decision = self._trial.judge(digest_of(slots.active), digest_of(slots.committed), self._terms())
        self._trial_words = decision.words
        if decision.verdict is Verdict.PROVEN and not is_superseded:
            return self._prove(decision.words)
        if decision.reason is not None:
            return self._fail(decision.reason, decision.words)
        if self._steady_s >= STEADY_S and runner.journal.restarts:
            self._attempt(runner.steady)
        return None

    def _prove(self, words: str) -> None:
        def act() -> None:
            self._runner.prove()
            self._write(self._runner.journal.reason, words)

        self._attempt(act)

    def _fail(self, reason: OtaRefusal, words: str) -> None:
        try:
            self._go_back(lambda: self._runner.fail(reason))
        except OtaError as error:
            words = f"{words}; {error}"
        self._write(str(reason), words)

    def _go_back(self, act: Callable[[], None]) -> None:
        """Have the engine run the bundle from before at once, then wait for the worker and do what has to be written.

        Raises:
            OtaError: NOT_NOW: there is none to go back to; or as `act`.
        """
        target = self._runner.slots.before
        if target is None or (self._runner.journal.state, Event.ROLLBACK_ASKED) not in TABLE:
            raise OtaError(OtaRefusal.NOT_NOW, "there is no bundle to go back to, or this robot is about to")
        self._orders.want(self._installed.digest_of(target), "", time.monotonic_ns())
        self._agent_bus.say_now()
        until_s = time.monotonic() + _LOCK_S
        self._shared.interrupt.set()
        try:
            while not self._shared.lock.acquire(blocking=False):
                if time.monotonic() > until_s:
                    raise OtaError(OtaRefusal.BUSY, f"the store is in use for {_LOCK_S:g} s")
                self._agent_bus.pump()
            try:
                act()
            finally:
                self._shared.lock.release()
        finally:
            self._shared.interrupt.clear()

    def _attempt(self, act: Callable[[], None]) -> None:
        """Do it if the worker neither holds the runner nor has changed the state; there will be another look."""
        state = self._runner.journal.state
        if not self._shared.lock.acquire(blocking=False):
            return
        try:
            if self._runner.journal.state is state:
                act()
        except OtaError as error:
            logging.warning("%s: %s", self._runner.journal.state, error)
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

    def _known(self) -> frozenset[str]:
        slots = self._runner.slots
        named = (slots.active, slots.committed, slots.previous, slots.staged)
        return frozenset(self._installed.digest_of(slot) for slot in named if slot is not None) - {""}

    def _write(self, refusal: str, detail: str) -> None:
        entry = entry_of(self._runner.journal, time.time(), refusal, detail)
        logging.info("%s: %s %s", entry.state, entry.refusal or "well:", entry.detail)
        self._history.write(entry)
