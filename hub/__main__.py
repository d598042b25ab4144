"""The `edge-hub` command, also as `python -m hub`; what it needs is imported where a missing package is explained."""

from __future__ import annotations

import sys

from contracts.command_line import exit_code


def main() -> int:
    """Entry point of `edge-hub`; its exit code."""
    return exit_code("edge-hub", _run, ("hub",))


def _run() -> int:
    from hub.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
