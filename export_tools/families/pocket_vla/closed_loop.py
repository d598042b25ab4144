"""Closed-loop check in one process: policy and simulated arm with the runtime's rhythm, without the runtime.

It plays as the robot will: an observation every 200 ms, a chunk that becomes active 100 ms after its exposure, each
action at its absolute due time. It is a tool for the exporter; the figures that count come from the whole runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_runtime.drivers.sim.plant import Plant
from edge_runtime.drivers.sim.task import Split, Status
from export_tools.families.pocket_vla.demonstrations import CAMERA_ORDER, IMAGE_PX
from export_tools.families.pocket_vla.expert import ACTION_DT_S, HORIZON

# (scene, wrist) uint8 pictures (1, 128, 128, 3), instruction, state (8,) in rad and m, chunk number -> plan (16, 8),
# absolute joint positions in rad and gripper opening in m.
Chooser = Callable[
    [npt.NDArray[np.uint8], npt.NDArray[np.uint8], str, npt.NDArray[np.float64], int], npt.NDArray[np.float64]
]


@dataclass(frozen=True)
class Tally:
    """Episodes, successes and the 95 % Wilson interval of the rate, with what went wrong."""

    episodes: int
    successes: int
    low: float
    high: float
    mean_seconds: float
    failures: tuple[str, ...]

    @property
    def rate(self) -> float:
        return self.successes / self.episodes


def wilson(successes: int, episodes: int) -> tuple[float, float]:
    """95 % Wilson score interval of a rate. Source: Wilson 1927."""
    z = 1.959964
    p = successes / episodes
    middle = (p + z * z / (2 * episodes)) / (1 + z * z / episodes)
    half = z * math.sqrt(p * (1 - p) / episodes + z * z / (4 * episodes**2)) / (1 + z * z / episodes)
    return middle - half, middle + half


def evaluate(
    choose: Chooser,
    seeds: range,
    split: Split = "eval",
    *,
    swapped: bool = False,
    period_s: float = 0.2,
    delay_s: float = 0.1,
    step_s: float = 0.001,
    progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Play the episodes of `seeds`; with `swapped`, the policy is told to use another object than the judge expects."""
    plant = Plant(step_s=step_s)
    successes = 0
    seconds = 0.0
    failures: list[str] = []
    for number, seed in enumerate(seeds):
        success, took_s, note = _episode(plant, choose, seed, split, swapped, period_s, delay_s)
        successes += success
        seconds += took_s
        if not success:
            failures.append(f"{seed}: {note}")
        if progress is not None:
            progress(number + 1, successes)
    plant.close()
    low, high = wilson(successes, len(seeds))
    return Tally(len(seeds), successes, low, high, seconds / len(seeds), tuple(failures))


def _episode(
    plant: Plant, choose: Chooser, seed: int, split: Split, swapped: bool, period_s: float, delay_s: float
) -> tuple[bool, float, str]:
    task = plant.reset(seed, split)
    words = task.swapped_instruction if swapped else task.instruction
    scene = np.empty((1, IMAGE_PX, IMAGE_PX, 3), np.uint8)
    wrist = np.empty_like(scene)
    hold = np.append(plant.q, plant.gripper_opening_m)
    playing: tuple[npt.NDArray[np.float64], float] | None = None
    chunk = 0
    while plant.outcome().status is Status.RUNNING:
        exposure_s = plant.time_s
        plant.render(CAMERA_ORDER[0], scene[0])
        plant.render(CAMERA_ORDER[1], wrist[0])
        state = np.append(plant.q, plant.gripper_opening_m)
        fresh = (np.concatenate([state[None], choose(scene, wrist, words, state, chunk)]), exposure_s)
        chunk += 1
        while plant.outcome().status is Status.RUNNING and plant.time_s - exposure_s < period_s - 1e-6:
            now_s = plant.time_s
            if now_s - exposure_s >= delay_s:
                playing = fresh
            command = hold if playing is None else _sample(playing[0], now_s - playing[1])
            plant.step(command[:7], float(command[7]))
    outcome = plant.outcome()
    return outcome.status is Status.SUCCESS, plant.time_s, f"{words!r}: {outcome.reason}"


def _sample(knots: npt.NDArray[np.float64], elapsed_s: float) -> npt.NDArray[np.float64]:
    """Linear interpolation; `knots` (17, 8) are 50 ms apart, the first at the exposure."""
    at = min(elapsed_s / ACTION_DT_S, HORIZON - 1e-9)
    k = int(at)
    return np.asarray(knots[k] * (k + 1 - at) + knots[k + 1] * (at - k))
