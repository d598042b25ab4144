"""Making and connecting a robot of LeRobot, and what is known of the serial buses inside of it. Imports LeRobot.

Guarantees that a robot whose motors hold is not let go of when a driver connects to it: LeRobot's own `connect` sets
the motors up with their torque off. A robot that is not calibrated is refused, and never asked about at a prompt.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import math
import os
import pkgutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.drivers.lerobot.settings import LeRobotSettings
from edge_runtime.drivers.lerobot.units import Motor

_TORQUE = "Torque_Enable"
_QUIET_S, _DRAINS = 0.005, 20
_TRIALS = 3
_PLUG_IN = ("lerobot_robot_", "lerobot_camera_")
_ARMS = {"left_arm": "left_", "right_arm": "right_"}
"""Arms inside of a robot with two, and what their features begin with."""


class Robot(Protocol):
    """What is used of `lerobot.robots.Robot`."""

    @property
    def observation_features(self) -> Mapping[str, Any]:
        """Features of an observation: a number's type, or the shape of a picture."""

    @property
    def action_features(self) -> Mapping[str, Any]:
        """Features of an action."""

    @property
    def is_calibrated(self) -> bool:
        """Whether its motors hold the calibration that its file has."""

    def connect(self, calibrate: bool = True) -> None:
        """Open it."""

    def get_observation(self) -> Mapping[str, Any]:
        """Measure."""

    def send_action(self, action: dict[str, Any]) -> Any:
        """Tell it where to go."""

    def disconnect(self) -> None:
        """Close it."""


class Camera(Protocol):
    """What is used of `lerobot.cameras.Camera`."""

    def connect(self) -> None:
        """Open it."""

    def async_read(self, timeout_ms: float) -> Any:
        """The next picture, (height, width, 3)."""

    def disconnect(self) -> None:
        """Close it."""


