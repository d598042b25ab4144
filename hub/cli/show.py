"""`edge-hub show`: who may sign, what is released, which robots are to run it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json
from edge_runtime.contracts.text import printable
from hub.cli.releases import list_releases
from hub.cli.subcommand import add_hub, in_days, warn_of_development_keys
from hub.services.inventory import Inventory, inventory
from hub.services.unit_of_work import hub_in
from hub.trouble import troubled

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "show",
        _run,
        summary="who may sign, what is released, who runs what",
        description="Shows whose keys may sign what and until when, every release with its counters, and what each "
        "robot is assigned. What is damaged is named at the end, and then the exit code is 1.",
        examples="edge-hub show hub\nedge-hub show hub --json",
    )
    add_hub(parser)
    add_json(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    hub = hub_in(arguments.hub)
    held = inventory(hub, now_s)
    if arguments.json:
        say_json(held)
    else:
        _say(held)
    warn_of_development_keys(hub)
    if held.troubles:
        raise troubled("damaged", held.troubles)


def _say(held: Inventory) -> None:
    for root in held.roots:
        say(f"{root.repository} root, version {root.version}, {in_days(root.expires_in_days)}")
        for role, signers in root.roles.items():
            say(f"  {role:10} {signers.threshold} of {len(signers.key_ids)}: {', '.join(signers.key_ids)}")
    if held.delegation is not None:
        say(f"delegation to releases, {in_days(held.delegation.expires_in_days)}")
        key_ids = held.delegation.signers.key_ids
        say(f"  {'releases':10} all of {len(key_ids)}: {', '.join(key_ids)}")
    if held.releases is not None:
        say(f"releases, version {held.releases.version}, {in_days(held.releases.expires_in_days)}")
        list_releases((release.path, release.terms, release.length_bytes) for release in held.releases.listed)
    for assigned in held.assignments:
        say(f"robot {assigned.terms.robot_id}: counter {assigned.terms.release_counter}, {printable(assigned.path)}")
