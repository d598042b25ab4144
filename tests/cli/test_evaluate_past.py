"""Policies that look back, or were trained for a delay, through all processes of the simulated arm in virtual time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.manifest import ActionSteps
from tests.cli.conftest import Command
from tests.past_families import delayed_bundle, diffusion_bundle

Write = Callable[[Path, Embodiment], Path]
POLICIES: dict[str, Write] = {
    "history": lambda folder, robot: diffusion_bundle(
        folder, robot, "scene", instants=ActionSteps(observations=2, every=2)
    ),
    "history out of step": lambda folder, robot: diffusion_bundle(folder, robot, "scene"),
    "delay": lambda folder, robot: delayed_bundle(folder, robot, "left out"),
}


@pytest.fixture
def evaluated(
    request: pytest.FixtureRequest, edge_runtime: Command, robot_toml: Path, run_dir: Path, tmp_path: Path
) -> tuple[int, str, dict[str, Any]]:
    """Exit code, errors and results of an episode with one of the policies."""
    config = shutil.copytree(robot_toml.parent, tmp_path / "robot") / robot_toml.name
    shutil.rmtree(config.parent / "bundle")
    POLICIES[request.param](config.parent / "bundle", load_config(robot_toml).embodiment)
    file = tmp_path / "result.json"
    process = edge_runtime(*("evaluate", "--config", config, "--run-dir", run_dir, "--episodes", 2, "--json", file))
    out, err = process.communicate(timeout=100)
    return process.returncode, out + err, json.loads(file.read_bytes() or b"{}") if file.exists() else {}


@pytest.mark.parametrize("evaluated", ["history"], indirect=True)
def test_each_observation_of_a_policy_that_looks_back_is_answered(evaluated: tuple[int, str, dict[str, Any]]) -> None:
    code, said, result = evaluated
    assert code == 0, said
    # Each episode begins anew: the arm is somewhere else than at the end of the one before.
    assert [episode["outcome"] for episode in result["per_episode"]] == ["failed"] * 2
    assert all(episode["chunks"] >= 50 for episode in result["per_episode"])
    assert not [kind for kind in result["refusals"] if "history" in kind]


@pytest.mark.parametrize("evaluated", ["delay"], indirect=True)
def test_a_chunk_that_begins_with_what_is_under_way_has_no_seam(evaluated: tuple[int, str, dict[str, Any]]) -> None:
    code, said, result = evaluated
    assert code == 0, said
    # It creeps on for all its time, and the kernel has nothing to alter.
    assert [(episode["outcome"], episode["interventions"]) for episode in result["per_episode"]] == [("failed", 0)] * 2
    assert result["chunks_declined"] == 0
    assert result["exposure_to_first_command_ms"]["count"] > 40
    assert result["refusals"] == {}


@pytest.mark.parametrize("evaluated", ["history out of step"], indirect=True)
def test_a_past_that_virtual_time_does_not_have_names_the_setting(evaluated: tuple[int, str, dict[str, Any]]) -> None:
    code, said, _ = evaluated
    assert code != 0
    problem = "the policy looks back 100 ms, and observations come every 200 ms: set it to 0.1, or a part of it"
    assert f"lockstep.observation_interval_s: {problem}" in said
