"""Scripted demonstrations: the teacher drives the simulated arm through physics, with disturbances, and is recorded.

Each picture is labelled with the teacher's plan for the instruction that is being carried out and for a few others that
would also make sense in the scene: the same picture with other words must lead elsewhere, so words can't be ignored.
Only training seeds are used.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_runtime.drivers.sim.task import COLOURS, SHAPES, VERBS, Status, Verb
from export_tools.families.pocket_vla.expert import ACTION_DIM, ACTION_DT_S, HORIZON, plan

IMAGE_PX = 128
CAMERA_ORDER = ("scene", "wrist")
INSTRUCTIONS_PER_PICTURE = 4
PUSH_SIGN: dict[Verb, float] = {"touch": 0.0, "push_left": 1.0, "push_right": -1.0}

_STEP_S = 0.002
_EPISODES_AT_ONCE = 24
_EPISODE_LIMIT_S = 5.0


@dataclass
class Demonstrations:
    """N recorded observations. `plans` are absolute joint positions (rad) and gripper opening (m)."""

    images: npt.NDArray[np.uint8]  # (N, 2, 128, 128, 3)
    state: npt.NDArray[np.float32]  # (N, 8) joint positions, gripper opening
    kinds: npt.NDArray[np.int64]  # (N, 3, 2) colour index, shape index of each object
    object_m: npt.NDArray[np.float32]  # (N, 3, 3) object centres
    object_uv: npt.NDArray[np.float32]  # (N, 3, 2) object centres in the scene picture, fractions
    asked: npt.NDArray[np.int64]  # (N, 4, 2) object index, verb index of each labelled instruction
    plans: npt.NDArray[np.float32]  # (N, 4, 16, 8)

    def __len__(self) -> int:
        return len(self.state)


def record(count: int, seed: int, workers: int = 2, progress: Callable[[int], None] | None = None) -> Demonstrations:
    """Record `count` observations with `workers` processes; the same arguments give the same data.

    `progress`, if given, is called with the number of workers that are done.
    """
    shares = [count // workers + (1 if i < count % workers else 0) for i in range(workers)]
    with tempfile.TemporaryDirectory(prefix="demonstrations-") as folder:
        jobs = [(share, seed * 1000 + i, str(Path(folder) / f"part{i}.npz")) for i, share in enumerate(shares)]
        context = multiprocessing.get_context("spawn")
        # A software rasteriser that starts its own threads in every worker only fights itself.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        parts: list[dict[str, npt.NDArray[np.generic]]] = []
        with context.Pool(workers) as pool:
            for done, path in enumerate(pool.imap(_record_part, jobs), start=1):
                with np.load(path) as stored:
                    parts.append({name: stored[name] for name in stored.files})
                Path(path).unlink()
                if progress is not None:
                    progress(done)
    merged = {f.name: np.concatenate([part.pop(f.name) for part in parts]) for f in fields(Demonstrations)}
    return Demonstrations(**merged)


def _record_part(job: tuple[int, int, str]) -> str:
    from edge_runtime.drivers.sim.plant import Plant

    count, stream, path = job
    rng = np.random.default_rng([7, stream])
    plants = [Plant(step_s=_STEP_S) for _ in range(min(_EPISODES_AT_ONCE, count))]
    runs = [_Run(plant, rng) for plant in plants]
    room = _allocate(count)
    filled = 0
    while filled < count:
        asked = np.stack([run.draw_instructions(rng) for run in runs])
        state = np.stack([run.state() for run in runs])
        items = np.stack([run.plant.object_position_m for run in runs])
        plans = _label(state, items, asked)
        for i, run in enumerate(runs):
            if filled < count:
                room.state[filled] = state[i]
                room.object_m[filled] = items[i]
                room.object_uv[filled] = run.plant.project("scene", items[i])
                room.kinds[filled] = run.kinds
                room.asked[filled] = asked[i]
                room.plans[filled] = plans[i]
                for camera, name in enumerate(CAMERA_ORDER):
                    run.plant.render(name, room.images[filled, camera])
                filled += 1
            run.play(plans[i, 1 if run.straying() else 0], rng)
    for plant in plants:
        plant.close()
    np.savez(path, **{f.name: getattr(room, f.name) for f in fields(Demonstrations)})
    return path


def _allocate(count: int) -> Demonstrations:
    k = INSTRUCTIONS_PER_PICTURE
    return Demonstrations(
        images=np.empty((count, len(CAMERA_ORDER), IMAGE_PX, IMAGE_PX, 3), np.uint8),
        state=np.empty((count, ACTION_DIM), np.float32),
        kinds=np.empty((count, 3, 2), np.int64),
        object_m=np.empty((count, 3, 3), np.float32),
        object_uv=np.empty((count, 3, 2), np.float32),
        asked=np.empty((count, k, 2), np.int64),
        plans=np.empty((count, k, HORIZON, ACTION_DIM), np.float32),
    )


def _label(
    state: npt.NDArray[np.float64], items: npt.NDArray[np.float64], asked: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Teacher's plans (E, K, 16, 8) for E scenes and K instructions each."""
    scenes, k = asked.shape[:2]
    rows = np.repeat(np.arange(scenes), k)
    flat = asked.reshape(-1, 2)
    signs = np.array([PUSH_SIGN[verb] for verb in VERBS])[flat[:, 1]]
    plans = plan(state[rows, :7], items[rows, flat[:, 0]], signs)
    return plans.reshape(scenes, k, HORIZON, ACTION_DIM)


