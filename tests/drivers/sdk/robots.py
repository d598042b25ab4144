"""Robots outside of the tree, for tests: the skeleton that `edge-runtime new driver` writes, copied and spoilt."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from edge_runtime.drivers import sdk

SKELETON = Path(sdk.__file__).parent / "skeleton"


def robot_of(folder: Path, driver: str, text: str = "") -> Path:
    """A robot whose settings are the skeleton's, with `driver` in robot.toml; `text` goes to driver.py beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (SKELETON / "my_arm" / "config").glob("*.toml"):
        shutil.copy(source, folder / source.name)
    path = folder / "robot.toml"
    path.write_text(re.sub(r'(?m)^driver = ".*"$', f'driver = "{driver}"', path.read_text()), encoding="utf-8")
    if text:
        (folder / "driver.py").write_text(text, encoding="utf-8")
    return path


def skeleton_driver() -> str:
    """The skeleton's driver.py."""
    return (SKELETON / "my_arm" / "driver.py").read_text(encoding="utf-8")
