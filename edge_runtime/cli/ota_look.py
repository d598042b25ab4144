"""What a person sees of this robot's updates: how they stand, and what was done. Reads only, beside a running agent."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, boot
from edge_runtime.cli.ota_agent import RunningAgent
from edge_runtime.cli.updates import WAITS
from edge_runtime.contracts.errors import OtaError
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.updates import UpdateStatus, WaitsFor
from edge_runtime.ota.agent.history import Entry, History
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile
from edge_runtime.ota.store.scrub_state import read_state, words_of
from edge_runtime.ota.transfer.blobs import BlobStore
from edge_runtime.ota.trust.rollback_protection import Floor


def status(settings: AgentSettings, agent: RunningAgent, console: Console) -> int:
    """How updates stand, and what was wrong with what is on the disk."""
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


def history(settings: AgentSettings, console: Console) -> int:
    """The history, oldest entry first."""
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
