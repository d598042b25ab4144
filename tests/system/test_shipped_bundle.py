"""The bundle in assets/ does its task through the whole runtime, and because of the words it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.evaluation.episodes import EpisodeRunner

EPISODES = 5


@pytest.fixture
def operator(run_dir: Path) -> Iterator[Operator]:
    table = ProcessTable(load_config(SIM_CONFIG), run_dir, lockstep=True, restart=False)
    with Operator(run_dir) as operator, table:
        table.start()
        operator.on_wait = table.tend
        yield operator


def test_it_obeys_unseen_sentences_and_fails_when_they_mean_another_object(operator: Operator) -> None:
    """Few episodes, wide bounds: `edge-runtime evaluate` measures, this notices that something broke."""
    seeds = range(1000, 1000 + EPISODES)
    with EpisodeRunner(operator, lockstep=True) as runner:
        obeyed = [runner.run(seed, "eval") for seed in seeds]
        assert sum(result.success for result in obeyed) >= 3, [result.reason for result in obeyed]
        swapped = [runner.run(seed, "eval", swapped=True) for seed in seeds]
    assert sum(result.success for result in swapped) <= 2, [result.reason for result in swapped]
    assert operator.watcher.refusals == {}
