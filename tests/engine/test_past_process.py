"""The engine as a real process, with policies that look back or were trained for a delay: real sockets, real frames."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.messages import ActionChunk, Observation
from edge_runtime.policies.context import actions_at
from tests.engine.test_engine_process import PATIENCE_S, Start, Surroundings, start, surroundings
from tests.past_families import DT_NS, delayed_bundle, diffusion_bundle, diffusion_plan

__all__ = ["start", "surroundings"]

TOLERANCE_NS = 30_000_000
FRAME_S = 0.02
OPENING_M = 0.04
CHUNKS = 8

Array = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(params=["history", "delay"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(tmp_path: Path, embodiment: Embodiment, kind: str) -> Path:
    """A robot.toml that names such a policy."""
    for source in SIM_CONFIG.parent.glob("*.toml"):
        shutil.copy(source, tmp_path)
    if kind == "history":
        diffusion_bundle(tmp_path / "bundle", embodiment, "scene", tolerance_ns=TOLERANCE_NS)
    else:
        delayed_bundle(tmp_path / "bundle", embodiment, "left out")
    path = tmp_path / "robot.toml"
    path.write_text(
        """
        [robot]
        name = "toy"
        driver = "sim"
        embodiment = "embodiment.toml"
        safety = "safety.toml"
        bundle = "bundle"
        [engine]
        replan_interval_s = 0.0
        """
    )
    return path


def observed(surroundings: Surroundings) -> Iterator[tuple[dict[int, tuple[Array, int]], ActionChunk]]:
    """Chunks, each with all that was observed so far: state and grey by exposure. The robot creeps, the light grows."""
    seen: dict[int, tuple[Array, int]] = {}
    home = np.array((*surroundings.embodiment.home[:-1], OPENING_M))
    creeps = np.array([*(0.0005,) * (len(home) - 1), 0.0])
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        grey, position = 20 + surroundings.sequence % 200, home + creeps * (surroundings.sequence % 200)
        sent: Observation = surroundings.observe(brightness=grey, position=tuple(position.tolist()))
        seen[sent.exposure_ns] = position, grey
        chunk = surroundings.chunks.wait_for(ActionChunk, FRAME_S)
        if isinstance(chunk, ActionChunk):
            yield seen, chunk
    raise AssertionError("no more chunks came")


def rows(chunk: ActionChunk) -> Array:
    return np.array(chunk.position)


@pytest.mark.parametrize("kind", ["history"], indirect=True)
def test_each_chunk_is_of_two_observations_an_action_apart(start: Start, surroundings: Surroundings) -> None:
    start()
    looked_back = 0
    for seen, chunk in observed(surroundings):
        state, grey = seen[chunk.exposure_ns]
        began_ns = next(iter(seen))
        instant_ns = chunk.exposure_ns - DT_NS
        stood_for = [ns for ns in seen if abs(ns - instant_ns) <= TOLERANCE_NS]
        plans = [diffusion_plan(np.stack((seen[ns][0], state)), (seen[ns][1], grey)) for ns in stood_for]
        matched = [plan for plan in plans if np.allclose(rows(chunk), plan, atol=1e-4)]
        # Those from before the engine listened it has not seen: for these the first that it saw stands.
        if instant_ns > began_ns and matched:
            looked_back += 1
        assert matched or not looked_back, "once it has seen an action's time it never looks elsewhere"
        if looked_back == CHUNKS:
            break


@pytest.mark.parametrize("kind", ["delay"], indirect=True)
def test_each_chunk_begins_with_what_the_one_before_asks_for(start: Start, surroundings: Surroundings) -> None:
    start()
    before: ActionChunk | None = None
    followed = 0
    for _, chunk in observed(surroundings):
        if before is not None and chunk.sequence == before.sequence + 1:
            due_ns = chunk.exposure_ns + DT_NS * np.arange(1, 4, dtype=np.int64)
            np.testing.assert_allclose(rows(chunk)[:3], actions_at(before, due_ns), atol=1e-9)
            followed += 1
        before = chunk
        if followed == CHUNKS:
            break
