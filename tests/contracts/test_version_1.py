"""A bundle of format version 1 is read in the newest shape and written again as it was."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.manifest import (
    Manifest,
    MeanStd,
    Pad,
    Quantiles,
    RegressionDecoder,
    read_manifest,
    version_1,
    write_manifest,
)

replace = msgspec.structs.replace


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"action_representation": "absolute"},
        {"images": ()},
        {"horizon": 128},
        {"sampler": version_1.FlowSampler(steps=9, noise_seed=3, fixed_noise=False)},
    ],
)
def test_what_is_read_is_written_again(fields: dict[str, Any]) -> None:
    old = replace(version_1.written(read_manifest(SIM_BUNDLE).policy), **fields)
    assert version_1.written(version_1.upgraded(old)) == old


def _pads(manifest: Manifest) -> Manifest:
    inputs = manifest.policy.inputs
    cameras = tuple(replace(camera, resize=Pad(value=0, anchor="centre")) for camera in inputs.cameras)
    return replace(manifest, policy=replace(manifest.policy, inputs=replace(inputs, cameras=cameras)))


def _wordless(manifest: Manifest) -> Manifest:
    return replace(manifest, policy=replace(manifest.policy, inputs=replace(manifest.policy.inputs, text=None)))


def _regresses(manifest: Manifest) -> Manifest:
    graphs = manifest.policy.graphs[:1]
    return replace(manifest, policy=replace(manifest.policy, graphs=graphs, decoder=RegressionDecoder(actions="a")))


def _in_quantiles(manifest: Manifest) -> Manifest:
    outputs = manifest.policy.outputs
    first, second = outputs.groups
    measured = first.statistics  # type: ignore[union-attr]
    assert isinstance(measured, MeanStd)
    quantiles = Quantiles(low=tuple(-s for s in measured.std), high=measured.std, clip=True)
    groups = (replace(first, statistics=quantiles), second)
    return replace(manifest, policy=replace(manifest.policy, outputs=replace(outputs, groups=groups)))


@pytest.mark.parametrize("change", [_pads, _wordless, _regresses, _in_quantiles])
def test_what_version_1_has_no_words_for_is_not_written_as_version_1(change: Any, tmp_path: Any) -> None:
    altered = change(read_manifest(SIM_BUNDLE))
    with pytest.raises(ValueError, match="write it with format_version 2"):
        write_manifest(tmp_path, altered)
    newer = replace(altered, format_version=2)
    write_manifest(tmp_path, newer)
    assert read_manifest(tmp_path) == newer


def test_its_fields_are_called_what_they_are_called_there() -> None:
    for new, old in (
        ("policy.outputs.groups[1].statistics.std of x", "policy.action_normalization.std of x"),
        ("policy.inputs.state.groups[0].statistics", "policy.state_normalization"),
        ("policy.decoder.steps is 0", "policy.sampler.steps is 0"),
        ("policy.outputs.horizon", "policy.horizon"),
        ("policy.inputs.cameras.camera", "policy.images.camera"),
        ("policy.joint_names", "policy.joint_names"),
    ):
        assert version_1.name_of(new) == old
