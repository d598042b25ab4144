"""A small fleet goes through an update against a real hub; `benchmarks/ota_fleet.py` does it with hundreds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from benchmarks.ota_fleet import update

AGENTS = 20
SEED = 117
"""Draws robots that are killed within a second, before any could be done: a trial alone takes one."""


def test_a_fleet_finishes_an_update_with_some_of_it_dropping_in_and_out(tmp_path: Path) -> None:
    figures = update(tmp_path, AGENTS, SEED, Console(quiet=True))
    # It ends only once the hub knows from each robot, signed, that it runs the new bundle.
    assert (figures["agents"], figures["dropping"]) == (AGENTS, 6)
    assert figures["kills"] >= 1
    assert figures["ended_by_itself"] == 0
    assert figures["served_mb"] > AGENTS * figures["bundle_mb"]
    assert figures["moved_twice_blobs_per_drop"] <= 1.0
