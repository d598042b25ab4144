"""`edge-runtime ota`: what runs here, what is on its way, and what was refused and why.

`status` and `history` only read, beside a running agent. `check` takes the agent's place for a moment.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.config import load_config
from edge_runtime.ota.agent import Agent, EndableClock, Hands, never
from edge_runtime.ota.blobs import BlobStore
from edge_runtime.ota.diary import Diary, Entry
from edge_runtime.ota.floor import Floor
from edge_runtime.ota.journal import Journal, JournalFile
from edge_runtime.ota.patient import PatientTransport
from edge_runtime.ota.runner import Runner
from edge_runtime.ota.settings import AgentSettings, settings_of
from edge_runtime.ota.transport import HttpTransport
from edge_runtime.slots import SHIPPED, Slot, SlotFile, boot


def ota(options: argparse.Namespace, console: Console) -> int:
    """Do what `options.action` says; the exit code.

    Raises:
        ConfigError: `[ota]` is missing or wrong.
        OtaError: what was asked is refused.
    """
    settings = settings_of(load_config(options.config))
    actions = {"status": _status, "check": _check, "history": _history}
    return actions[options.action](settings, console)


def _status(settings: AgentSettings, console: Console) -> int:
    slot_file = SlotFile(settings.root / "slots")
    slots = slot_file.read()
    journal = JournalFile(settings.root / "journal").read() or Journal()
    runs = boot(slot_file, BlobStore(settings.root).folder, settings.shipped)
    floor = Floor(settings.floor).release()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("robot", f"{settings.trust.robot_id}, {settings.trust.hardware}")
    table.add_row("committed", _named(slots.committed))
    table.add_row("previous", "none" if slots.previous is None else _named(slots.previous))
    table.add_row("staged", "none" if slots.staged is None else _named(slots.staged))
    table.add_row("update", f"{journal.state} {journal.update.release}".strip())
    if journal.reason:
        table.add_row("because", Text(journal.reason))
    if journal.refused.release:
        table.add_row("refused here", f"{journal.refused.release} under counter {journal.refused.release_counter}")
    table.add_row("counters below", f"{floor.release_counter} are never installed again")
    for fault in runs.passed_over:
        table.add_row("passed over", Text(fault))
    newest = Diary(settings.store).entries()[-1:]
    table.add_row("agent", Text(_line(newest[0]) if newest else "has not said anything yet"))
    console.print(table)
    return 0


def _check(settings: AgentSettings, console: Console) -> int:
    clock, floor = EndableClock(never), Floor(settings.floor)
    with (
        HttpTransport(settings.network, clock) as transport,
        Runner(settings.root, settings.shipped, floor, Hands(settings, transport, clock)) as runner,
    ):
        agent = Agent(settings, runner, PatientTransport(transport, clock), floor)
        console.print(agent.consult(time.time()), markup=False, highlight=False)
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
