"""Pocket VLA in torch: two cameras, words, joint positions and an embodiment token in; the velocity of a flow out.

`encode` runs once for an observation and returns, as its prefix, the keys and values that the action expert attends to.
`denoise` runs once for a flow step. Most parameters sit where tokens are few (words, expert): pictures cost time, not
weights. Attention is written out so that the exported graphs hold plain MatMul and Softmax.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name every torch reader knows)

from edge_runtime.drivers.sim.task import COLOURS, SHAPES

GRID = 8
FINE_GRID = 16
FINE_WIDTH = 128


@dataclass(frozen=True)
class PocketConfig:
    """Sizes. `vocabulary` counts the padding (0) and unknown (1) ids."""

    vocabulary: int
    max_tokens: int = 16
    image_px: int = 128
    width: int = 256
    language_layers: int = 2
    prefix_layers: int = 2
    latents: int = 8
    expert_width: int = 192
    expert_layers: int = 4
    horizon: int = 16
    action_dim: int = 8
    embodiments: int = 4

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Heads(NamedTuple):
    """What training looks at beside the actions; none of it is exported. B instructions on P observations."""

    cell_logits: Tensor  # (B, 256) in which fine cell of the scene the named object is
    target: Tensor  # (B, 3) its centre, from that cell: (metres - centre) / scale
    refined_target: Tensor  # (B, 3) the same, from the finished prefix
    colour_logits: Tensor  # (P, 256, 6) what lies in each cell of the scene, 0 = nothing
    shape_logits: Tensor  # (P, 256, 4)


_SHORTEST_TIME_LEFT = 0.05
TARGET_CENTRE_M = (0.51, 0.0, 0.03)
TARGET_SCALE_M = 0.1


class Attention(nn.Module):
    """Multi-head attention with separate projections; keys and values may be given ready-made."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(context_width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> Tensor:
        """(B, L, C) to (B, L, 2 * width)."""
        both: Tensor = self.kv(context)
        return both

    def forward(self, x: Tensor, kv: Tensor, bias: Tensor | None = None) -> Tensor:
        """`bias` (B, 1, 1, L) is added to the scores (0 or a large negative number)."""
        b, n, width = x.shape
        d = width // self.heads
        k, v = kv.chunk(2, dim=-1)
        q = self.q(x).view(b, n, self.heads, d).transpose(1, 2)
        k = k.reshape(b, -1, self.heads, d).permute(0, 2, 3, 1)
        v = v.reshape(b, -1, self.heads, d).transpose(1, 2)
        scores = torch.matmul(q, k) * (1.0 / math.sqrt(d))
        if bias is not None:
            scores = scores + bias
        mixed = torch.matmul(scores.softmax(dim=-1), v)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(b, n, width))
        return out


class FeedForward(nn.Sequential):
    def __init__(self, width: int, factor: int = 4) -> None:
        super().__init__(
            nn.Linear(width, factor * width), nn.GELU(approximate="tanh"), nn.Linear(factor * width, width)
        )


