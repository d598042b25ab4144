"""Has the engine of this robot run a staged bundle's golden pairs, in a process of its own, before anything trusts it.

Guarantees an answer or a named refusal within `limit_s`: a child that crashes, hangs, talks too much or says something
else is GOLDEN_FAILED, a bundle that answers differently GOLDEN_DIFFERS, and one without golden pairs passes only where
the robot's owner lets it. The child runs only when nothing else wants the processor. Refuses to know engines; trusts
the report of the child.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.ota.lifecycle.child import PAUSE_MAX_S, Asked, never, run_child

LIMIT_S = 300.0


@dataclass(frozen=True)
class GoldenCheck:
    """How a robot checks. `command` gets the bundle's folder as its last argument; `required`: no pairs, no update."""

    command: Sequence[str]
    required: bool = True
    limit_s: float = LIMIT_S
    pause_max_s: float = PAUSE_MAX_S

    @classmethod
    def of(cls, config_path: Path, *, required: bool) -> GoldenCheck:
        """With the engine of this installation."""
        command = (sys.executable, "-m", "edge_runtime.engine.golden", "--config", str(config_path))
        return cls(command, required)

    def run(self, folder: Path, bundle: str, should_end: Asked = never, must_pause: Asked = never) -> GoldenReport:
        """Check the bundle with digest `bundle` in `folder`; the report if it may be trusted.

        Raises:
            OtaError: GOLDEN_DIFFERS, GOLDEN_MISSING, GOLDEN_FAILED; NOT_NOW if `should_end` cut it short,
                AT_WORK if `must_pause` held it up for too long, or STORAGE_FAULT, which say nothing about the bundle.
        """
        report = self._report(folder, should_end, must_pause)
        if report.bundle != bundle:
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the check was of bundle {report.bundle}, not of {bundle}")
        if report.verdict == "differs":
            raise OtaError(OtaRefusal.GOLDEN_DIFFERS, report.worst)
        if report.verdict == "no_data" and self.required:
            raise OtaError(OtaRefusal.GOLDEN_MISSING, "the bundle has no golden pairs, and this robot asks for them")
        return report

    def _report(self, folder: Path, should_end: Asked, must_pause: Asked) -> GoldenReport:
        said = run_child(
            "the golden check",
            [*self.command, str(folder)],
            failed=OtaRefusal.GOLDEN_FAILED,
            limit_s=self.limit_s,
            should_end=should_end,
            must_pause=must_pause,
            pause_max_s=self.pause_max_s,
        )
        try:
            return msgspec.json.decode(said, type=GoldenReport)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OtaError(OtaRefusal.GOLDEN_FAILED, f"the golden check's report: {error}") from error
