"""`edge-hub init`: a hub to try things out with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.storage.durable import make_folder
from hub.cli.subcommand import add_hub
from hub.hub import DEVELOPMENT_WARNING, make_development_hub
from hub.lock import writing

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "init",
        _run,
        summary="a hub with development keys, in one step",
        description="Makes a hub with every key that it needs, unencrypted, on this machine: to try things out, never "
        "for real robots. For those, `edge-hub keys --help` shows the ceremony.",
        examples="edge-hub init hub",
    )
    add_hub(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    make_folder(arguments.hub)
    with writing(arguments.hub, arguments.who):
        hub = make_development_hub(arguments.hub, now_s)
    say(DEVELOPMENT_WARNING)
    say(f"hub ready in {hub.folder}; robots are delivered with {hub.folder / 'robot'}/*.root.json")
    say(f"exporter's key: {hub.development_keys / 'exporter.key'}, approver's: {hub.development_keys / 'approver.key'}")
