"""The teacher does through physics what the words ask; its kinematics are the simulator's."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.drivers.sim.plant import Plant
from edge_runtime.drivers.sim.task import Split, Status, Verb
from export_tools.families.pocket_vla.demonstrations import PUSH_SIGN, record
from export_tools.families.pocket_vla.expert import ACTION_DT_S, plan
from export_tools.families.pocket_vla.kinematics import tool_pose_and_jacobian

_STEP_S = 0.002


def _play(plant: Plant, seed: int, split: Split, item: int | None = None) -> tuple[Verb, Status, float]:
    """Let the teacher drive one episode, a new plan every 200 ms; `item` overrides the object it goes for."""
    task = plant.reset(seed, split)
    target = task.target_index if item is None else (task.target_index + item) % 3
    fastest = 0.0
    while plant.outcome().status is Status.RUNNING:
        q = plant.q
        future = plan(q[None], plant.object_position_m[None, target], np.array([PUSH_SIGN[task.verb]]))[0, :, :7]
        knots = np.concatenate([q[None], future])
        for step in range(100):
            at = step * _STEP_S / ACTION_DT_S
            k = int(at)
            plant.step(knots[k] * (k + 1 - at) + knots[k + 1] * (at - k), 0.0)
            fastest = max(fastest, float(np.abs(plant.dq).max()))
    return task.verb, plant.outcome().status, fastest


def test_teacher_succeeds_at_every_verb_and_stays_slow() -> None:
    plant = Plant(step_s=_STEP_S)
    done: dict[Verb, list[bool]] = {"touch": [], "push_left": [], "push_right": []}
    for seed in range(18):
        verb, status, fastest = _play(plant, seed, "eval")
        done[verb].append(status is Status.SUCCESS)
        assert fastest < 1.2
    assert all(len(results) >= 3 for results in done.values())
    assert all(all(results) for results in done.values()), done


def test_going_for_another_object_fails() -> None:
    plant = Plant(step_s=_STEP_S)
    assert [_play(plant, seed, "eval", item=1)[1] for seed in range(6)] == [Status.FAILED] * 6


def test_kinematics_agree_with_the_simulator() -> None:
    plant = Plant()
    for seed in range(5):
        plant.reset(seed, "train")
        q = plant.q
        position, rotation, jacobian = tool_pose_and_jacobian(q[None])
        np.testing.assert_allclose(position[0], plant.tool_position_m, atol=1e-6)
        np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-9)
        small = 1e-6 * np.eye(7)
        moved, _, _ = tool_pose_and_jacobian(q + small)
        np.testing.assert_allclose((moved - position).T / 1e-6, jacobian[0, :3], atol=1e-5)


def test_demonstrations_repeat_and_ask_for_different_things() -> None:
    first, second = record(30, seed=3, workers=1), record(30, seed=3, workers=1)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.plans, second.plans)
    for asked in first.asked:
        own, *others = (tuple(a) for a in asked)
        assert own not in others
        assert len(set(others)) >= 2
    # The same picture with other words leads elsewhere.
    spread = np.ptp(first.plans[:, :, -1, :7], axis=1).max(axis=1)
    assert np.median(spread) > 0.1
    assert np.all(first.plans[..., 7] == 0.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_push_goes_the_named_way(sign: float) -> None:
    plant = Plant()
    plant.reset(0, "train")
    item = np.array([[0.5, 0.0, 0.03]])
    q = plant.q[None]
    for _ in range(6):
        path = plan(q, item, np.array([sign]))
        q = path[:, -1, :7]
    tool, _, _ = tool_pose_and_jacobian(q)
    assert sign * tool[0, 1] > 0.0
