"""The simulated cell: repeatable, obeys its limits, judges what happened, and speaks in two disjoint splits."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edge_runtime.drivers.sim.declaration import CAMERAS
from edge_runtime.drivers.sim.plant import Plant
from edge_runtime.drivers.sim.scene import LANE_GAP_X_M, LANE_GAP_Y_M
from edge_runtime.drivers.sim.task import Split, Status, Task, all_phrases


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


def _first(plant: Plant, verb: str, split: Split = "train") -> Task:
    for seed in range(200):
        task = plant.reset(seed, split)
        if task.verb == verb:
            return task
    raise AssertionError(f"no task with {verb} in 200 seeds")


def test_same_seed_gives_the_same_motion_and_pictures() -> None:
    runs = []
    for _ in range(2):
        plant = Plant()
        task = plant.reset(5, "eval")
        goal = plant.q + 0.1
        for _ in range(200):
            plant.step(goal, 0.02)
        pictures = [np.zeros((128, 128, 3), np.uint8) for _ in CAMERAS]
        for camera, picture in zip(CAMERAS, pictures, strict=True):
            plant.render(camera, picture)
        runs.append((task, plant.q, plant.dq, plant.object_position_m, *pictures))
        plant.close()
    assert runs[0][0] == runs[1][0]
    for a, b in zip(runs[0][1:], runs[1][1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_both_cameras_show_something(plant: Plant) -> None:
    plant.reset(0, "train")
    for camera in CAMERAS:
        picture = np.zeros((128, 128, 3), np.uint8)
        plant.render(camera, picture)
        assert picture.std() > 5.0
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_objects_appear_where_projection_says_and_in_their_colour(plant: Plant) -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    strongest = {"red": (0,), "green": (1,), "blue": (2,), "yellow": (0, 1), "purple": (0, 2)}
    for seed in range(10):
        task = plant.reset(seed, "eval")
        plant.render("scene", picture)
        for item, (u, v) in zip(task.objects, plant.project("scene", plant.object_position_m), strict=True):
            pixel = picture[int(v * 128), int(u * 128)].astype(int)
            bright = strongest[item.colour]
            dark = [c for c in range(3) if c not in bright]
            assert min(pixel[list(bright)]) > max(pixel[dark]), (seed, str(item), pixel)


def test_the_arm_follows_a_command_within_its_torque_limits(plant: Plant) -> None:
    plant.reset(1, "train")
    goal = plant.q + np.array([0.2, -0.1, 0.1, 0.1, -0.1, 0.1, 0.2])
    for _ in range(1000):
        plant.step(goal, 0.0)
        assert np.all(np.abs(plant.tau[:4]) <= 87.0 + 1e-6)
        assert np.all(np.abs(plant.tau[4:]) <= 12.0 + 1e-6)
    np.testing.assert_allclose(plant.q, goal, atol=2e-3)
    assert plant.gripper_opening_m < 0.002
    assert plant.time_s == pytest.approx(1.0)


def test_standing_still_runs_out_of_time(plant: Plant) -> None:
    task = _first(plant, "touch")
    hold = plant.q
    while plant.outcome().status is Status.RUNNING:
        plant.step(hold, 0.0)
    assert plant.outcome().status is Status.FAILED
    assert plant.outcome().reason == "out of time"
    assert plant.time_s == pytest.approx(task.time_limit_s, abs=0.01)


def test_outcome_needs_a_reset_first() -> None:
    with pytest.raises(RuntimeError, match="reset"):
        _ = Plant().task


def test_layout_leaves_every_object_a_lane(plant: Plant) -> None:
    for seed in range(30):
        plant.reset(seed, "eval")
        xy = plant.object_position_m[:, :2]
        for a in range(3):
            for b in range(a):
                gap = np.abs(xy[a] - xy[b])
                assert gap[0] >= LANE_GAP_X_M or gap[1] >= LANE_GAP_Y_M


def test_splits_share_neither_scenes_nor_sentences_but_all_words() -> None:
    train, held_out = set(all_phrases("train")), set(all_phrases("eval"))
    assert not train & held_out
    words = {word for sentence in train for word in sentence.split()}
    assert {word for sentence in held_out for word in sentence.split()} <= words
    plant = Plant()
    for seed in range(5):
        plant.reset(seed, "train")
        seen = plant.object_position_m
        plant.reset(seed, "eval")
        assert not np.allclose(seen, plant.object_position_m)


def test_tasks_name_one_object_of_three_and_swap_to_another(plant: Plant) -> None:
    for seed in range(60):
        task = plant.reset(seed, "eval")
        assert len({(o.colour, o.shape) for o in task.objects}) == 3
        assert task.target == task.objects[task.target_index]
        assert task.target not in task.distractors
        assert task.target.colour in task.instruction
        others = {(o.colour, o.shape) for o in task.distractors}
        assert task.swapped_instruction != task.instruction
        assert any(colour in task.swapped_instruction for colour, _ in others)


def test_a_negative_seed_is_refused(plant: Plant) -> None:
    with pytest.raises(ValueError, match="seed"):
        plant.reset(-1, "train")


def test_a_back_end_for_windows_in_the_environment_does_not_matter() -> None:
    draw = (
        "import numpy; from edge_runtime.drivers.sim.plant import Plant; plant = Plant(); plant.reset(0, 'eval');"
        "plant.render('scene', numpy.zeros((64, 64, 3), numpy.uint8)); plant.close()"
    )
    environment = {**os.environ, "MUJOCO_GL": "glfw"}
    subprocess.run([sys.executable, "-c", draw], env=environment, check=True, timeout=60)
