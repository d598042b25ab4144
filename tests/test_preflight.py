"""What the operating system lacks is said in one line that can be pasted, before anything is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "preflight.sh"
EGL = "libegl1 libopengl0 libgl1-mesa-dri"
OLD = 'case "$*" in *version_info*) exit 1 ;; --version) echo "Python 3.9.2" ;; esac'
BARE = 'case "$*" in *version_info*) exit 0 ;; *) exit 1 ;; esac'


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("python3.12", None, "python3.12 not found: sudo apt-get install python3.12"),
        ("python3", OLD, "Python 3.9.2 is too old, 3.10 or newer is needed: make PYTHON=python3.11 …"),
        ("python3", BARE, "sudo apt-get install gcc python3-venv python3-dev libegl1 libopengl0 libgl1-mesa-dri"),
        (
            "python3.12",
            BARE,
            "sudo apt-get install gcc python3.12-venv python3.12-dev libegl1 libopengl0 libgl1-mesa-dri",
        ),
    ],
)
def test_one_line_names_what_is_missing(tmp_path: Path, name: str, body: str | None, message: str) -> None:
    if body is not None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    command = ["/bin/sh", str(SCRIPT), name]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"{message}\n")
    assert done.stderr.count("\n") == 1
