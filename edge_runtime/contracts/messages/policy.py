"""Between the robot's driver, its policy and control: observations, chunks of actions, and what became of them."""

from __future__ import annotations

import msgspec

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages.base import MAX_AXES, Message, require_63_bit, require_finite
from edge_runtime.contracts.states import KernelReason

MAX_HORIZON = 128
MIN_ACTION_DT_NS = 1_000_000
MAX_ACTION_DT_NS = 10_000_000_000
MAX_CAMERAS = 8
FRAME_SKEW_MAX_NS = 50_000_000
"""A frame of an observation was exposed at most so long before or after the observation itself."""


class FrameRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one camera frame lies in shared memory: 8-bit RGB, (height_px, width_px, 3), row-major.

    The slot is reused; `generation` tells whether the frame is still the one that was meant.
    """

    camera: str
    ring: str
    slot: int
    generation: int
    width_px: int
    height_px: int
    exposure_ns: int


class Observation(Message, frozen=True):
    """What the robot sensed at one instant, `exposure_ns`: vectors have one value for each axis, in its own unit.

    Attributes:
        position: where each axis is; of an axis whose value is a velocity, that velocity.
        velocity: how fast `position` changes; of an axis whose value is a velocity, that velocity again.
    """

    sequence: int
    exposure_ns: int
    published_ns: int
    joint_digest: str
    position: tuple[float, ...]
    velocity: tuple[float, ...]
    frames: tuple[FrameRef, ...]

    def __post_init__(self) -> None:
        for name in ("sequence", "exposure_ns", "published_ns"):
            require_63_bit(name, getattr(self, name))
        if not 1 <= len(self.position) <= MAX_AXES or len(self.velocity) != len(self.position):
            raise ValueError(f"shape: position and velocity need the same 1 to {MAX_AXES} values")
        if len(self.frames) > MAX_CAMERAS:
            raise ValueError(f"shape: at most {MAX_CAMERAS} frames")
        require_finite("position", self.position)
        require_finite("velocity", self.velocity)


class InferenceTiming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the time of one inference went. `model_ns` is spent inside the inference library, the rest is ours."""

    received_ns: int
    preprocess_ns: int
    model_ns: int
    postprocess_ns: int

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            require_63_bit(name, getattr(self, name))


class ActionChunk(Message, frozen=True):
    """What each axis shall be at, in its own unit; row k is due at ``exposure_ns + (k + 1) * dt_ns``.

    Attributes:
        position: (horizon, axes), absolute; of an axis whose value is a velocity, that velocity.
        observation_published_ns: when the driver had the observation ready, for latency accounts.
        confidence: 0 (none) to 1, or None if the policy does not say.
    """

    sequence: int
    observation_sequence: int
    exposure_ns: int
    published_ns: int
    dt_ns: int
    joint_digest: str
    bundle_digest: str
    instruction_id: int
    position: tuple[tuple[float, ...], ...]
    timing: InferenceTiming
    observation_published_ns: int | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        for name in ("sequence", "observation_sequence", "exposure_ns", "published_ns", "instruction_id"):
            require_63_bit(name, getattr(self, name))
        if self.observation_published_ns is not None:
            require_63_bit("observation_published_ns", self.observation_published_ns)
        if not MIN_ACTION_DT_NS <= self.dt_ns <= MAX_ACTION_DT_NS:
            raise ValueError("dt_ns must lie between 1 ms and 10 s")
        if not 1 <= len(self.position) <= MAX_HORIZON:
            raise ValueError(f"shape: position needs 1 to {MAX_HORIZON} rows")
        width = len(self.position[0])
        if not 1 <= width <= MAX_AXES or any(len(row) != width for row in self.position):
            raise ValueError(f"shape: every row of position needs the same 1 to {MAX_AXES} values")
        for row in self.position:
            require_finite("position", row)
        if self.confidence is not None and not 0.0 <= self.confidence <= 1.0:
            raise ValueError("confidence must lie between 0 and 1")


class ChunkReceipt(Message, frozen=True):
    """What control did with one chunk, and when its first command left. The record behind every latency figure.

    `first_command_ns` is the tick whose command was the first that followed this chunk; None for a refused chunk
    and for one that was replaced before any tick followed it. What is `predicted` comes from running the whole plan
    through the safety kernel before its first tick.

    Attributes:
        predicted_interventions: ticks of the plan in which the kernel would alter the motion.
        predicted_limits: the limits that would act.
        predicted_first_ns: the first such tick.
        predicted_deviation: how far, at most, a joint's commanded motion would be from what was asked for, rad or m.
        blend_ns: length of the cross-fade that was taken; longer than usual where the usual one would be clipped.
        speed_scale: of the velocity limits, below 1 for a policy that is not sure.
    """

    chunk_sequence: int
    exposure_ns: int
    observation_published_ns: int | None
    chunk_published_ns: int
    received_ns: int
    model_ns: int
    refusal: Refusal | None
    expired_actions: int
    first_command_ns: int | None
    predicted_interventions: int = 0
    predicted_limits: tuple[KernelReason, ...] = ()
    predicted_first_ns: int | None = None
    predicted_deviation: float = 0.0
    blend_ns: int = 0
    speed_scale: float = 1.0
    confidence: float | None = None
