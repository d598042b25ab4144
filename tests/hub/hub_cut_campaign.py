"""The long run of power cuts at the hub: ``make powercut``, or ``python -m tests.hub.hub_cut_campaign``.

Kills, `EIO` and `ENOSPC` at every system call with which `edge-hub` changes its folder. After each, robots that knew
the hub and new ones are told the same sound thing, the command works again, and the next release reaches them. Ends at
the first that does not hold.
"""

from __future__ import annotations

import sys
from collections import Counter

from rich.console import Console

from benchmarks.record import record
from tests.hub.hub_cuts import COMMANDS, DONE, STORAGE_REFUSED, Field
from tests.ota.power_cut import HOW_TO_GET_STRACE, have_strace, scratch_folder

KILLED = -9
FAULTS = {"signal=KILL": (KILLED,), "error=EIO": (DONE, STORAGE_REFUSED), "error=ENOSPC": (DONE, STORAGE_REFUSED)}


def main() -> int:
    """Cut, say how far it is, keep the numbers."""
    console = Console()
    if not have_strace():
        console.print(HOW_TO_GET_STRACE)
        return 1
    figures: Counter[str] = Counter()
    with scratch_folder() as folder:
        field = Field(folder)
        for phase in COMMANDS:
            points = field.points_of(phase)
            for fault, allowed in FAULTS.items():
                for point in points:
                    status = field.cut(phase, point, fault)
                    if status not in allowed:
                        raise SystemExit(f"{phase}, {fault} at {point}: exit status {status}")
                    figures["kills" if status == KILLED else "system_calls_that_failed"] += 1
            console.print(f"{phase:8} {len(points):4} system calls that change the disk: well after each fault")
        field.close()
    record("hub_power_cuts", dict(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
