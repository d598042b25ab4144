"""How a `Status` looks: a table that is redrawn in a terminal; anywhere else a plain line now and then, and one
whenever the robot begins or ceases to wait for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from edge_runtime.cli.redraw import Redrawn
from edge_runtime.cli.typed import forget_typed
from edge_runtime.client.explanations import GATES, as_typed_here
from edge_runtime.client.status import Status
from edge_runtime.client.status_lines import (
    interventions_line,
    is_alarmed,
    is_capped,
    next_step,
    pair,
    plan_line,
    policy_line,
    refusals_line,
    speed_line,
    state_line,
    timing_line,
    unexpected_refusals,
    verdicts_line,
    wants_a_person,
)
from edge_runtime.client.updates import Name, plain_release, short, update_line
from edge_runtime.contracts.states import ControlState, GateState, UpdateState
from edge_runtime.contracts.text import printable, printable_lines

_STATE_STYLES = {
    ControlState.ACTIVE: "bold green",
    ControlState.HOLDING: "yellow",
    ControlState.STOPPING: "yellow",
    ControlState.FAULT: "bold red",
    ControlState.READY: "cyan",
}
_GATE_STYLES = {GateState.CAUTIOUS: "yellow", GateState.ASKING: "bold red", GateState.ESCALATED: "bold red"}
_UPDATE_STYLES = {
    UpdateState.IDLE: "dim",
    UpdateState.PROBATION: "yellow",
    UpdateState.ROLLING_BACK: "bold red",
    UpdateState.FAILED: "red",
}
_REDRAW_S = 0.125
_LINE_S = 10.0


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


@dataclass(frozen=True)
class Called:
    """What bundles and releases are called by who knows more of them than their digests, whether there should be an
    update agent, the folder that a person's commands have to name, whether she types them where she reads this, and the
    address of the page."""

    bundle: Name = short
    release: Name = plain_release
    has_agent: bool = False
    run_dir: Path | None = None
    is_prompt: bool = False
    page: str = ""

    def next_step(self, status: Status) -> str:
        """What a person can do now, in the words that she types."""
        step = next_step(status, self.run_dir)
        return as_typed_here(step) if self.is_prompt else step


def describe(
    status: Status, title: str, score: Score | None = None, called: Called = Called(), typing: str | None = None
) -> RenderableType:
    """The table of a live display; `typing`: what a person has typed so far, None where she types elsewhere."""
    table = Table(
        title=_shown(title),
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
    table.add_row("instruction", _shown(status.instruction_line, "bold red" if refused else "bold"))
    table.add_row("state", _shown(state_line(status), _STATE_STYLES.get(status.state, "dim")))
    if wants_a_person(status):
        table.add_row("next step", _shown(called.next_step(status), "bold"))
    table.add_row("scene", _shown(f"{status.outcome or '–'}  {status.reason}  {status.elapsed_s:.1f} s"))
    table.add_row("plan", plan_line(status))
    table.add_row("inference", f"{pair(status.inference_p50_ms, status.inference_p99_ms, 'ms', 1)}  p50 / p99")
    table.add_row("control loop", timing_line(status))
    table.add_row("speed", _shown(speed_line(status), "yellow" if is_capped(status) else ""))
    table.add_row("policy", _shown(policy_line(status), _GATE_STYLES.get(status.gate, "")))
    table.add_row("safety kernel", _shown(verdicts_line(status), "yellow" if is_alarmed(status) else ""))
    table.add_row("interventions", interventions_line(status))
    refused_style = "yellow" if unexpected_refusals(status) else ""
    table.add_row("refused", _shown(refusals_line(status), refused_style))
    table.add_row("bundle", _shown(bundle_line(status, called)))
    if status.update is not None or called.has_agent:
        table.add_row("update", _shown(update_line(status.update, called.release), update_style(status)))
    if score is not None:
        table.add_row("success", Text(str(score), style="bold"))
    if called.page:
        table.add_row("page", called.page)
    if down:
        table.add_row("down", _shown(", ".join(down), "bold red"))
    if typing is not None:
        table.add_row("type here", _shown(f"> {typing}▌", "bold"))
    return table


def _shown(words: str, style: str = "") -> Text:
    """A cell whose words may come from elsewhere."""
    return Text(printable(words, None), style)


def bundle_line(status: Status, called: Called) -> str:
    """The bundle that acts, and the one that is warm beside it."""
    return called.bundle(status.bundle) + (f", {called.bundle(status.standby)} stands by" if status.standby else "")


def update_style(status: Status) -> str:
    """How much an update wants to be seen."""
    return _UPDATE_STYLES.get(status.update.state, "cyan") if status.update is not None else "yellow"


def plain_line(status: Status, score: Score | None = None, called: Called = Called()) -> str:
    """What matters of it in one line without control codes."""
    told = status.instruction
    parts = [
        state_line(status),
        status.instruction_line if status.instruction_refused else repr(told) if told else "",
    ]
    if wants_a_person(status):
        parts.append(called.next_step(status))
    if is_capped(status):
        parts.append(f"speed {speed_line(status)}")
    if status.policy.is_lost or status.gate in GATES:
        parts.append(f"policy {policy_line(status)}")
    if is_alarmed(status):
        parts.append(f"safety kernel: {verdicts_line(status)}")
    if status.update is not None or called.has_agent:
        parts.append(f"bundle {called.bundle(status.bundle)}")
        if status.update is None or status.update.state is not UpdateState.IDLE:
            parts.append(f"update: {update_line(status.update, called.release)}")
    if score is not None:
        parts.append(f"success {score}")
    return printable("  ".join(filter(None, parts)), None)


class LiveDisplay:
    """Shows what it is given, redrawn or line by line, not more often than anybody can read."""

    def __init__(self, console: Console, live: Redrawn | None, title: str, called: Called) -> None:
        self._console = console
        self._live = live
        self._title = title
        self._called = called
        self._due_s = 0.0
        self._said: tuple[bool, bool] | None = None
        self._typing: str | None = None

    def show(self, status: Status, score: Score | None = None, typing: str | None = None) -> None:
        """Show `status` if it is time for it; at once what a person types."""
        now_s = time.monotonic()
        news = (status.state.is_known, wants_a_person(status))
        is_news = self._live is None and news != self._said
        if now_s < self._due_s and not is_news and typing == self._typing:
            return
        self._said, self._typing = news, typing
        if self._live is not None:
            self._due_s = now_s + _REDRAW_S
            self._live.update(describe(status, self._title, score, self._called, typing), refresh=True)
        else:
            self._due_s = now_s + _LINE_S
            self._console.print(plain_line(status, score, self._called), soft_wrap=True, markup=False, highlight=False)

    def note(self, text: str) -> None:
        """Words that stay, above the table."""
        self._console.print(printable_lines(text), soft_wrap=True, markup=False, highlight=False)


@contextmanager
def live_display(console: Console, title: str, called: Called = Called()) -> Iterator[LiveDisplay]:
    """A display for as long as the block lasts; control codes only if the console is a terminal that knows them, else
    a line every ten seconds."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield LiveDisplay(console, None, title, called)
        return
    try:
        with Redrawn(console) as live:
            yield LiveDisplay(console, live, title, called)
    finally:
        # What was typed at a table that reads no keys is for nothing else: least of all for the shell to run.
        forget_typed(0)