class ConvNorm(nn.Sequential):
    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2 if kernel % 2 else 0, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class Bottleneck(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels, inner, 1), nn.ReLU(), ConvNorm(inner, inner, 3), nn.ReLU(), ConvNorm(inner, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class VisionTrunk(nn.Module):
    """uint8 pictures (B, 128, 128, 3) to two maps; shared by all cameras.

    Coarse tokens (B, 64, width), one for each 16 by 16 pixels, say what is there; fine ones (B, 256, 128), one for each
    8 by 8 pixels, say exactly where.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Sequential(ConvNorm(3, 64, 4, 4), nn.ReLU(), ConvNorm(64, FINE_WIDTH, 3, 2), nn.ReLU())
        self.middle = Bottleneck(FINE_WIDTH, 64)
        self.far = nn.Sequential(
            ConvNorm(FINE_WIDTH, width, 3, 2), nn.ReLU(), Bottleneck(width, 96), Bottleneck(width, 96)
        )
        self.back = nn.Linear(width, FINE_WIDTH)
        self.fine = nn.Linear(FINE_WIDTH, FINE_WIDTH)

    def forward(self, images: Tensor, gain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`gain` (B, 1, 1, 3) is the training-time change of exposure and white balance."""
        x = images.to(torch.float32) * (1.0 / 127.5)
        if gain is not None:
            x = x * gain
        x = (x - 1.0).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        middle = self.middle(self.near(x))
        coarse = self.far(middle).flatten(2).transpose(1, 2)
        return coarse, middle.flatten(2).transpose(1, 2)

    def sharpen(self, coarse: Tensor, middle: Tensor) -> Tensor:
        """Fine tokens (B, 256, 128): each cell with what the coarse cell around it knows."""
        b = coarse.shape[0]
        half = FINE_GRID // 2
        around = self.back(coarse).view(b, half, 1, half, 1, FINE_WIDTH)
        around = around.expand(b, half, 2, half, 2, FINE_WIDTH).reshape(b, FINE_GRID * FINE_GRID, FINE_WIDTH)
        return F.relu(self.fine(middle) + around)


class LanguageLayer(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed = FeedForward(width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, self.attention.keys_values(y), bias)
        out: Tensor = x + self.feed(self.norm2(x))
        return out


class PrefixLayer(nn.Module):
    """Latents attend to each other, then to the pictures."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.own = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.look = Attention(width, width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.feed = FeedForward(width)

    def forward(self, x: Tensor, pictures: Tensor, per_picture: int) -> Tensor:
        """`x` (P * per_picture, N, width); the latents of all instructions on a picture look at it together."""
        y = self.norm1(x)
        x = x + self.own(y, self.own.keys_values(y))
        y = self.norm2(x)
        together = y.reshape(pictures.shape[0], per_picture * y.shape[1], y.shape[2])
        x = x + self.look(together, self.look.keys_values(pictures)).reshape(x.shape)
        out: Tensor = x + self.feed(self.norm3(x))
        return out


class ExpertLayer(nn.Module):
    """Self-attention over the action tokens, cross-attention to the prefix, feed-forward; time steers all three."""

    def __init__(self, width: int, prefix_width: int, heads: int = 6) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.own = Attention(width, width, heads)
        self.look = Attention(width, prefix_width, heads)
        self.norm_look = nn.LayerNorm(width)
        self.feed = FeedForward(width)
        self.time = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, time: Tensor, prefix_kv: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.time(time)[:, None].chunk(6, dim=-1)
        y = self.norm(x) * (1 + scale1) + shift1
        x = x + gate1 * self.own(y, self.own.keys_values(y))
        x = x + self.look(self.norm_look(x), prefix_kv)
        out: Tensor = x + gate2 * self.feed(self.norm(x) * (1 + scale2) + shift2)
        return out


class PocketVla(nn.Module):
    """The whole policy. See `encode` and `denoise`; `flow_loss` is in the trainer."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = c = config
        self.trunk = VisionTrunk(c.width)
        self.place = nn.Parameter(torch.randn(2, GRID * GRID, c.width) * 0.02)
        self.picture_norm = nn.LayerNorm(c.width)

        self.words = nn.Embedding(c.vocabulary, c.width)
        self.word_place = nn.Parameter(torch.randn(c.max_tokens, c.width) * 0.02)
        self.language = nn.ModuleList(LanguageLayer(c.width) for _ in range(c.language_layers))
        self.language_norm = nn.LayerNorm(c.width)

        self.find_query = nn.Linear(c.width, FINE_WIDTH)
        self.find_key = nn.Linear(FINE_WIDTH, FINE_WIDTH)
        self.found = nn.Linear(FINE_WIDTH, c.width)
        self.locate = nn.Sequential(nn.Linear(2 + FINE_WIDTH, c.width), nn.ReLU(), nn.Linear(c.width, 3))
        self.located = nn.Sequential(nn.Linear(3, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        centres = (torch.arange(FINE_GRID, dtype=torch.float32) + 0.5) / FINE_GRID * 2.0 - 1.0
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1).reshape(-1, 2)
        self.cell_uv: Tensor
        self.register_buffer("cell_uv", grid, persistent=False)
        self.state = nn.Sequential(nn.Linear(c.action_dim, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.embodiment = nn.Embedding(c.embodiments, c.width)
        self.said = nn.Linear(c.width, c.width)
        self.latents = nn.Parameter(torch.randn(c.latents, c.width) * 0.02)
        self.prefix = nn.ModuleList(PrefixLayer(c.width) for _ in range(c.prefix_layers))
        self.prefix_norm = nn.LayerNorm(c.width)

        e = c.expert_width
        self.action_in = nn.Linear(c.action_dim, e)
        self.action_place = nn.Parameter(torch.randn(c.horizon, e) * 0.02)
        self.time_in = nn.Sequential(nn.Linear(64, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.expert = nn.ModuleList(ExpertLayer(e, c.width) for _ in range(c.expert_layers))
        self.action_norm = nn.LayerNorm(e)
        self.action_out = nn.Linear(e, c.action_dim)
        nn.init.zeros_(self.action_out.weight)
        for layer in self.expert:
            assert isinstance(layer, ExpertLayer)
            nn.init.zeros_(layer.time.weight)
            nn.init.zeros_(layer.time.bias)
            # Gates open at one: with zero gates a short training spends its first minutes opening them.
            with torch.no_grad():
                layer.time.bias[2 * e : 3 * e] = 1.0
                layer.time.bias[5 * e : 6 * e] = 1.0
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, math.log(200.0), 32)), persistent=False)

        # Size of each step of a chunk: the first are a tenth of the last, and must be as exact for their size.
        self.horizon_scale: Tensor
        self.register_buffer("horizon_scale", torch.ones(c.horizon, c.action_dim))

        self.cell_colour = nn.Linear(FINE_WIDTH, 1 + len(COLOURS))
        self.cell_shape = nn.Linear(FINE_WIDTH, 1 + len(SHAPES))
        self.refine = nn.Linear(c.width, 3)

    def see(self, scene: Tensor, wrist: Tensor, gain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (P, 128, width), the scene's 64 cells and then the wrist's, and fine scene tokens (P, 256, 128)."""
        coarse, middle = self.trunk(torch.cat([scene, wrist]), gain)
        scene_tokens, wrist_tokens = coarse.chunk(2)
        fine = self.trunk.sharpen(scene_tokens, middle.chunk(2)[0])
        tokens: Tensor = self.picture_norm(
            torch.cat([scene_tokens + self.place[0], wrist_tokens + self.place[1]], dim=1)
        )
        return tokens, fine

    def read(self, tokens: Tensor) -> Tensor:
        """Token ids (B, max_tokens) to one vector (B, width) for the sentence."""
        there = (tokens != 0).to(torch.float32)
        bias = ((1.0 - there) * -1e4)[:, None, None, :]
        x = self.words(tokens) + self.word_place
        for layer in self.language:
            x = layer(x, bias)
        kept: Tensor = self.language_norm(x) * there[:, :, None]
        return kept.sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1.0)

    def ground(
        self, seen: tuple[Tensor, Tensor], said: Tensor, state: Tensor, per_picture: int = 1
    ) -> tuple[tuple[Tensor, ...], Heads]:
        """Prefix and training heads for B = P * `per_picture` instructions on P observations.

        `seen` comes from `see`; `said` (B, width) from `read` and `state` (B, 8), with the instructions of one
        observation next to each other.
        """
        pictures, fine = seen
        batch = said.shape[0]
        query = self.find_query(said).view(-1, per_picture, FINE_WIDTH)
        cell_logits = torch.matmul(query, self.find_key(fine).transpose(1, 2)).float() * FINE_WIDTH**-0.5
        where = cell_logits.softmax(dim=-1)
        found = torch.matmul(where.to(fine.dtype), fine).reshape(batch, FINE_WIDTH)
        uv = torch.matmul(where, self.cell_uv).reshape(batch, 2)
        target = self.locate(torch.cat([uv, found], dim=-1))
        x = torch.cat(
            [
                self.latents + self.said(said)[:, None],
                self.found(found)[:, None],
                self.located(target)[:, None],
                said[:, None],
                self.state(state)[:, None],
                self.embodiment.weight[0].expand(batch, 1, -1),
            ],
            dim=1,
        )
        for layer in self.prefix:
            x = layer(x, pictures, per_picture)
        x = self.prefix_norm(x)
        keys_values = []
        for layer in self.expert:
            assert isinstance(layer, ExpertLayer)
            keys_values.append(layer.look.keys_values(x))
        heads = Heads(
            cell_logits=cell_logits.reshape(batch, -1),
            target=target,
            refined_target=self.refine(x[:, 0]),
            colour_logits=self.cell_colour(fine),
            shape_logits=self.cell_shape(fine),
        )
        return tuple(keys_values), heads

    def encode(self, scene: Tensor, wrist: Tensor, tokens: Tensor, state: Tensor) -> tuple[Tensor, ...]:
        """Prefix of one observation and instruction: per expert layer (B, 13, 2 * expert_width) keys and values.

        `scene`, `wrist` uint8 (B, 128, 128, 3); `tokens` int64 (B, 16); `state` normalized (B, 8).
        """
        return self.ground(self.see(scene, wrist), self.read(tokens), state)[0]

    def denoise(self, x: Tensor, time: Tensor, prefix: tuple[Tensor, ...]) -> Tensor:
        """Velocity (B, 16, 8) of the flow at `x` (B, 16, 8) and `time` (B,), 0 = noise, 1 = action.

        On the straight path to the action the velocity is what is left of the way over the time that is left.
        """
        left = (1.0 - time).clamp(min=_SHORTEST_TIME_LEFT)
        return (self.clean_action(x, time, prefix) - x) / left[:, None, None]

    def clean_action(self, x: Tensor, time: Tensor, prefix: tuple[Tensor, ...]) -> Tensor:
        """The network's own output: the action (B, 16, 8) that it believes `x` leads to.

        It predicts the action and not the velocity, so it need not learn to give back the noise it was fed.
        """
        angle = time[:, None] * self.frequencies
        t = self.time_in(torch.cat([angle.sin(), angle.cos()], dim=-1))
        h = self.action_in(x) + self.action_place
        for layer, kv in zip(self.expert, prefix, strict=True):
            h = layer(h, t, kv)
        action: Tensor = self.action_out(self.action_norm(h)) * self.horizon_scale
        return action

    def sample(self, prefix: tuple[Tensor, ...], noise: Tensor, steps: int) -> Tensor:
        """Normalized actions (B, 16, 8) by Euler's method from `noise`."""
        x = noise
        for i in range(steps):
            time = torch.full((x.shape[0],), i / steps, dtype=torch.float32)
            x = x + self.denoise(x, time, prefix) / steps
        return x
