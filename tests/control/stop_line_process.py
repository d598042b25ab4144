"""A moving robot whose stop line opens, or stops to answer; prints what became of it as JSON.

LD_PRELOAD=gpio_double.so python -m tests.control.stop_line_process FILE LEVEL
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.safety import Reason, State
from tests.control.control_process import wave
from tests.control.stepped import SteppedLoop


def look(loop: ControlLoop) -> tuple[str, list[str]]:
    counters = loop.counters()
    return counters.state.name, [reason.name for reason in Reason if reason.name and reason & counters.faults]


def main() -> None:
    """Move, change the line to LEVEL for one tick, and go on with a closed one."""
    path, level = Path(sys.argv[1]), sys.argv[2]
    path.write_text("c")
    with path.open("rb") as file, SteppedLoop(stop_line=file) as stepped:
        stepped.arm()
        stepped.tick(2)
        stepped.loop.set_plan(wave(1, stepped.now_ns, 5.0))
        stepped.tick(300)
        story = {"closed": look(stepped.loop)}
        path.write_text(level)
        stepped.tick()
        story["opened"] = look(stepped.loop)
        path.write_text("c")
        stepped.tick(2000)
        story["closed again"] = look(stepped.loop)
        story["opened_count"] = stepped.loop.counters().stop_line_opened
        story["reset"] = stepped.loop.reset().name
        stepped.tick(50)
        story["after reset"] = look(stepped.loop)
        assert stepped.loop.counters().state is not State.ACTIVE
    print(json.dumps(story))


if __name__ == "__main__":
    main()
