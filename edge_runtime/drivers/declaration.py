"""What a driver says of itself before it runs: which robots it can be, and when it stops by itself.

A driver is a package of `edge_runtime.drivers` with a `__main__`. One that has a module `declaration` with a
`DECLARATION` can be checked without its hardware, and without the libraries that it needs for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError

_DRIVERS = Path(__file__).parent


def _fits_any(_embodiment: Embodiment) -> None:
    """For a driver that declares nothing: it says itself, at start, what it is not."""


@dataclass(frozen=True)
class DriverDeclaration:
    """What one driver declares.

    Attributes:
        watchdog_ns: it stops the robot by itself after so long without a command; 0 says that it never does, None
            that it declares nothing.
        packages: import names of what it can't run without.
        extras: of this project, that bring them.
        require_fit: raises `ConfigError` for an embodiment that it has not the joints or cameras of.
    """

    watchdog_ns: int | None = None
    packages: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    require_fit: Callable[[Embodiment], None] = _fits_any


def driver_names() -> list[str]:
    """All drivers that are installed."""
    return sorted(main.parent.name for main in _DRIVERS.glob("*/__main__.py"))


def declaration_of(driver: str) -> DriverDeclaration:
    """What the driver that `robot.driver` names declares.

    Raises:
        ConfigError: there is no such driver.
    """
    names = driver_names()
    if driver not in names:
        raise ConfigError("robot.driver", f"there is no driver {driver!r}; installed: {', '.join(names)}")
    if not (_DRIVERS / driver / "declaration.py").is_file():
        return DriverDeclaration()
    declared = importlib.import_module(f"edge_runtime.drivers.{driver}.declaration").DECLARATION
    assert isinstance(declared, DriverDeclaration)
    return declared
