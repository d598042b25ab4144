"""`make demo`: a robot, a hub beside it, an update that goes through, and a broken one that rolls itself back."""

from __future__ import annotations

import sys

from contracts.command_line import explain_uncaught

if sys.argv[:1] == ["-m"]:
    explain_uncaught(("robot", "sim", "hub"))
