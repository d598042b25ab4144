"""`edge-runtime page`: serves it in this terminal, or makes its token."""

from __future__ import annotations

import argparse

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.subcommand import say
from edge_runtime.page.serving import address_of, serve
from edge_runtime.page.tokens import make_token, token_path
from edge_runtime.service import StopSignal


def page(options: argparse.Namespace) -> int:
    """Serve until a signal, or print a new token; the exit code."""
    if options.action == "token":
        return _token(options)
    config = load_config(options.config)
    stop = StopSignal()

    def tell(url: str) -> None:
        say(f"the page of {config.robot.name} is at {url}; Ctrl-C ends it")

    serve(config, options.run_dir, options, lambda: bool(stop), tell)
    return 0


def _token(options: argparse.Namespace) -> int:
    path = options.token_file or token_path(options.run_dir)
    token = make_token(path)
    link = f"{address_of(options.listen, options.port)}#token={token}"
    say(
        f"token: {token}\n"
        f"open once in a browser, which remembers it: {link}\n"
        f"It is shown here alone; {path} holds its hash. The token from before is not valid any more.\n"
        "A page that is open has to be loaded again where there was no token before."
    )
    return 0
