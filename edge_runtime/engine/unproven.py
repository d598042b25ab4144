"""An engine whose last bundle does not do here what it was trained to: it stays, serves nothing, and says why.

To end would be to be started again for ever, with the reason in a log that nobody reads.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from edge_runtime.bundles.installed import Installed
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.topics import HEARTBEAT_ENGINE, POLICY_STATUS
from edge_runtime.contracts.updates import MAX_WORDS_CHARS, PolicyStatus
from edge_runtime.ipc.bus import Publisher, Refusals
from edge_runtime.service import Beats

_INTERVAL_S = 1.0 / POLICY_STATUS.rate_hz


def say_why_nothing_serves(
    installed: Installed,
    problem: str,
    run_dir: Path,
    say: Callable[[PolicyStatus], None],
    stop: Callable[[], bool],
) -> None:
    """Say `problem` ten times a second until `stop`, or until the pointer was written to and may name another one."""
    logging.error("nothing serves: %s", problem)
    written, beats = installed.written(), Beats("engine", Refusals())
    with Publisher(HEARTBEAT_ENGINE, run_dir) as heartbeats:
        while not stop() and installed.written() == written:
            now_ns = time.monotonic_ns()
            say(
                PolicyStatus(
                    stamp_ns=now_ns,
                    pid=os.getpid(),
                    order_id=0,
                    serving="",
                    serving_since_ns=0,
                    failed=installed.shipped_digest,
                    problem=problem[:MAX_WORDS_CHARS],
                    proof=ProofVerdict.DIFFERS,
                    proof_detail=problem[:MAX_WORDS_CHARS],
                )
            )
            heartbeats.send(beats.next(now_ns, {"instruction_id": 0}, {}))
            time.sleep(_INTERVAL_S)
