"""The extension's builder: one line for what is missing, and the C headers as the only description."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from edge_runtime.native.build import HEADERS, PACKAGE, declarations, require_toolchain


def one_line(error: pytest.ExceptionInfo[SystemExit]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_no_compiler_names_the_package() -> None:
    with pytest.raises(SystemExit) as error:
        require_toolchain("no-such-compiler", sysconfig.get_path("include"))
    assert "apt-get install gcc" in one_line(error)


def test_no_python_header_names_the_package(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or "gcc"
    with pytest.raises(SystemExit) as error:
        require_toolchain(compiler, str(tmp_path))
    assert "apt-get install python3-dev" in one_line(error)


@pytest.mark.parametrize("header", HEADERS)
def test_every_header_has_something_for_bindings(header: str) -> None:
    assert len(declarations(PACKAGE / header)) > 100
