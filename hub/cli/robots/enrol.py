"""`edge-hub robots enrol` and `enrol-all`: the hub learns robots' keys."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.errors import SigningError
from edge_runtime.contracts.subcommand import add_command, say
from edge_runtime.releases.key_files import PUBLIC_SUFFIX, load_public
from hub.cli.subcommand import add_hub, changing
from hub.services import enrolment
from hub.trouble import robots_in_words

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add both to the command line."""
    one = add_command(
        commands,
        "enrol",
        _enrol,
        summary="take a robot's reports, or take its new key",
        description="From now on the hub takes reports of this robot that are signed with this key; a key that it had "
        "before counts no more. The secret half stays on the robot.",
        examples="edge-hub keys create keys arm-1\nedge-hub robots enrol hub arm-1 keys/arm-1.pub",
    )
    add_hub(one)
    one.add_argument("robot", metavar="ROBOT", help="its name, as in the robot's own [ota] settings")
    one.add_argument("key", type=Path, metavar="PUB", help="its public key, as `edge-hub keys create` makes it")
    several = add_command(
        commands,
        "enrol-all",
        _enrol_all,
        summary="the same for every NAME.pub in a folder: the robot NAME",
        description="Enrols the robot NAME for every NAME.pub in a folder: all of them, or none.",
        examples="edge-hub robots enrol-all hub keys",
    )
    add_hub(several)
    several.add_argument("keys", type=Path, metavar="FOLDER", help="where the public keys lie")


def _enrol(arguments: argparse.Namespace, now_s: float) -> None:
    key = load_public(arguments.key)
    with changing(arguments, now_s) as work:
        enrolment.enrol(work, {arguments.robot: key})
    say(f"{arguments.robot}: reports signed with {key.keyid} count from now on")


def _enrol_all(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        paths = sorted(arguments.keys.glob(f"*{PUBLIC_SUFFIX}"))
        if not paths:
            raise SigningError(str(arguments.keys), f"has no public keys, NAME{PUBLIC_SUFFIX}")
        enrolment.enrol(work, {path.name.removesuffix(PUBLIC_SUFFIX): load_public(path) for path in paths})
    say(f"{robots_in_words(len(paths))}: reports signed with their keys count from now on")
