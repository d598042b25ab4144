"""One turn of a robot's update agent: asks what this robot should run, brings it here, has it built and checked.

Guarantees: nothing is fetched before two repositories agree, the robot's own counter allows it and the release fits
this robot; what is ready has run its golden pairs through this robot's engine, and what failed them is given up and not
tried again under the same counter. Each turn ends with an entry in the history. Without a network nothing is lost and
nothing moves. Refuses to know the engine that acts: what is ready waits for who gives the orders. Trusts the runner to
survive a cut at any point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.contracts.assignment import Assignment
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.history import Entry, History, entry_of
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.disk import disk_refusals
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.lifecycle.journal import Update
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.transport import Transport
from edge_runtime.ota.trust.compatibility import require_compatible
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust

_UNFINISHED = frozenset({UpdateState.VERIFYING, UpdateState.COMMITTED, UpdateState.FAILED})
"""What a disk that took no writes has held up, and the next turn ends."""


@dataclass(frozen=True)
class Said:
    """What came of a step. `refusal` is empty where nothing was refused."""

    refusal: str = ""
    detail: str = ""


class Agent:
    """Use after the runner's `recover`, from one thread.

    Args:
        settings: of the robot.
        runner: the one writer of the store.
        transport: to both repositories.
        shared: its lock is held while the runner is asked to do something, a fetch among that, and not while metadata
            is waited for; `superseded` is set where the bundle on trial is not what this robot should run any more.
        must_wait: whether the robot is at work, so that builds and checks have to wait.
    """

    def __init__(
        self,
        settings: AgentSettings,
        runner: Runner,
        transport: Transport,
        floor: Floor,
        history: History,
        shared: Shared,
        *,
        must_wait: Asked,
    ) -> None:
        self._settings = settings
        self._runner = runner
        self._floor = floor
        self._trust = Trust(settings.trust, transport, floor)
        self._history = history
        self._lock = shared.lock
        self._superseded = shared.superseded
        self._must_wait = must_wait

    @property
    def waits_for_check(self) -> bool:
        """Whether a staged bundle has not been built and checked yet."""
        return self._runner.journal.state.is_unchecked

    def turn(self, now_s: float) -> Entry:
        """Ask the repositories, go on with what they say, and check what is staged. `now_s` is Unix time."""
        return self._write(now_s, self._go_on, lambda: self._ask(now_s), self._prepare)

    def examine(self, now_s: float) -> Entry:
        """Only check what is staged; asks no server."""
        return self._write(now_s, self._prepare)

    def consult(self, now_s: float) -> str:
        """What the repositories want, in words; fetches and changes nothing but metadata.

        Raises:
            OtaError: nothing may be installed now, and why.
        """
        assignment = self._trust.check(now_s)
        counter = assignment.terms.release_counter
        if self._is_committed(assignment):
            return f"{assignment.path} under counter {counter}, which this robot has"
        release = self._trust.release(assignment, now_s)
        require_compatible(release.compatibility, self._settings.facts)
        return f"{release.bundle_name} {release.bundle_version} under counter {counter}: it fits this robot"

    def note(self, now_s: float, refusal: str, detail: str) -> None:
        """An entry in the history about something else than a turn."""
        self._history.write(entry_of(self._runner.journal, now_s, refusal, detail))

    def _write(self, now_s: float, *steps: Callable[[], Said]) -> Entry:
        refused, last = Said(), Said()
        for step in steps:
            try:
                with disk_refusals(self._settings.store):
                    said = step()
            except OtaError as error:
                said = Said(str(error.refusal), error.detail)
            if said.refusal:
                refused = said
            elif said.detail:
                last = said
        journal = self._runner.journal
        said = refused if refused.refusal else last
        if not said.refusal and journal.reason and journal.state is not UpdateState.IDLE:
            said = Said(journal.reason, f"waits: {self._runner.held_up_by}".removesuffix(": "))
        entry = entry_of(journal, now_s, said.refusal, said.detail)
        self._history.write(entry)
        return entry

    def _go_on(self) -> Said:
        with self._lock:
            if self._runner.journal.state in _UNFINISHED:
                self._runner.resume()
        return Said()

    def _ask(self, now_s: float) -> Said:
        runner = self._runner
        assignment = self._trust.check(now_s)
        terms = assignment.terms
        if self._is_committed(assignment):
            if runner.journal.state is UpdateState.PROBATION:
                return self._supersede(assignment)
            with self._lock:
                if runner.journal.state.gives_way:
                    runner.withdraw()
            return Said(detail="runs what it should")
        # Whatever is wanted instead of the bundle on trial ends the trial only if it may be installed now.
        self._superseded.clear()
        if _is(runner.journal.update, assignment):
            with self._lock:
                if runner.journal.state is UpdateState.DOWNLOADING:
                    runner.resume()
            return Said(detail="this is what it should run")
        if _is(runner.journal.refused, assignment):
            raise OtaError(OtaRefusal.REFUSED_BEFORE, f"counter {terms.release_counter} failed on this robot")
        if terms.not_before_s > now_s:
            raise OtaError(OtaRefusal.NOT_BEFORE, f"may be installed in {terms.not_before_s - now_s:.0f} s")
        release = self._trust.release(assignment, now_s)
        require_compatible(release.compatibility, self._settings.facts)
        if runner.journal.state is UpdateState.PROBATION:
            return self._supersede(assignment)
        with self._lock:
            runner.assign(release, terms.release_counter, terms.probation_s)
        return Said()

    def _supersede(self, assignment: Assignment) -> Said:
        self._superseded.set()
        return Said(detail=f"{assignment.path} under counter {assignment.terms.release_counter} is wanted instead")

    def _is_committed(self, assignment: Assignment) -> bool:
        floor, counter = self._floor.release(), assignment.terms.release_counter
        has = self._runner.slots.committed.release_counter == counter
        return has and (floor.path, floor.release_counter) == (assignment.path, counter)

    def _prepare(self) -> Said:
        if not self.waits_for_check:
            return Said()
        if self._must_wait():
            return Said(detail="staged; checked when the robot is not at work")
        runner, words = self._runner, ""
        with self._lock:
            if runner.journal.state is UpdateState.STAGED:
                words = runner.admit()
            elif self.waits_for_check:
                words = runner.resume()
            journal = runner.journal
        if journal.state is UpdateState.READY:
            return Said(detail=f"ready; {words}")
        return Said(journal.reason, words)


def _is(update: Update, assignment: Assignment) -> bool:
    return (update.release, update.release_counter) == (assignment.path, assignment.terms.release_counter)
