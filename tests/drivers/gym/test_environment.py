"""An environment in the words of an embodiment: units, pictures, judgement, and nothing guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.contracts.messages import SceneOutcome
from edge_runtime.drivers.gym.declaration import DRIVER
from edge_runtime.drivers.gym.environment import Environment
from edge_runtime.drivers.gym.settings import GymSettings, SuccessSection, settings_of
from edge_runtime.testing.sliding_robot import SLIDES, slides, write_robot

pytest.importorskip("gymnasium")


@pytest.fixture
def settings(tmp_path: Path) -> GymSettings:
    return settings_of(load_config(write_robot(tmp_path)))


def made(settings: GymSettings, **changes: Any) -> Environment:
    return Environment(msgspec.structs.replace(settings, **changes), slides())


def test_axes_are_metres_and_steps_are_as_long_as_it_says(settings: GymSettings) -> None:
    environment = made(settings)
    assert environment.step_s == 0.02
    assert ((environment.values >= 0.15) & (environment.values <= 0.25)).all()
    action = environment.step(np.array([0.3, 0.1]))
    assert np.allclose(action, [300.0, 100.0])
    before = environment.values
    environment.step(np.array([0.3, 0.1]))
    assert np.allclose(environment.values, before + 0.8 * (np.array([0.3, 0.1]) - before))


def test_one_seed_is_one_scene_and_the_splits_share_none(settings: GymSettings) -> None:
    environment = made(settings)
    scenes = []
    for seed, split in ((5, "train"), (5, "train"), (5, "eval"), (6, "train")):
        environment.reset(seed, split)
        scenes.append(tuple(environment.values))
    assert scenes[0] == scenes[1]
    assert len(set(scenes)) == 3


def test_a_delta_is_how_far_to_move_from_where_it_is(settings: GymSettings) -> None:
    axes = {
        "x": msgspec.structs.replace(settings.axes["x"], mode="delta", observation_scale=1000.0),
        "y": settings.axes["y"],
    }
    environment = made(settings, axes=axes)
    action = environment.step(environment.values + np.array([0.004, 0.0]))
    assert np.isclose(action[0], 4.0, atol=1e-3)


def test_what_the_environment_does_not_take_is_cut_and_counted(settings: GymSettings) -> None:
    environment = made(settings)
    assert np.allclose(environment.step(np.array([0.9, 0.2])), [512.0, 200.0])
    assert environment.clipped == 1


def test_pictures_come_from_observations_or_are_rendered(settings: GymSettings) -> None:
    environment = made(settings)
    for camera in ("top", "side"):
        pixels = np.zeros((48, 64, 3), dtype=np.uint8)
        environment.draw(camera, pixels)
        assert (pixels == 1 + int(environment.values[0] * 1000) // 4).all()


def test_success_is_what_info_says_and_stays(settings: GymSettings) -> None:
    environment = made(settings)
    target = environment.values + np.array([0.05, 0.0])
    while environment.outcome is SceneOutcome.RUNNING:
        environment.step(target)
    assert environment.outcome is SceneOutcome.SUCCESS
    elapsed_s = environment.elapsed_s
    environment.step(target - 0.05)
    assert (environment.outcome, environment.elapsed_s) == (SceneOutcome.SUCCESS, elapsed_s)
    environment.reset(1, "eval")
    assert (environment.outcome, environment.elapsed_s) == (SceneOutcome.RUNNING, 0.0)


def test_a_reward_may_say_it(settings: GymSettings) -> None:
    environment = made(settings, success=SuccessSection(reward_min=1.0))
    target = environment.values + np.array([0.05, 0.0])
    for _ in range(10):
        environment.step(target)
    assert environment.outcome is SceneOutcome.SUCCESS


@pytest.mark.parametrize(("terminated", "outcome"), [(True, SceneOutcome.SUCCESS), (False, SceneOutcome.FAILED)])
def test_its_end_is_what_the_settings_say_it_is(settings: GymSettings, terminated: bool, outcome: SceneOutcome) -> None:
    success = SuccessSection(terminated=True) if terminated else SuccessSection(info="is_success")
    environment = made(settings, success=success, arguments={"render_mode": "rgb_array", "ends": True})
    for _ in range(7):
        environment.step(environment.values)
    assert environment.outcome is outcome


def test_an_episode_has_its_time(settings: GymSettings) -> None:
    environment = made(settings, time_limit_s=0.1)
    for _ in range(5):
        environment.step(environment.values)
    assert (environment.outcome, environment.reason) == (SceneOutcome.FAILED, "out of time")


@pytest.mark.parametrize(("wrong", "words"), [("nan", "no numbers"), ("raises", "failed: the solver has diverged")])
def test_an_environment_that_fails_ends_the_driver_in_one_line(settings: GymSettings, wrong: str, words: str) -> None:
    environment = made(settings, arguments={"render_mode": "rgb_array", "wrong": wrong})
    for _ in range(3):
        environment.step(environment.values)
    with pytest.raises(DriverError, match=words):
        environment.step(environment.values)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"env": "tests/None-v0"}, ConfigError, "tests/None-v0 can't be made"),
        ({"module": "not_there"}, ConfigError, "No module named 'not_there'"),
        ({"arguments": {"speed": 3}}, ConfigError, "unexpected keyword argument 'speed'"),
        ({"arguments": {}}, DriverError, "render_mode"),
        ({"success": SuccessSection(info="won")}, DriverError, "names 'won'"),
        ({"env": "CartPole-v1", "module": None}, ConfigError, "not a vector of real numbers"),
    ],
)
def test_what_is_not_there_is_named(
    settings: GymSettings, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    def make_and_step() -> None:
        environment = made(settings, **changes)
        environment.step(environment.values)

    with pytest.raises(error, match=words):
        make_and_step()


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ('"agent.1"', '"agent.2"', DriverError, "nothing at 'agent.2'"),
        ('"agent.1"', '"body.1"', DriverError, "no 'body'"),
        ("action = 1", "action = 2", ConfigError, "has 2 values, none at 2"),
        ('observation = "top"', 'observation = "agent"', DriverError, r"is \(2,\) float64"),
    ],
)
def test_a_place_that_is_not_there_is_named(
    tmp_path: Path, old: str, new: str, error: type[Exception], words: str
) -> None:
    settings = settings_of(load_config(write_robot(tmp_path, SLIDES.replace(old, new))))
    with pytest.raises(error, match=words):
        made(settings)


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("action = 1", "action = 0", "driver", "value 0 of the action is set twice"),
        ("[driver.axes.y]", "[driver.axes.z]", "driver.axes.y", "is missing"),
        ("[driver.cameras.top]", "[driver.cameras.front]", "driver.cameras.front", "no such camera"),
        ('info = "is_success"', "", "driver.success", "needs one of"),
        ("action_scale = 1000.0", "action_scale = 0.0", "driver.axes.x", "not zero"),
        ("time_limit_s = 5.0", "time_limit_s = 0.0", "driver", "above 0"),
        ('instruction = "go right"', 'instruction = " "', "driver", "must say what is asked for"),
        ('env = "edge_runtime/Slides-v0"', "", "driver", "env"),
    ],
)
def test_mistakes_are_named_before_anything_is_made(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    config = load_config(write_robot(tmp_path, SLIDES.replace(old, new, 1)))
    with pytest.raises(ConfigError, match=words) as caught:
        DRIVER.require_settings(config)
    assert caught.value.key == key
