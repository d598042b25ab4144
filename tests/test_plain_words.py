"""What people read is in words that the field uses: none of the turns of phrase that a stranger has to guess at.

Decisions (docs/adr/) are records, and stay as they were written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRIVATE = re.compile(
    r"\b(nobody|somebody|whosoever|for ever|taken back|held against|gives? way to|the dearest|been heard|not heard|"
    r"is heard|hears no|was told|were told|is told to|told to run|is due, not|are due\b(?! at)|loses its past)\b",
    re.IGNORECASE,
)


def pages() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.parent.name != "adr"]


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Strings of a module that a person may be shown: all but documentation, and words alone, which are names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            if len(node.value.split()) < 2:
                continue
            yield node.lineno, node.value


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_plain_words(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if PRIVATE.search(line)] == []


@pytest.mark.parametrize("folder", ["edge_runtime", "hub", "export_tools"])
def test_what_people_are_shown_is_in_plain_words(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in messages(path)
        if PRIVATE.search(" ".join(text.split()))
    ]
    assert found == []
