"""How this software was installed here, and what to type where a package that it can do without is missing.

What belongs together (the extras of pyproject.toml) is read from the installed metadata, so that advice and packaging
can't differ. This project is on no package index: advice never tells anybody to fetch it from one.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

PROJECT = "edge-runtime"

_IMPORTED_AS = {
    "cuda-python": "cuda",
    "import-linter": "importlinter",
    "opencv-python-headless": "cv2",
    "pyzmq": "zmq",
}
"""Import names of distributions that are not called alike. One that is not installed can't say it itself."""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?(?P<versions>[^;]*)(?:;(?P<marker>.*))?")
_EXTRA = re.compile(r"extra == [\"']([^\"']+)[\"']")


def version() -> str:
    """Version of the installed software; `unknown` where it runs without having been installed."""
    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return "unknown"


def checkout() -> Path | None:
    """The folder that this software runs from, if that is one with its sources and not an installed package."""
    folder = Path(__file__).resolve().parents[1]
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
    if name not in _imports_of_all():
        hint = f"; to install {PROJECT} again: {_again()}" if _is_own(name) else ""
        return f"{_one_line(error)}{hint}"
    return advice([name], extras)


def missing(*extras: str) -> tuple[str, ...]:
    """Import names of what `extras` bring and can't be found here."""
    wanted = {name for extra in extras for name in _imports_of(extra)}
    return tuple(sorted(name for name in wanted if not _is_there(name)))


def advice(names: Sequence[str], extras: Sequence[str] = ()) -> str:
    """One line for a person: the packages that are missing, and the command that installs them.

    Args:
        names: import names of what was found missing.
        extras: those to choose from first; all of them that lack something are installed at once.
    """
    lacking = [extra for extra in extras if missing(extra)]
    rest = [name for name in names if not any(name in _imports_of(extra) for extra in lacking)]
    chosen = [*lacking, *dict.fromkeys(extra for name in rest if (extra := _extra_with(name)))]
    absent = sorted({*names, *missing(*chosen)})
    are = "is" if len(absent) == 1 else "are"
    return f"{', '.join(absent)} {are} not installed; to install: {_command(chosen)}"


def _command(extras: Sequence[str]) -> str:
    pip = f"{shlex.quote(_shown(Path(sys.executable)))} -m pip install"
    folder = checkout()
    if folder is not None:
        where = "." if folder == Path.cwd() else str(folder)
        named = f"[{','.join(extras)}]" if extras else ""
        return f"{pip} -e {shlex.quote(where + named)}"
    absent = set(missing(*extras))
    specifiers = {text for extra in extras for name, text in _requirements_of(extra) if name in absent}
    return " ".join((pip, *(shlex.quote(text) for text in sorted(specifiers))))


def _again() -> str:
    return _command(()) if checkout() else f"{shlex.quote(sys.executable)} -m pip install --force-reinstall, as before"


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def _extra_with(name: str) -> str | None:
    return next((extra for extra in _extras() if name in _imports_of(extra)), None)


def _extras() -> list[str]:
    try:
        return metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _imports_of_all() -> set[str]:
    return {name for extra in ("", *_extras()) for name in _imports_of(extra)}


def _imports_of(extra: str) -> set[str]:
    return {name for name, _ in _requirements_of(extra)}


def _requirements_of(extra: str) -> Iterator[tuple[str, str]]:
    """Import names and specifiers of what `extra` brings, with the extras inside it; "" is what is always needed."""
    try:
        lines = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found is None:
            continue
        marked = _EXTRA.search(found["marker"] or "")
        if (marked[1] if marked else "") != extra:
            continue
        if found["name"] == PROJECT:
            for inner in (found["extras"] or "").split(","):
                yield from _requirements_of(inner.strip())
        else:
            name = _IMPORTED_AS.get(found["name"], found["name"].replace("-", "_"))
            yield name, line.partition(";")[0].strip()


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_own(name: str) -> bool:
    return name in ("contracts", "edge_runtime", "export_tools", "hub")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
