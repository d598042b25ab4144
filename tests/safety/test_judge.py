"""Links keep their distance whatever the setpoints are, as somebody else sees it: `judge/` drives and measures.

`make judge` does the same for ten million ticks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_runtime.safety import Reason
from edge_runtime.safety.kinematics import GeometryModel
from tests.safety.judge import kinds
from tests.safety.judge.benches import BENCHES
from tests.safety.judge.judge import Findings

TICKS = 50_000
MOST_RUNS = 8


@pytest.mark.parametrize("name", BENCHES)
def test_links_keep_their_distance_for_setpoints_that_want_them_to_meet(name: str, tmp_path: Path) -> None:
    bench = BENCHES[name](tmp_path)
    found = Findings()
    # Where no links came near each other, nothing was shown: then another seed drives on.
    for seed in range(1, MOST_RUNS + 1):
        found.add(bench.drive(TICKS, seed))
        assert found.violations == 0, found.examples
        if found.reached:
            break
    assert found.ticks >= TICKS
    assert found.closest_m < 0.004


@pytest.mark.parametrize("name", ["two_arms", "hand"])
def test_the_judge_sees_links_meet_where_nothing_keeps_them_apart(name: str, tmp_path: Path) -> None:
    bench = BENCHES[name](tmp_path)
    body = bench.config.geometry
    assert isinstance(body, GeometryModel)
    blind = msgspec.structs.replace(body, pairs=(), nearer=())
    found = replace(bench, config=replace(bench.config, geometry=blind)).drive(20_000, seed=1)
    assert found.violations > 0
    assert found.closest_m < -0.01, "deeper than touching"


def test_each_kind_of_axis_keeps_its_limits_as_somebody_else_sees_them() -> None:
    """Positions alone are judged, turns are counted, and the base is where its commands took it."""
    reached: dict[str, float] = {}
    nearest_m, turns, reasons = math.inf, 0.0, Reason(0)
    for seed in range(4):
        seen = kinds.drive(12_000, seed)
        assert seen.beyond == []
        reached = {what: max(share, reached.get(what, 0.0)) for what, share in seen.most.items()}
        nearest_m, turns = min(nearest_m, seen.nearest_m), max(turns, seen.turns)
        reasons |= seen.reasons
    # Worth something only where the limits were met.
    assert min(reached.values()) > 0.97, reached
    assert nearest_m < 0.01
    assert turns > 1.0
    assert Reason.LIMIT_GEOMETRY in reasons
