"""Does the engine of this machine do what the trained policy did? `python -m edge_runtime.engine.golden --config F DIR`

Runs the golden pairs of the bundle in DIR and prints a `GoldenReport` as JSON; what was shown before, under all that it
depends on, is printed as it was kept. A process of its own, so that a bundle that crashes its engine, or hangs in it,
takes nobody along. Guarantees that the answers come out of the same engines, transforms and sampler that drive the
robot: engines that were built ahead are those that are checked. Trusts the bundle's manifest, which pins the data and
the bound; refuses data that is not of the policy's own shape.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundles.installed import require_ours
from edge_runtime.bundles.kept_proofs import KeptProofs
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, EdgeError
from edge_runtime.contracts.golden import GOLDEN_FORMAT, GOLDEN_NAME, NOT_FINITE, GoldenReport, picture_key
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.messages import Observation
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines

MAX_CASES = 64
MAX_BYTES = 512 << 20
"""Unpacked: 64 pictures of three cameras of 1280 x 720."""
GRIPPER_BOUND = 0.1
"""How far the opening may be from the trained policy's, of the widest: parity reports have no bound of their own."""
_FORMAT, _STATE, _PLAN, _INSTRUCTION = "format", "state", "plan", "instruction"


def check(folder: Path, embodiment: Embodiment, *, threads: int, engines: Engines | None = None) -> GoldenReport:
    """Load the bundle in `folder` and run its golden pairs.

    Raises:
        BundleError: altered, or its golden pairs are not of its own shape.
        HandshakeError: trained for another robot.
        EngineError: a graph that cannot be run.
    """
    policy = BundlePolicy.load(folder, embodiment, threads=threads, engines=engines)
    return run_pairs(policy, folder, embodiment)


def run_pairs(policy: BundlePolicy, folder: Path, embodiment: Embodiment) -> GoldenReport:
    """Run the golden pairs in `folder`, where `policy` was loaded from, through it, and compare.

    Raises:
        BundleError: the pairs are not of the policy's own shape.
        EngineError: a graph that cannot be run.
    """
    if GOLDEN_NAME not in {blob.path for blob in policy.manifest.blobs}:
        return GoldenReport(bundle=policy.digest, verdict="no_data")
    data = _read(folder / GOLDEN_NAME, policy)
    plans = np.stack([plan_of(policy, embodiment, data, case) for case in range(len(data[_PLAN]))])
    error_rad = np.abs(plans[..., :-1] - data[_PLAN][..., :-1]).reshape(-1, len(embodiment.joints))
    # The percentile passes over a few actions: none of them may be worse than merely far off.
    error_p99_rad = np.where(np.isfinite(error_rad).all(axis=0), np.percentile(error_rad, 99, axis=0), NOT_FINITE)
    half_open_m = embodiment.gripper.opening_max_m / 2.0
    flips = int(((plans[..., -1] > half_open_m) != (data[_PLAN][..., -1] > half_open_m)).sum())
    gripper_m = np.abs(plans[..., -1] - data[_PLAN][..., -1])
    gripper_p99_m = float(np.percentile(gripper_m, 99)) if np.isfinite(gripper_m).all() else NOT_FINITE
    gripper_bound_m = GRIPPER_BOUND * embodiment.gripper.opening_max_m
    bound_p99_rad = policy.manifest.parity.bound_p99_rad
    is_near = bool((error_p99_rad <= bound_p99_rad).all()) and gripper_p99_m <= gripper_bound_m
    matched = bool(np.isfinite(plans).all()) and flips == 0 and is_near
    return GoldenReport(
        bundle=policy.digest,
        verdict="matched" if matched else "differs",
        cases=len(plans),
        joint_names=embodiment.joint_names,
        error_p99_rad=tuple(np.minimum(error_p99_rad, NOT_FINITE).tolist()),
        bound_p99_rad=bound_p99_rad,
        gripper_flips=flips,
        gripper_error_p99_m=gripper_p99_m,
        gripper_bound_p99_m=gripper_bound_m,
    )


def plan_of(
    policy: BundlePolicy, embodiment: Embodiment, data: Mapping[str, NDArray[Any]], case: int
) -> NDArray[np.float64]:
    """What `policy` answers to one of the golden pairs in `data`: (horizon, joints + 1), in rad and m.

    Noise is that of the first chunk, as where the plans were made.
    """
    state = data[_STATE][case].tolist()
    observation = Observation(
        sequence=0,
        exposure_ns=0,
        published_ns=0,
        joint_digest=embodiment.joint_digest,
        position_rad=tuple(state[:-1]),
        velocity_rad_s=(0.0,) * (len(state) - 1),
        gripper_opening_m=state[-1],
        frames=(),
    )
    pictures = {camera: data[picture_key(camera)][case] for camera in policy.cameras}
    position_rad, gripper_m = policy.answer_pictures(observation, pictures, str(data[_INSTRUCTION][case]))
    return np.column_stack((position_rad, gripper_m))


def _read(path: Path, policy: BundlePolicy) -> dict[str, NDArray[Any]]:
    contract = policy.manifest.policy
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
    if (found := int(data[_FORMAT])) != GOLDEN_FORMAT:
        raise BundleError(f"{path}: golden pairs of format {found}, this software reads {GOLDEN_FORMAT}: update it")
    width, cases = len(contract.joint_names) + 1, _length(data.get(_PLAN))
    pictures = {picture_key(camera) for camera in policy.cameras}
    expected = {
        _STATE: ("f", (cases, width)),
        _PLAN: ("f", (cases, contract.horizon, width)),
        _INSTRUCTION: ("U", (cases,)),
    }
    asked = {_FORMAT, *expected, *pictures}
    if not 1 <= cases <= MAX_CASES or data.keys() != asked:
        raise BundleError(f"{path}: {cases} cases of {sorted(data)}; 1 to {MAX_CASES} of {sorted(asked)} are asked")
    for name, (kind, shape) in expected.items():
        if data[name].shape != shape or data[name].dtype.kind != kind:
            raise BundleError(f"{path}: {name} is {data[name].dtype}{data[name].shape}, the policy has {shape}")
        if kind == "f" and not np.isfinite(data[name]).all():
            raise BundleError(f"{path}: {name} is not finite")
    for name in sorted(pictures):
        shape, kind = data[name].shape, data[name].dtype
        if kind != np.uint8 or len(shape) != 4 or (shape[0], shape[3]) != (cases, 3) or not min(shape[1:3]) > 0:
            raise BundleError(f"{path}: {name} is {kind}{shape}, not {cases} pictures of uint8 RGB")
    return data


def _length(array: NDArray[Any] | None) -> int:
    return len(array) if array is not None and array.ndim else 0


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 0 if there is one, whatever it says, 1 if the bundle cannot even be run."""
    parser = argparse.ArgumentParser(prog="python -m edge_runtime.engine.golden", description="Run golden pairs.")
    parser.add_argument("--config", type=Path, required=True, help="robot.toml of the robot it is for")
    parser.add_argument("bundle", type=Path, metavar="DIR", help="folder of the bundle")
    options = parser.parse_args(arguments)
    # It stands on this module.
    from edge_runtime.engine.proof import report_of

    try:
        config = load_config(options.config)
        engines, folder = Engines.of(config), options.bundle
        require_ours(read_manifest(folder), config)
        policy = BundlePolicy.load(folder, config.embodiment, threads=config.engine.threads, engines=engines)
        report = report_of(policy, folder, config, engines, KeptProofs.of(config))
    except EdgeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(report).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
