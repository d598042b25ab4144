"""What has happened to a robot, in the order in which the page heard of it: stops, requests, bundles, updates.

Fed with messages; bounded. Each event once: what is said again and again is one event.
"""

from __future__ import annotations

import time
from collections import deque

from edge_runtime.client.explanations import ANSWERS, GATES, REASONS, STATES, STOPS, Explanation
from edge_runtime.client.updates import Name, UpdateTold
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.messages import (
    Answer,
    ControlState,
    EpisodeEnded,
    EpisodeStarted,
    Heartbeat,
    Message,
    RequestResult,
    SafetyReport,
)
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.page.shown import Event, Tone

_KEPT = 400
_ANSWERS_KNOWN = 256
_QUIET = (ControlState.ACTIVE, ControlState.HOLDING)
"""A robot at work goes to and fro between them: what it does between two plans is no event."""
_STATE_TONES: dict[ControlState, Tone] = {
    ControlState.FAULT: "bad",
    ControlState.SILENT: "bad",
    ControlState.ACTIVE: "good",
    ControlState.HOLDING: "good",
    ControlState.STOPPING: "wait",
}
_UPDATE_TONES: dict[UpdateState, Tone] = {
    UpdateState.PROBATION: "wait",
    UpdateState.ROLLING_BACK: "bad",
    UpdateState.FAILED: "bad",
    UpdateState.COMMITTED: "good",
}


class Events:
    """The last few hundred events.

    Args:
        bundle, release: what bundles and releases are called.
    """

    def __init__(self, bundle: Name, release: Name) -> None:
        self._bundle = bundle
        self._told = UpdateTold(bundle, release)
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._number = 0
        self._report: SafetyReport | None = None
        self._answers: deque[tuple[int, str]] = deque(maxlen=_ANSWERS_KNOWN)
        self._pids: dict[str, int] = {}
        self._alive: dict[str, bool] = {}
        self._instructed = 0
        self._episodes: deque[tuple[str, int]] = deque(maxlen=_ANSWERS_KNOWN)
        self.episodes = 0
        self.successes = 0

    def since(self, number: int) -> tuple[Event, ...]:
        """Events after number `number`, oldest first."""
        if number >= self._number:
            return ()
        return tuple(event for event in self._events if event.number > number)

    def take(self, message: Message) -> None:
        """Take note of what a message says that is new."""
        if isinstance(message, SafetyReport):
            self._of_control(message)
        elif isinstance(message, Heartbeat):
            self._of_process(message)
        elif isinstance(message, UpdateStatus):
            tone = _UPDATE_TONES.get(message.state, "busy")
            for line in self._told.since(message):
                self._add("update", tone, line[:1].upper() + line[1:])
        elif isinstance(message, EngineStatus):
            self._of_engine(message)
        elif isinstance(message, EpisodeStarted):
            if self._is_new("started", message.id):
                self._add("episode", "busy", f"An attempt begins: {printable(message.instruction) or 'no words'}.")
        elif isinstance(message, EpisodeEnded) and self._is_new("ended", message.id):
            self.episodes += 1
            self.successes += message.outcome.value == "success"
            why = f": {printable(message.reason)}" if message.reason else ""
            tone = "good" if message.outcome.value == "success" else "wait"
            self._add("episode", tone, f"The attempt ended in {message.outcome}{why}.")

    def look(self, alive: dict[str, bool]) -> None:
        """Take note of which processes live."""
        for name, lives in alive.items():
            before = self._alive.get(name)
            if before is not None and before != lives:
                words = f"{name} is there again." if lives else f"{name} has said nothing for a second."
                self._add("process", "good" if lives else "bad", words)
            if before is not None or lives:
                self._alive[name] = lives

    def _is_new(self, what: str, number: int) -> bool:
        if (what, number) in self._episodes:
            return False
        self._episodes.append((what, number))
        return True

    def _of_control(self, report: SafetyReport) -> None:
        last, self._report = self._report, report
        for answer in report.answers:
            if (answer.id, answer.kind.value) not in self._answers:
                self._answers.append((answer.id, answer.kind.value))
                if last is not None:
                    self._of_answer(answer)
        if last is None:
            words = f"The page sees control: it is {report.state}, {STATES[report.state].meaning}."
            self._add("state", _STATE_TONES.get(report.state, "wait"), words)
            last_faults: tuple[object, ...] = ()
        else:
            last_faults = last.faults
            self._of_change(last, report)
        for fault in report.faults:
            if fault not in last_faults:
                self._add("stop", "bad", f"Stop by {fault}: {REASONS[fault].meaning}.")

    def _of_change(self, last: SafetyReport, report: SafetyReport) -> None:
        if report.state is not last.state and not (report.state in _QUIET and last.state in _QUIET):
            words = f"{str(last.state).capitalize()} to {report.state}: {STATES[report.state].meaning}."
            self._add("state", _STATE_TONES.get(report.state, "wait"), words)
        if report.stopped_by is not last.stopped_by and report.stopped_by is not None:
            self._add("stop", "bad", f"{STOPS[report.stopped_by].meaning.capitalize()}: only a person ends that.")
        if report.gate is not last.gate:
            meaning = GATES.get(report.gate)
            words = f"The policy {meaning.meaning}" if meaning else f"The confidence gate is {report.gate}"
            self._add("policy", "wait" if report.gate in GATES else "good", f"{words}.")
        if report.policy is not last.policy:
            self._add("policy", "bad" if report.policy.is_lost else "good", f"The policy is {report.policy}.")
        if report.bundle_digest and report.bundle_digest != last.bundle_digest:
            self._add("bundle", "busy", f"{self._bundle(report.bundle_digest)} acts from now on.")
        if report.recording and report.recording != last.recording:
            name = printable(report.recording.rpartition("/")[2])
            self._add("recording", "busy", f"The black box wrote {name}.")
        if (report.reduced is None) != (last.reduced is None):
            self._add("speed", "wait", "Full speed again." if report.reduced is None else "Reduced speed.")

    def _of_answer(self, answer: Answer) -> None:
        done = answer.answer is RequestResult.DONE
        name = answer.kind.value.replace("_", " ")
        if done:
            words = f"{name} was asked for: done."
        else:
            known = ANSWERS.get(answer.answer.value, Explanation(str(answer.answer)))
            words = f"{name} was refused: {known.meaning}."
        detail = f" {printable(answer.detail)}" if answer.detail else ""
        self._add("request", "good" if done else "bad", f"{words[:1].upper()}{words[1:]}{detail}")

    def _of_process(self, beat: Heartbeat) -> None:
        before = self._pids.get(beat.process)
        self._pids[beat.process] = beat.pid
        if before not in (None, beat.pid):
            self._add("process", "wait", f"{printable(beat.process)} was started again.")

    def _of_engine(self, engine: EngineStatus) -> None:
        if engine.instruction_id in (0, self._instructed):
            return
        self._instructed = engine.instruction_id
        if engine.answer is InstructionAnswer.FOLLOWED:
            self._add("request", "good", f"Instructed: “{printable(engine.asked)}”.")
        elif engine.answer is InstructionAnswer.REFUSED_UNREADABLE:
            self._add("request", "bad", f"“{printable(engine.asked)}” was refused: {printable(engine.detail)}")

    def _add(self, kind: str, tone: Tone, words: str) -> None:
        self._number += 1
        self._events.append(
            Event(number=self._number, time_s=round(time.time(), 3), kind=kind, tone=tone, words=words)  # type: ignore[arg-type]
        )
