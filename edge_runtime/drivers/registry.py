"""Where drivers are found: by the name of an entry point, or by the path of a file. Ours come through the same door.

A package that brings a driver names it in its pyproject.toml, and nothing of this project changes for it:

    [project.entry-points."edge_runtime.drivers"]
    my_arm = "my_arm.driver:DRIVER"

A driver that is one file needs no package: `driver = "./driver.py"` in robot.toml names it, relative to robot.toml, and
the file has a `DRIVER`. Either is a `DriverDeclaration`.
"""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers.sdk.declaration import DriverDeclaration

GROUP = "edge_runtime.drivers"
ATTRIBUTE = "DRIVER"
_KEY = "robot.driver"

_OURS = (
    EntryPoint("kinematic", f"edge_runtime.drivers.kinematic.driver:{ATTRIBUTE}", GROUP),
    *(
        EntryPoint(name, f"edge_runtime.drivers.{name}.declaration:{ATTRIBUTE}", GROUP)
        for name in ("sim", "lerobot", "gym", "ur", "ros2")
    ),
)
"""Listed here and not in our metadata, which a checkout that has moved on since it was installed lacks."""


def driver_names() -> list[str]:
    """All drivers that are installed, by name."""
    return sorted({point.name for point in (*_OURS, *entry_points(group=GROUP))})


def is_path(driver: str) -> bool:
    """Whether `robot.driver` names a file: it ends in .py, or has a slash."""
    return driver.endswith(".py") or "/" in driver


def declaration_of(config: RobotConfig) -> DriverDeclaration:
    """What the driver of this robot declares.

    Raises:
        ConfigError: there is no such driver, more than one, or it can't be loaded; says what was looked for.
    """
    driver = config.robot.driver
    found, where = _from_file(config) if is_path(driver) else _from_entry_point(driver)
    if not isinstance(found, DriverDeclaration):
        raise ConfigError(
            _KEY, f"{where} is a {type(found).__name__}, expected a DriverDeclaration, as declare() makes it"
        )
    return found


def _from_entry_point(name: str) -> tuple[object, str]:
    points = {point.value: point for point in (*_OURS, *entry_points(group=GROUP)) if point.name == name}
    if not points:
        raise ConfigError(
            _KEY,
            f"there is no driver {name!r}; installed: {', '.join(driver_names())}. A driver is an installed package "
            f'with an entry point of that name in the group {GROUP}, or a file: driver = "./driver.py"',
        )
    if len(points) > 1:
        all_of_them = ", ".join(sorted(points))
        problem = f"{name!r} is the name of {len(points)} installed drivers: {all_of_them}; remove all but one"
        raise ConfigError(_KEY, problem)
    (point,) = points.values()
    where = f"{name!r} ({point.value})"
    try:
        return point.load(), where
    except Exception as error:  # a stranger's module may raise anything when it is imported
        raise _not_loaded(where, error) from error


def _from_file(config: RobotConfig) -> tuple[object, str]:
    path = (config.path.parent / config.robot.driver).resolve()
    if path.suffix != ".py":
        raise ConfigError(_KEY, f"{path} is no Python file; a driver in another language needs one that starts it")
    if not path.is_file():
        raise ConfigError(_KEY, f"{path} does not exist, or is no file; a path is relative to {config.path.name}")
    # One name for one file: two robots may each have a driver.py.
    module_name = f"edge_runtime_driver_{sha256(str(path).encode()).hexdigest()[:12]}"
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # as above
            del sys.modules[module_name]
            raise _not_loaded(str(path), error) from error
    if not hasattr(module, ATTRIBUTE):
        raise ConfigError(_KEY, f"{path} has no {ATTRIBUTE}: it ends with {ATTRIBUTE} = declare(...)")
    return getattr(module, ATTRIBUTE), f"{ATTRIBUTE} of {path}"


def _not_loaded(where: str, error: Exception) -> ConfigError:
    return ConfigError(_KEY, f"{where} can't be loaded: {type(error).__name__}: {error}")
