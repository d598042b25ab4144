"""Training: flow matching on the teacher's plans, with grounding heads that are dropped at export.

One pass over the pictures serves two instructions each. Weights are averaged over time; the averaged ones are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (the name every torch reader knows)

from export_tools.families.pocket_vla.demonstrations import Demonstrations
from export_tools.families.pocket_vla.language import SentenceTable
from export_tools.families.pocket_vla.model import FINE_GRID, TARGET_CENTRE_M, TARGET_SCALE_M, Heads, PocketVla

__all__ = ["Batch", "BatchMaker", "Scaling", "TrainingLog", "flow_loss", "head_loss", "scaling_of", "train"]

INSTRUCTIONS = 2
# The first actions of a chunk are the ones that get played.
_STEP_WEIGHT = torch.cat([torch.full((6,), 1.5), torch.full((10,), 0.7)])
_SMALLEST_HORIZON_SCALE = 0.05
_SMALLEST_STD = 0.01
# Close to the end of the path the action can be read off `x`: nothing to learn there.
_LATEST_TIME = 0.85
# Half the size of an object in the scene picture.
_OBJECT_RADIUS_UV = 0.05


@dataclass(frozen=True)
class Scaling:
    """Per-dimension mean and deviation of state and action (joint offsets in rad from now, gripper opening in m)."""

    state_mean: npt.NDArray[np.float32]
    state_std: npt.NDArray[np.float32]
    action_mean: npt.NDArray[np.float32]
    action_std: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """P observations with 2 instructions each; B = 2 P, the instructions of an observation side by side."""

    scene: Tensor  # (P, 128, 128, 3) uint8
    wrist: Tensor
    gain: Tensor  # (2P, 1, 1, 3)
    tokens: Tensor  # (S, 16) the distinct sentences of the batch
    sentence: Tensor  # (B,) row of `tokens` for each instruction
    state: Tensor  # (B, 8) normalized
    actions: Tensor  # (B, 16, 8) normalized
    cell: Tensor  # (B, 256) where the named object is: weights of the four nearest cells of the scene
    target: Tensor  # (B, 3) scaled
    colours: Tensor  # (P, 256)
    shapes: Tensor  # (P, 256)


@dataclass
class TrainingLog:
    """Figures of one run; `curve` holds (step, flow loss, heads' loss) averaged over a report interval."""

    observations: int
    steps: int = 0
    minutes: float = 0.0
    samples_per_s: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)


