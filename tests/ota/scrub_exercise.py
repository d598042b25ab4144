"""What a process does that may be killed while it heals: `main` with a folder and the hub's address."""

from __future__ import annotations

from pathlib import Path

from tests.ota.scrubbed_robot import NOW_S, ScrubbedRobot


def main(words: list[str]) -> int:
    """Read everything, heal what is altered."""
    folder, url = words
    ScrubbedRobot(Path(folder)).run(url, NOW_S)
    return 0
