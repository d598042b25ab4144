"""A bundle that contradicts itself is refused when it is read, with the field that is wrong, in each kind and alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import MANIFEST_NAME, read_manifest, verify_bundle
from edge_runtime.contracts.manifest.soundness import is_measured, problems_of
from edge_runtime.policies.tokenizers.words import WordTokenizer, read_tokenizer, write_tokenizer
from edge_runtime.testing.golden_bundles import SHIPPED, copy_with

Change = Callable[[dict[str, Any]], object]


def altered(folder: Path, change: Change) -> Path:
    """A copy of the shipped bundle whose manifest is as `change` leaves it."""
    copy_with(folder)
    path = folder / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return folder


def deviation(field: str, joint: int, value: float) -> Change:
    return lambda m: m["policy"][field]["std"].__setitem__(joint, value)


def mean(field: str, joint: int, value: float) -> Change:
    return lambda m: m["policy"][field]["mean"].__setitem__(joint, value)


def parity(**fields: object) -> Change:
    return lambda m: m["parity"].update(fields)


def policy(**fields: object) -> Change:
    return lambda m: m["policy"].update(fields)


def sampler(**fields: object) -> Change:
    return lambda m: m["policy"]["sampler"].update(fields)


def _same_tensor(manifest: dict[str, Any]) -> None:
    first, second = manifest["policy"]["images"]
    second["tensor"] = first["tensor"]


def _same_camera(manifest: dict[str, Any]) -> None:
    first, second = manifest["policy"]["images"]
    second["camera"] = first["camera"]


CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "its own error above its own bound": (
        parity(error_p99_rad=[0.5] * 7, error_max_rad=[0.5] * 7),
        "own bound of 0.01",
    ),
    "gripper flips": (parity(gripper_flips=99), "gripper_flips is 99"),
    "an input without effect": (parity(inert_inputs=["tokens"]), "tokens without effect"),
    "more joints than it has": (parity(error_p99_rad=[0.001] * 8), "one error for each of 7 joints"),
    "no joints": (parity(error_p99_rad=[], error_max_rad=[]), "one error for each of 7 joints"),
    "a negative error": (parity(error_p99_rad=[-0.001] + [0.001] * 6), "negative or no number"),
    "a negative bound": (parity(bound_p99_rad=-1.0), "negative or no number"),
    "a percentile above the maximum": (parity(error_p99_rad=[0.0099] * 7), "above parity.error_max_rad"),
    "a share above one": (parity(quantized_weight_fraction=1.5), "1.5 of the weights"),
    "less than no samples": (parity(samples=-1), "-1 samples"),
    "a deviation of nothing": (deviation("action_normalization", 2, 1e-8), "std of joint3 is 1e-08"),
    "a deviation of less": (deviation("state_normalization", 7, 1e-300), "std of the gripper is 1e-300"),
    "a deviation beyond all": (deviation("state_normalization", 0, 1e300), "of joint1 is .* ± 1e\\+300"),
    "a mean beyond all": (
        lambda m: m["policy"]["state_normalization"]["mean"].__setitem__(3, -133.4),
        "of joint4 is -133.4",
    ),
    "a million steps": (sampler(steps=1_000_000), "sampler.steps is 1000000, 1 to 256"),
    "no step": (sampler(steps=0), "sampler.steps is 0"),
    "a seed below zero": (sampler(noise_seed=-1), "noise_seed is -1"),
    "no tokens": (lambda m: m["policy"]["tokenizer"].update(max_tokens=0), "max_tokens is 0"),
    "tokens without end": (lambda m: m["policy"]["tokenizer"].update(max_tokens=10**9), "max_tokens is 1000000000"),
    "an action every ten seconds": (policy(action_dt_ns=10_000_000_000), "action_dt_ns is 10 s"),
    "a plan of two minutes": (policy(action_dt_ns=2_000_000_000, horizon=64), "lasts 128 s"),
    "two cameras into one tensor": (_same_tensor, "inputs of encode has image_scene twice"),
    "one camera twice": (_same_camera, "images.camera has scene twice"),
    "state and tokens as one": (lambda m: m["policy"]["graphs"].update(state="tokens"), "tokens twice"),
    "x and time as one": (lambda m: m["policy"]["graphs"].update(time="x"), "x twice"),
    "a picture without a side": (lambda m: m["policy"]["images"][0].update(width_px=0), "scene is 0 x 128"),
    "trained on no pictures": (lambda m: m["policy"]["images"][0]["trained_on"].update(pictures=0), "0 pictures"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused_by_name(tmp_path: Path, name: str) -> None:
    change, words = CONTRADICTIONS[name]
    with pytest.raises(BundleError, match=f"is refused: .*{words}"):
        verify_bundle(altered(tmp_path / "bundle", change))


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        parity(gripper_flips=1)(manifest)
        sampler(steps=0)(manifest)

    with pytest.raises(BundleError, match=r"steps is 0.*; .*gripper_flips is 1"):
        verify_bundle(altered(tmp_path / "bundle", change))


def test_the_shipped_bundle_is_sound_and_measured() -> None:
    manifest = read_manifest(SHIPPED)
    assert list(problems_of(manifest)) == []
    assert is_measured(manifest.parity)


@pytest.mark.parametrize("change", [parity(samples=0), parity(error_max_rad=[0.0] * 7, error_p99_rad=[0.0] * 7)])
def test_a_report_of_zeros_is_sound_and_says_that_nobody_measured(tmp_path: Path, change: Change) -> None:
    assert not is_measured(verify_bundle(altered(tmp_path / "bundle", change)).parity)


@pytest.mark.parametrize(
    ("words", "said"),
    [({}, "has no word"), ({"触碰": 2, "<bos>": 3}, "has no word"), ({"touch": 1 << 30}, "has the number")],
)
def test_a_vocabulary_that_no_sentence_reaches_is_refused(tmp_path: Path, words: dict[str, int], said: str) -> None:
    path = tmp_path / "words.json"
    write_tokenizer(path, WordTokenizer(words=words, pad=0, unknown=1))
    with pytest.raises(BundleError, match=said):
        read_tokenizer(path)
