"""`edge-hub refresh`: what the hub signs by itself is signed anew, before it expires."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, add_json, say, say_json
from hub.cli.subcommand import add_hub, changing, in_days, warn_of_development_keys
from hub.services import signing
from hub.trouble import robots_in_words, troubled

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "refresh",
        _run,
        summary="sign anew what is signed online; says what people have to sign soon",
        description="Signs anew what the hub signs by itself and what would expire within days, and says a month ahead "
        "what people have to sign. `serve` does the same every hour; without it, have a timer do it every hour.",
        examples="edge-hub refresh hub\nedge-hub refresh hub --json",
    )
    add_hub(parser)
    add_json(parser)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    with changing(arguments, now_s) as work:
        signed = signing.sign_anew(work)
    if arguments.json:
        say_json(signed)
    else:
        image = "image repository, " if signed.image_repository else ""
        say(f"signed anew: {image}{robots_in_words(signed.robots)}")
        for soon in signed.soon:
            words = f"{soon.what} {in_days(soon.expires_in_days)} and has to be signed by people"
            say(f"{words}: see docs/guides/keys.md")
    warn_of_development_keys(work.hub)
    if signed.troubles:
        raise troubled("not signed anew", signed.troubles)
