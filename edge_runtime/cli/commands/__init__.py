"""The subcommands of `edge-runtime`: what each takes and says of itself. What it does is imported when it is asked for.

They import little: a stop that an operator asks for waits for all of them.
"""

from edge_runtime.cli.commands import (
    calibrate,
    check,
    claims,
    evaluate,
    jog,
    kinematics,
    monitor,
    new,
    operator,
    ota,
    replay,
    run,
)

SUBCOMMANDS = (run, evaluate, monitor, operator, jog, ota, check, claims, replay, kinematics, new, calibrate)
"""Modules in the order of the help; each has `add`."""
