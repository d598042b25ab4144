"""`edge-runtime new driver NAME`: a package that works, for a driver outside of this project's tree."""

from __future__ import annotations

import argparse
import keyword
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.drivers import sdk
from edge_runtime.drivers.registry import driver_names

_SDK = Path(sdk.__file__).parent
_SKELETONS = {"python": ("skeleton",), "c": ("skeleton", "skeleton_c")}
"""Folders whose files are copied, later ones over earlier ones."""

_LEFT_OUT = ("__pycache__",)


def new(options: argparse.Namespace, console: Console) -> int:
    """Write the package `options.name` into `options.folder`, and say what to do with it.

    Raises:
        ConfigError: no name for a package, one that is taken, or a folder that holds something or can't be written.
    """
    name: str = options.name
    if not (name.isidentifier() and name.islower() and name.isascii()) or keyword.iskeyword(name) or len(name) > 40:
        raise ConfigError("NAME", f"{name!r}: expected lower-case letters, digits and underscores, such as my_arm")
    if name in driver_names():
        raise ConfigError("NAME", f"{name!r} is the name of an installed driver: choose another one")
    folder: Path = options.folder or Path(name)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError("DIR", f"{folder} holds something: name an empty folder, or one that is not there")
        for source, text in _files(_SKELETONS[options.language]):
            target = folder / _renamed(str(source), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_renamed(text, name), encoding="utf-8")
    except OSError as error:
        raise ConfigError("DIR", f"{error.filename}: {error.strerror}") from error
    config = folder / name / "config" / "robot.toml"
    steps = [
        *(["make -C " + str(folder)] if options.language == "c" else []),
        f"python -m pip install -e {folder} pytest",
        f"python -m pytest {folder / 'tests'}",
        f"edge-runtime check --config {config}",
        f"edge-runtime run --hold --config {config}",
    ]
    console.print(
        f"wrote {folder}, a driver for a made-up arm that works as it is. Next:", highlight=False, markup=False
    )
    for step in steps:
        console.print(f"  {step}", highlight=False, markup=False, soft_wrap=True)
    console.print("Then replace the made-up arm by yours: docs/guides/drivers.md", highlight=False, markup=False)
    return 0


def _files(folders: Sequence[str]) -> list[tuple[Path, str]]:
    found: dict[Path, str] = {}
    for folder in folders:
        root = _SDK / folder
        for path in sorted(root.rglob("*")):
            if path.is_file() and not any(part in _LEFT_OUT for part in path.parts):
                found[path.relative_to(root)] = path.read_text(encoding="utf-8")
    return list(found.items())


def _renamed(text: str, name: str) -> str:
    title = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("my_arm", name).replace("MyArm", title)
