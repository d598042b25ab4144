"""How this software was installed here, and what to type where a package that it can do without is missing.

What belongs together (the extras of pyproject.toml) is read from the installed metadata, so that advice and packaging
can't differ. This project is on no package index: advice never tells anybody to fetch it from one.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from edge_runtime.contracts.errors import MissingPackageError

PROJECT = "edge-runtime"
_OWN = ("edge_runtime", "export_tools", "hub")
_MAX_CHARS = 400

_IMPORTED_AS = {
    "cuda-python": "cuda",
    "eclipse-zenoh": "zenoh",
    "import-linter": "importlinter",
    "opencv-python-headless": "cv2",
    "pyzmq": "zmq",
    "rerun-sdk": "rerun",
    "ur-rtde": "rtde_control",
}
"""Import names of distributions that are not called alike. One that is not installed can't say it itself."""

_ELSEWHERE = {
    "tensorrt": "TensorRT comes with JetPack on a Jetson, beside another NVIDIA GPU with: pip install tensorrt",
}
"""What no extra brings."""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?")
_VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
_EXTRA = re.compile(r"extra == [\"']([^\"']+)[\"']")


@cache
def version() -> str:
    """Version of this software, as pyproject.toml has it; `unknown` where nothing says it.

    A checkout's own file counts, not what it said when the checkout was installed.
    """
    folder = checkout()
    if folder is not None:
        with suppress(OSError):
            found = _VERSION.search((folder / "pyproject.toml").read_text(encoding="utf-8"))
            if found is not None:
                return found[1]
    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return "unknown"


def checkout() -> Path | None:
    """The folder that this software runs from, if that is one with its sources and not an installed package."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() and (folder / "setup.py").is_file() else None


def explain(error: ImportError, extras: Sequence[str] = ()) -> str:
    """One line for a person: what can't be imported, and the command that installs it.

    Args:
        error: what the import raised.
        extras: those that the command as a whole needs; whatever else of them is missing is advised at once.
    """
    name = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not name:
        return _one_line(error)
    if name not in _ELSEWHERE and name not in _imports_of_all():
        return f"{_one_line(error)}; {again()}" if name in _OWN else _one_line(error)
    return str(not_installed([name], extras))


def missing(*extras: str) -> tuple[str, ...]:
    """Import names of what `extras` bring and can't be found here."""
    wanted = {name for extra in extras for name in _imports_of(extra)}
    return tuple(sorted(name for name in wanted if not is_there(name)))


def not_installed(names: Sequence[str], extras: Sequence[str] = ()) -> MissingPackageError:
    """The error for packages that are missing, with the command that installs them.

    Args:
        names: import names of what was found missing.
        extras: those to choose from first; all of them that lack something are installed at once.
    """
    lacking = [extra for extra in extras if missing(extra)]
    rest = [name for name in names if not any(name in _imports_of(extra) for extra in lacking)]
    chosen = [*lacking, *dict.fromkeys(extra for name in rest if (extra := _extra_with(name, extras)) is not None)]
    absent = sorted({*names, *missing(*chosen)})
    elsewhere = [hint for name, hint in _ELSEWHERE.items() if name in absent]
    return MissingPackageError(absent, "; ".join([*([_command(chosen, absent)] if chosen else []), *elsewhere]))


def again() -> str:
    """What to do where a part of this software itself is missing."""
    return f"to install this software again: {_command((), ())}" if checkout() else "install this software again"


def _command(extras: Sequence[str], absent: Collection[str]) -> str:
    pip = f"{shlex.quote(_shown(Path(sys.executable)))} -m pip install"
    folder = checkout()
    if folder is not None:
        where = "." if folder == _here() else str(folder)
        wanted = ",".join(extra for extra in extras if extra)
        named = f"[{wanted}]" if wanted else ""
        return f"{pip} -e {shlex.quote(where + named)}"
    specifiers = {text for extra in extras for name, text in _requirements_of(extra) if name in absent}
    return " ".join((pip, *(shlex.quote(text) for text in sorted(specifiers))))


def _shown(path: Path) -> str:
    folder = checkout()
    return str(path.relative_to(folder)) if folder and folder == _here() and folder in path.parents else str(path)


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # the folder was removed
        return None


def _extra_with(name: str, wanted: Sequence[str]) -> str | None:
    """One of `wanted` that brings `name`, else the smallest that does."""
    bring = [extra for extra in _extras() if name in _imports_of(extra)]
    return min(bring, key=lambda extra: (extra not in wanted, len(_imports_of(extra))), default=None)


def _imports_of_all() -> set[str]:
    return {name for extra in _extras() for name in _imports_of(extra)}


def _imports_of(extra: str) -> set[str]:
    return {name for name, _ in _requirements_of(extra)}


def _requirements_of(extra: str) -> Iterator[tuple[str, str]]:
    """Import names and specifiers of what `extra` brings, with the extras inside it; "" is what is always needed."""
    for line in _extras().get(extra, ()):
        found = _REQUIREMENT.match(line)
        if found is None:
            continue
        if found["name"] == PROJECT:
            for inner in (found["extras"] or "").split(","):
                yield from _requirements_of(inner.strip())
        else:
            yield _IMPORTED_AS.get(found["name"], found["name"].replace("-", "_")), line


@cache
def _extras() -> dict[str, list[str]]:
    """Requirements by extra; those of "" are always installed. What only some versions of Python need is left out."""
    folder = checkout()
    msgspec = None
    with suppress(ImportError):  # what can't be read without it, it may be that has to be installed
        msgspec = import_module("msgspec")
    if folder is not None and msgspec is not None:
        # What the advised command will read, which may be newer than what was installed from it.
        project = msgspec.toml.decode((folder / "pyproject.toml").read_bytes())["project"]
        declared = {"": project["dependencies"], **project["optional-dependencies"]}
        return {extra: [line for line in lines if ";" not in line] for extra, lines in declared.items()}
    try:
        lines = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        return {}
    extras: dict[str, list[str]] = {"": []}
    for line in lines:
        specifier, _, marker = line.partition(";")
        extra = _EXTRA.fullmatch(marker.strip())
        if extra or not marker:
            extras.setdefault(extra[1] if extra else "", []).append(specifier.strip())
    return extras


def is_there(name: str) -> bool:
    """Whether `name` can be imported, without importing it."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MAX_CHARS] or type(error).__name__
