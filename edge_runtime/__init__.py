"""What runs on a robot: engine, control with its safety kernel, drivers, updates, and the command `edge-runtime`."""

import sys

if sys.argv[:1] == ["-m"]:
    # One of the robot's processes: a package that is missing at its first lines is said in one line, too.
    from edge_runtime.contracts.command_line import explain_uncaught

    explain_uncaught(("robot",))
