"""What pyproject.toml asks of libraries: each that users get has a range, and Python 3.10 is not sent searching."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPERS = {"dev", "mutation"}
NEVER_HELD_BACK = {"cryptography", "urllib3"}
"""Whose holes are repaired in the newest major version alone."""


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in extras if name not in DEVELOPERS for line in extras[name])]
    return [line for line in lines if not line.startswith("edge-runtime[")]


def name_of(line: str) -> str:
    return re.split(r"[\[<>=!~;]", line)[0].strip()


@pytest.mark.parametrize("line", sorted(set(requirements())))
def test_a_library_has_a_lowest_version_and_a_major_version_that_nobody_has_tried(line: str) -> None:
    versions = line.partition(";")[0]
    if "==" in versions:
        return
    assert ">=" in versions or line.startswith("etils"), "its lowest version is not tested"
    assert ("<" in versions) is (name_of(line) not in NEVER_HELD_BACK), versions


def test_a_library_has_one_range_wherever_it_is_named() -> None:
    ranges: dict[str, set[str]] = {}
    for line in requirements():
        ranges.setdefault(name_of(line), set()).add(line)
    assert not {name: lines for name, lines in ranges.items() if len(lines) > 1}


def test_python_3_10_is_offered_no_etils_that_needs_a_newer_python() -> None:
    (line,) = (line for line in PROJECT["optional-dependencies"]["sim"] if line.startswith("etils"))
    assert line == "etils<1.14; python_version < '3.11'"


def test_every_extra_that_users_get_stands_in_the_guide_to_installing() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "install.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z0-9]+)` \|", guide, re.MULTILINE))
    assert set(PROJECT["optional-dependencies"]) - DEVELOPERS <= rows
