"""The walks of docs/architecture.md lead through files that there are, by names that hand over to each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_HOP = re.compile(r"^\d+\. `(?P<file>[^`]+)`, `(?P<does>\w+)`: [^→]*?(?:→ `(?P<carries>\w+)`)?$", re.MULTILINE)


def walks() -> dict[str, list[re.Match[str]]]:
    section = PAGE[PAGE.index("## Four walks") : PAGE.index("\n## ", PAGE.index("## Four walks") + 1)]
    parts = re.split(r"^\*\*(An? [^*]+)\*\*$", section, flags=re.MULTILINE)[1:]
    return {name: list(_HOP.finditer(text)) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def names_in(file: str) -> set[str]:
    return set(re.findall(r"\w+", (ROOT / file).read_text(encoding="utf-8")))


def test_there_are_four() -> None:
    assert {name: len(hops) for name, hops in walks().items()} == {
        "An observation": 5,
        "A chunk": 11,
        "A digest": 8,
        "A stop": 8,
    }


@pytest.mark.parametrize("name", list(walks()))
def test_each_file_does_what_the_walk_says_and_hands_it_on(name: str) -> None:
    hops = walks()[name]
    for hop, following in zip(hops, [*hops[1:], None], strict=True):
        assert hop["does"] in names_in(hop["file"]), hop.group()
        if following is None:
            assert hop["carries"] is None
            continue
        assert hop["carries"], hop.group()
        for file in (hop["file"], following["file"]):
            assert hop["carries"] in names_in(file), f"{hop['carries']} is not in {file}"
