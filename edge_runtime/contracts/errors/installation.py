"""What is not installed."""

from __future__ import annotations

from collections.abc import Sequence

from edge_runtime.contracts.errors.base import EdgeError


class MissingPackageError(EdgeError):
    """Python packages that this robot, or this command, can't do without and that are not installed.

    Attributes:
        packages: their import names.
        remedy: the command that installs them.
    """

    def __init__(self, packages: Sequence[str], remedy: str) -> None:
        are = "is" if len(packages) == 1 else "are"
        super().__init__(f"{', '.join(packages)} {are} not installed; to install: {remedy}")
        self.packages = tuple(packages)
        self.remedy = remedy


class MissingSystemPackageError(EdgeError):
    """Something the operating system must provide.

    Attributes:
        packages: the Debian packages that bring it.
    """

    def __init__(self, what: str, *packages: str) -> None:
        super().__init__(f"{what}: sudo apt-get install {' '.join(packages)}")
        self.packages = packages
