"""What is known of one robot, gathered from the bus by a thread of its own and cut to what a browser shows.

Only listens: nothing here can be heard by a process of the robot. A look is made at most ten times a second however
many look on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from edge_runtime.client.operator import gives_instructions
from edge_runtime.client.status import Status, Watcher
from edge_runtime.client.status_lines import interventions_line, policy_line, refusals_line, speed_line, timing_line
from edge_runtime.client.updates import Name, update_line
from edge_runtime.contracts.errors import ProcessError
from edge_runtime.contracts.messages import ActionChunk, ChunkReceipt, KernelReason, Message, SafetyReport
from edge_runtime.contracts.states import GateState, UpdateState
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.topics import ACTION_CHUNK, EPISODE_ENDED, EPISODE_STARTED
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.page.events import Events
from edge_runtime.page.shown import (
    VERSION,
    AxisShown,
    Chunks,
    Look,
    Machine,
    Margins,
    Policy,
    RobotShown,
    Tone,
    UpdateShown,
)
from edge_runtime.page.standing import ended_by, possible_requests, standing
from edge_runtime.page.timeline import Timeline

_POLL_S = 0.05
_IN_ORDER = (ActionChunk, ChunkReceipt, SafetyReport)
_LOOK_S = 0.1
_RECEIVER = "page"
_UPDATE_TONES: dict[UpdateState, Tone] = {
    UpdateState.IDLE: "good",
    UpdateState.COMMITTED: "good",
    UpdateState.PROBATION: "wait",
    UpdateState.ROLLING_BACK: "bad",
    UpdateState.FAILED: "bad",
}


class Gathered:
    """Listens to the robot in `run_dir` until it is closed. A context manager.

    Args:
        robot: which robot it is.
        run_dir: folder of the run's sockets.
        bundle, release: what bundles and releases are called.

    Raises:
        ProcessError: the robot belongs to another user.
    """

    def __init__(self, robot: RobotShown, run_dir: Path, bundle: Name, release: Name) -> None:
        self._robot, self._run_dir = robot, run_dir
        self._bundle, self._release = bundle, release
        self._axes: tuple[AxisShown, ...] = tuple(axis for group in robot.groups for axis in group.axes)
        self._events = Events(bundle, release)
        self._timeline = Timeline()
        self._heard_s: float | None = None
        self._ended: tuple[KernelReason, ...] = ()
        self._lock = threading.Lock()
        self._part: Look | None = None
        self._part_s = 0.0
        self._is_run = False
        self._stopping = False
        self._watcher = Watcher(run_dir)
        self._others = Subscriber((ACTION_CHUNK,), run_dir)
        self._episodes: Subscriber | None = None
        # Of two pages for one robot the first one counts attempts.
        with contextlib.suppress(ProcessError):
            self._episodes = Subscriber((EPISODE_STARTED, EPISODE_ENDED), run_dir, process=_RECEIVER)
        self._thread = threading.Thread(target=self._work, name="gathered", daemon=True)
        self._thread.start()

    def look(self, axis: int = 0, since: int = 0, events_since: int = 0) -> Look:
        """One look, with the samples of `axis` and the events after those numbers."""
        now_s = time.monotonic()
        with self._lock:
            if self._part is None or now_s - self._part_s >= _LOOK_S:
                self._part, self._part_s = self._made(), now_s
            part = self._part
            return Look(
                version=part.version,
                boot=part.boot,
                control_age_s=None if self._heard_s is None else round(now_s - self._heard_s, 3),
                standing=part.standing,
                requests=part.requests,
                measured=part.measured,
                commanded=part.commanded,
                margins=part.margins,
                latency=part.latency,
                chunks=part.chunks,
                policy=part.policy,
                machine=part.machine,
                update=part.update,
                events=self._events.since(events_since),
                curve=self._timeline.curve(axis, since),
            )

    def close(self) -> None:
        """Stop listening."""
        self._stopping = True
        self._thread.join(2.0)
        self._watcher.close()
        self._others.close()
        if self._episodes is not None:
            self._episodes.close()

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        claims_due_s = 0.0
        while not self._stopping:
            # What only this thread touches is received outside the lock, what others look at is changed inside.
            messages = self._watcher.receive(_POLL_S)
            messages += self._others.receive(0.0)
            if self._episodes is not None:
                messages += self._episodes.receive(0.0)
            now_s = time.monotonic()
            if now_s >= claims_due_s:
                self._is_run = gives_instructions(self._run_dir)
                claims_due_s = now_s + 1.0
            with self._lock:
                for message in sorted(messages, key=_order):
                    self._events.take(message)
                    if isinstance(message, ActionChunk):
                        self._timeline.add_chunk(message)
                    elif isinstance(message, ChunkReceipt):
                        self._timeline.add_receipt(message)
                    elif isinstance(message, SafetyReport):
                        self._timeline.add_report(message)
                        self._heard_s = now_s
                        self._ended = () if message.state.is_armed else self._ended
                        self._ended = ended_by(message.reasons) or self._ended
                self._events.look(self._watcher.status().alive)

    def _made(self) -> Look:
        status, report = self._watcher.status(), self._watcher.report
        update = self._watcher.update
        return Look(
            version=VERSION,
            boot=self._robot.boot,
            control_age_s=None,
            standing=standing(status, self._ended),
            requests=possible_requests(status, takes_arming=self._robot.takes_arming, is_run=self._is_run),
            measured=() if report is None else _rounded(report.position_measured),
            commanded=() if report is None else _rounded(report.position_commanded),
            margins=self._margins(status, report),
            latency=self._timeline.latency(),
            chunks=Chunks(
                shown=self._timeline.chunks(),
                left_s=None if status.plan_left_ms is None else round(status.plan_left_ms / 1e3, 3),
                age_s=None if status.chunk_age_ms is None else round(status.chunk_age_ms / 1e3, 3),
                taken=status.plans_taken,
                refused=refusals_line(status),
            ),
            policy=self._policy(status),
            machine=Machine(
                alive=status.alive,
                timing=timing_line(status),
                grade=status.grade,
                recording="" if report is None else printable(report.recording.rpartition("/")[2]),
                recording_problem="" if report is None else printable(report.recording_problem),
            ),
            update=self._update(update),
            events=(),
            curve=self._timeline.curve(0, 1 << 62),
        )

    def _margins(self, status: Status, report: SafetyReport | None) -> Margins:
        axis = None
        if report is not None and 0 <= report.stop_margin_axis < len(self._axes):
            axis = self._axes[report.stop_margin_axis]
        has_margin = report is not None and axis is not None and abs(report.stop_margin) < 1e3
        return Margins(
            stop_margin=round(report.stop_margin, 5) if report is not None and has_margin else None,
            stop_margin_axis=axis.name if axis is not None and has_margin else "",
            stop_margin_unit=axis.unit if axis is not None and has_margin else "",
            stop_margin_m=None if report is None or report.stop_margin_m is None else round(report.stop_margin_m, 5),
            speed_scale=status.speed_scale,
            reduced="" if status.reduced is None else speed_line(status),
            speed=speed_line(status),
            interventions=interventions_line(status),
        )

    def _policy(self, status: Status) -> Policy:
        tone: Tone = "good"
        if status.policy.is_lost or status.cannot_act:
            tone = "bad"
        elif status.gate.waits_for_person or status.gate is GateState.CAUTIOUS:
            tone = "wait"
        elif not status.policy.is_lost and status.bundle == "":
            tone = "unknown"
        return Policy(
            instruction=printable(status.instruction_line),
            is_refused=bool(status.instruction_refused),
            words=printable(policy_line(status)),
            tone=tone,
            bundle=printable(self._bundle(status.bundle)),
            standby=printable(self._bundle(status.standby)) if status.standby else "",
            proof=": ".join(filter(None, (status.proof or "unknown", printable(status.proof_detail)))),
            episodes=self._events.episodes,
            successes=self._events.successes,
        )

    def _update(self, update: UpdateStatus | None) -> UpdateShown | None:
        if update is None:
            if not self._robot.has_updates:
                return None
            words = update_line(None, self._release)
            return UpdateShown(
                state="",
                tone="unknown",
                words=words[:1].upper() + words[1:],
                running="",
                release="",
                share=None,
                bytes_done=0,
                bytes_total=0,
                trial="",
                reason="",
                detail="",
            )
        words = update_line(update, self._release)
        is_loading = update.state is UpdateState.DOWNLOADING and update.bytes_total > 0
        return UpdateShown(
            state=update.state.value,
            tone=_UPDATE_TONES.get(update.state, "busy"),
            words=words[:1].upper() + words[1:],
            running=printable(self._bundle(update.running)),
            release=printable(self._release(update.release)) if update.release else "",
            share=round(update.bytes_done / update.bytes_total, 4) if is_loading else None,
            bytes_done=update.bytes_done,
            bytes_total=update.bytes_total,
            trial=printable(update.trial),
            reason=printable(update.reason),
            detail=printable(update.detail),
        )


def _order(message: Message) -> int:
    """A chunk before what became of it, and both before the report of where the axes are."""
    return _IN_ORDER.index(type(message)) if isinstance(message, _IN_ORDER) else -1


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values)
