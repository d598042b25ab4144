"""What a driver says of itself before it runs: which robots it can be, when it stops by itself, and how it is started.

A declaration is made without the hardware, and without the libraries that the driver needs for it: `edge-runtime check`
reads it on any machine.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError
from edge_runtime.service import Arguments, StopSignal

Start = Callable[[Arguments, StopSignal], None]


def fits_any(_embodiment: Embodiment) -> None:
    """For a driver that declares nothing: it says itself, at start, what it is not."""


def has_no_settings(config: RobotConfig) -> None:
    """For a driver without settings of its own: nothing in a file goes unread.

    Raises:
        ConfigError: robot.toml has some.
    """
    if config.driver:
        raise ConfigError("driver", f"{config.robot.driver!r} has no settings of its own: leave the table [driver] out")


@dataclass(frozen=True)
class DriverDeclaration:
    """What one driver declares.

    Attributes:
        start: be the driver until the signal says stop; or "module:function" of it, imported when it is started.
        watchdog_ns: it stops the robot by itself after so long without a command; 0 says that it never does, None
            that it declares nothing.
        packages: import names of what it can't run without.
        extras: of this project, that bring them.
        require_fit: raises `ConfigError` for an embodiment that it has not the axes or cameras of.
        require_settings: raises `ConfigError` for a table [driver] that it can't be started with.
        has_scenes: it lays out scenes and judges episodes, as a simulator does. Without, `edge-runtime run` leaves it
            to a person what the robot does, and `edge-runtime evaluate` refuses.
    """

    start: Start | str
    watchdog_ns: int | None = None
    packages: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    require_fit: Callable[[Embodiment], None] = fits_any
    require_settings: Callable[[RobotConfig], None] = has_no_settings
    has_scenes: bool = False

    def run(self, arguments: Arguments, stop: StopSignal) -> None:
        """Be this driver until `stop`.

        Raises:
            EdgeError: what the driver says.
        """
        start = self.start
        if isinstance(start, str):
            module, _, name = start.partition(":")
            start = getattr(importlib.import_module(module), name)
        start(arguments, stop)
