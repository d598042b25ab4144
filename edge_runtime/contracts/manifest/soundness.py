"""Does a bundle agree with itself? What no robot could use, or what its own report says against it, is named here.

Pure: a manifest in, problems out; all are looked for and all are told. Whether it fits a robot is not judged here, see
`Manifest.require_fit`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from edge_runtime.contracts.embodiment import MAX_SIDE_PX
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest.decoding import DiffusionDecoder, FlowDecoder, TokensDecoder
from edge_runtime.contracts.manifest.document import Manifest
from edge_runtime.contracts.manifest.inputs import twice
from edge_runtime.contracts.manifest.outputs import GripperSwitch, Held, Padding, Untold
from edge_runtime.contracts.manifest.parts import ParityReport
from edge_runtime.contracts.manifest.policy import PolicyContract
from edge_runtime.contracts.manifest.statistics import MeanStd, Statistics, Unscaled

MAX_SAMPLER_STEPS = 256
"""Ten are usual and a hundred are many; each is one run of the graph, and a chunk has to be there before it is old."""

MAX_TOKENS = 4096
MAX_DT_S = 2.0
"""The safety kernel follows nothing that was seen longer ago; the first action is due one step after it was seen."""

MAX_PLAN_S = 60.0
MAX_PAST_S = 10.0
"""An engine keeps the pictures of all that time."""

DEVIATION_MIN, DEVIATION_MAX = 1e-4, 100.0
"""In rad or m. Less is below what an encoder resolves: noise would fill the range. More is no joint's, but degrees."""


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
    found = (
        *_of_groups(policy),
        *_of_inputs(policy),
        *_of_decoder(policy),
        *_of_time(policy),
        *_of_history(policy),
        *_of_delay(policy),
        *_of_parity(manifest.parity, len(policy.joints)),
    )
    yield from map(manifest.name_of, found)


def is_measured(parity: ParityReport) -> bool:
    """Whether the graphs were compared with the trained policy: a report of zeros says that they were not."""
    return parity.samples > 0 and any(parity.error_max_rad)


def _of_groups(policy: PolicyContract) -> Iterator[str]:
    state, text = policy.inputs.state, policy.inputs.text
    prompted = () if text is None or text.state is None else text.state.groups
    for field, groups in (
        ("policy.inputs.state", () if state is None else state.groups),
        ("policy.inputs.text.state", prompted),
        ("policy.outputs", policy.outputs.groups),
    ):
        for index, group in enumerate(groups):
            if not isinstance(group, (Held, Padding)):
                yield from _of_statistics(f"{field}.groups[{index}].statistics", group.statistics, group.names)


def _of_statistics(field: str, statistics: Statistics, names: Sequence[str]) -> Iterator[str]:
    if isinstance(statistics, Unscaled):
        return
    if isinstance(statistics, MeanStd):
        what, remedy = ".std of", "Export it with a deviation of 1"
    else:
        what, remedy = ": half the range of", "Export it with a range of 2 around where it was"
    for name, middle, reach in zip(names, statistics.offset, statistics.scale, strict=True):
        if reach < DEVIATION_MIN:
            least = f"less than {DEVIATION_MIN:g}"
            yield f"{field}{what} {name} is {reach:g}, {least}: it never moved in training. {remedy}"
        if reach > DEVIATION_MAX or abs(middle) > DEVIATION_MAX:
            yield f"{field} of {name} is {middle:g} ± {reach:g}, which no joint is in rad and no gripper in m"


def _of_inputs(policy: PolicyContract) -> Iterator[str]:
    inputs, cameras = policy.inputs, twice(policy.cameras)
    if cameras:
        yield f"policy.inputs.cameras.camera has {', '.join(cameras)} twice"
    delay = policy.outputs.delay
    tensors = twice((*inputs.tensors, *(() if delay is None else delay.tensors)))
    if tensors:
        yield f"inputs of encode has {', '.join(tensors)} twice"
    for camera in inputs.cameras:
        if not (1 <= camera.width_px <= MAX_SIDE_PX and 1 <= camera.height_px <= MAX_SIDE_PX):
            size = f"{camera.width_px} x {camera.height_px}"
            yield f"policy.inputs.cameras of {camera.camera} is {size}, each side needs 1 to {MAX_SIDE_PX}"
        if camera.trained_on is not None and camera.trained_on.pictures < 1:
            pictures = camera.trained_on.pictures
            yield f"policy.inputs.cameras of {camera.camera} was trained on {pictures} pictures"
    if inputs.text is not None and not 1 <= inputs.text.max_tokens <= MAX_TOKENS:
        yield f"policy.inputs.text.max_tokens is {inputs.text.max_tokens}, 1 to {MAX_TOKENS} are possible"


def _of_decoder(policy: PolicyContract) -> Iterator[str]:
    decoder = policy.decoder
    if isinstance(decoder, (FlowDecoder, DiffusionDecoder)):
        names = twice((decoder.x, decoder.time))
        if names:
            yield f"inputs of denoise has {', '.join(names)} twice"
        if not 1 <= decoder.steps <= MAX_SAMPLER_STEPS:
            yield f"policy.decoder.steps is {decoder.steps}, 1 to {MAX_SAMPLER_STEPS} are possible"
        if not 0 <= decoder.noise_seed < 2**63:
            yield f"policy.decoder.noise_seed is {decoder.noise_seed}, it must be a non-negative 63-bit number"
    if isinstance(decoder, DiffusionDecoder) and not decoder.steps <= decoder.training_steps <= 100_000:
        yield f"policy.decoder.training_steps is {decoder.training_steps}, of which {decoder.steps} steps are taken"
    if isinstance(decoder, TokensDecoder) and (decoder.first_token < 0 or not 2 <= decoder.bins <= 65_536):
        yield f"policy.decoder has {decoder.bins} bins from token {decoder.first_token} on, 2 to 65536 are possible"


def _of_time(policy: PolicyContract) -> Iterator[str]:
    dt_s = policy.action_dt_ns / 1e9
    if dt_s > MAX_DT_S:
        limit = f"nothing is followed that was seen more than {MAX_DT_S:g} s ago"
        yield f"policy.outputs.action_dt_ns is {dt_s:g} s, and {limit}"
    if policy.rows * dt_s > MAX_PLAN_S:
        lasts = f"lasts {policy.rows * dt_s:g} s, {MAX_PLAN_S:g} at most"
        yield f"policy.outputs.horizon of {policy.rows} actions {lasts}"


def _of_history(policy: PolicyContract) -> Iterator[str]:
    history = policy.inputs.history
    if history is None:
        return
    before_ns = history.before_ns(policy.action_dt_ns)
    if before_ns[0] > MAX_PAST_S * 1e9:
        yield f"policy.inputs.history reaches {before_ns[0] / 1e9:g} s back, {MAX_PAST_S:g} s at most"
    closest_ns = min(older - newer for older, newer in pairwise(before_ns))
    if 2 * history.tolerance_ns >= closest_ns:
        yield (
            f"policy.inputs.history.tolerance_ns is {history.tolerance_ns}, half of {closest_ns} ns between two of its "
            "observations or more: one could stand for both"
        )


def _of_delay(policy: PolicyContract) -> Iterator[str]:
    delay = policy.outputs.delay
    if delay is None or isinstance(delay.told, Untold):
        return
    if any(isinstance(group, GripperSwitch) for group in policy.outputs.groups):
        yield (
            "policy.outputs.delay tells the policy what is under way, and which number stood for a gripper_switch "
            "in training is not known: export it with a gripper"
        )


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
