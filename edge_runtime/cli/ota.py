"""`edge-runtime ota`: what runs here, what is on its way, and what was refused and why.

`status` and `history` only read. `check` and `rollback` ask the agent that runs; where there is none, this process
takes its place for a moment. Going back needs no network. `restore-floor` needs the agent to be stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.errors import OtaError, OtaRefusal
from contracts.updates import UpdateKind, UpdateStatus
from edge_runtime.cli.ota_agent import RunningAgent
from edge_runtime.config import RobotConfig, load_config
from edge_runtime.installed import Installed
from edge_runtime.ota.agent import Agent
from edge_runtime.ota.blobs import BlobStore
from edge_runtime.ota.desk import Desk
from edge_runtime.ota.diary import Diary, Entry
from edge_runtime.ota.floor import Floor
from edge_runtime.ota.floor_recovery import lost_floors, restore
from edge_runtime.ota.hands import EndableClock, Engine, Hands, never
from edge_runtime.ota.journal import Journal, JournalFile, State
from edge_runtime.ota.keeper import DONE
from edge_runtime.ota.orders import Orders
from edge_runtime.ota.patient import PatientTransport
from edge_runtime.ota.runner import Runner
from edge_runtime.ota.scrub_state import read_state, words_of
from edge_runtime.ota.settings import AgentSettings, settings_of
from edge_runtime.ota.shared import Shared
from edge_runtime.ota.transport import HttpTransport
from edge_runtime.slots import SHIPPED, Slot, SlotFile, boot

_LOCAL = Path(".run")
_SERVICE = Path("/run/edge-runtime")


def ota(options: argparse.Namespace, console: Console) -> int:
    """Do what `options.action` says; the exit code.

    Raises:
        ConfigError: `[ota]` is missing or wrong.
        OtaError: what was asked is refused.
    """
    config = load_config(options.config)
    settings = settings_of(config)
    run_dir: Path = options.run_dir or (_LOCAL if _LOCAL.is_dir() else _SERVICE)
    if options.action == "history":
        return _history(settings, console)
    if options.action == "restore-floor":
        return _restore_floor(config, settings, console, accept=options.accept)
    with RunningAgent(run_dir) as agent:
        status = agent.find()
        if options.action == "status":
            return _status(settings, agent, console)
        if status is not None:
            words = agent.ask(UpdateKind(options.action), getattr(options, "reason", ""))
        elif options.action == "check":
            words = _check(config, settings)
        else:
            words = _roll_back(config, settings, run_dir, options.reason)
    console.print(_result(options.action, words), markup=False, highlight=False, soft_wrap=True)
    return 0


def _result(action: str, words: str) -> str:
    """What to print.

    Raises:
        OtaError: `words` are a refusal.
    """
    name, _, detail = words.partition(": ")
    if name in set(map(str, OtaRefusal)):
        raise OtaError(OtaRefusal(name), detail)
    return "rolled back" if (action, words) == ("rollback", DONE) else words


def _status(settings: AgentSettings, agent: RunningAgent, console: Console) -> int:
    slot_file = SlotFile(settings.root / "slots")
    slots = slot_file.read()
    journal = JournalFile(settings.root / "journal").read() or Journal()
    runs = boot(slot_file, BlobStore(settings.root).folder, settings.shipped)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("robot", f"{settings.trust.robot_id}, {settings.trust.hardware}")
    if agent.engine is not None:
        table.add_row("acts", agent.engine.serving)
        table.add_row("warm beside it", agent.engine.standby or "none")
        if agent.engine.failed:
            table.add_row("cannot be loaded", Text(f"{agent.engine.failed}: {agent.engine.problem}"))
    table.add_row("committed", _named(slots.committed))
    table.add_row("previous", "none" if slots.previous is None else _named(slots.previous))
    table.add_row("staged", "none" if slots.staged is None else _named(slots.staged))
    table.add_row("update", f"{journal.state} {journal.update.release}".strip())
    _add_progress(table, agent.status)
    if journal.reason:
        table.add_row("because", Text(journal.reason))
    if journal.refused.release:
        table.add_row("refused here", f"{journal.refused.release} under counter {journal.refused.release_counter}")
    table.add_row("counters below", _floor_words(settings))
    for line in words_of(read_state(settings.store)):
        table.add_row("altered on disk", line)
    for fault in runs.passed_over:
        table.add_row("passed over", Text(fault))
    newest = Diary(settings.store).entries()[-1:]
    table.add_row("last entry", Text(_line(newest[0]) if newest else "the agent has not said anything yet"))
    console.print(table)
    return 0


def _floor_words(settings: AgentSettings) -> str:
    try:
        floor = Floor(settings.floor, SlotFile(settings.root / "slots")).release()
    except OtaError as error:
        return f"are not known: {error.detail}; edge-runtime ota restore-floor says more"
    return f"{floor.release_counter} are never installed again"


def _add_progress(table: Table, status: UpdateStatus | None) -> None:
    table.add_row("agent", "is not heard" if status is None else f"runs as process {status.pid}")
    if status is not None and status.bytes_total:
        share = status.bytes_done / status.bytes_total
        table.add_row("download", f"{status.bytes_done / 1e6:.1f} of {status.bytes_total / 1e6:.1f} MB, {share:.0%}")
    if status is not None and status.trial:
        table.add_row("trial", Text(status.trial))


class _NoEngine:
    """Nothing of the robot runs: the next engine begins with what the pointer says."""

    def serve(self, bundle: str, standby: str) -> None:
        raise OtaError(OtaRefusal.ENGINE_ABSENT, f"nothing of this robot runs that could run {bundle} or {standby}")

    def return_to(self, bundle: str) -> None:
        pass


@contextlib.contextmanager
def _in_its_place(config: RobotConfig, settings: AgentSettings, engine: Engine) -> Iterator[tuple[Agent, Runner]]:
    """The agent's parts, in this process; nothing that takes long is gone on with.

    Raises:
        OtaError: BUSY: an agent runs, and is not on this bus.
    """
    clock, floor, shared = EndableClock(never), Floor(settings.floor, SlotFile(settings.root / "slots")), Shared()
    shipped = Installed.of(config)
    with HttpTransport(settings.network, clock) as transport:
        hands = Hands(settings, transport, clock, engine, lambda: shipped.shipped_digest, should_end=lambda: True)
        with Runner(settings.root, settings.shipped, floor, hands) as runner:
            patient = PatientTransport(transport, clock)
            yield Agent(settings, runner, hands, patient, floor, Diary(settings.store), shared), runner


def _check(config: RobotConfig, settings: AgentSettings) -> str:
    with _in_its_place(config, settings, _NoEngine()) as (agent, _):
        return agent.consult(time.time())


def _roll_back(config: RobotConfig, settings: AgentSettings, run_dir: Path, reason: str) -> str:
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(Desk(run_dir, Orders())) if run_dir.is_dir() else _NoEngine()
        agent, runner = stack.enter_context(_in_its_place(config, settings, engine))
        runner.recover()
        runner.roll_back()
        agent.note(time.time(), str(OtaRefusal.ROLLBACK_ASKED), reason or "asked for by hand")
        if runner.journal.state is State.ROLLING_BACK:
            return "the pointer is back; the engine did not follow: restart it"
        return DONE


def _restore_floor(config: RobotConfig, settings: AgentSettings, console: Console, *, accept: bool) -> int:
    slots = SlotFile(settings.root / "slots")
    floor = Floor(settings.floor, slots)
    with _in_its_place(config, settings, _NoEngine()) as (agent, runner):
        lost = lost_floors(floor, settings.trust.folder, runner.store, slots)
        lines = [f"the floor of {found.name}: {found.words}" for found in lost]
        if not lost:
            console.print("no floor of this robot is lost")
        elif accept:
            for found in lost:
                restore(floor, found)
            agent.note(time.time(), str(OtaRefusal.TORN_STATE), f"restored by hand: {'; '.join(lines)}")
            console.print("\n".join(["restored:", *lines]), markup=False, highlight=False, soft_wrap=True)
        else:
            text = [
                "lost, so that this robot installs nothing; what is left to go by:",
                *lines,
                "Older releases than it had may be taken once if its disk lost its newest writes; what runs stays.",
                "Nothing is changed. If that is right: edge-runtime ota restore-floor --accept",
            ]
            console.print("\n".join(text), markup=False, highlight=False, soft_wrap=True)
            return 1
    return 0


def _history(settings: AgentSettings, console: Console) -> int:
    for entry in Diary(settings.store).entries():
        console.print(_line(entry), markup=False, highlight=False, soft_wrap=True)
    return 0


def _named(slot: Slot) -> str:
    if slot.bundle == SHIPPED:
        return "the bundle that came with the software"
    return f"{slot.bundle} under counter {slot.release_counter}"


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_s).astimezone().isoformat(" ", "seconds")
    release = f" {entry.release} ({entry.release_counter})" if entry.release else ""
    refusal = f" {entry.refusal}:" if entry.refusal else ""
    return f"{at}  {entry.state}{release}{refusal} {entry.detail}".rstrip()
