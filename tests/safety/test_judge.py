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

TICKS = {"shipped": 40_000, "one_arm": 60_000, "two_arms": 80_000, "hand": 40_000}


@pytest.mark.parametrize("name", TICKS)
def test_links_keep_their_distance_for_setpoints_that_want_them_to_meet(name: str, tmp_path: Path) -> None:
    bench = BENCHES[name](tmp_path)
    found = bench.drive(TICKS[name], seed=2)
    assert found.violations == 0, found.examples
    assert found.ticks == TICKS[name]
    # Otherwise nothing would have been shown.
    assert found.closest_m < 0.004
    assert found.reached


@pytest.mark.parametrize("name", ["two_arms", "hand"])
def test_the_judge_sees_links_meet_where_nothing_keeps_them_apart(name: str, tmp_path: Path) -> None:
    bench = BENCHES[name](tmp_path)
    body = bench.config.geometry
    assert isinstance(body, GeometryModel)
    blind = msgspec.structs.replace(body, pairs=(), nearer=())
    found = replace(bench, config=replace(bench.config, geometry=blind)).drive(20_000, seed=1)
    assert found.violations > 0
    assert found.closest_m < -0.01, "deeper than touching"
