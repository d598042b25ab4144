"""What a GPU's driver says of it, asked through a small library that answers as a driver does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from edge_runtime.gpu import Gpu, find_architecture, find_gpu

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    library = tmp_path_factory.mktemp("double") / "cuda_double.so"
    flags = ["-shared", "-fPIC", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, str(HERE / "cuda_double.c"), "-o", str(library)], check=True)
    return str(library)


def test_the_driver_is_asked(driver: str, tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX 540.4.0\nGCC version: 11\n", encoding="utf-8")
    assert find_gpu(driver, version) == Gpu("Orin", "sm_87", "12.6", "NVRM version: NVIDIA UNIX 540.4.0")
    assert find_gpu(driver, tmp_path / "absent") == Gpu("Orin", "sm_87", "12.6", "")
    assert find_architecture(driver) == "sm_87"


def test_without_driver_or_device_there_is_none(driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_gpu(str(tmp_path / "no_driver.so")) is None
    assert find_architecture(str(tmp_path / "no_driver.so")) is None
    assert find_gpu("libc.so.6") is None, "a library without these calls"
    monkeypatch.setenv("CUDA_DOUBLE", "no_device")
    assert find_gpu(driver) is None
    assert find_architecture(driver) is None


def test_a_driver_that_hangs_is_not_waited_for(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DOUBLE", "hangs")
    started_s = time.monotonic()
    assert find_architecture(driver, limit_s=1.0) is None
    assert time.monotonic() - started_s < 30.0
