"""`edge-runtime ota`: what runs here, what is on its way, and what was refused and why.

`status` and `history` only read. `check` and `rollback` ask the agent that runs; where there is none, this process
takes its place for a moment. Going back needs no network, and nothing to be loaded that asking an agent does not need:
who wants to go back is in a hurry. `restore-floor` needs the agent to be stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from edge_runtime.cli.ota_agent import RunningAgent
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import OperatorError, OtaError
from edge_runtime.contracts.text import printable
from edge_runtime.contracts.updates import UpdateAnswer, UpdateKind, UpdateResult


def ota(options: argparse.Namespace, console: Console) -> int:
    """Do what `options.action` says; the exit code.

    Raises:
        ConfigError: `[ota]` is missing or wrong.
        OtaError: what was asked is refused.
    """
    config = load_config(options.config)
    run_dir: Path = options.run_dir
    with RunningAgent(run_dir) as agent:
        if options.action in ("check", "rollback") and config.ota is not None and agent.find() is not None:
            answer = agent.ask(UpdateKind(options.action), getattr(options, "reason", ""))
            return _say(_words(answer, agent.status.running if agent.status is not None else ""), console)
        from edge_runtime.cli import ota_alone, ota_look
        from edge_runtime.ota.agent.settings import settings_of

        settings = settings_of(config)
        if options.action == "status":
            agent.find(with_engine=True)
            return ota_look.status(settings, agent, console)
    if options.action == "history":
        return ota_look.history(settings, console)
    if options.action == "restore-floor":
        return ota_alone.restore_floor(config, settings, console, accept=options.accept)
    if options.action == "check":
        return _say(ota_alone.check(config, settings), console)
    return _say(ota_alone.roll_back(config, settings, run_dir, options.reason), console)


def _words(answer: UpdateAnswer, running: str) -> str:
    """What the agent that runs made of a request.

    Raises:
        OtaError: it was refused, by name.
        OperatorError: it was refused otherwise.
    """
    if answer.refusal is not None:
        raise OtaError(answer.refusal, answer.detail)
    if answer.result is UpdateResult.REFUSED:
        raise OperatorError("ota", answer.kind.value, answer.detail, answered=True)
    if answer.result is UpdateResult.UNDER_WAY:
        return f"under way: {answer.detail}"
    # Going back twice leads forward again: who asks has to see where it led.
    return f"rolled back to {running}" if answer.kind is UpdateKind.ROLLBACK else answer.detail


def _say(words: str, console: Console) -> int:
    console.print(printable(words, None), markup=False, highlight=False, soft_wrap=True)
    return 0
