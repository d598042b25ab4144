"""`make processors`: the shipped bundle's golden pairs on this processor, an x86-64 without VNNI and an aarch64."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from tests.processors import emulated
from tests.processors.golden import pairs_on


def main() -> int:
    """Print a row for each; 1 if one does not match, or can't be had."""
    table = Table(title="golden pairs of the shipped bundle", title_justify="left")
    for column in ("processor", "instruction set", "ONNX Runtime", "worst joint p99", "bound", "verdict", "s"):
        table.add_column(column)
    failed = False
    for make in (emulated.this_processor, emulated.x86_without_vnni, emulated.arm):
        started_s = time.monotonic()
        try:
            processor = make()
            found = pairs_on(processor)
        except (emulated.UnavailableError, RuntimeError) as error:
            table.add_row(make.__name__.replace("_", " "), "", "", "", "", f"not run: {error}", "")
            failed = True
            continue
        report = found.report
        failed |= report.verdict != "matched"
        table.add_row(
            processor.name,
            found.instruction_set,
            found.version,
            f"{max(report.error_p99_rad) * 1e3:.3f} mrad",
            f"{report.bound_p99_rad * 1e3:g} mrad",
            report.verdict,
            f"{time.monotonic() - started_s:.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
