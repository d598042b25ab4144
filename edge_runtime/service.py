"""What every process of the table does the same way: its arguments, its heartbeat, its end.

SIGTERM and SIGINT ask a process to finish its turn; errors that a person can mend end it with one line, no traceback.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.contracts.command_line import explained
from edge_runtime.contracts.errors import ConfigError, EdgeError
from edge_runtime.contracts.messages import Heartbeat
from edge_runtime.contracts.text import printable_lines
from edge_runtime.ipc.bus import Refusals

HEARTBEAT_INTERVAL_NS = 100_000_000


@dataclass(frozen=True)
class Arguments:
    """Arguments that every process of the table takes."""

    config: RobotConfig
    run_dir: Path
    lockstep: bool
    hold: bool = False
    """Control alone: no policy is to be followed, the robot only holds."""
    options: argparse.Namespace = field(default_factory=argparse.Namespace)
    """The whole command line, for a process that takes more than all take."""


class StopSignal:
    """Turns SIGTERM and SIGINT into a flag that a loop looks at."""

    def __init__(self) -> None:
        self._stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopped = True

    def __bool__(self) -> bool:
        return self._stopped


class Beats:
    """Makes the heartbeats of one process, ten a second."""

    def __init__(self, process: str, refusals: Refusals) -> None:
        self._process = process
        self._refusals = refusals
        self._sequence = 0
        self._due_ns = 0

    def due(self, now_ns: int) -> bool:
        """Whether it is time for the next one; on wall-independent monotonic time, also in lockstep."""
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + HEARTBEAT_INTERVAL_NS
        return True

    def next(
        self, stamp_ns: int, counters: Mapping[str, int], gauges: Mapping[str, float], note: str = ""
    ) -> Heartbeat:
        """The next heartbeat."""
        self._sequence += 1
        return Heartbeat(
            process=self._process,
            pid=os.getpid(),
            stamp_ns=stamp_ns,
            sequence=self._sequence,
            counters=dict(counters),
            refusals=self._refusals.as_dict(),
            gauges=dict(gauges),
            note=note,
        )


def argument_parser(description: str, *, holds: bool = False) -> argparse.ArgumentParser:
    """The command line that every process of the table has; `--hold` too for the one that `holds`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="robot.toml of this robot")
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the run's sockets")
    parser.add_argument("--lockstep", action="store_true", help="virtual time, moved by the simulated plant")
    if holds:
        parser.add_argument("--hold", action="store_true", help="follow no policy: hold the posture that is measured")
    return parser


def run_service(
    description: str,
    body: Callable[[Arguments, StopSignal], None],
    *,
    holds: bool = False,
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Parse the command line, load the configuration, run `body` until it returns.

    `more` adds what this process takes beside what all take.

    Exits with 2 for a wrong setting, with 1 for any other error of the tree and with 70 for a bug, each with one line
    on stderr.
    """
    parser = argument_parser(description, holds=holds)
    if more is not None:
        more(parser)
    options = parser.parse_args()
    try:
        config = load_config(options.config)
        # What the imports made is there to stay; a collection that looks at all of it takes milliseconds.
        gc.collect()
        gc.freeze()
        arguments = Arguments(config, options.run_dir, options.lockstep, holds and options.hold, options)
        body(arguments, StopSignal())
    except ConfigError as error:
        print(f"error: {printable_lines(error)}", file=sys.stderr)
        sys.exit(2)
    except EdgeError as error:
        print(f"error: {type(error).__name__}: {printable_lines(error)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        line, code = explained("edge-runtime", error)
        print(f"error: {line}", file=sys.stderr)
        sys.exit(code)
