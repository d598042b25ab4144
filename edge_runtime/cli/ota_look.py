"""What a person sees of this robot's updates: how they stand, and what was done. Reads only, beside a running agent."""

from __future__ import annotations

from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, Slots, boot
from edge_runtime.cli.ota_agent import RunningAgent
from edge_runtime.client.updates import WAITS
from edge_runtime.contracts.errors import OtaError
from edge_runtime.contracts.subcommand import say_json
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.updates import PolicyStatus, UpdateStatus, WaitsFor
from edge_runtime.ota.agent.history import Entry, History
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile
from edge_runtime.ota.store.scrub_state import read_state, words_of
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.trust.rollback_protection import Floor


class UpdatesReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a robot's updates stand, for programs; bundles are digests, or "shipped".

    Attributes:
        slots: bundles on the disk; `active` runs.
        journal: of the last update: how far it is, and why it waits, failed or went back.
        agent: what the update agent says, and `engine` what the engine does; null where it has sent no message.
        counter_min: releases below this counter are never installed again; null where that is not known, and
            `counter_problem` says why.
        altered: what is not as it was released, on the disk.
        passed_over: bundles that should run and can't.
        newest: the last entry of the history; null before there is one.
    """

    robot_id: str
    hardware: str
    slots: Slots
    journal: Journal
    agent: UpdateStatus | None
    engine: PolicyStatus | None
    counter_min: int | None
    counter_problem: str
    altered: tuple[str, ...]
    passed_over: tuple[str, ...]
    newest: Entry | None


class HistoryReport(msgspec.Struct, frozen=True):
    """The history for programs, oldest entry first."""

    entries: tuple[Entry, ...]


def _report(settings: AgentSettings, agent: RunningAgent) -> UpdatesReport:
    slot_file = SlotFile(settings.root / "slots")
    counter, problem = None, ""
    try:
        counter = Floor(settings.floor, slot_file).release().release_counter
    except OtaError as error:
        problem = str(error)
    entries = History(settings.store).entries()
    return UpdatesReport(
        robot_id=settings.trust.robot_id,
        hardware=settings.trust.hardware,
        slots=slot_file.read(),
        journal=JournalFile(settings.root / "journal").read() or Journal(),
        agent=agent.status,
        engine=agent.engine,
        counter_min=counter,
        counter_problem=problem,
        altered=tuple(words_of(read_state(settings.store))),
        passed_over=boot(slot_file, BlobStore(settings.root).folder, settings.shipped).passed_over,
        newest=entries[-1] if entries else None,
    )


def status(settings: AgentSettings, agent: RunningAgent, console: Console | None) -> int:
    """How updates stand, and what was wrong with what is on the disk; without a `console`, for programs."""
    if console is None:
        say_json(_report(settings, agent))
        return 0
    slot_file = SlotFile(settings.root / "slots")
    slots = slot_file.read()
    journal = JournalFile(settings.root / "journal").read() or Journal()
    runs = boot(slot_file, BlobStore(settings.root).folder, settings.shipped)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("robot", f"{settings.trust.robot_id}, {settings.trust.hardware}")
    if agent.engine is not None:
        table.add_row("acts", agent.engine.serving or f"nothing yet, {agent.engine.loading} is being loaded")
        table.add_row("warm beside it", agent.engine.standby or "none")
        if agent.engine.failed:
            table.add_row("cannot be loaded", Text(printable(f"{agent.engine.failed}: {agent.engine.problem}")))
    table.add_row("committed", _named(slots.committed))
    table.add_row("previous", "none" if slots.previous is None else _named(slots.previous))
    table.add_row("staged", "none" if slots.staged is None else _named(slots.staged))
    table.add_row("update", Text(printable(f"{journal.state} {journal.update.release}".strip())))
    _add_progress(table, agent.status)
    if journal.reason:
        table.add_row("because", Text(printable(journal.reason)))
    if agent.status is not None and agent.status.waits_for is not WaitsFor.NOTHING:
        table.add_row("now", Text(WAITS[agent.status.waits_for]))
    if journal.refused.release:
        refused = f"{journal.refused.release} under counter {journal.refused.release_counter}"
        table.add_row("refused here", Text(printable(refused)))
    table.add_row("counters below", Text(printable(_floor_words(settings))))
    for line in words_of(read_state(settings.store)):
        table.add_row("altered on disk", Text(printable(line)))
    for fault in runs.passed_over:
        table.add_row("passed over", Text(printable(fault)))
    newest = History(settings.store).entries()[-1:]
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
    table.add_row("agent", "not running, or silent" if status is None else f"runs as process {status.pid}")
    if status is not None and status.bytes_total:
        share = status.bytes_done / status.bytes_total
        table.add_row("download", f"{status.bytes_done / 1e6:.1f} of {status.bytes_total / 1e6:.1f} MB, {share:.0%}")
    if status is not None and status.trial:
        table.add_row("trial", Text(printable(status.trial)))


def history(settings: AgentSettings, console: Console | None) -> int:
    """The history, oldest entry first; without a `console`, for programs."""
    if console is None:
        say_json(HistoryReport(tuple(History(settings.store).entries())))
        return 0
    for entry in History(settings.store).entries():
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
    return printable(f"{at}  {entry.state}{release}{refusal} {entry.detail}".rstrip(), None)
