"""Golden pairs of the shipped bundle on another processor."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edge_runtime.contracts.golden import GoldenReport
from tests.processors.emulated import Emulated


@dataclass(frozen=True)
class Found:
    """What came of them, in what INT8 is multiplied there, and the version of ONNX Runtime."""

    instruction_set: str
    version: str
    report: GoldenReport


def pairs_on(processor: Emulated, *options: str) -> Found:
    """Run them; `options` are those of `run_golden`.

    Raises:
        RuntimeError: they could not be run.
    """
    *_, told, report = processor.run("-m", "tests.processors.run_golden", *options).splitlines()
    instruction_set, version = told.split("; ")
    return Found(instruction_set, version, msgspec.json.decode(report, type=GoldenReport))
