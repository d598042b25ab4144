"""Does a bundle agree with itself? What no robot could use, or what its own report says against it, is named here.

Pure: a manifest in, problems out; all are looked for and all are told. Whether it fits a robot is not judged here, see
`Manifest.require_fit`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_runtime.contracts.embodiment import MAX_SIDE_PX
from edge_runtime.contracts.errors import BundleError

if TYPE_CHECKING:
    from edge_runtime.contracts.manifest import Manifest, Normalization, ParityReport, PolicyContract

MAX_SAMPLER_STEPS = 256
"""Ten are usual and a hundred are many; each is one run of the graph, and a chunk has to be there before it is old."""

MAX_TOKENS = 4096
MAX_DT_S = 2.0
"""The safety kernel follows nothing that was seen longer ago; the first action is due one step after it was seen."""

MAX_PLAN_S = 60.0
DEVIATION_MIN, DEVIATION_MAX = 1e-4, 100.0
"""In rad or m. Less is below what an encoder resolves: noise would fill the range. More is no joint's, but degrees."""

_GRIPPER = "the gripper"


def require_sound(manifest: Manifest) -> None:
    """Check that the bundle does not contradict itself.

    Raises:
        BundleError: names everything that is wrong.
    """
    problems = tuple(problems_of(manifest))
    if problems:
        raise BundleError(f"{manifest.name} {manifest.version} is refused: {'; '.join(problems)}")


def problems_of(manifest: Manifest) -> Iterator[str]:
    """What is wrong with it, in words, each with the field that it concerns."""
    policy = manifest.policy
    for name, statistics in (
        ("policy.state_normalization", policy.state_normalization),
        ("policy.action_normalization", policy.action_normalization),
    ):
        yield from _of_statistics(name, statistics, policy.joint_names)
    yield from _of_inputs(policy)
    yield from _of_time(policy)
    yield from _of_parity(manifest.parity, len(policy.joint_names))


def is_measured(parity: ParityReport) -> bool:
    """Whether somebody has compared the graphs with the trained policy: a report of zeros says that nobody has."""
    return parity.samples > 0 and any(parity.error_max_rad)


def _of_statistics(field: str, statistics: Normalization, joint_names: Sequence[str]) -> Iterator[str]:
    for joint, mean, deviation in zip((*joint_names, _GRIPPER), statistics.mean, statistics.std, strict=True):
        if deviation < DEVIATION_MIN:
            yield (
                f"{field}.std of {joint} is {deviation:g}, less than {DEVIATION_MIN:g}: it never moved in training. "
                "Export it with a deviation of 1"
            )
        if deviation > DEVIATION_MAX or abs(mean) > DEVIATION_MAX:
            yield f"{field} of {joint} is {mean:g} ± {deviation:g}, which no joint is in rad and no gripper in m"


def _of_inputs(policy: PolicyContract) -> Iterator[str]:
    graphs = policy.graphs
    yield from _twice("policy.images.camera", [image.camera for image in policy.images])
    yield from _twice("inputs of encode", [*(image.tensor for image in policy.images), graphs.tokens, graphs.state])
    yield from _twice("inputs of denoise", (graphs.x, graphs.time))
    for image in policy.images:
        if not (1 <= image.width_px <= MAX_SIDE_PX and 1 <= image.height_px <= MAX_SIDE_PX):
            size = f"{image.width_px} x {image.height_px}"
            yield f"policy.images of {image.camera} is {size}, each side needs 1 to {MAX_SIDE_PX}"
        if image.trained_on is not None and image.trained_on.pictures < 1:
            yield f"policy.images of {image.camera} was trained on {image.trained_on.pictures} pictures"
    if not 1 <= policy.tokenizer.max_tokens <= MAX_TOKENS:
        yield f"policy.tokenizer.max_tokens is {policy.tokenizer.max_tokens}, 1 to {MAX_TOKENS} are possible"


def _of_time(policy: PolicyContract) -> Iterator[str]:
    sampler, dt_s = policy.sampler, policy.action_dt_ns / 1e9
    if not 1 <= sampler.steps <= MAX_SAMPLER_STEPS:
        yield f"policy.sampler.steps is {sampler.steps}, 1 to {MAX_SAMPLER_STEPS} are possible"
    if not 0 <= sampler.noise_seed < 2**63:
        yield f"policy.sampler.noise_seed is {sampler.noise_seed}, it must be a non-negative 63-bit number"
    if dt_s > MAX_DT_S:
        yield f"policy.action_dt_ns is {dt_s:g} s, and nothing is followed that was seen more than {MAX_DT_S:g} s ago"
    if policy.horizon * dt_s > MAX_PLAN_S:
        yield f"policy.horizon of {policy.horizon} actions lasts {policy.horizon * dt_s:g} s, {MAX_PLAN_S:g} at most"


def _of_parity(parity: ParityReport, joints: int) -> Iterator[str]:
    errors = (*parity.error_max_rad, *parity.error_p99_rad, parity.bound_p99_rad)
    if len(parity.error_max_rad) != joints or len(parity.error_p99_rad) != joints:
        yield f"parity needs one error for each of {joints} joints"
    elif not all(math.isfinite(error) and error >= 0.0 for error in errors):
        yield "parity has an error or a bound that is negative or no number"
    else:
        if any(p99 > most for p99, most in zip(parity.error_p99_rad, parity.error_max_rad, strict=True)):
            yield "parity.error_p99_rad is above parity.error_max_rad"
        if (worst := max(parity.error_p99_rad)) > parity.bound_p99_rad:
            yield f"parity.error_p99_rad is {worst:g}, above its own bound of {parity.bound_p99_rad:g}"
    if parity.samples < 0 or not 0.0 <= parity.quantized_weight_fraction <= 1.0:
        yield f"parity is of {parity.samples} samples, with {parity.quantized_weight_fraction:g} of the weights"
    if parity.gripper_flips:
        yield f"parity.gripper_flips is {parity.gripper_flips}: it opens the gripper where the trained policy closes it"
    if parity.inert_inputs:
        yield f"parity.inert_inputs: {', '.join(parity.inert_inputs)} without effect on what it does"


def _twice(field: str, names: Sequence[str]) -> Iterator[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        yield f"{field} has {', '.join(twice)} twice"
