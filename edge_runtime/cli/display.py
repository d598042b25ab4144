"""How a `Status` looks: a table that is redrawn in a terminal, one plain line a second anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_runtime.cli.updates import Name, plain_release, short, update_line
from edge_runtime.status import Status

_STATE_STYLES = {
    "active": "bold green",
    "holding": "yellow",
    "stopping": "yellow",
    "fault": "bold red",
    "ready": "cyan",
}
_GATE_STYLES = {"cautious": "yellow", "asking": "bold red", "escalated": "bold red"}
_GATE_MEANINGS = {
    "cautious": "not sure: slower",
    "asking": "unsure: asks for help, holds until it is told to resume or to do something else",
    "escalated": "unsure for too long: disarmed, waits for an answer",
}
_UPDATE_STYLES = {"idle": "dim", "probation": "yellow", "rolling_back": "bold red", "failed": "red"}
_REDRAW_S = 0.125
_LINE_S = 1.0


class Score:
    """Episodes so far."""

    def __init__(self) -> None:
        self.episodes = 0
        self.successes = 0

    def add(self, success: bool) -> None:
        """One more."""
        self.episodes += 1
        self.successes += success

    def __str__(self) -> str:
        return f"{self.successes} of {self.episodes}"


def number(value: float | None, unit: str, digits: int = 0) -> str:
    """A value with its unit, a dash for one that is not known."""
    return "–" if value is None else f"{value:.{digits}f} {unit}"


def pair(first: float | None, second: float | None, unit: str, digits: int = 0) -> str:
    """Two percentiles with one unit."""
    return "–" if first is None or second is None else f"{first:.{digits}f} / {second:.{digits}f} {unit}"


@dataclass(frozen=True)
class Called:
    """What bundles and releases are called by who knows more of them than their digests, and whether there should be
    an update agent."""

    bundle: Name = short
    release: Name = plain_release
    has_agent: bool = False


def describe(status: Status, title: str, score: Score | None = None, called: Called = Called()) -> RenderableType:
    """The table of a live display."""
    table = Table(
        title=Text(title),
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
        padding=(0, 2, 0, 0),
        expand=True,
    )
    table.add_column(style="dim", width=16)
    table.add_column(ratio=1, overflow="fold")
    down = [name for name, alive in status.alive.items() if not alive]
    refused = bool(status.instruction_refused)
    table.add_row("instruction", Text(status.instruction_line, style="bold red" if refused else "bold"))
    table.add_row("state", Text(status.state, style=_STATE_STYLES.get(status.state, "dim")))
    table.add_row("scene", Text(f"{status.outcome or '–'}  {status.reason}  {status.elapsed_s:.1f} s"))
    age = number(status.chunk_age_ms, "ms")
    table.add_row("chunk age", f"{age}, plan reaches another {number(status.plan_left_ms, 'ms')}")
    table.add_row("inference", f"{pair(status.inference_p50_ms, status.inference_p99_ms, 'ms', 1)}  p50 / p99")
    priority = "" if status.realtime_priority else ", without real-time priority"
    lateness = pair(status.lateness_p50_us, status.lateness_p99_us, "µs")
    table.add_row(
        "loop lateness", f"{lateness}  p50 / p99, {status.overruns} overruns in {status.ticks} ticks{priority}"
    )
    table.add_row("speed", Text(speed_line(status), style="yellow" if is_capped(status) else ""))
    table.add_row("policy", Text(confidence_line(status), style=_GATE_STYLES.get(status.gate, "")))
    table.add_row("verdicts", Text(", ".join(status.verdicts) or "none", style="yellow" if status.verdicts else ""))
    table.add_row("interventions", f"{status.interventions} ticks altered by the safety kernel")
    table.add_row("refused", Text(refusals_line(status)))
    table.add_row("bundle", Text(bundle_line(status, called)))
    if status.update is not None or called.has_agent:
        table.add_row("update", Text(update_line(status.update, called.release), style=update_style(status)))
    if score is not None:
        table.add_row("success", Text(str(score), style="bold"))
    if down:
        table.add_row("down", Text(", ".join(down), style="bold red"))
    return table


def bundle_line(status: Status, called: Called) -> str:
    """The bundle that acts, and the one that is warm beside it."""
    return called.bundle(status.bundle) + (f", {called.bundle(status.standby)} stands by" if status.standby else "")


def update_style(status: Status) -> str:
    """How much an update wants to be seen."""
    return _UPDATE_STYLES.get(status.update.state, "cyan") if status.update is not None else "yellow"


def is_capped(status: Status) -> bool:
    """Whether the joints may not go as fast as their limits say."""
    return status.speed_scale is not None and status.speed_scale < 1.0


def speed_line(status: Status) -> str:
    """How fast the robot may go, and how well this machine keeps time, which is one of the reasons."""
    share = "–" if status.speed_scale is None else f"{status.speed_scale:.0%} of the limits"
    return f"{share}, timing grade {status.grade}" if status.grade else share


def confidence_line(status: Status) -> str:
    """How sure the policy is, and what that means for the robot."""
    confidence = f"{status.policy or 'unknown'}, confidence {number(status.confidence, '', 2).strip()}"
    meaning = _GATE_MEANINGS.get(status.gate)
    return confidence if meaning is None else f"{meaning} ({confidence})"


def refusals_line(status: Status) -> str:
    """The most frequent refusals, with their counts."""
    most = sorted(status.refusals.items(), key=lambda item: -item[1])[:3]
    text = ", ".join(f"{name} {count}" for name, count in most)
    return f"{status.refused} messages" + (f": {text}" if text else "")


def plain_line(status: Status, score: Score | None = None, called: Called = Called()) -> str:
    """The same in one line without control codes."""
    parts = [
        f"{status.state:8}",
        repr(status.instruction) if not status.instruction_refused else status.instruction_line,
        f"chunk {number(status.chunk_age_ms, 'ms')}",
        f"inference {pair(status.inference_p50_ms, status.inference_p99_ms, 'ms', 1)}",
        f"loop {pair(status.lateness_p50_us, status.lateness_p99_us, 'µs')}",
        f"overruns {status.overruns}",
        f"verdicts {','.join(status.verdicts) or 'none'}",
        f"interventions {status.interventions}",
        f"refused {status.refused}",
    ]
    if is_capped(status):
        parts.append(f"speed {speed_line(status)}")
    if status.policy in ("dead", "stalled", "stuck"):
        parts.append(f"policy {status.policy}")
    if status.gate in _GATE_MEANINGS:
        parts.append(f"policy {confidence_line(status)}")
    if status.update is not None or called.has_agent:
        parts.append(f"bundle {called.bundle(status.bundle)}")
        if status.update is None or status.update.state != "idle":
            parts.append(f"update {update_line(status.update, called.release)}")
    if score is not None:
        parts.append(f"success {score}")
    return "  ".join(parts)


class LiveDisplay:
    """Shows what it is given, redrawn or line by line, not more often than anybody can read."""

    def __init__(self, console: Console, live: Live | None, title: str, called: Called) -> None:
        self._console = console
        self._live = live
        self._title = title
        self._called = called
        self._due_s = 0.0

    def show(self, status: Status, score: Score | None = None) -> None:
        """Show `status` if it is time for it."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        if self._live is not None:
            self._due_s = now_s + _REDRAW_S
            self._live.update(describe(status, self._title, score, self._called), refresh=True)
        else:
            self._due_s = now_s + _LINE_S
            self._console.print(plain_line(status, score, self._called), soft_wrap=True, markup=False, highlight=False)

    def note(self, text: str) -> None:
        """A line that stays, above the table."""
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def live_display(console: Console, title: str, called: Called = Called()) -> Iterator[LiveDisplay]:
    """A display for as long as the block lasts; control codes only if the console is a terminal that knows them."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield LiveDisplay(console, None, title, called)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield LiveDisplay(console, live, title, called)