def offsets(state: npt.NDArray[np.float32], plans: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Plans (..., 16, 8) as offsets from the joints in `state` (..., 8); the gripper stays absolute."""
    out = plans.copy()
    out[..., :7] -= state[..., None, :7]
    return np.asarray(out)


def scaling_of(data: Demonstrations) -> Scaling:
    """Statistics over the recorded data, deviations bounded below (a constant gripper must not be divided by zero)."""
    actions = offsets(np.repeat(data.state[:, None], data.plans.shape[1], axis=1), data.plans)
    axes = (0, 1, 2)
    return Scaling(
        state_mean=data.state.mean(0),
        state_std=np.maximum(data.state.std(0), _SMALLEST_STD),
        action_mean=actions.mean(axes),
        action_std=np.maximum(actions.std(axes), _SMALLEST_STD),
    )


def horizon_scale_of(data: Demonstrations, scaling: Scaling) -> Tensor:
    """(16, 8) root mean square of each step of the normalized actions, bounded below."""
    actions = offsets(np.repeat(data.state[:, None], data.plans.shape[1], axis=1), data.plans)
    size = np.sqrt((((actions - scaling.action_mean) / scaling.action_std) ** 2).mean(axis=(0, 1)))
    return torch.from_numpy(np.maximum(size, _SMALLEST_HORIZON_SCALE).astype(np.float32))


class BatchMaker:
    """Draws random batches; pictures stay uint8 until the model sees them."""

    def __init__(self, data: Demonstrations, scaling: Scaling, sentences: SentenceTable, seed: int) -> None:
        self._data = data
        self._scaling = scaling
        self._sentences = sentences
        self._rng = np.random.default_rng([11, seed])
        self._order = np.empty(0, np.int64)

    def draw(self, pictures: int) -> Batch:
        if len(self._order) < pictures:
            self._order = np.concatenate([self._order, self._rng.permutation(len(self._data))])
        rows, self._order = np.sort(self._order[:pictures]), self._order[pictures:]
        data, scaling, rng = self._data, self._scaling, self._rng
        # The episode's own instruction half of the time: those states are where a running policy will be.
        k = data.asked.shape[1]
        first = np.where(rng.random(len(rows)) < 0.7, 0, rng.integers(1, k, len(rows)))
        second = (first + rng.integers(1, k, len(rows))) % k
        which = np.stack([first, second], axis=1)
        row2 = np.repeat(rows[:, None], INSTRUCTIONS, axis=1)
        item, verb = np.moveaxis(data.asked[row2, which].reshape(-1, 2), 1, 0)
        row = row2.reshape(-1)
        colour, shape = np.moveaxis(data.kinds[row, item], 1, 0)
        state = data.state[row]
        actions = offsets(state, data.plans[row, which.reshape(-1)])
        images = torch.from_numpy(data.images[rows])
        gain = rng.uniform(0.85, 1.15, (2 * len(rows), 1, 1, 1)) * rng.uniform(0.95, 1.05, (2 * len(rows), 1, 1, 3))
        colours, shapes = self._cells(rows)
        tokens, sentence = self._sentences.draw(colour, shape, verb, rng, dropout=0.02)
        return Batch(
            scene=images[:, 0],
            wrist=images[:, 1],
            gain=torch.from_numpy(gain.astype(np.float32)),
            tokens=torch.from_numpy(tokens),
            sentence=torch.from_numpy(sentence),
            state=torch.from_numpy((state - scaling.state_mean) / scaling.state_std),
            actions=torch.from_numpy((actions - scaling.action_mean) / scaling.action_std),
            cell=torch.from_numpy(_splat(data.object_uv[row, item])),
            target=torch.from_numpy(
                (data.object_m[row, item] - np.array(TARGET_CENTRE_M, np.float32)) / np.float32(TARGET_SCALE_M)
            ),
            colours=torch.from_numpy(colours),
            shapes=torch.from_numpy(shapes),
        )

    def _cells(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Colour and shape (P, 256) of what covers each cell's centre, plus one; 0 for the bare table."""
        centres = (np.arange(FINE_GRID) + 0.5) / FINE_GRID
        grid = np.stack(np.meshgrid(centres, centres, indexing="xy"), axis=-1).reshape(1, -1, 2)
        colours = np.zeros((len(rows), FINE_GRID * FINE_GRID), np.int64)
        shapes = np.zeros_like(colours)
        for i in range(3):
            covered = np.abs(grid - self._data.object_uv[rows, i][:, None]).max(axis=2) < _OBJECT_RADIUS_UV
            colours = np.where(covered, 1 + self._data.kinds[rows, i, 0][:, None], colours)
            shapes = np.where(covered, 1 + self._data.kinds[rows, i, 1][:, None], shapes)
        return colours, shapes


def _splat(uv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weights (B, 256) of the four cells around picture fractions (B, 2), so that their mean centre is the point.

    A hard choice of one cell would throw away where in the cell the object is.
    """
    at = np.clip(uv * FINE_GRID - 0.5, 0.0, FINE_GRID - 1.0 - 1e-4)
    low = at.astype(np.int64)
    part = (at - low).astype(np.float32)
    out = np.zeros((len(uv), FINE_GRID * FINE_GRID), np.float32)
    rows = np.arange(len(uv))
    for du in (0, 1):
        for dv in (0, 1):
            weight = np.abs(1 - du - part[:, 0]) * np.abs(1 - dv - part[:, 1])
            out[rows, (low[:, 1] + dv) * FINE_GRID + low[:, 0] + du] += weight
    return out


def flow_loss(model: PocketVla, prefix: tuple[Tensor, ...], actions: Tensor, generator: torch.Generator) -> Tensor:
    """Error of the predicted action, for its step's size, at random times on the path from noise to `actions`.

    It is the flow-matching loss (Lipman et al., "Flow matching for generative modeling", 2023, eq. 23 with
    sigma_min = 0) times (1 - t)^2: the velocity is (action - x) / (1 - t).
    """
    noise = torch.randn(actions.shape, generator=generator)
    t = torch.rand(actions.shape[0], generator=generator) * _LATEST_TIME
    x = noise + t[:, None, None] * (actions - noise)
    error = (model.clean_action(x, t, prefix).float() - actions) / model.horizon_scale
    weight = _STEP_WEIGHT / _STEP_WEIGHT.mean()
    return (error.square().mean(dim=2) * weight).mean()


def head_loss(heads: Heads, batch: Batch) -> Tensor:
    """Grounding: which cell, where on the table, and what lies in every cell."""
    found = F.cross_entropy(heads.cell_logits.float(), batch.cell)
    place = F.smooth_l1_loss(heads.target.float(), batch.target, beta=0.1)
    place = place + F.smooth_l1_loss(heads.refined_target.float(), batch.target, beta=0.1)
    # One cell in twenty holds something.
    weight_c = torch.ones(heads.colour_logits.shape[-1])
    weight_s = torch.ones(heads.shape_logits.shape[-1])
    weight_c[0] = weight_s[0] = 0.15
    what = F.cross_entropy(heads.colour_logits.float().flatten(0, 1), batch.colours.flatten(), weight_c)
    what = what + F.cross_entropy(heads.shape_logits.float().flatten(0, 1), batch.shapes.flatten(), weight_s)
    return found * 0.5 + place + what * 0.5


class _Average:
    """Exponential moving average of the weights, with a warm-up so that the start is forgotten."""

    def __init__(self, model: PocketVla, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: PocketVla) -> None:
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for name, value in model.state_dict().items():
            kept = self._shadow[name]
            if value.dtype.is_floating_point:
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    def into(self, model: PocketVla) -> None:
        model.load_state_dict(self._shadow)


def train(
    model: PocketVla,
    batches: BatchMaker,
    *,
    observations: int,
    steps: int,
    limit_minutes: float,
    pictures: int = 64,
    peak_rate: float = 1.0e-3,
    seed: int = 0,
    report: Callable[[TrainingLog, float], None] | None = None,
) -> TrainingLog:
    """Train in place for `steps`; the learning rate falls along half a cosine.

    On a machine too slow for that in `limit_minutes`, the cosine follows the clock instead and fewer steps are made: a
    finished short training beats an unfinished long one, but then the result depends on the machine. Leaves the
    averaged weights in `model`, in evaluation mode. `report(log, share)` is called every 50 steps.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}],
        lr=peak_rate,
        betas=(0.9, 0.98),
        foreach=True,
    )
    average = _Average(model, 0.998)
    log = TrainingLog(observations=observations)
    started = time.monotonic()
    flow_sum = head_sum = 0.0
    while (share := max(log.steps / steps, (time.monotonic() - started) / (60.0 * limit_minutes))) < 1.0:
        rate = peak_rate * min(1.0, (log.steps + 1) / 80) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate + 1e-6
        batch = batches.draw(pictures)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            prefix, heads = model.ground(
                model.see(batch.scene, batch.wrist, batch.gain),
                model.read(batch.tokens)[batch.sentence],
                batch.state,
                INSTRUCTIONS,
            )
            flow = flow_loss(model, prefix, batch.actions, generator)
            head = head_loss(heads, batch)
        optimizer.zero_grad(set_to_none=True)
        (flow + 0.5 * head).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        average.update(model)
        log.steps += 1
        flow_sum += float(flow.detach())
        head_sum += float(head.detach())
        if log.steps % 50 == 0:
            elapsed_s = time.monotonic() - started
            log.minutes = elapsed_s / 60.0
            log.samples_per_s = log.steps * pictures / elapsed_s
            log.curve.append((log.steps, flow_sum / 50, head_sum / 50))
            flow_sum = head_sum = 0.0
            if report is not None:
                report(log, share)
    average.into(model)
    model.eval()
    return log
