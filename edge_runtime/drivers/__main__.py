"""``python -m edge_runtime.drivers``: starts the driver that `robot.toml` names."""

from __future__ import annotations

from edge_runtime.drivers.registry import declaration_of
from edge_runtime.service import Arguments, StopSignal, run_service


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the robot's driver until `stop`.

    Raises:
        ConfigError: there is no such driver, or it is not this robot's.
        EdgeError: what the driver says.
    """
    declared = declaration_of(arguments.config)
    declared.require_fit(arguments.config.embodiment)
    declared.run(arguments, stop)


if __name__ == "__main__":
    run_service("Start the driver that robot.toml names.", drive)
