"""Where `edge-hub` starts: before anything is imported that takes its time."""

from typing import NoReturn

from edge_runtime.contracts.console import run_command


def main() -> NoReturn:
    """Entry point of the `edge-hub` script; exits with the codes of its help."""
    run_command("hub.cli", "edge-hub", ("hub",))
