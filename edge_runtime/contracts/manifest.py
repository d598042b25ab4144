"""The manifest of a model bundle: what it is made of, which robot it fits, how it was made and how well it matches.

A bundle is a folder with `manifest.json` and the blobs it names. Its digest is the SHA-256 of the canonical JSON of the
manifest (keys sorted, no spaces), which pins every blob by size and SHA-256. Safety limits never travel in a bundle.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Literal

import msgspec

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, HandshakeError
from edge_runtime.contracts.messages import MAX_ACTION_DT_NS, MAX_HORIZON, MIN_ACTION_DT_NS
from edge_runtime.contracts.soundness import require_sound

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Blob(_Part, frozen=True):
    """One file of the bundle. `path` is relative, with forward slashes, and stays inside the bundle."""

    path: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.path or self.path.startswith("/") or ".." in self.path.split("/") or "\\" in self.path:
            raise ValueError(f"blob path leaves the bundle: {self.path!r}")
        if self.size_bytes < 0 or len(self.sha256) != 64:
            raise ValueError(f"blob {self.path}: bad size or digest")


class PictureFigures(_Part, frozen=True):
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


class PictureRange(_Part, frozen=True):
    """What a camera's training pictures looked like: lowest and highest of each figure, over `pictures` of them."""

    pictures: int
    low: PictureFigures
    high: PictureFigures

    def __post_init__(self) -> None:
        if any(getattr(self.low, name) > getattr(self.high, name) for name in self.low.__struct_fields__):
            raise ValueError("a picture range needs its low below its high")


class ImageInput(_Part, frozen=True, omit_defaults=True):
    """One camera as the encode graph wants it: uint8 RGB of shape (1, height_px, width_px, 3) under `tensor`.

    `trained_on` says what its training pictures looked like, for the engine to tell how familiar a picture is.
    """

    camera: str
    tensor: str
    width_px: int
    height_px: int
    trained_on: PictureRange | None = None


