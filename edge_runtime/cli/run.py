"""`edge-runtime run`: the whole robot in one terminal: one episode after the other, or what a person types."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.bundles.installed import Installed, verified
from edge_runtime.cli.display import Called, LiveDisplay, Score, live_display
from edge_runtime.cli.launch import ProcessTable
from edge_runtime.cli.prompt import OutcomeTold, Prompt
from edge_runtime.cli.typed import Typed, TypedLines
from edge_runtime.client.explanations import INTERVENTIONS, MISSED_TICKS, in_full
from edge_runtime.client.operator import Operator
from edge_runtime.client.status_lines import interventions_line, pair, refusals_line, timing_line
from edge_runtime.client.updates import Names, UpdateTold
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.errors import ConfigError, EdgeError, OperatorError, ProcessError
from edge_runtime.contracts.messages import Asker
from edge_runtime.contracts.text import printable
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.evaluation.episodes import EpisodeResult
from edge_runtime.evaluation.series import episodes, next_scene
from edge_runtime.ipc.bus import claim
from edge_runtime.needs import require
from edge_runtime.page.options import LOOPBACK
from edge_runtime.page.port import require_free_port
from edge_runtime.page.serving import address_of
from edge_runtime.page.tokens import Tokens, make_token
from edge_runtime.policies.processor import describe
from edge_runtime.processes import CONTROL, HOLDING, OTA, PAGE, PROCESSES, Process

_PAUSE_S = 0.7
_COMES_UP_S = 60.0
_LET_GO_S = 3.0
_MANUAL = (
    "no episodes are run. From another terminal: [instruct] with a sentence, then [arm]. To type here instead: run "
    "with --interactive."
)
_NO_SCENES = "the driver {!r} lays out no scenes, so " + _MANUAL
_HOLD = (
    "no policy is run: once armed, the robot holds its posture. From another terminal: [arm]; to end that: [disarm]; "
    "`edge-runtime jog` moves one joint."
)


class Guest(Protocol):
    """What goes along with a run, such as the demo."""

    def look(self, operator: Operator, results: Sequence[EpisodeResult]) -> bool:
        """Called ten times a second and more, in between anything else; False: enough, no further episode."""


def run(options: argparse.Namespace, console: Console, guest: Guest | None = None, typed: Typed | None = None) -> int:
    """Run episodes until `options.episodes` are done, `guest` has seen enough or somebody stops it; the exit code.

    With `options.manual`, and where the driver lays out no scenes, there are none: whoever wants the robot to move
    instructs and arms it. With `options.hold` there is no policy either. With `options.interactive` a person says it
    here: what she types comes from the standard input, or from `typed`.
    """
    config = load_config(options.config)
    hold: bool = options.hold
    interactive: bool = options.interactive
    manual = _is_manual(options, config)
    passed_over = () if hold else Installed.of(config).boot_first(partial(verified, config=config))[1].passed_over
    processes = HOLDING if hold else PROCESSES
    has_agent = config.ota is not None and not hold
    require(config, hold=hold)
    if has_agent:
        # Imported where there are updates: a robot without them needs none of what they are made of.
        from edge_runtime.ota.agent.settings import reporting_of, settings_of

        settings_of(config)
        reporting_of(config)
        processes += (OTA,)
    run_dir: Path = options.run_dir
    names = None if hold else Names(config)
    called = Called(run_dir=run_dir)
    if names is not None:
        called = Called(names.bundle, names.release, has_agent=has_agent, run_dir=run_dir, is_prompt=interactive)
    interrupted = False
    failure: EdgeError | None = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(claim(run_dir, "run", "runs this robot"))
        operator = stack.enter_context(Operator(run_dir))
        page = None if options.no_page else _page(options)
        more: dict[Process, Sequence[str]] = {}
        if page is not None:
            processes += (PAGE,)
            more[PAGE] = page.arguments
        table = stack.enter_context(ProcessTable(config, run_dir, processes=processes, hold=hold, more=more))
        if interactive and typed is None:
            draws = console.is_terminal and not console.is_dumb_terminal
            typed = stack.enter_context(TypedLines(_input(), draws=draws))
        if page is not None:
            console.print(f"watch it, and stop it, at {page.link}", highlight=False, soft_wrap=True)
            called = replace(called, page=page.link)
        for fault in passed_over:
            console.print(f"passed over: {fault}", highlight=False, markup=False)
        starting = f"starting {config.robot.name} on {describe()}; logs in {run_dir / 'logs'}; Ctrl-C stops"
        console.print(starting, highlight=False, markup=False)
        table.start()
        with live_display(console, config.robot.name, called) as display:
            seen = _Seen(operator, table, display, called, guest)
            operator.on_wait = seen.look
            try:
                if typed is not None:
                    person = stack.enter_context(Operator(run_dir, asker=Asker.PERSON))
                    scenes = None
                    if declaration_of(config).has_scenes:
                        seeds = itertools.count(options.seed)
                        scenes = partial(next_scene, operator, seeds, lambda: table.restart(CONTROL))
                    _converse(person, operator, typed, seen, scenes)
                elif manual:
                    display.note(in_full(manual, run_dir))
                    while True:
                        operator.wait_until(lambda: False, _PAUSE_S)
                else:
                    series = episodes(
                        operator,
                        itertools.count(options.seed),
                        wanted=options.episodes,
                        note=display.note,
                        restart_control=lambda: table.restart(CONTROL),
                    )
                    for result in series:
                        seen.add(result)
                        operator.wait_until(lambda: False, _PAUSE_S)
                        if seen.enough:
                            break
            except KeyboardInterrupt:
                interrupted = True
            except EdgeError as error:
                # Told once what went well before is told.
                failure = error
            finally:
                operator.on_wait = None
                with _no_interrupts():
                    _let_go(operator)
                    table.stop()
        results = seen.results
        if results or failure is None:
            console.print(_summary(results, operator, table))
    if failure is not None:
        raise failure
    wanted = options.episodes is not None and len(results) < options.episodes
    return 130 if interrupted and (wanted or guest is not None) else 0


def _is_manual(options: argparse.Namespace, config: RobotConfig) -> str:
    """What a person is told where it is left to her what the robot does; empty where episodes are run.

    Raises:
        ConfigError: episodes or sentences were asked for, and there can't be any.
    """
    if options.interactive and (options.hold or options.episodes is not None):
        why = "no policy is run" if options.hold else "it is a person who says what is done, not an episode"
        raise ConfigError("--interactive", f"{why}: leave out {'--hold' if options.hold else '--episodes'}, or this")
    if options.hold:
        told = _HOLD
    elif declaration_of(config).has_scenes:
        return _MANUAL if options.manual else ""
    else:
        told = _NO_SCENES.format(config.robot.driver)
    if options.episodes is not None:
        why = "no policy is run" if options.hold else f"the driver {config.robot.driver!r} lays out no scenes"
        raise ConfigError("--episodes", f"{why}, so there are no episodes: leave it out")
    return told


@dataclass(frozen=True)
class _Page:
    """The page of this run: what its process is started with, and the link that opens it with its token."""

    arguments: tuple[str, ...]
    link: str


def _page(options: argparse.Namespace) -> _Page:
    port = require_free_port(options.page_port)
    path = options.run_dir / "page_token.json"
    token = _token_of(path)
    if not Tokens(path).is_right(token):
        _token_of.cache_clear()
        token = _token_of(path)
    link = f"{address_of(LOOPBACK, port)}#token={token}"
    return _Page(arguments=(f"--port={port}", f"--token-file={path}"), link=link)


@cache
def _token_of(path: Path) -> str:
    """A token of this process, so that a page that is open stays so over several runs, as in the demo."""
    return make_token(path)


class _Seen:
    """What is looked at while a run goes on, and shown to everybody who looks."""

    def __init__(
        self,
        operator: Operator,
        table: ProcessTable,
        display: LiveDisplay,
        called: Called,
        guest: Guest | None,
    ) -> None:
        self._operator, self._table, self._display = operator, table, display
        self._called, self._guest = called, guest
        self._told = UpdateTold(called.bundle, called.release)
        self._score = Score()
        self.results: list[EpisodeResult] = []
        self.enough = False

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._display.note(line)

    def add(self, result: EpisodeResult) -> None:
        """One more episode."""
        self.results.append(result)
        self._score.add(result.success)
        self._display.note(_episode_line(len(self.results), result))

    def look(self, typing: str | None = None) -> None:
        """Once around; `typing`: what a person has typed so far, where she types here."""
        self._table.tend()
        status, score = self._operator.watcher.status(), self._score
        for line in self._told.since(status.update):
            self._display.note(line)
        self._display.show(status, None if self._called.is_prompt else score, typing)
        if self._guest is not None and not self._guest.look(self._operator, self.results):
            self.enough = True


def _input() -> int:
    """The descriptor of the standard input.

    Raises:
        ConfigError: there is none.
    """
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise ConfigError("--interactive", "there is no standard input to type into") from None


def _converse(
    person: Operator, operator: Operator, typed: Typed, seen: _Seen, new_scene: Callable[[], str] | None
) -> None:
    """Do what is typed, until she wants to end it or the guest has seen enough.

    Args:
        person: asks on her behalf; `operator` for this program, which lays out scenes by `new_scene`.
        new_scene: see `Prompt`; None where the robot has no scenes.

    Raises:
        ProcessError: the robot's processes do not come up.
    """
    prompt = Prompt(person, typed, seen.tell, new_scene)
    outcome = OutcomeTold()

    def look() -> None:
        for one in (person, operator):
            one.watcher.receive(0.0)
        prompt.look()
        if said := outcome.since(operator.watcher.scene):
            seen.tell(said)
        seen.look(prompt.pending)

    person.on_wait = operator.on_wait = look
    watcher = person.watcher
    if not person.wait_until(lambda: all(watcher.status().alive.values()), _COMES_UP_S):
        down = ", ".join(name for name, alive in watcher.status().alive.items() if not alive)
        raise ProcessError(f"{down} did not come up within {_COMES_UP_S:.0f} s")
    seen.tell(prompt.help())
    if new_scene is not None:
        seen.tell(new_scene())
    while not prompt.is_over and not seen.enough:
        prompt.step()
        person.wait_until(lambda: prompt.has_line, _PAUSE_S)


def _let_go(operator: Operator) -> None:
    if operator.watcher.control_state.is_armed:
        with contextlib.suppress(OperatorError):
            operator.disarm()
            operator.wait_until(lambda: operator.watcher.control_state.may_be_armed, _LET_GO_S)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not cut the clean stop short: it has its own timeouts."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _episode_line(count: int, result: EpisodeResult) -> str:
    verdict = "✓" if result.success else "✗"
    told = f"{result.instruction}  {result.reason or result.outcome}  {result.elapsed_s:.1f} s"
    return printable(f"{verdict} {count:3}  {told}", None)


def _summary(results: list[EpisodeResult], operator: Operator, table: ProcessTable) -> Table:
    status = operator.watcher.status()
    successes = sum(result.success for result in results)
    summary = Table(title="summary", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    summary.add_column(style="dim")
    summary.add_column()
    outcomes = Counter(result.outcome for result in results)
    if results:
        summary.add_row("success", f"{successes} of {len(results)} episodes")
        summary.add_row("outcomes", Text(", ".join(f"{name} {count}" for name, count in outcomes.items())))
    summary.add_row("inference", f"{pair(status.inference_p50_ms, status.inference_p99_ms, 'ms', 1)}  p50 / p99")
    summary.add_row("control loop", timing_line(status))
    summary.add_row("", Text(MISSED_TICKS, style="dim"))
    summary.add_row("interventions", interventions_line(status))
    summary.add_row("", Text(INTERVENTIONS, style="dim"))
    summary.add_row("refused", Text(refusals_line(status)))
    restarts = {name: count for name, count in table.restarts().items() if count}
    summary.add_row("restarts", ", ".join(f"{k} {v}" for k, v in restarts.items()) or "none")
    return summary