class _Run:
    """One plant that plays episode after episode, disturbed."""

    def __init__(self, plant: object, rng: np.random.Generator) -> None:
        from edge_runtime.drivers.sim.plant import Plant

        assert isinstance(plant, Plant)
        self.plant = plant
        self._restart(rng)

    def _restart(self, rng: np.random.Generator) -> None:
        self.task = self.plant.reset(int(rng.integers(1 << 30)), "train")
        self.kinds = np.array([[COLOURS.index(o.colour), SHAPES.index(o.shape)] for o in self.task.objects])
        self._noise = np.zeros(7)
        self._noise_scale = float(rng.choice([0.0, 0.015, 0.03]))
        # Some episodes begin by carrying out another instruction: the way back from a mistake is demonstrated too.
        self._stray_until_s = float(rng.uniform(0.3, 1.6)) if rng.random() < 0.35 else 0.0
        self._stray = self._draw_other(rng, 1)[0]
        self._keep_gripper = rng.random() < 0.1

    def _draw_other(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        primary = self.task.target_index * len(VERBS) + VERBS.index(self.task.verb)
        others = [i for i in range(3 * len(VERBS)) if i != primary]
        return np.array([divmod(int(i), len(VERBS)) for i in rng.choice(others, size=count, replace=False)])

    def straying(self) -> bool:
        return self.plant.time_s < self._stray_until_s

    def draw_instructions(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """(4, 2): the episode's own instruction, the one it strays to (or any), and two more; these may repeat it."""
        asked = np.empty((INSTRUCTIONS_PER_PICTURE, 2), np.int64)
        asked[0] = (self.task.target_index, VERBS.index(self.task.verb))
        asked[1:] = self._draw_other(rng, INSTRUCTIONS_PER_PICTURE - 1)
        if self.straying():
            asked[1] = self._stray
        return asked

    def state(self) -> npt.NDArray[np.float64]:
        return np.append(self.plant.q, self.plant.gripper_opening_m)

    def play(self, chunk: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
        """Follow `chunk` for a while with a drifting offset; start a new episode when this one is over."""
        plant = self.plant
        knots = np.concatenate([plant.q[None], chunk[:, :7]])
        start_s = plant.time_s
        span_s = float(rng.uniform(0.10, 0.25))
        opening_m = plant.gripper_opening_m if self._keep_gripper else 0.0
        while (elapsed_s := plant.time_s - start_s) < span_s:
            self._noise += -self._noise * (_STEP_S / 0.3) + self._noise_scale * np.sqrt(2 * _STEP_S / 0.3) * rng.normal(
                size=7
            )
            k = min(int(elapsed_s / ACTION_DT_S), HORIZON - 1)
            along = elapsed_s / ACTION_DT_S - k
            plant.step(knots[k] * (1 - along) + knots[k + 1] * along + self._noise, opening_m)
        over = plant.outcome().status is not Status.RUNNING and not self.straying()
        if over or plant.time_s > _EPISODE_LIMIT_S:
            self._restart(rng)
