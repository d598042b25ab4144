"""Robots outside of the tree, for tests: the skeleton that `edge-runtime new driver` writes, copied and spoilt."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from edge_runtime.drivers import sdk
from edge_runtime.drivers.sdk.c import compiler_arguments

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


def c_robot(folder: Path) -> Path:
    """A robot whose driver is the skeleton's program in C, built in `folder`."""
    path = robot_of(folder, "./driver.py", (SKELETON.parent / "skeleton_c" / "my_arm" / "driver.py").read_text())
    source = SKELETON.parent / "skeleton_c" / "src" / "driver.c"
    command = ["cc", "-std=gnu11", "-O2", "-Wall", "-Werror", "-o", folder / "my_arm_driver", source]
    subprocess.run([*map(str, command), *compiler_arguments()], check=True, timeout=60)
    return path
