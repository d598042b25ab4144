"""Environments that others publish, through the whole runtime in virtual time: `make gym` installs them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_runtime.contracts.axes import AnyAxis, BinaryGripper
from edge_runtime.contracts.embodiment import Camera, Embodiment, Group
from edge_runtime.testing.other_robots import parallel_gripper, prismatic, revolute, safety_toml, write_settings
from tests.cli.conftest import Command, edge_runtime, run_dir, traces
from tests.drivers.gym.test_gym_evaluate import going_right

__all__ = ["edge_runtime", "run_dir"]

pytestmark = pytest.mark.public_gym

ROOT = Path(__file__).parents[3]
SECONDS = 0.6


def pusht() -> tuple[Embodiment, str]:
    axes = tuple(prismatic(name, 0.25, low=0.0, high=0.512) for name in ("x", "y"))
    lines = ['env = "gym_pusht/PushT-v0"', 'module = "gym_pusht"']
    lines += ['arguments = { obs_type = "pixels_agent_pos", render_mode = "rgb_array" }', 'success.info = "is_success"']
    for place, name in enumerate(("x", "y")):
        axis = f'action = {place}, observation = "agent_pos.{place}", action_scale = 1000.0'
        lines.append(f"axes.{name} = {{ {axis} }}")
    lines.append('cameras.top.observation = "pixels"')
    return _robot("pusht", axes, Camera(name="top", width_px=96, height_px=96, rate_hz=10.0)), "\n".join(lines)


def aloha() -> tuple[Embodiment, str]:
    axes: list[AnyAxis] = []
    lines = ['env = "gym_aloha/AlohaTransferCube-v0"', 'module = "gym_aloha"', 'success.info = "is_success"']
    lines.append('arguments = { obs_type = "pixels_agent_pos", render_mode = "rgb_array" }')
    for side in ("left", "right"):
        joints = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
        axes += [revolute(f"{side}_{name}", low=-3.1, high=3.1) for name in joints]
        axes.append(parallel_gripper(f"{side}_gripper"))
    for place, axis in enumerate(axes):
        # A gripper is a share of its opening there.
        scale = 1.0 / 0.08 if axis.is_gripper else 1.0
        where = f'action = {place}, observation = "agent_pos.{place}", action_scale = {scale}'
        lines.append(f"axes.{axis.name} = {{ {where} }}")
    lines.append('cameras.top.observation = "pixels.top"')
    return _robot("aloha", axes, Camera(name="top", width_px=640, height_px=480, rate_hz=5.0)), "\n".join(lines)


def metaworld() -> tuple[Embodiment, str]:
    axes: list[AnyAxis] = [prismatic(name, 0.2, low=-1.0, high=1.0) for name in ("x", "y", "z")]
    lines = ['env = "Meta-World/MT1"', 'module = "metaworld"', 'success.info = "success"']
    lines.append('arguments = { env_name = "reach-v3", render_mode = "rgb_array", camera_name = "corner2" }')
    for place, axis in enumerate(axes):
        # The hand is moved by a hundredth of the action.
        where = f'action = {place}, observation = "{place}", mode = "delta", action_scale = 100.0'
        lines.append(f"axes.{axis.name} = {{ {where} }}")
    gripper = 'action = 3, observation = "3", action_scale = -2.0, action_offset = 1.0'
    lines.append(f"axes.gripper = {{ {gripper}, observation_scale = 1.0, observation_offset = 0.0 }}")
    axes.append(BinaryGripper(name="gripper"))
    return _robot("metaworld", axes, None), "\n".join(lines)


def _robot(name: str, axes: tuple[AnyAxis, ...] | list[AnyAxis], camera: Camera | None) -> Embodiment:
    group = Group(name="arm", kind="arm", axes=tuple(axes))
    return Embodiment(name=name, groups=(group,), cameras=() if camera is None else (camera,))


@pytest.fixture(scope="session")
def gym_python() -> Path:
    path = Path(os.environ.get("EDGE_GYM_PYTHON", ROOT / ".venv-gym" / "bin" / "python"))
    if not path.exists():
        raise pytest.UsageError(f"{path} is not there: make gym makes it")
    return path.absolute()


@pytest.mark.parametrize("made", [pusht, aloha, metaworld])
def test_an_episode_is_played_and_judged_by_the_environment(
    made: object, gym_python: Path, edge_runtime: Command, run_dir: Path, tmp_path: Path
) -> None:
    embodiment, driver = made()  # type: ignore[operator]
    safety = safety_toml(embodiment).replace("tracking_error_max_rad = 0.15", "tracking_error_max_rad = 0.5")
    safety = safety.replace("tracking_error_max_rad", "tracking_error_max_m = 0.3\ntracking_error_max_rad", 1)
    config = write_settings(tmp_path, embodiment, driver="gym", safety=safety)
    going_right(tmp_path / "bundle", embodiment)
    text = config.read_text(encoding="utf-8")
    text = text.replace("[robot]\n", f'[robot]\nbundle = "bundle"\ndriver_python = "{gym_python}"\n')
    config.write_text(
        f"{text}\n[driver]\ninstruction = 'do it'\ntime_limit_s = {SECONDS}\n{driver}\n", encoding="utf-8"
    )
    file = tmp_path / "result.json"
    process = edge_runtime("evaluate", "--config", config, "--run-dir", run_dir, "--episodes", 2, "--json", file)
    out, err = process.communicate(timeout=280)
    assert (process.returncode, err) == (0, ""), out + err
    report = json.loads(file.read_bytes())
    assert set(report["outcomes"]) <= {"failed", "success"}, [one["reason"] for one in report["per_episode"]]
    assert all(one["elapsed_s"] <= SECONDS + 0.11 for one in report["per_episode"])
    assert traces(run_dir, config) == []
