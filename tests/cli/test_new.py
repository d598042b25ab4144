"""`edge-runtime new driver`: what it writes, and what it refuses; that it works: tests/drivers/test_conformance.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.config.robot_file import load_config
from tests.cli.conftest import Command


def test_it_writes_a_package_and_says_what_comes_next(edge_runtime: Command, tmp_path: Path) -> None:
    out, err = edge_runtime("new", "driver", "big_arm", tmp_path / "big").communicate(timeout=30)
    assert err == ""
    assert f"pip install -e {tmp_path / 'big'}" in out
    assert f"edge-runtime run --hold --config {tmp_path / 'big' / 'big_arm' / 'config' / 'robot.toml'}" in out
    written = sorted(
        str(path.relative_to(tmp_path / "big")) for path in (tmp_path / "big").rglob("*") if path.is_file()
    )
    assert written == [
        "README.md",
        "big_arm/__init__.py",
        "big_arm/config/embodiment.toml",
        "big_arm/config/robot.toml",
        "big_arm/config/safety.toml",
        "big_arm/driver.py",
        "pyproject.toml",
        "tests/test_driver.py",
    ]
    for path in (tmp_path / "big").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "my_arm" not in text, path
            assert "MyArm" not in text, path
    assert load_config(tmp_path / "big" / "big_arm" / "config" / "robot.toml").robot.driver == "big_arm"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("My-Arm", "'My-Arm': expected lower-case letters, digits and underscores, such as my_arm"),
        ("class", "'class': expected lower-case letters, digits and underscores, such as my_arm"),
        ("ärm", "'ärm': expected lower-case letters, digits and underscores, such as my_arm"),
        ("sim", "'sim' is the name of an installed driver: choose another one"),
    ],
)
def test_a_name_that_can_not_be_is_refused(edge_runtime: Command, tmp_path: Path, name: str, problem: str) -> None:
    process = edge_runtime("new", "driver", name, tmp_path / "new")
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (2, f"error: NAME: {problem}\n")
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_over(edge_runtime: Command, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    process = edge_runtime("new", "driver", "big_arm", tmp_path)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.startswith(f"error: DIR: {tmp_path} holds something")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_folder_that_can_not_be_written_is_one_line(edge_runtime: Command) -> None:
    process = edge_runtime("new", "driver", "big_arm", "/proc/nowhere")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.startswith("error: DIR: /proc/nowhere")
    assert err.count("\n") == 1
