"""Where families are found: by entry point of any installed package. Ours come through the same door.

One that can't be loaded is named with its reason, and takes no other one along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

import msgspec

from edge_runtime.contracts.errors import ConfigError, EdgeError
from edge_runtime.contracts.installation import PROJECT, checkout, explain
from export_tools.families.seam import Family

GROUP = "edge_runtime.families"
_KEY = "family"
_MEMBERS = {
    "name": str,
    "summary": str,
    "trains": bool,
    "checkpoint_name": str,
    "recognises": None,
    "add_options": None,
    "train": None,
    "export": None,
}
"""What an object needs to be a `Family`; None: something to call."""


@dataclass(frozen=True)
class Found:
    """A family that an installed package names, loaded or not.

    Attributes:
        name: of its entry point.
        package: what brought it.
        place: module and attribute, as the entry point has them.
        family: None where it can't be loaded.
        problem: why not, for a person; empty where it is loaded.
    """

    name: str
    package: str
    place: str
    family: Family | None = None
    problem: str = ""


def family_names() -> list[str]:
    """All families that are installed, by name; none is loaded."""
    return sorted({point.name for _, point in _points()[0]})


def families() -> list[Found]:
    """All families that are installed, each as far as it can be loaded, by name."""
    points, unreadable = _points()
    found = [_loaded(package, point) for package, point in points]
    return sorted((*found, *unreadable), key=lambda each: (each.name, each.place))


def family_of(name: str) -> Family:
    """The family `name`; no other one is loaded.

    Raises:
        ConfigError: there is none, more than one, or it can't be loaded; says what was looked for.
    """
    named = [(package, point) for package, point in _points()[0] if point.name == name]
    if not named:
        installed = ", ".join(family_names()) or "none"
        raise ConfigError(
            _KEY,
            f"there is no family {name!r}; installed: {installed}. A family is an installed package with an entry "
            f"point of that name in the group {GROUP}",
        )
    if len(named) > 1:
        of_them = ", ".join(sorted(f"{point.value} of {package}" for package, point in named))
        raise ConfigError(_KEY, f"{name!r} is the name of {len(named)} families: {of_them}; uninstall all but one")
    found = _loaded(*named[0])
    if found.family is None:
        raise ConfigError(_KEY, f"{name!r} ({found.place} of {found.package}) {found.problem}")
    return found.family


def recognising(checkpoint: Path) -> tuple[list[Family], list[Found]]:
    """The families that `checkpoint` is of, and those that can't be asked."""
    takes, mute = [], []
    for found in families():
        if found.family is None:
            mute.append(found)
            continue
        try:
            if found.family.recognises(checkpoint):
                takes.append(found.family)
        except Exception as error:  # a stranger's code, on anybody's file
            problem = f"can't tell whether {checkpoint} is its own: {_in_words(error)}"
            mute.append(Found(found.name, found.package, found.place, None, problem))
    return takes, mute


@contextmanager
def named(family: Family) -> Iterator[None]:
    """Says of a bug whose it is: what a family raises besides refusals is its own."""
    try:
        yield
    except (EdgeError, OSError, ImportError):
        raise
    except Exception as error:
        raise RuntimeError(f"in the family {family.name}: {type(error).__name__}: {error}") from error


def _points() -> tuple[list[tuple[str, EntryPoint]], list[Found]]:
    """Entry points of the group with the packages that they are of, and packages that can't be read."""
    points = {(PROJECT, point) for point in _own()}
    unreadable: list[Found] = []
    for name, distribution in _installed():
        if _normal(name) == PROJECT and checkout() is not None:
            continue
        try:
            points |= {(name, point) for point in distribution.entry_points if point.group == GROUP}
        except Exception as error:  # what another package left on this machine may be anything
            unreadable.append(Found(name, name, "entry_points.txt", None, f"can't be read: {_in_words(error)}"))
    return sorted(points, key=lambda each: (each[1].name, each[1].value)), unreadable


def _own() -> list[EntryPoint]:
    """Those of the checkout that this runs from, which may have moved on since it was installed."""
    folder = checkout()
    if folder is None:
        return []
    project = msgspec.toml.decode((folder / "pyproject.toml").read_bytes())["project"]
    return [EntryPoint(name, value, GROUP) for name, value in project["entry-points"][GROUP].items()]


def _installed() -> Iterator[tuple[str, Distribution]]:
    """Each installed package once: of two on the search path, the first is the one that is imported."""
    seen = set()
    for distribution in distributions():
        try:
            name = distribution.metadata["Name"]
        except Exception:  # as above; without a name it can't be told from others
            continue
        if name and _normal(name) not in seen:
            seen.add(_normal(name))
            yield name, distribution


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _loaded(package: str, point: EntryPoint) -> Found:
    try:
        family = point.load()
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything when it is imported
        return Found(point.name, package, point.value, None, f"can't be loaded: {_in_words(error)}")
    if problem := _problem_with(family, point.name):
        return Found(point.name, package, point.value, None, problem)
    return Found(point.name, package, point.value, family)


def _problem_with(family: object, name: str) -> str:
    for member, kind in _MEMBERS.items():
        try:
            value = getattr(family, member)
        except Exception:  # a property of a stranger's
            return f"is no family: it has no {member}"
        if not (callable(value) if kind is None else isinstance(value, kind)):
            return f"is no family: its {member} is a {type(value).__name__}"
    if isinstance(family, type):
        return "is a class: an entry point names the family itself, an object of it"
    own = str(getattr(family, "name", ""))
    return "" if own == name else f"calls itself {own!r}: a family has the name of its entry point"


def _in_words(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return explain(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
