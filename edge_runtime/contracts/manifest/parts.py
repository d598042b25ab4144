"""What manifests of every version are made of, besides the policy."""

from __future__ import annotations

import math

import msgspec


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything in a manifest: what it does not know is refused, and nothing changes once it is made."""


class Blob(Part, frozen=True):
    """One file of the bundle. `path` is relative, with forward slashes, and stays inside the bundle."""

    path: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.path or self.path.startswith("/") or ".." in self.path.split("/") or "\\" in self.path:
            raise ValueError(f"blob path leaves the bundle: {self.path!r}")
        if self.size_bytes < 0 or len(self.sha256) != 64:
            raise ValueError(f"blob {self.path}: bad size or digest")


class PictureFigures(Part, frozen=True):
    """A picture in five numbers, 0 to 255, taken over all its pixels at the size that is fed.

    `red`, `green`, `blue` are the means of the channels, `contrast` the mean of their three standard deviations,
    `sharpness` the mean absolute difference of horizontal neighbours over all channels.
    """

    red: float
    green: float
    blue: float
    contrast: float
    sharpness: float

    def __post_init__(self) -> None:
        if not all(0.0 <= getattr(self, name) <= 255.0 for name in self.__struct_fields__):
            raise ValueError("picture figures must lie between 0 and 255")


class PictureRange(Part, frozen=True):
    """What a camera's training pictures looked like: lowest and highest of each figure, over `pictures` of them."""

    pictures: int
    low: PictureFigures
    high: PictureFigures

    def __post_init__(self) -> None:
        if any(getattr(self.low, name) > getattr(self.high, name) for name in self.low.__struct_fields__):
            raise ValueError("a picture range needs its low below its high")


class SentenceContract(Part, frozen=True, omit_defaults=True):
    """Which sentences the policy may act on, see `policies.sentences`. A bundle without it gets the defaults.

    `unknown_words_max` words may be missing from its vocabulary, `cut_words_max` may stand behind the last one that it
    reads. `negation`: it was trained to tell "touch" from "do not touch".
    """

    unknown_words_max: int = 0
    cut_words_max: int = 0
    negation: bool = False

    def __post_init__(self) -> None:
        for name in ("unknown_words_max", "cut_words_max"):
            if not 0 <= getattr(self, name) <= 512:
                raise ValueError(f"{name} must lie between 0 and 512")


class Provenance(Part, frozen=True):
    """How the bundle was made: the command that rebuilds it, its seed and the versions that were used."""

    command: str
    seed: int
    versions: dict[str, str]


class ParityReport(Part, frozen=True):
    """Quantized graphs against the trained model over held-out observations, in physical units, per joint.

    `error_max_rad` and `error_p99_rad` have one value a joint, m for one that slides; `gripper_flips` counts actions on
    the other side of half-open; `inert_inputs` names inputs whose perturbation did not move the output (must be empty).
    """

    samples: int
    error_max_rad: tuple[float, ...]
    error_p99_rad: tuple[float, ...]
    bound_p99_rad: float
    gripper_flips: int
    quantized_weight_fraction: float
    inert_inputs: tuple[str, ...]


class MotionLimits(Part, frozen=True):
    """How fast a robot may be, as its own safety file has it; or, in a manifest, the least that the policy needs.

    Tuples have one value per joint or axis of a base, in its own unit where that is not rad; None: nothing is asked (of
    the tool: nothing limits it). Magnitudes.
    """

    velocity_rad_s: tuple[float, ...] | None = None
    acceleration_rad_s2: tuple[float, ...] | None = None
    jerk_rad_s3: tuple[float, ...] | None = None
    tool_speed_m_s: float | None = None

    def __post_init__(self) -> None:
        for values in (self.velocity_rad_s, self.acceleration_rad_s2, self.jerk_rad_s3, (self.tool_speed_m_s,)):
            if not all(value is None or (math.isfinite(value) and value > 0.0) for value in values or ()):
                raise ValueError("motion limits must be finite and above zero")
