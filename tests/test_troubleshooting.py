"""What the troubleshooting page quotes is what the product says: each message exists in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
VALUE = "\0"


def literals() -> Iterator[str]:
    """Every string of the product's source, pieces of one message joined, with a mark for each value in it."""
    for folder in ("edge_runtime", "hub", "export_tools"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            # A string that stands alone is documentation: nobody sees it while the product runs.
            alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if id(node) in alone:
                    continue
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)


def quoted(page: str) -> list[str]:
    """What the first column of its tables has in backticks; a message may have backticks of its own."""
    cells = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| `")]
    return [cell[1 : cell.rindex("`")] for cell in cells]


MESSAGES = quoted(PAGE.read_text(encoding="utf-8"))
SOURCE = "\n".join(" ".join(text.split()) for text in literals())


def pattern(message: str) -> str:
    """Of one line of the source: an ellipsis is anything."""
    return ".*".join(re.escape(part) for part in message.split("…"))


def test_the_page_quotes_what_people_see() -> None:
    assert len(MESSAGES) > 60


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_quoted_is_said(message: str) -> None:
    assert max(len(part) for part in message.split("…")) >= 4, "too little to be looked for"
    assert re.search(f"(?m)^[^\n]*{pattern(message)}", SOURCE), message


def test_a_message_that_is_said_nowhere_is_found_out() -> None:
    assert not re.search(pattern("the flux capacitor is …"), SOURCE)
