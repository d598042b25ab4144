"""Expands xacro, the macro language that most makers write their URDF in, with the library of that name.

Guarantees that what comes out holds nothing of xacro's: a macro is expanded or refused by name, never skipped.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.packages import Packages

_NAMESPACES = (
    "http://www.ros.org/wiki/xacro",
    "http://ros.org/wiki/xacro",
    "http://wiki.ros.org/xacro",
    "http://www.ros.org/xacro",
)


def is_xacro(path: Path, robot: ElementTree.Element) -> bool:
    """Whether a description has to be expanded before it says where links are."""
    if path.suffix == ".xacro":
        return True
    return any(
        _of_xacro(element.tag) or any("${" in value or "$(" in value for value in element.attrib.values())
        for element in robot.iter()
    )


def expanded(path: Path, arguments: Mapping[str, str], packages: Packages) -> ElementTree.Element:
    """The robot that the file describes, with its macros, includes and conditions carried out.

    Args:
        path: of the file.
        arguments: of the file, as in `xacro FILE name:=value`.
        packages: what `$(find NAME)` finds.

    Raises:
        ConfigError: names the file, what in it can't be expanded, and the argument that is missing.
        ImportError: xacro is not installed.
    """
    import xacro

    said = io.StringIO()
    try:
        with _finding(packages), contextlib.redirect_stderr(said):
            document = xacro.process_file(str(path), mappings=dict(arguments))
    except ConfigError:
        raise
    # The library raises what its expressions raise, which may be anything.
    except Exception as error:
        raise ConfigError(str(path), _problem(error, path)) from error
    try:
        robot = ElementTree.fromstring(document.toxml())
    except (ElementTree.ParseError, ValueError) as error:
        raise ConfigError(str(path), f"expands to what is no XML: {error}") from error
    if left := sorted({_short(element.tag) for element in robot.iter() if _of_xacro(element.tag)}):
        raise ConfigError(str(path), f"{', '.join(left)} is no macro that this file, or one that it includes, defines")
    if robot.find("link") is None:
        raise ConfigError(str(path), "expands to no link: a file that only defines macros needs one that calls them")
    return robot


@contextlib.contextmanager
def _finding(packages: Packages) -> Iterator[None]:
    """While it expands: packages are found as those of meshes are, not by an installed ROS alone."""
    import xacro.substitution_args as substitution

    def find(package: str) -> str:
        return str(packages.folder(package))

    before: tuple[Any, Any] = substitution._eval_find, substitution._eval_dict["find"]
    substitution._eval_find = substitution._eval_dict["find"] = find
    try:
        yield
    finally:
        substitution._eval_find, substitution._eval_dict["find"] = before


def _problem(error: Exception, path: Path) -> str:
    inner = getattr(error, "exc", None) or error
    if isinstance(inner, ConfigError):
        return str(inner)
    words = " ".join(f"{error}".split()) or type(error).__name__
    if type(inner).__name__ == "ArgException":
        name = inner.args[0] if inner.args else ""
        return f"its argument {name} has no value: say which with --arg {name}:=VALUE"
    return f"xacro can't expand it: {words}; `xacro {path.name}` shows where"


def _of_xacro(tag: object) -> bool:
    return isinstance(tag, str) and (tag.startswith("xacro:") or any(f"{{{one}}}" in tag for one in _NAMESPACES))


def _short(tag: str) -> str:
    return f"<xacro:{tag.rpartition('}')[2]}>"
