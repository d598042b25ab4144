"""`edge-hub serve`: the hub over HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.contracts.subcommand import add_command, say
from hub.cli.subcommand import add_hub
from hub.services.unit_of_work import hub_in

if TYPE_CHECKING:
    from edge_runtime.contracts.subcommand import Subcommands

_HOST, _PORT = "127.0.0.1", 8300


def add(commands: Subcommands) -> None:
    """Add it to the command line."""
    parser = add_command(
        commands,
        "serve",
        _run,
        summary="files, reports and the operator's side over HTTP",
        description="Serves what is published, takes robots' signed reports, and lets whoever has the token in "
        "HUB/operator_token publish and assign. Signs anew every hour. Goes on until Ctrl-C; one process serves a hub.",
        examples="edge-hub serve hub\nedge-hub serve hub --host 0.0.0.0 --tls-certificate hub.pem --tls-key hub.key",
    )
    add_hub(parser)
    parser.add_argument("--host", default=_HOST, help=f"address to listen at (default {_HOST}: this machine alone)")
    parser.add_argument("--port", type=_port, default=_PORT, help=f"0: any that is free (default {_PORT})")
    parser.add_argument("--tls-certificate", type=Path, metavar="PEM", help="without, put a proxy with TLS in front")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's secret key")


def _port(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 5 and int(text) <= 65_535):
        raise argparse.ArgumentTypeError("must lie between 0 and 65535")
    return int(text)


def _run(arguments: argparse.Namespace, now_s: float) -> None:
    # Only here: a web server takes longer to load than any other command to run.
    from hub.api.server import ServeSettings, serve

    del now_s
    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        tls_certificate=arguments.tls_certificate,
        tls_key=arguments.tls_key,
    )
    serve(hub_in(arguments.hub), settings, say)
