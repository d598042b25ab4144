"""`edge-hub keys setup`: a hub from drafts that people signed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.errors import HubError, HubRefusal
from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.sign import read_draft
from hub.cli.subcommand import add_hub
from hub.hub import Hub
from hub.lock import writing

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(steps: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        steps,
        "setup",
        _run,
        summary="publish the first roots; the hub's online keys lie in HUB/keys",
        description="Makes HUB/keys a hub: publishes its first roots and the delegation to exporter and approver, once "
        "enough people signed them. HUB/robot then holds the two roots that new robots are delivered with.",
        examples="edge-hub keys setup hub --image-root image.root.json --targets targets.json "
        "--director-root director.root.json",
    )
    add_hub(parser)
    for name, text in (
        ("image-root", "first root of the image repository, signed by enough of its root keys"),
        ("targets", "who releases, as `keys delegate` wrote it, signed by enough targets keys"),
        ("director-root", "first root of the director, signed by enough of its root keys"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DRAFT", help=text)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = Hub(arguments.hub)
    if not hub.folder.is_dir():
        problem = "is not there: `edge-hub keys create HUB/keys snapshot` and its like make it"
        raise HubError(HubRefusal.NO_HUB, str(hub.folder), problem)
    with writing(hub.folder, arguments.who):
        image_root, director_root = read_draft(arguments.image_root), read_draft(arguments.director_root)
        hub.set_up(image_root, read_draft(arguments.targets), director_root, now_s)
    say(f"hub ready in {hub.folder}; robots are delivered with {hub.folder / 'robot'}/*.root.json")
