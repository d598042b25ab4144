"""Where `edge-hub` starts: before anything is imported that takes its time."""

from edge_runtime.contracts.first import end_by_ctrl_c


def main() -> None:
    """Entry point of the `edge-hub` script; exits with the codes of its help."""
    end_by_ctrl_c()
    from edge_runtime.contracts.console import run_command

    run_command("hub.cli", "edge-hub", ("hub",))
