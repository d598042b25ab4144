"""What a process does that may be killed while it heals: ``python -m tests.ota.scrub_exercise FOLDER URL``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.ota.scrubbed_robot import NOW_S, ScrubbedRobot


def main() -> int:
    """Read everything, heal what is altered."""
    ScrubbedRobot(Path(sys.argv[1])).run(sys.argv[2], NOW_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
