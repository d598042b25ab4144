"""What `--json` gives of a robot that runs, once from `operator status` and again and again from `monitor`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_runtime.client.status import Status, Watcher
from edge_runtime.client.status_lines import next_step


class RobotReport(msgspec.Struct, frozen=True, kw_only=True):
    """A robot at one moment.

    Attributes:
        run_dir: where it runs.
        status: everything that it says of itself; null for what is not known yet.
        next_step: what a person can do, empty where nothing has to be done.
        safety_digest: of the limits that control holds, empty before it is known.
        recording: the newest file of the black box, empty for none.
    """

    run_dir: str
    status: Status
    next_step: str
    safety_digest: str
    recording: str


def robot_report(watcher: Watcher, run_dir: Path) -> RobotReport:
    """What has been heard."""
    status, said = watcher.status(), watcher.report
    return RobotReport(
        run_dir=str(run_dir),
        status=status,
        next_step=next_step(status, run_dir),
        safety_digest="" if said is None else said.safety_digest,
        recording="" if said is None else said.recording,
    )
