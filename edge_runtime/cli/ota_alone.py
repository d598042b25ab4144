"""What a person asks of the update agent where none runs: this process takes its place for a moment."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from edge_runtime.bundles.slots import SlotFile
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.text import printable_lines
from edge_runtime.contracts.updates import MAX_WORDS_CHARS, UpdateAnswer, UpdateCommand, UpdateKind, UpdateResult
from edge_runtime.ota.agent.assembly import Keeper, installer, keeper
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.lifecycle.changeover import NO_ENGINE, Changeover
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy
from edge_runtime.ota.lifecycle.journal import JournalFile
from edge_runtime.ota.trust.rollback_protection_recovery import lost_floors, restore

_ON_ITS_WAY = (UpdateState.ACTIVATING, UpdateState.PROBATION, UpdateState.ROLLING_BACK)


def check(config: RobotConfig, settings: AgentSettings) -> str:
    """Ask the hub; what it wants, in words."""
    with installer(config, settings, _no_engine()) as parts:
        return parts.agent.consult(time.time())


def roll_back(config: RobotConfig, settings: AgentSettings, run_dir: Path, reason: str) -> str:
    """Go back; what came of it, in words. Nothing that takes long is gone on with.

    Raises:
        OtaError: BUSY: an agent runs, and is not on this bus; or as it answers.
    """
    was_on_its_way = _state_of(settings) in _ON_ITS_WAY
    with keeper(config, settings, run_dir if run_dir.is_dir() else None, should_end=lambda: True) as kept:
        runner, agent = kept.installer.runner, kept.installer.agent
        if was_on_its_way and runner.journal.state not in _ON_ITS_WAY:
            # Coming back has led back already, and going back twice would lead forward again.
            agent.note(time.time(), str(OtaRefusal.ROLLBACK_ASKED), reason or "asked for by hand")
        else:
            answer = _ask(kept, reason)
            if answer.refusal is not None:
                raise OtaError(answer.refusal, answer.detail)
            if answer.result is UpdateResult.UNDER_WAY:
                return f"{answer.detail}: restart it"
        return f"rolled back to {kept.installer.installed.digest_of(runner.slots.active)}"


def _ask(kept: Keeper, reason: str) -> UpdateAnswer:
    """What a keeper answers to a person who wants to go back. Each part of that has a limit of its own."""
    now_ns = time.monotonic_ns()
    reason = reason[:MAX_WORDS_CHARS]
    command = UpdateCommand(id=now_ns, kind=UpdateKind.ROLLBACK, stamp_ns=now_ns, reason=reason)
    kept.activation.take(command, now_ns)
    while (answer := kept.requests.answer_to(command)) is None:
        kept.turn()
    return answer


def _no_engine() -> Changeover:
    """For what gives no order."""
    return Changeover(DesiredPolicy(), time.monotonic_ns, NO_ENGINE)


def _state_of(settings: AgentSettings) -> UpdateState:
    """What the agent was doing; a journal that is torn leads back."""
    try:
        journal = JournalFile(settings.root / "journal").read()
    except OtaError:
        return UpdateState.ROLLING_BACK
    return UpdateState.IDLE if journal is None else journal.state


def restore_floor(config: RobotConfig, settings: AgentSettings, console: Console, *, accept: bool) -> int:
    """Say what is left to go by where a floor is lost, and with `accept` go by it; the exit code."""
    with installer(config, settings, _no_engine()) as parts:
        floor, store = parts.floor, parts.runner.store
        lost = lost_floors(floor, settings.trust.folder, store, SlotFile(settings.root / "slots"))
        lines = [f"the floor of {found.name}: {found.words}" for found in lost]
        if not lost:
            console.print("no floor of this robot is lost")
        elif accept:
            for found in lost:
                restore(floor, found)
            parts.agent.note(time.time(), str(OtaRefusal.TORN_STATE), f"restored by hand: {'; '.join(lines)}")
            console.print(
                printable_lines("\n".join(["restored:", *lines])), markup=False, highlight=False, soft_wrap=True
            )
        else:
            text = [
                "lost, so that this robot installs nothing; what is left to go by:",
                *lines,
                "Older releases than it had may be taken once if its disk lost its newest writes; what runs stays.",
                "Nothing is changed. If that is right: edge-runtime ota restore-floor --accept",
            ]
            console.print(printable_lines("\n".join(text)), markup=False, highlight=False, soft_wrap=True)
            return 1
    return 0
