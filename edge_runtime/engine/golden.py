"""Does the engine of this machine do what the trained policy did? `python -m edge_runtime.engine.golden --config F DIR`

Runs the golden pairs of the bundle in DIR and prints a `GoldenReport` as JSON. A process of its own, so that a bundle
that crashes its engine, or hangs in it, takes nobody along. Guarantees that the answers come out of the same engines,
transforms and sampler that drive the robot: engines that were built ahead are those that are checked. Trusts the
bundle's manifest, which pins the data and the bound; refuses data that is not of the policy's own shape.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.embodiment import Embodiment
from contracts.errors import BundleError, EdgeError
from contracts.golden import GOLDEN_NAME, NOT_FINITE, GoldenReport
from contracts.messages import Observation
from edge_runtime.config import load_config
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines

MAX_CASES = 64
_STATE, _PLAN, _INSTRUCTION = "state", "plan", "instruction"


def check(folder: Path, embodiment: Embodiment, *, threads: int, engines: Engines | None = None) -> GoldenReport:
    """Run the golden pairs of the bundle in `folder` and compare.

    Raises:
        BundleError: altered, or its golden pairs are not of its own shape.
        HandshakeError: trained for another robot.
        EngineError: a graph that cannot be run.
    """
    policy = BundlePolicy.load(folder, embodiment, threads=threads, engines=engines)
    if GOLDEN_NAME not in {blob.path for blob in policy.manifest.blobs}:
        return GoldenReport(bundle=policy.digest, verdict="no_data")
    data = _read(folder / GOLDEN_NAME, policy)
    plans = np.stack([_plan(policy, embodiment, data, case) for case in range(len(data[_PLAN]))])
    error_rad = np.abs(plans[..., :-1] - data[_PLAN][..., :-1]).reshape(-1, len(embodiment.joints))
    error_p99_rad = np.percentile(np.where(np.isfinite(error_rad), error_rad, NOT_FINITE), 99, axis=0)
    half_open_m = embodiment.gripper.opening_max_m / 2.0
    flips = int(((plans[..., -1] > half_open_m) != (data[_PLAN][..., -1] > half_open_m)).sum())
    bound_p99_rad = policy.manifest.parity.bound_p99_rad
    # The percentile passes over a few actions: none of them may be worse than merely far off.
    is_finite = bool(np.isfinite(plans).all())
    matched = is_finite and flips == 0 and bool((error_p99_rad <= bound_p99_rad).all())
    return GoldenReport(
        bundle=policy.digest,
        verdict="matched" if matched else "differs",
        cases=len(plans),
        error_p99_rad=tuple(np.minimum(error_p99_rad, NOT_FINITE).tolist()),
        bound_p99_rad=bound_p99_rad,
        gripper_flips=flips,
    )


def _plan(
    policy: BundlePolicy, embodiment: Embodiment, data: Mapping[str, NDArray[Any]], case: int
) -> NDArray[np.float64]:
    """(horizon, joints + 1); noise is that of the first chunk, as where the plans were made."""
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
    pictures = {image.camera: data[image.tensor][case] for image in policy.manifest.policy.images}
    position_rad, gripper_m = policy.answer_pictures(observation, pictures, str(data[_INSTRUCTION][case]))
    return np.column_stack((position_rad, gripper_m))


def _read(path: Path, policy: BundlePolicy) -> dict[str, NDArray[Any]]:
    contract = policy.manifest.policy
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: no golden pairs: {error}") from error
    width, cases = len(contract.joint_names) + 1, len(data.get(_PLAN, ()))
    expected = {
        _STATE: ("f", (cases, width)),
        _PLAN: ("f", (cases, contract.horizon, width)),
        _INSTRUCTION: ("U", (cases,)),
        **{image.tensor: ("u", (cases, image.height_px, image.width_px, 3)) for image in contract.images},
    }
    if not 1 <= cases <= MAX_CASES or data.keys() != expected.keys():
        raise BundleError(f"{path}: {cases} cases of {sorted(data)}; 1 to {MAX_CASES} of {sorted(expected)} are asked")
    for name, (kind, shape) in expected.items():
        if data[name].shape != shape or data[name].dtype.kind != kind:
            raise BundleError(f"{path}: {name} is {data[name].dtype}{data[name].shape}, the policy has {shape}")
        if kind == "f" and not np.isfinite(data[name]).all():
            raise BundleError(f"{path}: {name} is not finite")
    return data


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 0 if there is one, whatever it says, 1 if the bundle cannot even be run."""
    parser = argparse.ArgumentParser(prog="python -m edge_runtime.engine.golden", description="Run golden pairs.")
    parser.add_argument("--config", type=Path, required=True, help="robot.toml of the robot it is for")
    parser.add_argument("bundle", type=Path, metavar="DIR", help="folder of the bundle")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        report = check(options.bundle, config.embodiment, threads=config.engine.threads, engines=Engines.of(config))
    except EdgeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(report).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
