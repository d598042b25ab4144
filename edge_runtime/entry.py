"""Where `edge-runtime` starts: before anything is imported that takes its time."""

from edge_runtime.contracts.first import end_by_ctrl_c


def main() -> None:
    """Entry point of the `edge-runtime` script; exits with the codes of its help."""
    end_by_ctrl_c()
    from edge_runtime.contracts.console import run_command

    run_command("edge_runtime.cli", "edge-runtime")
