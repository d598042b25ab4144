"""From what is said on the robot's bus to the records of the bundles that were acting.

Guarantees: what is counted is counted once, and for the bundle whose plan the robot followed. A window or an episode
that a change of policy cut belongs to neither; a stretch in which messages were lost belongs to nobody. No message,
however odd, makes it raise, and none makes a count jump by more than one thing that happened.
Refuses to know what the counts mean, and who is on trial. Trusts control's word on what was followed, and a person's on
how an episode ended.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from edge_runtime.contracts.engine_status import EngineStatus
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    ChunkReceipt,
    ControlState,
    EpisodeEnded,
    EpisodeOutcome,
    Heartbeat,
    Message,
    SafetyReport,
)
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ota.probation.bundle_stats import AGE_EDGES_NS, INTERVENTION_EDGES, WINDOW_NS, Record, with_class
from edge_runtime.ota.probation.engine_watch import EngineWatch

_GAP_NS = 1_000_000_000
"""Reports come twenty times a second. After a longer pause it is not known what happened meanwhile."""
_WITHHELD = frozenset(
    {
        Refusal.PREDICTED_DEVIATION,
        Refusal.PREDICTED_BLOCK,
        Refusal.UNSURE,
        Refusal.OUT_OF_RANGE,
        Refusal.NOT_FINITE,
        Refusal.SHAPE,
    }
)
_KEPT_AT_REST = _WITHHELD - {Refusal.UNSURE}
"""Where the policy itself is unsure a person is asked, and may take her time."""
_CHUNKS_A_WINDOW = 100
"""As many as come in `WINDOW_NS`."""
_AGED = _WITHHELD | {None, Refusal.STALE}
_MAX_BUNDLES = 8
_REMEMBERED = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass
class _Window:
    """What happened in the motion since the last window was complete."""

    bundle: str
    active_ns: int = 0
    altered: int = 0
    stalled: bool = False
    withheld: bool = False


@dataclass
class _Span:
    """A bundle moved the robot, or began to serve; on the clock of the stamps."""

    bundle: str
    from_ns: int
    to_ns: int


class Observer:
    """Listens; `take` every message of SAFETY_REPORT, CHUNK_RECEIPT, HEARTBEAT_*, POLICY_STATUS, EPISODE_ENDED.

    Args:
        records: what is known of bundles so far.
        silence_s: an engine that says nothing for so long, while control speaks, has crashed.
    """

    def __init__(self, records: Iterable[Record] = (), *, silence_s: float = 10.0) -> None:
        self._records = {record.bundle: record for record in records}
        self._watch = EngineWatch(silence_s)
        self._window: _Window | None = None
        self._report: SafetyReport | None = None
        self._known_from_ns: int | None = None
        self._moved: deque[_Span] = deque(maxlen=_REMEMBERED)
        self._served: deque[_Span] = deque(maxlen=_REMEMBERED)
        self._receipts: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._kept_at_rest = ("", 0)
        self._episodes: deque[int] = deque(maxlen=_REMEMBERED)
        self._attempts: deque[tuple[int, int]] = deque()
        self._status_ns = 0
        self._work: EngineStatus | None = None

    def boots(self, bundle: str, *, on_trial: bool = False) -> None:
        """What an engine that starts will run, as the pointer says: it answers for one that never comes up.

        One `on_trial` also answers alone for an engine that ends while the bundle to go back to is being loaded.
        """
        self._watch.boots(bundle, on_trial=on_trial)

    def begin(self, bundle: str) -> None:
        """The record of `bundle` begins anew: it goes on trial."""
        self._window = None
        self._put(Record(bundle=bundle))

    def take(self, message: Message, now_s: float) -> None:
        """Learn from one message; `now_s` is monotonic time. Never raises for what the message holds."""
        if isinstance(message, SafetyReport):
            self._take_report(message)
        elif isinstance(message, ChunkReceipt):
            self._take_receipt(message)
        elif isinstance(message, EpisodeEnded):
            self._take_episode(message)
        elif isinstance(message, EngineStatus):
            self._take_work(message)
        elif isinstance(message, Heartbeat | PolicyStatus):
            self._blame(self._watch.take(message, now_s))
            if isinstance(message, PolicyStatus):
                self._take_status(message)
        self.look(now_s)

    def look(self, now_s: float) -> None:
        """Let time pass: call it at least every second, also when nothing is said."""
        self._blame(self._watch.look(now_s))

    def records(self) -> dict[str, Record]:
        """By bundle, all that is known."""
        return dict(self._records)

    def record(self, bundle: str) -> Record:
        """Of one bundle; empty where nothing is known."""
        return self._records.get(bundle, Record(bundle=bundle))

    def _take_report(self, report: SafetyReport) -> None:
        before = self._report
        passed_ns = 0 if before is None else report.stamp_ns - before.stamp_ns
        if before is not None and -_GAP_NS <= passed_ns <= 0:
            return  # said again, or overtaken
        self._report = report
        if before is None or not 0 < passed_ns <= _GAP_NS:
            self._window, self._known_from_ns = None, report.stamp_ns
            return
        bundle = report.bundle_digest
        if bundle is None or bundle != before.bundle_digest or not _DIGEST.fullmatch(bundle):
            self._window = None
            return
        self._take_trip(bundle, before, report)
        window = self._window
        if report.state is ControlState.ACTIVE:
            window = self._window = window or _Window(bundle)
            window.active_ns += passed_ns
            self._add(Record(bundle=bundle, active_ns=passed_ns))
            self._move(bundle, before.stamp_ns, report.stamp_ns)
        if window is None:
            return
        if report.state.follows:
            window.altered += min(max(report.interventions, 0), INTERVENTION_EDGES[-1])
        is_held = before.state is ControlState.ACTIVE and report.state is ControlState.HOLDING
        window.withheld |= report.gate.waits_for_person
        window.stalled |= is_held and not report.gate.waits_for_person
        if window.active_ns >= WINDOW_NS:
            self._close(window)

    def _move(self, bundle: str, from_ns: int, to_ns: int) -> None:
        last = self._moved[-1] if self._moved else None
        if last is not None and last.bundle == bundle and 0 <= from_ns - last.to_ns <= _GAP_NS:
            last.to_ns = to_ns
        else:
            self._moved.append(_Span(bundle, from_ns, to_ns))

    def _take_trip(self, bundle: str, before: SafetyReport, report: SafetyReport) -> None:
        # After any other fault, or beside it, the arm may do what nobody asked it to.
        if before.faults or not report.faults or not before.state.follows:
            return
        if all(fault.is_of_the_policy for fault in report.faults):
            self._add(Record(bundle=bundle, trips=1))

    def _close(self, window: _Window) -> None:
        self._window = None
        self._add(
            Record(
                bundle=window.bundle,
                interventions=with_class(INTERVENTION_EDGES, window.altered),
                stalled=int(window.stalled),
                withheld=int(window.withheld),
            )
        )

    def _take_receipt(self, receipt: ChunkReceipt) -> None:
        name, refusal = (receipt.chunk_sequence, receipt.chunk_published_ns), receipt.refusal
        bundle = _at(self._served, receipt.chunk_published_ns)
        age_ns = receipt.received_ns - receipt.exposure_ns
        if name in self._receipts or not bundle or age_ns < 0:
            return
        self._receipts.append(name)
        window = self._window if self._window is not None and self._window.bundle == bundle else None
        state = None if self._report is None else self._report.state
        is_held = state is ControlState.HOLDING
        if window is not None:
            window.withheld |= refusal in _WITHHELD
        if refusal in _AGED and (window is not None or (is_held and refusal is not None)):
            self._add(Record(bundle=bundle, ages=with_class(AGE_EDGES_NS, age_ns)))
        if refusal is None and state is not None and state.follows:
            self._kept_at_rest = ("", 0)
        elif is_held and refusal in _KEPT_AT_REST:
            self._keep_at_rest(bundle)

    def _keep_at_rest(self, bundle: str) -> None:
        """A bundle none of whose chunks may be followed never moves the robot, and is no better for it."""
        before, count = self._kept_at_rest
        count = count + 1 if before == bundle else 1
        self._kept_at_rest = (bundle, count % _CHUNKS_A_WINDOW)
        if count == _CHUNKS_A_WINDOW:
            self._add(Record(bundle=bundle, interventions=with_class(INTERVENTION_EDGES, 0), withheld=1))

    def _take_status(self, status: PolicyStatus) -> None:
        if not status.serving or 0 < self._status_ns - status.stamp_ns <= _GAP_NS:
            return  # nothing serves yet, or overtaken
        self._status_ns = status.stamp_ns
        if self._served and status.serving_since_ns < self._served[-1].from_ns:
            self._served.clear()  # another clock, or the one before was nonsense
        if not self._served or self._served[-1].bundle != status.serving:
            self._served.append(_Span(status.serving, status.serving_since_ns, status.serving_since_ns))

    def _take_episode(self, episode: EpisodeEnded) -> None:
        report = self._report
        if episode.id in self._episodes or report is None or self._known_from_ns is None:
            return
        self._episodes.append(episode.id)
        if not episode.outcome.is_judged:
            return
        started_ns, ended_ns = episode.started_ns, episode.ended_ns
        if not self._known_from_ns <= started_ns < ended_ns <= report.stamp_ns + 5 * _GAP_NS:
            return
        # A robot makes one attempt at a time: a second word on one, whoever says it, is no second attempt.
        if any(started_ns < end_ns and ended_ns > start_ns for start_ns, end_ns in self._attempts):
            return
        moved = {span.bundle for span in self._moved if span.from_ns < ended_ns and span.to_ns > started_ns}
        served = {span.bundle for span in self._served if started_ns < span.from_ns < ended_ns}
        if len(moved) == 1 and served <= moved and episode.bundle in ("", *moved):
            is_failure = episode.outcome is EpisodeOutcome.FAILURE
            self._remember(started_ns, ended_ns)
            self._add(Record(bundle=moved.pop(), episodes=1, failures=int(is_failure)))

    def _remember(self, started_ns: int, ended_ns: int) -> None:
        self._attempts.append((started_ns, ended_ns))
        if len(self._attempts) > _REMEMBERED:
            # What is forgotten may not be counted again.
            _, forgotten_ns = self._attempts.popleft()
            self._known_from_ns = max(self._known_from_ns or 0, forgotten_ns)

    def _take_work(self, work: EngineStatus) -> None:
        before = self._work
        if before is not None and before.pid == work.pid and work.stamp_ns <= before.stamp_ns:
            return  # said again, or overtaken
        self._work = work
        if before is None or before.pid != work.pid or not _DIGEST.fullmatch(work.bundle):
            return  # what it has counted is from before
        counted = before.not_finite if before.bundle == work.bundle else 0
        if work.not_finite > counted:
            self._add(Record(bundle=work.bundle, not_finite=1))

    def _blame(self, bundles: Iterable[str]) -> None:
        for bundle in bundles:
            self._add(Record(bundle=bundle, crashes=1))

    def _add(self, part: Record) -> None:
        self._put(self.record(part.bundle).plus(part).faded())

    def _put(self, record: Record) -> None:
        self._records.pop(record.bundle, None)
        self._records[record.bundle] = record
        if len(self._records) > _MAX_BUNDLES:
            del self._records[next(iter(self._records))]


def _at(spans: deque[_Span], moment_ns: int) -> str:
    """What served then; empty if that is not known."""
    return next((span.bundle for span in reversed(spans) if span.from_ns <= moment_ns), "")
