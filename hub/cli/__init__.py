"""The `edge-hub` command. Each subcommand is a module of its own, which explains itself and calls a service."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from edge_runtime.contracts.command_line import explained
from edge_runtime.contracts.completion import add_completion
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.subcommand import command
from edge_runtime.contracts.text import printable
from hub.cli import approve, assign, init, keys, publish, refresh, repair, robots, serve, show, status
from hub.storage import storage_refusal

_MOST_CHARACTERS = 2000
_EXAMPLES = """\
two people release, the director only chooses among releases:
  edge-export pack BUNDLE -o packed                     the exporter makes packs and a release manifest
  edge-export sign packed/bundles/NAME/DIGEST.json \\
      --key exporter.key --hardware sim_arm \\
      --metadata HUB/image/metadata --out draft.json    and signs it
  edge-hub approve draft.json --key approver.key        the approver looks at it and signs too
  edge-hub publish HUB draft.json packed                the hub takes what both signed
  edge-hub assign HUB bundles/NAME/DIGEST.json \\
      --robot arm-1 --hardware sim_arm                  and assigns it to robots
  edge-hub serve HUB                                    serves all of it, and takes the robots' reports
  edge-hub robots enrol HUB arm-1 arm-1.pub             whose reports it takes
  edge-hub status HUB                                   what robots run, by their own signed reports
  edge-hub refresh HUB                                  every hour where `serve` does not run: it expires
  edge-hub repair HUB                                   makes damaged metadata anew

to try it out:      edge-hub init HUB                   development keys, all in one step
for real robots:    edge-hub keys --help                and docs/guides/keys.md, the ceremony
to go back:         sign the old release again (a new counter, no bytes move), approve, publish, assign

Each command has a help of its own: edge-hub assign --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `edge-hub`; returns the exit code."""
    parser = build_parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help()
        return 0
    arguments = parser.parse_args(given)
    try:
        arguments.run(arguments, time.time())
    except BrokenPipeError:
        # Whoever read the output has left; that is no refusal.
        raise
    except (EdgeError, OSError, DBAPIError) as error:
        words, code = explained(parser.prog, storage_refusal(error) or error, ("hub",))
        # Names from elsewhere may hold lines of their own: a refusal is one line.
        print(f"error: {printable(words, _MOST_CHARACTERS)}", file=sys.stderr)
        return code
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser, commands = command(
        "edge-hub",
        description="Signs, publishes and assigns what robots may install. Everything it publishes is static files.",
        epilog=f"{_EXAMPLES}\n{EXIT_CODES}",
    )
    for subcommand in (init, show, approve, publish, assign, refresh, repair, serve, robots, status, keys):
        subcommand.add(commands)
    add_completion(parser, commands)
    return parser
