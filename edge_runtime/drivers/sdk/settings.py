"""A driver's own settings: the table `[driver]` of robot.toml, read as strictly as the rest of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.config.toml_file import from_table
from edge_runtime.contracts.errors import ConfigError

_T = TypeVar("_T", bound=msgspec.Struct)


def driver_settings(config: RobotConfig, kind: type[_T]) -> _T:
    """`[driver]` as a `kind`, which is made of `Section`s and checks its values in `__post_init__`.

    Raises:
        ConfigError: names the key, from `driver` on.
    """
    try:
        return from_table(config.driver, kind, config.path.name)
    except ConfigError as error:
        key = "driver" if error.key == config.path.name else f"driver.{error.key}"
        raise ConfigError(key, error.problem) from error


def beside(config: RobotConfig, path: str) -> Path:
    """A path of `[driver]`, which is relative to robot.toml."""
    return (config.path.parent / Path(path).expanduser()).resolve()
