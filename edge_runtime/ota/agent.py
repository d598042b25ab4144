"""The update agent of one robot: asks what it should run, and brings that to its disk, checked, ready to be taken up.

Guarantees: nothing is fetched before two repositories agree, the robot's own counter allows it and the release fits
this robot; what is staged has run its golden pairs through this robot's engine, and what failed them is given up and
not tried again under the same counter. Each turn ends with an entry in the diary. Without a network nothing is lost and
nothing moves. Refuses to know the control loop: what runs on the robot is not changed here; a bundle that passed waits,
staged. Trusts the runner to survive a cut at any point.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contracts.assignment import Assignment
from contracts.errors import OtaError, OtaRefusal
from edge_runtime.durable import refusal_of
from edge_runtime.ota.blobs import BlobStore
from edge_runtime.ota.compatibility import require_compatible
from edge_runtime.ota.diary import Diary, Entry, entry_of
from edge_runtime.ota.fetch import BlobFetcher, HeldInStore
from edge_runtime.ota.floor import Floor
from edge_runtime.ota.journal import State, Update
from edge_runtime.ota.runner import Runner
from edge_runtime.ota.schedule import Clock, Progress, SystemClock
from edge_runtime.ota.settings import AgentSettings
from edge_runtime.ota.staging import Staging
from edge_runtime.ota.transport import Transport
from edge_runtime.ota.trust import Trust

Asked = Callable[[], bool]
_FAILED_HERE = frozenset({OtaRefusal.GOLDEN_DIFFERS, OtaRefusal.GOLDEN_FAILED, OtaRefusal.GOLDEN_MISSING})
_PREPARING = frozenset({State.DOWNLOADING, State.STAGED})
_WAIT_SLICE_S = 0.2


def never() -> bool:
    """No."""
    return False


class Agent:
    """Use inside the runner's lock, after `recover`.

    Args:
        settings: of the robot.
        runner: the one writer of the store.
        transport: to both repositories.
        is_busy: whether the robot is at work, so that the golden check has to wait.
        should_end: whether this process was asked to end; a check that runs is cut short then.
    """

    def __init__(
        self,
        settings: AgentSettings,
        runner: Runner,
        transport: Transport,
        floor: Floor,
        *,
        is_busy: Asked = never,
        should_end: Asked = never,
    ) -> None:
        self._settings = settings
        self._runner = runner
        self._floor = floor
        self._trust = Trust(settings.trust, transport, floor)
        self._diary = Diary(settings.store)
        self._is_busy = is_busy
        self._should_end = should_end
        self._passed = Update()

    @property
    def waits_for_check(self) -> bool:
        """Whether a staged bundle has not run its golden pairs since this process began."""
        return self._runner.journal.state is State.STAGED and self._runner.journal.update != self._passed

    def turn(self, now_s: float) -> Entry:
        """Ask the repositories, go on with what they say, and check what is staged. `now_s` is Unix time."""
        return self._write(now_s, lambda: self._ask(now_s))

    def examine(self, now_s: float) -> Entry:
        """Only check what is staged; asks nobody."""
        return self._write(now_s, lambda: "")

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

    def _write(self, now_s: float, act: Callable[[], str]) -> Entry:
        refusal, detail = "", ""
        for step in (act, self._check_staged):
            try:
                said = step()
                detail = detail if refusal else said or detail
            except OtaError as error:  # noqa: PERF203 (two steps, and the second is taken whatever came of the first)
                refusal, detail = str(error.refusal), error.detail
            except OSError as error:
                fault = refusal_of(error, "the agent's folders")
                refusal, detail = str(fault.refusal), fault.detail
        journal = self._runner.journal
        if not refusal and journal.reason and journal.state is not State.IDLE:
            refusal, detail = journal.reason, "waits"
        entry = entry_of(journal, now_s, refusal, detail)
        self._diary.write(entry)
        return entry

    def _ask(self, now_s: float) -> str:
        runner = self._runner
        assignment = self._trust.check(now_s)
        terms = assignment.terms
        if self._is_committed(assignment):
            if runner.journal.state in _PREPARING:
                runner.withdraw()
            return "runs what it should"
        if _is(runner.journal.update, assignment):
            runner.resume()
            return ""
        if _is(runner.journal.refused, assignment):
            raise OtaError(OtaRefusal.REFUSED_BEFORE, f"counter {terms.release_counter} failed on this robot")
        if terms.not_before_s > now_s:
            raise OtaError(OtaRefusal.NOT_BEFORE, f"may be installed in {terms.not_before_s - now_s:.0f} s")
        release = self._trust.release(assignment, now_s)
        require_compatible(release.compatibility, self._settings.facts)
        runner.assign(release, terms.release_counter)
        return ""

    def _is_committed(self, assignment: Assignment) -> bool:
        floor = self._floor.release()
        return (floor.path, floor.release_counter) == (assignment.path, assignment.terms.release_counter)

    def _check_staged(self) -> str:
        if not self.waits_for_check:
            return ""
        if self._is_busy():
            return "staged; checked when the robot is not at work"
        update = self._runner.journal.update
        folder = self._runner.store.folder(update.bundle)
        try:
            report = self._settings.golden.run(folder, update.bundle, lambda: self._should_end() or self._is_busy())
        except OtaError as error:
            if error.refusal in _FAILED_HERE:
                self._runner.fail(str(error.refusal))
            raise
        self._passed = update
        if report.verdict == "no_data":
            return "staged, without golden pairs"
        return f"staged; {report.cases} golden pairs within {max(report.error_p99_rad):.4f} rad"


def _is(update: Update, assignment: Assignment) -> bool:
    return (update.release, update.release_counter) == (assignment.path, assignment.terms.release_counter)


class Hands:
    """What the runner asks of this robot (see `runner.Robot`): it fetches; it does not change what runs."""

    def __init__(self, settings: AgentSettings, transport: Transport, clock: Clock, should_end: Asked = never) -> None:
        self._settings = settings
        self._store = BlobStore(settings.root)
        self._fetcher = BlobFetcher(transport, clock, settings.fetch)
        self._should_end = should_end

    def fetch(self, staging: Staging) -> None:
        """See `Robot.fetch`."""
        self._fetcher.fetch(staging.release, staging, HeldInStore(self._store), self._look)

    def build(self, folder: Path) -> None:
        """Nothing: engines that are built ahead come with the sessions that need them."""

    def golden_check(self, folder: Path) -> None:
        """See `Robot.golden_check`."""
        self._settings.golden.run(folder, folder.parent.name, self._should_end)

    def serve(self, folder: Path) -> None:
        """The shipped bundle is what runs.

        Raises:
            OtaError: NOT_NOW: for any other.
        """
        if folder != self._settings.shipped:
            raise OtaError(OtaRefusal.NOT_NOW, "what runs on this robot is not changed while it runs")

    def _look(self, _: Progress) -> None:
        if self._should_end():
            raise OtaError(OtaRefusal.NOT_NOW, "the agent was told to end")


class EndableClock(SystemClock):
    """This machine's clocks, with waits that end when the process should."""

    def __init__(self, should_end: Asked) -> None:
        self._should_end = should_end

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            OtaError: NOT_NOW: told to end.
        """
        while seconds > 0.0:
            if self._should_end():
                raise OtaError(OtaRefusal.NOT_NOW, "the agent was told to end")
            super().wait(min(_WAIT_SLICE_S, seconds))
            seconds -= _WAIT_SLICE_S
