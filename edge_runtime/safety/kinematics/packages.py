"""Where the files lie that a robot's description names: beside it, in ROS packages, behind a URL's escapes.

A package is found under its own name, the one in its `package.xml`; folders are often called otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from edge_runtime.contracts.errors import ConfigError

_PREFIXES = ("AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH", "CMAKE_PREFIX_PATH")
_WORKSPACES = "ROS_PACKAGE_PATH"
_DEPTH, _MOST_FOLDERS = 3, 4000
_SCHEMES = ("package://", "model://")


@dataclass(frozen=True)
class Packages:
    """Packages that a description may name.

    Attributes:
        description: path of the file that names them.
        folders: where a person said that a package lies, by its name.
        environment: of the process; ROS says there where its packages are.
    """

    description: Path
    folders: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def file(self, name: str) -> Path:
        """The file that the description calls `name`: a path, `file://`, `package://NAME/...` or `model://NAME/...`.

        Raises:
            ConfigError: there is no such file, or no such package.
        """
        written = unquote(name).replace("\\", "/")
        for scheme in _SCHEMES:
            if written.startswith(scheme):
                package, _, rest = written.removeprefix(scheme).lstrip("/").partition("/")
                first = self.folder(package) / rest
                found = next((folder / rest for folder in self._found(package) if _is_file(folder / rest)), first)
                break
        else:
            # Symbolic links, as colcon makes them, may lead to the description alone, or to all that lies beside it.
            beside = [place / written.removeprefix("file://") for place in self._places()]
            found = next((file for file in beside if _is_file(file)), beside[0])
        if not _is_file(found):
            raise ConfigError(name, f"{found} is not there, or is no file")
        return found

    def folder(self, package: str) -> Path:
        """Where a package lies.

        Raises:
            ConfigError: nowhere; says what to do.
        """
        found = next(self._found(package), None)
        if found is not None:
            return found
        raise ConfigError(
            f"package {package}",
            f"is neither beside {self.description.name} nor where ROS looks ({', '.join((*_PREFIXES, _WORKSPACES))}): "
            f"say where it is with --package {package}=FOLDER",
        )

    def _found(self, package: str) -> Iterator[Path]:
        """Folders that may be the package: first those that call themselves so, then others of that name."""
        if package in self.folders:
            yield self.folders[package]
            return
        for is_surely in (True, False):
            for candidate in self._candidates(package):
                if _is_folder(candidate) and (_name_of(candidate) in (package, None)) == is_surely:
                    yield candidate

    def _places(self) -> list[Path]:
        written, real = Path(os.path.abspath(self.description)).parent, self.description.resolve().parent
        return [written] if written == real else [written, real]

    def _candidates(self, package: str) -> Iterator[Path]:
        for place in self._places():
            above = [place, *place.parents]
            yield from (folder for folder in above if _name_of(folder) == package)
            yield from (folder for folder in above if folder.name == package)
            yield from (folder / package for folder in above)
        for variable in _PREFIXES:
            yield from (Path(prefix) / "share" / package for prefix in self._paths(variable))
        # Cloned under another name than the package's, beside the description's own.
        for place in self._places():
            for folder in (place, *place.parents)[: _DEPTH + 1]:
                yield from (found for found in _packages_below(folder, 1) if _name_of(found) == package)
        for folder in self._paths(_WORKSPACES):
            yield from (found for found in _packages_below(folder, _DEPTH) if _name_of(found) == package)

    def _paths(self, variable: str) -> list[Path]:
        return [Path(entry) for entry in self.environment.get(variable, "").split(os.pathsep) if entry]


def _packages_below(folder: Path, depth: int) -> Iterator[Path]:
    """Folders with a `package.xml`, at most `depth` levels down; a package holds no other one."""
    level, seen = [folder], 0
    for _ in range(depth + 1):
        below: list[Path] = []
        for one in level:
            if _is_file(one / "package.xml"):
                yield one
                continue
            try:
                below += sorted(
                    child for child in one.iterdir() if _is_folder(child) and not child.name.startswith(".")
                )
            except OSError:
                continue
        seen += len(below)
        if seen > _MOST_FOLDERS:
            return
        level = below


def _name_of(folder: Path) -> str | None:
    """What the package in a folder calls itself; None: it holds none that can be read."""
    try:
        return ElementTree.parse(folder / "package.xml").getroot().findtext("name", "").strip() or None
    except (OSError, ElementTree.ParseError, ValueError, LookupError):
        return None


def _is_file(path: Path) -> bool:
    """Whether a file is there, as far as this user may look and the system takes such a name."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
