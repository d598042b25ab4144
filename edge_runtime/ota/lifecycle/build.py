"""Has the engines of a staged bundle built on this robot, in a process of its own, before anything runs them.

Guarantees engines that are whole in the cache, or a named refusal, within `limit_s`: a bundle that cannot be built
here, or whose build crashes or hangs, is BUILD_FAILED. Doing it again costs next to nothing. Refuses to know backends;
trusts the report of the child.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.contracts.engines import BuildReport
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.disk import refusal_of
from edge_runtime.ota.lifecycle.child import PAUSE_MAX_S, Asked, never, run_child

LIMIT_S = 3600.0
"""TensorRT tries its tactics for minutes, at idle priority beside others for longer."""


@dataclass(frozen=True)
class EngineBuild:
    """How a robot builds. `command` gets the bundle's folder as its last argument."""

    command: Sequence[str]
    limit_s: float = LIMIT_S
    pause_max_s: float = PAUSE_MAX_S

    @classmethod
    def of(cls, config_path: Path) -> EngineBuild:
        """With the engine of this installation."""
        return cls((sys.executable, "-m", "edge_runtime.engine.build", "--config", str(config_path)))

    def run(self, folder: Path, bundle: str, should_end: Asked = never, must_pause: Asked = never) -> BuildReport:
        """Build the bundle with digest `bundle` in `folder`, as far as that is not done yet.

        Raises:
            OtaError: BUILD_FAILED; NOT_NOW if `should_end` cut it short, AT_WORK if `must_pause` held it up for too
                long, NO_SPACE or STORAGE_FAULT, all of which say nothing about the bundle.
        """
        said = run_child(
            "the build",
            [*self.command, str(folder)],
            failed=OtaRefusal.BUILD_FAILED,
            limit_s=self.limit_s,
            should_end=should_end,
            must_pause=must_pause,
            pause_max_s=self.pause_max_s,
        )
        try:
            report = msgspec.json.decode(said, type=BuildReport)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OtaError(OtaRefusal.BUILD_FAILED, f"the build's report: {error}") from error
        if report.bundle != bundle:
            raise OtaError(OtaRefusal.BUILD_FAILED, f"built was bundle {report.bundle}, not {bundle}")
        if report.fault is not None:
            raise OtaError(refusal_of(report.fault), report.detail)
        return report
