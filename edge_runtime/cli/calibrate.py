"""`edge-runtime calibrate`: where the zero of each axis of this robot is, and which way it turns."""

from __future__ import annotations

import argparse
import getpass
import select
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from edge_runtime.commissioning.calibrating import calibrate_axis, can_be_calibrated, write_calibration
from edge_runtime.config.calibration_file import AxisCalibration, CalibrationFile
from edge_runtime.config.robot_file import RobotConfig, load_config
from edge_runtime.config.toml_file import read_toml
from edge_runtime.contracts.console import DONE
from edge_runtime.contracts.errors import ConfigError, PortError
from edge_runtime.contracts.subcommand import say
from edge_runtime.contracts.text import printable
from edge_runtime.drivers.sdk.calibrated import forget_posture
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name

FILE = "calibration.toml"
_LOOK_S = 0.1
_STALE_S = 1.0


def calibrate(options: argparse.Namespace) -> int:
    """Guide through the axes, and write the file."""
    config = load_config(options.config)
    if options.moved:
        return _moved(config)
    axes = [axis for axis in config.embodiment.axes if can_be_calibrated(axis)]
    for name in options.axes or ():
        if name not in [axis.name for axis in axes]:
            raise ConfigError(
                f"axis {name}", f"there is none to calibrate; there are {', '.join(a.name for a in axes)}"
            )
    wanted = [axis for axis in axes if not options.axes or axis.name in options.axes]
    path = config.path.parent / FILE if config.calibration is None else config.calibration.path
    before = read_toml(path, CalibrationFile).axes if config.calibration is not None else {}
    found: dict[str, AxisCalibration] = dict(before)
    port = _attached(options.run_dir)
    try:
        live = _Live(port, config)
        live.require_at_rest()
        say("Nothing moves by itself: you move each axis, by hand or with the robot's own means.")
        person = _Terminal()
        changed = False
        for axis in wanted:
            index = config.embodiment.index_of(axis.name)
            one = calibrate_axis(axis, lambda index=index: live.raw(index), person, before.get(axis.name))  # type: ignore[misc]
            if one is not None:
                found[axis.name], changed = one, True
    finally:
        port.close()
    if not changed:
        say("nothing was changed")
        return DONE
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    named = write_calibration(path, config.path, date, options.by or getpass.getuser(), found)
    forget_posture(path)
    after = load_config(config.path)
    say(f"wrote {path}: {', '.join(found)}" + (f"; {config.path.name} names it now" if named else ""))
    say(f"the limits' digest was {config.safety.digest[:12]}, and is {after.safety.digest[:12]}")
    say("the robot that runs is not armed any more until its software is started anew")
    return DONE


def _moved(config: RobotConfig) -> int:
    if config.calibration is None:
        raise ConfigError("robot.calibration", f"{config.path.name} names none, so that no posture is kept")
    forgotten = forget_posture(config.calibration.path)
    say("forgotten is where it stood when it stopped" if forgotten else "no posture was kept")
    return DONE


def _attached(run_dir: Path) -> DriverPort:
    try:
        return DriverPort.attach(port_name(run_dir))
    except PortError as error:
        problem = "no driver runs here: start the robot with `edge-runtime run --hold --config ...` in another terminal"
        raise ConfigError("--run-dir", problem) from error


class _Live:
    """What the hardware says now, from what the driver publishes."""

    def __init__(self, port: DriverPort, config: RobotConfig) -> None:
        n_axes = len(config.embodiment.axes)
        calibration = config.calibration
        self._port = port
        self._sign = (1.0,) * n_axes if calibration is None else calibration.sign
        self._offset = (0.0,) * n_axes if calibration is None else calibration.offset

    def require_at_rest(self) -> None:
        """Refuse a robot that follows commands.

        Raises:
            ConfigError: it is armed.
        """
        command = self._port.read_command()
        if command is not None and command.state.follows:
            raise ConfigError("--run-dir", "the robot is armed: first `edge-runtime operator disarm`")

    def raw(self, index: int) -> float:
        """Of one axis.

        Raises:
            ConfigError: the driver says nothing any more.
        """
        until_s = time.monotonic() + _STALE_S
        while time.monotonic() < until_s:
            feedback = self._port.read_feedback()
            if feedback is not None and self._port.now_ns() - feedback.stamp_ns < _STALE_S * 1e9:
                return self._sign[index] * float(feedback.q[index]) + self._offset[index]
            time.sleep(0.01)
        raise ConfigError("--run-dir", "the driver has stopped measuring: nothing was written")


class _Terminal:
    """A person here, or a program that writes her lines."""

    def ask(self, question: str, raw: Callable[[], float], unit: str) -> str:
        """Show the question, and the live value until a line comes."""
        say(f"\n{question}")
        is_live = sys.stdin.isatty() and sys.stdout.isatty()
        while is_live and not select.select([sys.stdin], [], [], _LOOK_S)[0]:
            sys.stdout.write(f"\r  raw {raw():+.4f} {printable(unit)} > \x1b[K")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            raise ConfigError("calibrate", "the input ended before it was done: nothing was written")
        return line

    def tell(self, words: str) -> None:
        """Show it."""
        say(f"  {words}")
