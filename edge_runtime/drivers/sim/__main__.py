"""The simulated arm's driver: ``python -m edge_runtime.drivers.sim --config robot.toml --run-dir DIR [--lockstep]``."""

from __future__ import annotations

from edge_runtime.service import Arguments, StopSignal, run_service


def drive(arguments: Arguments, stop: StopSignal) -> None:
    """Be the robot until `stop`; leaves no shared memory behind."""
    # Here, so that a system library that is missing is one line, as every error of the tree.
    from edge_runtime.drivers.sim.driver import SimDriver

    with SimDriver(arguments) as driver:
        if arguments.lockstep:
            driver.lockstep(stop)
        else:
            driver.real_time(stop)


if __name__ == "__main__":
    run_service("The simulated arm: physics at 1 kHz behind the driver port, two cameras, a table of objects.", drive)
