"""``python -m edge_runtime.drivers``: starts the driver that `robot.toml` names.

With `driver_python` in robot.toml it becomes that Python first: same process, same arguments, other packages.
"""

from __future__ import annotations

import os
import sys

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.registry import declaration_of
from edge_runtime.service import Arguments, StopSignal, run_service

_BECAME = "EDGE_RUNTIME_DRIVER_PYTHON"


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the robot's driver until `stop`.

    Raises:
        ConfigError: there is no such driver, it is not this robot's, or its Python can't be started.
        EdgeError: what the driver says.
    """
    config = arguments.config
    python = config.robot.driver_python
    if python is not None and os.environ.get(_BECAME) != python:
        _become(python)
    declared = declaration_of(config)
    declared.require_fit(config.embodiment)
    declared.require_settings(config)
    declared.run(arguments, stop)


def _become(python: str) -> None:
    # Whoever waits for this process, or ends it, has the driver itself.
    try:
        os.execve(python, [python, "-m", "edge_runtime.drivers", *sys.argv[1:]], {**os.environ, _BECAME: python})
    except OSError as error:
        raise ConfigError("robot.driver_python", f"{python} can't be started: {error.strerror}") from error


if __name__ == "__main__":
    run_service("Start the driver that robot.toml names.", drive)
