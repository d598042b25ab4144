"""The page of all settings is made from the types: it has what each key needs, and every example is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from scripts import config_reference
from scripts.config_reference import UndocumentedKeyError

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "config.md"


class Silent(msgspec.Struct):
    """A section whose key says nothing."""

    gain: float = 1.0


class WithoutExample(msgspec.Struct):
    """A section whose key has no example."""

    chip: str
    """Which chip."""


class WrongExample(msgspec.Struct):
    """A section whose example is not accepted."""

    line: int
    """Which line. Example: `"seven"`."""


@pytest.mark.parametrize(("kind", "said"), [(Silent, "Silent.gain: no string"), (WithoutExample, "no example")])
def test_a_key_without_its_words_fails(kind: type, said: str) -> None:
    with pytest.raises(UndocumentedKeyError, match=said):
        list(config_reference._tables(kind, "", {}))


def test_an_example_that_the_type_refuses_fails() -> None:
    with pytest.raises(msgspec.ValidationError):
        list(config_reference._tables(WrongExample, "", {}))


def test_every_table_of_robot_toml_is_there_with_its_keys() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = set(re.findall(r"^### `\[+([\w.]+)\]+`", page, re.MULTILINE))
    assert {"robot", "engine", "control", "confidence", "stop_line", "ota", "ota.probation", "ota.scrub"} <= headings
    assert {"joints.NAME", "fallback", "contact", "geometry", "geometry.keep_out", "joints.limits"} <= headings
    for key in ("replan_interval_s", "tracking_error_max_rad", "home_rad", "tls-certificate"):
        assert re.search(rf"^\| `-*{key}` \| .+ \| .+ \| `.+` \|$", page, re.MULTILINE), key
