"""cppcheck has nothing to say about the kernel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.safety.programs import KERNEL

SUPPRESSED = (
    "missingIncludeSystem",  # cppcheck brings its own knowledge of libc
    "unusedFunction",  # the public functions: their callers are outside of the kernel
)


def test_cppcheck_is_silent() -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("no cppcheck: sudo apt-get install cppcheck")
    command = [
        "cppcheck",
        "--quiet",
        "--enable=all",
        "--inconclusive",
        "--std=c11",
        "--error-exitcode=1",
        f"-I{KERNEL}",
    ]
    done = subprocess.run(
        [*command, *(f"--suppress={name}" for name in SUPPRESSED), str(KERNEL)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_cppcheck_would_have_said_something(tmp_path: Path) -> None:
    """The same command on a file with an error in it: a silent tool is no proof."""
    if shutil.which("cppcheck") is None:
        pytest.skip("no cppcheck: sudo apt-get install cppcheck")
    bad = tmp_path / "bad.c"
    bad.write_text("int f(void) { int a[2]; a[2] = 1; return a[0]; }\n", encoding="utf-8")
    done = subprocess.run(["cppcheck", "--quiet", "--enable=all", "--error-exitcode=1", str(bad)], capture_output=True)
    assert done.returncode == 1
