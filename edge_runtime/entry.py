"""Where `edge-runtime` starts: before anything is imported that takes its time."""

from typing import NoReturn

from edge_runtime.contracts.console import run_command


def main() -> NoReturn:
    """Entry point of the `edge-runtime` script; exits with the codes of its help."""
    run_command("edge_runtime.cli", "edge-runtime")
