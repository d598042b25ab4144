"""Spoiling a copy of the shipped settings, and the one line that comes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import ConfigError


def copy_settings(folder: Path) -> Path:
    """A copy of the shipped settings that a test may spoil, with an empty bundle; the path of its robot.toml."""
    for source in SIM_CONFIG.parent.glob("*.toml"):
        (folder / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "bundle").mkdir()
    replace(folder / "robot.toml", r'bundle = ".*"', 'bundle = "bundle"')
    return folder / "robot.toml"


def replace(path: Path, pattern: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    after = re.sub(pattern, text, before, count=1, flags=re.MULTILINE)
    assert after != before, pattern
    path.write_text(after, encoding="utf-8")


def problem_of(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    return caught.value