class Normalization(_Part, frozen=True):
    """``normalized = (physical - mean) / std``, per dimension; physical is rad for joints, m for the gripper."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError("normalization needs as many means as deviations")
        if not all(map(math.isfinite, self.mean)) or not all(math.isfinite(s) and s > 0.0 for s in self.std):
            raise ValueError("normalization needs finite means and deviations above zero")


class FlowSampler(_Part, frozen=True):
    """Euler integration of the flow from noise (t = 0) to action (t = 1) in `steps` equal steps.

    `noise_seed` seeds the noise of the first chunk; chunk k uses seed + k, so that a run can be repeated.
    `fixed_noise` uses `noise_seed` for every chunk: less variety, smoother seams.
    """

    steps: int
    noise_seed: int
    fixed_noise: bool


class Graphs(_Part, frozen=True):
    """Tensor names of the two graphs. What `encode` returns is fed to `denoise` under the same names.

    encode: image tensors, `tokens` int64 (1, max_tokens), `state` float32 (1, joints + 1) normalized → prefix tensors.
    denoise: `x` float32 (1, horizon, joints + 1), `time` float32 (1,), prefix tensors → `velocity`, like x.
    """

    encode: str
    denoise: str
    tokens: str
    state: str
    x: str
    time: str
    velocity: str


class Tokenizer(_Part, frozen=True):
    """Word-level tokenizer, a JSON blob: {"words": {word: id}, "pad": id, "unknown": id}."""

    path: str
    max_tokens: int


class SentenceContract(_Part, frozen=True, omit_defaults=True):
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


class PolicyContract(_Part, frozen=True, omit_defaults=True):
    """What the policy was trained for; checked against the robot's embodiment before it may drive it.

    With `delta_to_observed` a normalized action is the offset from the position at exposure (gripper: absolute).
    """

    family: str
    embodiment: str
    joint_names: tuple[str, ...]
    joint_digest: str
    images: tuple[ImageInput, ...]
    state_normalization: Normalization
    action_normalization: Normalization
    action_representation: Literal["absolute", "delta_to_observed"]
    action_dt_ns: int
    horizon: int
    sampler: FlowSampler
    graphs: Graphs
    tokenizer: Tokenizer
    sentences: SentenceContract | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= MAX_HORIZON:
            raise ValueError(f"horizon must lie between 1 and {MAX_HORIZON}")
        if not MIN_ACTION_DT_NS <= self.action_dt_ns <= MAX_ACTION_DT_NS:
            raise ValueError("action_dt_ns must lie between 1 ms and 10 s")
        width = len(self.joint_names) + 1
        if len(self.action_normalization.mean) != width or len(self.state_normalization.mean) != width:
            raise ValueError(f"normalization needs {width} dimensions: every joint and the gripper")


class Provenance(_Part, frozen=True):
    """How the bundle was made: the command that rebuilds it, its seed and the versions that were used."""

    command: str
    seed: int
    versions: dict[str, str]


class ParityReport(_Part, frozen=True):
    """Quantized graphs against the trained model over held-out observations, in physical units, per joint.

    `error_max_rad` and `error_p99_rad` have one value a joint; `gripper_flips` counts actions on the other side of
    half-open; `inert_inputs` names inputs whose perturbation did not move the output (must be empty).
    """

    samples: int
    error_max_rad: tuple[float, ...]
    error_p99_rad: tuple[float, ...]
    bound_p99_rad: float
    gripper_flips: int
    quantized_weight_fraction: float
    inert_inputs: tuple[str, ...]


class MotionLimits(_Part, frozen=True):
    """How fast a robot may be, as its own safety file has it; or, in a manifest, the least that the policy needs.

    Tuples have one value per joint, None: nothing is asked (of the tool: nothing limits it). Magnitudes.
    """

    velocity_rad_s: tuple[float, ...] | None = None
    acceleration_rad_s2: tuple[float, ...] | None = None
    jerk_rad_s3: tuple[float, ...] | None = None
    tool_speed_m_s: float | None = None

    def __post_init__(self) -> None:
        for values in (self.velocity_rad_s, self.acceleration_rad_s2, self.jerk_rad_s3, (self.tool_speed_m_s,)):
            if not all(value is None or (math.isfinite(value) and value > 0.0) for value in values or ()):
                raise ValueError("motion limits must be finite and above zero")


class Manifest(_Part, frozen=True, omit_defaults=True):
    """`manifest.json` of a bundle.

    `requires_safety` is what a robot's own limits must at least allow for the policy to work; it loosens nothing.
    """

    format_version: int
    name: str
    version: str
    precision: str
    parameters: int
    policy: PolicyContract
    blobs: tuple[Blob, ...]
    provenance: Provenance
    parity: ParityReport
    requires_safety: MotionLimits | None = None

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version {self.format_version}, this software reads {FORMAT_VERSION}")
        paths = [blob.path for blob in self.blobs]
        if len(set(paths)) != len(paths):
            raise ValueError("a blob is listed twice")
        for needed in (self.policy.graphs.encode, self.policy.graphs.denoise, self.policy.tokenizer.path):
            if needed not in paths:
                raise ValueError(f"the policy names {needed}, which is not among the blobs")
        needs = self.requires_safety
        if needs is not None:
            for values in (needs.velocity_rad_s, needs.acceleration_rad_s2, needs.jerk_rad_s3):
                if values is not None and len(values) != len(self.policy.joint_names):
                    raise ValueError("requires_safety needs one value for each of the policy's joints")

    def canonical_json(self) -> bytes:
        """The bytes that are hashed and signed: keys sorted, no spaces, UTF-8."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of `canonical_json`: the bundle's identity in every message and record."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    def require_fit(self, embodiment: Embodiment) -> None:
        """Check that this policy may drive `embodiment`.

        Raises:
            HandshakeError: names the first field that differs.
        """
        policy = self.policy
        if policy.embodiment != embodiment.name:
            raise HandshakeError("policy.embodiment", embodiment.name, policy.embodiment)
        if policy.joint_names != embodiment.joint_names:
            raise HandshakeError("policy.joint_names", embodiment.joint_names, policy.joint_names)
        if policy.joint_digest != embodiment.joint_digest:
            raise HandshakeError("policy.joint_digest", embodiment.joint_digest, policy.joint_digest)
        cameras = {camera.name for camera in embodiment.cameras}
        for image in policy.images:
            if image.camera not in cameras:
                raise HandshakeError("policy.images.camera", sorted(cameras), image.camera)

    def require_allowed(self, limits: MotionLimits) -> None:
        """Check that a robot with these limits is fast enough for this policy. Comes after `require_fit`.

        Raises:
            HandshakeError: names the first limit that is tighter than the policy needs, and the joint.
        """
        needs = self.requires_safety
        if needs is None:
            return
        for field in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
            for name, need, limit in zip(
                self.policy.joint_names, getattr(needs, field) or (), getattr(limits, field) or (), strict=False
            ):
                _require_at_least(f"requires_safety.{field} of {name}", need, limit)
        if needs.tool_speed_m_s is not None and limits.tool_speed_m_s is not None:
            _require_at_least("requires_safety.tool_speed_m_s", needs.tool_speed_m_s, limits.tool_speed_m_s)


def _require_at_least(field: str, need: float, limit: float) -> None:
    if limit < need:
        raise HandshakeError(field, f"at least {need:g}", f"{limit:g}, this robot's own tighter limit")


def blob_of(folder: Path, path: str) -> Blob:
    """Measure the file `path` below `folder`."""
    digest = hashlib.sha256()
    size_bytes = 0
    with (folder / path).open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size_bytes += len(part)
    return Blob(path=path, size_bytes=size_bytes, sha256=digest.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, indented for people; the digest is over the canonical form."""
    text = msgspec.json.format(manifest.canonical_json(), indent=2)
    (folder / MANIFEST_NAME).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `manifest.json` of a bundle, without looking at its blobs.

    Raises:
        BundleError: missing, unreadable or not a manifest of this format.
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}. Is this the folder of a bundle?") from error
    return parse_manifest(data, str(path))


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Validate the bytes of a `manifest.json`, which an error calls `name`.

    Raises:
        BundleError: not a manifest of this format.
    """
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{name}: {error}") from error


def verify_bundle(folder: Path) -> Manifest:
    """Read the manifest, check that it does not contradict itself, and size and SHA-256 of every blob.

    Raises:
        BundleError: names the first blob that is missing or altered, or what contradicts itself.
    """
    manifest = read_manifest(folder)
    require_sound(manifest)
    for blob in manifest.blobs:
        try:
            actual = blob_of(folder, blob.path)
        except OSError as error:
            raise BundleError(f"{folder / blob.path}: {error.strerror}") from error
        if actual != blob:
            raise BundleError(f"{folder / blob.path}: does not match the manifest (altered or incomplete)")
    return manifest
