"""What a person asks of the update agent where none runs: this process takes its place for a moment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import SlotFile
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.text import printable_lines
from edge_runtime.ota.agent.agent import Agent
from edge_runtime.ota.agent.agent_bus import AgentBus
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.agent.settings import AgentSettings
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy
from edge_runtime.ota.lifecycle.effects import Effects, EndableClock, Engine
from edge_runtime.ota.lifecycle.journal import JournalFile
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.retrying_transport import RetryingTransport
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.rollback_protection_recovery import lost_floors, restore


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
        effects = Effects(settings, transport, clock, engine, lambda: shipped.shipped_digest, should_end=lambda: True)
        with Runner(settings.root, settings.shipped, floor, effects) as runner:
            patient = RetryingTransport(transport, clock)
            yield Agent(settings, runner, effects, patient, floor, History(settings.store), shared), runner


def check(config: RobotConfig, settings: AgentSettings) -> str:
    """Ask the hub; what it wants, in words."""
    with _in_its_place(config, settings, _NoEngine()) as (agent, _):
        return agent.consult(time.time())


def roll_back(config: RobotConfig, settings: AgentSettings, run_dir: Path, reason: str) -> str:
    """Go back; what came of it, in words."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(AgentBus(run_dir, DesiredPolicy())) if run_dir.is_dir() else _NoEngine()
        agent, runner = stack.enter_context(_in_its_place(config, settings, engine))
        was_on_its_way = _state_of(settings) in (
            UpdateState.ACTIVATING,
            UpdateState.PROBATION,
            UpdateState.ROLLING_BACK,
        )
        runner.recover()
        if runner.journal.state is UpdateState.PROBATION or not was_on_its_way:
            runner.roll_back()
        agent.note(time.time(), str(OtaRefusal.ROLLBACK_ASKED), reason or "asked for by hand")
        if runner.journal.state is UpdateState.ROLLING_BACK:
            return "the pointer is back; the engine did not follow: restart it"
        return f"rolled back to {Installed.of(config).digest_of(runner.slots.active)}"


def _state_of(settings: AgentSettings) -> UpdateState:
    """What the agent was doing; a journal that is torn leads back."""
    try:
        journal = JournalFile(settings.root / "journal").read()
    except OtaError:
        return UpdateState.ROLLING_BACK
    return UpdateState.IDLE if journal is None else journal.state


def restore_floor(config: RobotConfig, settings: AgentSettings, console: Console, *, accept: bool) -> int:
    """Say what is left to go by where a floor is lost, and with `accept` go by it; the exit code."""
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
