"""Measurements, each with its command: ``python -m benchmarks.NAME``, in a checkout."""

from __future__ import annotations

import sys

from edge_runtime.contracts.command_line import explain_uncaught

if sys.argv[:1] == ["-m"]:
    explain_uncaught(("bench",))
