"""Does a policy do here what the trained one did? Runs the golden pairs that a bundle carries, and compares.

Guarantees that the answers come out of the very transforms, decoder and sessions that drive the robot. Trusts the
bundle's manifest, which pins the data and the bound; refuses data that is not of the policy's own shape.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import (
    GOLDEN_FORMAT,
    GOLDEN_FORMATS,
    GOLDEN_NAME,
    NOT_FINITE,
    GoldenReport,
    before_key,
    picture_key,
)
from edge_runtime.contracts.manifest import Manifest, PolicyContract
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.sentences import Reading

MAX_CASES = 64
MAX_BYTES = 512 << 20
"""Unpacked: 64 pictures of three cameras of 1280 x 720."""
GRIPPER_BOUND = 0.1
"""How far the opening may be from the trained policy's, of the widest: parity reports have no bound of their own."""
_FORMAT, _STATE, _PLAN, _INSTRUCTION = "format", "state", "plan", "instruction"
_ACTION_DT, _BEFORE, _STATE_BEFORE, _UNDER_WAY = "action_dt_ns", "before_ns", "state_before", "under_way"


class Answering(Protocol):
    """What golden pairs are put to: a `PolicyRunner`, or what holds one."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras it looks at."""

    @property
    def past_cameras(self) -> tuple[str, ...]:
        """Those of them whose pictures from before it is fed as well."""

    def read(self, sentence: str) -> Reading:
        """See `PolicyRunner.read`."""

    def answer_pictures(
        self,
        observation: Observation,
        pictures: Mapping[str, NDArray[np.uint8]],
        instruction: str,
        before: Sequence[tuple[Observation, Mapping[str, NDArray[np.uint8]]]] = (),
        under_way: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """See `PolicyRunner.answer_pictures`."""


def run_pairs(policy: Answering, manifest: Manifest, folder: Path, embodiment: Embodiment) -> GoldenReport:
    """Run the golden pairs in `folder`, where `policy` of `manifest` was loaded from, through it, and compare.

    Raises:
        BundleError: the pairs are not of the policy's own shape, or it could not read one of their sentences.
        EngineError: a graph that cannot be run.
    """
    if GOLDEN_NAME not in {blob.path for blob in manifest.blobs}:
        return GoldenReport(bundle=manifest.digest, verdict="no_data")
    data = read_pairs(folder / GOLDEN_NAME, manifest.policy)
    for sentence in map(str, data.get(_INSTRUCTION, ())):
        if not (reading := policy.read(sentence)).is_readable:
            raise BundleError(f"{folder}: a robot would refuse its own golden sentence {sentence!r}: {reading.detail}")
    plans = np.stack([plan_of(policy, embodiment, data, case) for case in range(len(data[_PLAN]))])
    error, flips = differences(data[_PLAN], plans, embodiment)
    # The percentile passes over a few actions: none of them may be worse than merely far off.
    error_p99 = np.where(np.isfinite(error).all(axis=0), np.percentile(error, 99, axis=0), NOT_FINITE)
    gripper_p99, gripper_bound = _worst_gripper(data[_PLAN], plans, embodiment)
    bound_p99_rad = manifest.parity.bound_p99_rad
    is_near = bool((error_p99 <= bound_p99_rad).all()) and gripper_p99 <= gripper_bound
    matched = bool(np.isfinite(plans).all()) and flips == 0 and is_near
    return GoldenReport(
        bundle=manifest.digest,
        verdict="matched" if matched else "differs",
        cases=len(plans),
        joint_names=embodiment.joint_names,
        error_p99_rad=tuple(np.minimum(error_p99, NOT_FINITE).tolist()),
        bound_p99_rad=bound_p99_rad,
        gripper_flips=flips,
        gripper_error_p99_m=gripper_p99,
        gripper_bound_p99_m=gripper_bound,
    )


def differences(
    trained: NDArray[np.floating], run: NDArray[np.floating], embodiment: Embodiment
) -> tuple[NDArray[np.float64], int]:
    """How far plans are from those of the trained policy, both (cases, horizon, axes).

    Returns:
        (cases * horizon, joints) in the joint's unit, and how many actions are on the other side of a half-open
        gripper.
    """
    error = np.abs(np.asarray(run, np.float64) - trained)[..., list(embodiment.joint_indices)]
    flips = 0
    for place, gripper in zip(embodiment.gripper_indices, embodiment.grippers, strict=True):
        half = (gripper.low + gripper.high) / 2.0
        flips += int(((run[..., place] > half) != (trained[..., place] > half)).sum())
    return error.reshape(-1, error.shape[-1]), flips


def _worst_gripper(
    trained: NDArray[np.floating], run: NDArray[np.floating], embodiment: Embodiment
) -> tuple[float, float]:
    """Error (p99) and bound of the gripper that is furthest off for its bound; both 0 without one."""
    worst = (0.0, 0.0)
    for place, gripper in zip(embodiment.gripper_indices, embodiment.grippers, strict=True):
        error = np.abs(run[..., place] - trained[..., place])
        p99 = float(np.percentile(error, 99)) if np.isfinite(error).all() else NOT_FINITE
        bound = GRIPPER_BOUND * (gripper.high - gripper.low)
        if worst[1] == 0.0 or p99 / bound > worst[0] / worst[1]:
            worst = (p99, bound)
    return worst


def plan_of(
    policy: Answering, embodiment: Embodiment, data: Mapping[str, NDArray[Any]], case: int
) -> NDArray[np.float64]:
    """What `policy` answers to one of the golden pairs in `data`: (rows, axes).

    Noise is that of the first chunk, as where the plans were made.
    """
    observation = observation_of(embodiment, data[_STATE][case])
    pictures = {camera: data[picture_key(camera)][case] for camera in policy.cameras}
    instruction = str(data[_INSTRUCTION][case]) if _INSTRUCTION in data else ""
    before = [
        (
            observation_of(embodiment, data[_STATE_BEFORE][case][number]),
            {camera: data[before_key(camera)][case][number] for camera in policy.past_cameras},
        )
        for number in range(len(data.get(_BEFORE, ())))
    ]
    under_way = data[_UNDER_WAY][case] if _UNDER_WAY in data else None
    return policy.answer_pictures(observation, pictures, instruction, before, under_way)


def observation_of(embodiment: Embodiment, state: NDArray[np.float64]) -> Observation:
    """A robot at rest in `state`, (axes,), whose pictures are given beside it."""
    position = tuple(map(float, state))
    return Observation(
        sequence=0,
        exposure_ns=0,
        published_ns=0,
        joint_digest=embodiment.joint_digest,
        position=position,
        velocity=(0.0,) * len(position),
        frames=(),
    )


def read_pairs(path: Path, contract: PolicyContract) -> dict[str, NDArray[Any]]:
    """The golden pairs at `path`, of a policy with this contract; see `contracts.golden` for the arrays.

    Raises:
        BundleError: they are none, or not of the policy's own shape.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(member.file_size for member in archive.infolist())
        if size_bytes > MAX_BYTES:
            raise BundleError(f"{path}: golden pairs of {size_bytes} bytes, {MAX_BYTES} at most are read")
        with np.load(path, allow_pickle=False) as archive:
            data = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path}: no golden pairs: {error}") from error
    if _FORMAT not in data or data[_FORMAT].shape or data[_FORMAT].dtype.kind not in "iu":
        raise BundleError(
            f"{path}: golden pairs of an older form, whose pictures go by tensor and cannot show that two cameras were "
            "exchanged: export the bundle again, or leave the file out of it"
        )
    if (found := int(data[_FORMAT])) not in GOLDEN_FORMATS:
        readable = " and ".join(map(str, GOLDEN_FORMATS))
        raise BundleError(f"{path}: golden pairs of format {found}, this software reads {readable}: update it")
    _require_shapes(path, data, contract)
    return data


def write_pairs(path: Path, contract: PolicyContract, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write golden pairs of a policy with this contract to `path`, as `read_pairs` reads them.

    Args:
        arrays: pictures, states, plans and what else `contracts.golden` has; `format` and times are of the contract.

    Raises:
        BundleError: they are not of the policy's own shape.
    """
    held: dict[str, Any] = {**arrays, _FORMAT: np.array(GOLDEN_FORMAT), _ACTION_DT: np.array(contract.action_dt_ns)}
    if contract.before_ns:
        held[_BEFORE] = np.array(contract.before_ns, dtype=np.int64)
    _require_shapes(path, held, contract)
    np.savez_compressed(path, **held)


def _require_shapes(path: Path, data: Mapping[str, NDArray[Any]], contract: PolicyContract) -> None:
    width, cases, before_ns = contract.axes, _length(data.get(_PLAN)), contract.before_ns
    pictures = {picture_key(camera): 4 for camera in contract.cameras}
    pictures |= {before_key(camera): 5 for camera in contract.inputs.past_cameras}
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        _STATE: ("f", (cases, width)),
        _PLAN: ("f", (cases, contract.rows, width)),
    }
    if contract.inputs.text is not None:
        expected[_INSTRUCTION] = ("U", (cases,))
    if before_ns:
        expected[_STATE_BEFORE] = ("f", (cases, len(before_ns), width))
    if contract.outputs.trained_delay:
        expected[_UNDER_WAY] = ("f", (cases, contract.outputs.trained_delay, width))
    times: dict[str, object] = {_BEFORE: list(before_ns)} if before_ns else {}
    times |= {_ACTION_DT: contract.action_dt_ns} if _ACTION_DT in data or int(data[_FORMAT]) > 2 else {}
    asked = {_FORMAT, *expected, *pictures, *times}
    if not 1 <= cases <= MAX_CASES or data.keys() != asked:
        raise BundleError(f"{path}: {cases} cases of {sorted(data)}; 1 to {MAX_CASES} of {sorted(asked)} are asked")
    for name, (kind, shape) in expected.items():
        if data[name].shape != shape or data[name].dtype.kind != kind:
            raise BundleError(f"{path}: {name} is {data[name].dtype}{data[name].shape}, the policy has {shape}")
        if kind == "f" and not np.isfinite(data[name]).all():
            raise BundleError(f"{path}: {name} is not finite")
    for name, dimensions in sorted(pictures.items()):
        shape, dtype = data[name].shape, data[name].dtype
        many = (cases,) if dimensions == 4 else (cases, len(before_ns))
        if dtype != np.uint8 or len(shape) != dimensions or shape[:-3] != many or shape[-1] != 3 or not min(shape):
            raise BundleError(
                f"{path}: {name} is {dtype}{shape}, not {' x '.join(map(str, many))} pictures of uint8 RGB"
            )
    for name, value in times.items():
        if data[name].dtype.kind not in "iu" or data[name].tolist() != value:
            raise BundleError(
                f"{path}: {name} is {data[name].tolist()}, and the manifest has {value}: a robot would play the plans "
                "in another rhythm than that of training; export the bundle again"
            )


def _length(array: NDArray[Any] | None) -> int:
    return len(array) if array is not None and array.ndim else 0
