"""The guide says what is so: its tables are compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

from edge_runtime.contracts.errors import HubRefusal, ReportRefusal
from hub.api.declined import status_of
from hub.api.static_files import NOT_THERE, cache_control
from hub.fleet.assignment_state import AssignmentState

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "hub.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """First column without its ticks, and the others, of the table that begins with `heading`."""
    lines = GUIDE[GUIDE.index(f"| {heading} |") :].splitlines()[2:]
    table = lines[: next((n for n, line in enumerate(lines) if not line), None)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_refusal_and_standing_is_explained() -> None:
    assert set(rows("refusal")) == {refusal.value for refusal in ReportRefusal}
    assert {name: int(row[0]) for name, row in rows("declined").items()} == {
        refusal.value: status_of(refusal) for refusal in HubRefusal
    }
    assert set(rows("standing")) == {standing.value for standing in AssignmentState}


def test_caching_rules_are_those_of_the_server() -> None:
    digest = "a" * 64
    examples = (
        f"image/targets/packs/{digest}.pack",
        f"image/targets/bundles/reach/{digest}.{digest}.json",
        "image/metadata/7.snapshot.json",
        "director/robots/arm-1/metadata/timestamp.json",
    )
    said = [re.findall(r"`([^`]*)`", row[0])[0] for row in rows("path").values()]
    assert said == [
        cache_control(examples[0]),
        cache_control(examples[2]),
        cache_control(examples[3]),
        NOT_THERE,
    ]
    assert cache_control(examples[1]) == cache_control(examples[0])
