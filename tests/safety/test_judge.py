"""Links keep their distance whatever the setpoints are, as somebody else sees it: `judge/` drives and measures.

`make judge` does the same for ten million ticks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_runtime.safety.kinematics import GeometryModel
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
