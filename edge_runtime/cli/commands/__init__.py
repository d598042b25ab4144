"""The subcommands of `edge-runtime`: what each takes and says of itself. What it does is imported when it is asked for.

They import little: a stop that an operator asks for waits for all of them.
"""

from edge_runtime.cli.commands import (
    calibrate,
    check,
    claims,
    evaluate,
    export_mcap,
    jog,
    kinematics,
    monitor,
    new,
    operator,
    ota,
    page,
    replay,
    run,
    view,
)

SUBCOMMANDS = (
    run,
    page,
    evaluate,
    monitor,
    operator,
    jog,
    ota,
    check,
    claims,
    replay,
    view,
    export_mcap,
    kinematics,
    new,
    calibrate,
)
"""Modules in the order of the help; each has `add`."""