@dataclass
class Bus:
    """A serial bus inside of a robot.

    Attributes:
        native: the `SerialMotorsBus`.
        owner: the robot of LeRobot that it belongs to.
        prefix: what the features of its motors begin with.
    """

    native: Any
    owner: Any
    prefix: str
    _line: int = -1

    def motors(self) -> Iterator[tuple[str, Motor]]:
        """By feature, how each motor with a calibration is told."""
        for name, motor in self.native.motors.items():
            calibration = self.native.calibration.get(name)
            if calibration is None:
                continue
            # A step is what LeRobot's own degrees are counted in.
            step_rad = 2.0 * math.pi / (self.native.model_resolution_table[motor.model] - 1)
            range_rad = (calibration.range_max - calibration.range_min) * step_rad
            mode = str(motor.norm_mode.value)
            unit = {"degrees": "degrees", "range_m100_100": "normalized", "range_0_100": "percent"}.get(mode)
            if unit is not None:
                yield f"{self.prefix}{name}.pos", Motor(unit, range_rad)  # type: ignore[arg-type]

    def claim(self) -> None:
        """Keep other drivers away from its port until this process ends: LeRobot does not.

        Raises:
            DriverError: another process has it, or there is no such port.
        """
        port = str(self.native.port)
        try:
            self._line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(self._line, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DriverError(port, "is driven by another process: two would drive one robot") from None
        except OSError as error:
            raise DriverError(port, f"can't be opened: {error.strerror}") from error

    def holds(self) -> bool:
        """Whether each of its motors has its torque on.

        Raises:
            Exception: whatever LeRobot raises of a bus that doesn't answer.
        """
        values = [int(value) for value in self.native.sync_read(_TORQUE, normalize=False).values()]
        if self.has_more() or not all(value in (0, 1) for value in values):
            raise ValueError("an answer came that belongs to a question before")
        return all(values)

    def has_more(self) -> bool:
        """Whether it has said more than was asked: answers to a question before, which LeRobot takes for its next.

        Raises:
            Exception: whatever the port raises that is gone.
        """
        return bool(self.native.port_handler.ser.in_waiting)

    def drain(self) -> None:
        """Forget answers that came too late, until the line has been quiet for a moment."""
        handler = self.native.port_handler
        # An error in the midst of a question leaves LeRobot's port "in use" for ever.
        handler.is_using = False
        with contextlib.suppress(Exception):  # of a port that is gone
            for _ in range(_DRAINS):
                handler.ser.reset_input_buffer()
                time.sleep(_QUIET_S)
                if not self.has_more():
                    return


def make_robot(settings: LeRobotSettings, folder: Path) -> Robot:
    """The robot, not connected, without cameras: those are read beside the bus, which doesn't wait for them.

    Args:
        folder: of robot.toml.

    Raises:
        ConfigError: LeRobot knows no such type, or doesn't take these settings.
    """
    from lerobot.robots.config import RobotConfig

    problems = _register("lerobot.robots", RobotConfig, settings.type)
    raw = dict(settings.options)
    if settings.port is not None:
        raw["port"] = settings.port
    if settings.calibration_dir is not None:
        raw["calibration_dir"] = str((folder / settings.calibration_dir).resolve())
    config = _decoded(RobotConfig, "driver", settings.type, {**raw, "id": settings.id}, problems)
    # The arm would fall.
    for part in (config, *(getattr(config, f"{arm}_config", None) for arm in _ARMS)):
        if hasattr(part, "disable_torque_on_disconnect") and "disable_torque_on_disconnect" not in settings.options:
            part.disable_torque_on_disconnect = False
    robot: Robot = _device("driver.type", config)
    return robot


def make_camera(name: str, given: Mapping[str, Any]) -> Camera:
    """A camera, not connected.

    Raises:
        ConfigError: LeRobot knows no such type, or doesn't take these settings.
    """
    from lerobot.cameras.configs import CameraConfig

    where = f"driver.cameras.{name}"
    raw = dict(given)
    kind = raw.pop("type", None)
    if not isinstance(kind, str):
        raise ConfigError(f"{where}.type", 'is missing: "opencv", or another type of camera that LeRobot knows')
    problems = _register("lerobot.cameras", CameraConfig, kind)
    camera: Camera = _device(where, _decoded(CameraConfig, where, kind, raw, problems))
    return camera


def buses_of(robot: Any) -> list[Bus]:
    """Its serial buses, whose motors say how they are told; none of a robot that has none, or other ones."""
    parts = [(robot, "")] + [(getattr(robot, arm, None), prefix) for arm, prefix in _ARMS.items()]
    found = [Bus(getattr(part, "bus", None), part, prefix) for part, prefix in parts]
    return [bus for bus in found if hasattr(bus.native, "port_handler") and hasattr(bus.native, "model_ctrl_table")]


def connect(robot: Robot, settings: LeRobotSettings, buses: list[Bus]) -> bool:
    """Connect. True where its motors had to be set up, which LeRobot does with their torque off; False where they held.

    Raises:
        ConfigError: it is not calibrated.
        DriverError: it doesn't answer, or another process drives it.
    """
    for bus in buses:
        bus.claim()
    for trial in range(_TRIALS):
        try:
            if buses and _takes_over(buses):
                return False
            robot.connect(calibrate=False)
            is_calibrated = bool(robot.is_calibrated)
            break
        except Exception as error:
            # One answer of sixty that is lost ends LeRobot's connect, and leaves its port open.
            _let_go(buses)
            if trial == _TRIALS - 1:
                raise DriverError(settings.type, f"can't be connected: {_one_line(error)}") from error
    if not is_calibrated:
        with contextlib.suppress(Exception):
            robot.disconnect()
        port = "" if settings.port is None else f" --robot.port={settings.port}"
        command = f"lerobot-calibrate --robot.type={settings.type} --robot.id={settings.id}{port}"
        raise ConfigError(
            "driver.id", f"{settings.type} {settings.id!r} is not calibrated, or by another file: {command}"
        )
    return True


def _takes_over(buses: list[Bus]) -> bool:
    """Whether all motors hold already, set up and calibrated by a driver before this one; they stay connected then."""
    for bus in buses:
        bus.native.connect()
    if all(bus.holds() and bus.owner.is_calibrated for bus in buses):
        return True
    _let_go(buses)
    return False


def _let_go(buses: list[Bus]) -> None:
    for bus in buses:
        bus.drain()
        with contextlib.suppress(Exception):  # of a port that is gone, or never was open
            bus.native.disconnect(disable_torque=False)


def _register(package: str, registry: Any, kind: str) -> list[str]:
    """Import what may bring the type `kind`, as LeRobot's own commands do; what could not be imported, and why."""
    problems = []
    names = [dist.metadata["Name"].lower().replace("-", "_") for dist in metadata.distributions()]
    modules = [f"{package}.{found.name}" for found in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    modules += sorted({name for name in names if name.startswith(_PLUG_IN)})
    for module in modules:
        if kind in registry.get_known_choices():
            return []
        try:
            importlib.import_module(module)
        except Exception as error:  # of a plug-in, or of a library that another robot needs
            problems.append(f"{module}: {_one_line(error)}")
    return problems


def _decoded(registry: Any, where: str, kind: str, raw: Mapping[str, Any], problems: list[str]) -> Any:
    import draccus

    known = registry.get_known_choices()
    if kind not in known:
        because = f"; not imported: {'; '.join(problems)}" if problems else ""
        raise ConfigError(
            f"{where}.type", f"LeRobot knows no {kind!r} here; known: {', '.join(sorted(known))}{because}"
        )
    try:
        return draccus.decode(registry, {"type": kind, **raw})
    except Exception as error:  # its own errors, and what the type's own checks raise
        raise ConfigError(where, f"LeRobot's {kind} doesn't take these settings: {_one_line(error)}") from error


def _device(where: str, config: Any) -> Any:
    from lerobot.cameras.utils import make_cameras_from_configs
    from lerobot.robots.utils import make_robot_from_config

    try:
        if hasattr(config, "calibration_dir"):
            return make_robot_from_config(config)
        return make_cameras_from_configs({"camera": config})["camera"]
    except Exception as error:  # a library of this very robot that is missing, a file that can't be read
        raise ConfigError(where, f"can't be made: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
