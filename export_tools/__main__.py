"""The `edge-export` command, also as `python -m export_tools`."""

from __future__ import annotations

import sys

from contracts.command_line import exit_code


def main() -> int:
    """Entry point of `edge-export`; its exit code."""
    return exit_code("edge-export", _run, ("export",))


def _run() -> int:
    from export_tools.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
