"""What a manifest says of observations before and of actions under way: all is said, and it agrees with itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import (
    ActionSteps,
    AsTensor,
    Delay,
    GripperSwitch,
    Held,
    InDecoder,
    Offsets,
    Unscaled,
    Untold,
    read_manifest,
    verify_bundle,
)
from tests.other_families import two_armed
from tests.past_families import DT_NS, TOLD, delayed_bundle, diffusion_bundle, history

Change = Callable[[dict[str, Any]], None]


def altered(folder: Path, change: Change) -> Path:
    """A bundle whose manifest's policy is as `change` leaves it."""
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    change(raw["policy"])
    path.write_text(json.dumps(raw))
    return folder


@pytest.mark.parametrize("how", TOLD)
def test_a_delay_is_written_and_read_again(tmp_path: Path, how: str) -> None:
    outputs = read_manifest(delayed_bundle(tmp_path / "bundle", two_armed(), how)).policy.outputs
    assert (outputs.trained_delay, outputs.delay) == (3, TOLD[how])


def test_instants_are_steps_of_an_action_or_given() -> None:
    assert history(instants=ActionSteps(observations=3, every=2)).before_ns(DT_NS) == (4 * DT_NS, 2 * DT_NS, 0)
    assert history(instants=Offsets(before_ns=(7, 2, 0))).before_ns(DT_NS) == (7, 2, 0)


def test_a_manifest_without_history_or_delay_is_written_as_before(tmp_path: Path) -> None:
    folder = delayed_bundle(tmp_path / "bundle", two_armed(), "tensor")
    raw = json.loads((folder / "manifest.json").read_text())["policy"]
    assert "history" not in raw["inputs"]
    del raw["outputs"]["delay"]
    raw["outputs"]["trained_delay"] = 0
    raw["inputs"]["history"] = None
    policy = msgspec.convert(raw, type(read_manifest(folder).policy))
    assert {"delay", "history"}.isdisjoint(
        {**msgspec.to_builtins(policy.outputs), **msgspec.to_builtins(policy.inputs)}
    )


@pytest.mark.parametrize("key", ["tensors", "instants", "tolerance_ns", "axis", "at_start"])
def test_each_part_of_a_history_has_to_be_said(tmp_path: Path, key: str) -> None:
    folder = diffusion_bundle(tmp_path / "bundle", two_armed(), "high")
    with pytest.raises(BundleError, match=f"required field `{key}`.*history"):
        read_manifest(altered(folder, lambda policy: policy["inputs"]["history"].pop(key)))


@pytest.mark.parametrize("key", ["rows", "told", "at_start"])
def test_each_part_of_a_delay_has_to_be_said(tmp_path: Path, key: str) -> None:
    folder = delayed_bundle(tmp_path / "bundle", two_armed(), "tensor")
    with pytest.raises(BundleError, match=f"required field `{key}`.*delay"):
        read_manifest(altered(folder, lambda policy: policy["outputs"]["delay"].pop(key)))


HISTORIES: dict[str, tuple[dict[str, Any], str]] = {
    "one observation": ({"instants": {"kind": "action_steps", "observations": 1, "every": 1}}, "2 to 32 observations"),
    "no time between": ({"instants": {"kind": "action_steps", "observations": 2, "every": 0}}, "one action or more"),
    "without the newest": ({"instants": {"kind": "offsets", "before_ns": [200, 100]}}, "the last is the newest: 0"),
    "newest first": ({"instants": {"kind": "offsets", "before_ns": [100, 200, 0]}}, "oldest first"),
    "one twice": ({"instants": {"kind": "offsets", "before_ns": [200, 200, 0]}}, "each once"),
    "in no tensor": ({"tensors": []}, "names the tensors"),
    "in a tensor that is none": ({"tensors": ["image", "words"]}, "names words"),
    "in a tensor twice": ({"tensors": ["image", "image"]}, "names image"),
    "not even at its instant": ({"tolerance_ns": -1}, "must not be negative"),
    "along another axis": ({"axis": "batch"}, "axis"),
    "another start": ({"at_start": "zeros"}, "at_start"),
    "so tolerant that one stands for two": ({"tolerance_ns": DT_NS // 2}, "one could stand for both"),
    "of a minute": (
        {"instants": {"kind": "offsets", "before_ns": [60_000_000_000, 0]}},
        "reaches 60 s back, 10 s at most",
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_that_makes_no_sense_is_refused(tmp_path: Path, name: str) -> None:
    changes, problem = HISTORIES[name]
    folder = diffusion_bundle(tmp_path / "bundle", two_armed(), "high")
    with pytest.raises(BundleError, match=problem):
        verify_bundle(altered(folder, lambda policy: policy["inputs"]["history"].update(changes)))


def of_outputs(**changes: Any) -> Change:
    return lambda policy: policy["outputs"].update(changes)


def of_delay(**changes: Any) -> Change:
    return lambda policy: policy["outputs"]["delay"].update(changes)


DELAYS: dict[str, tuple[Change, str]] = {
    "not said": (lambda policy: policy["outputs"].pop("delay"), "needs a delay that says what becomes of its actions"),
    "of nothing": (of_outputs(trained_delay=0), "0 has none"),
    "as long as the chunk": (of_outputs(trained_delay=16), "shorter than the horizon"),
    "no mask to be free by": (of_delay(told={"kind": "tensor", "tensor": "prefix"}), "needs a mask"),
    "nothing to be free": (of_delay(rows="left_out"), "has no actions to be free"),
    "nothing to begin with": (of_delay(rows="left_out", told={"kind": "in_decoder"}, at_start="hold"), "to begin with"),
    "in a decoder that has no steps": (of_delay(told={"kind": "in_decoder"}), "goes with the decoder flow alone"),
    "in a tensor that is the state's": (
        of_delay(told={"kind": "tensor", "tensor": "state", "mask": "prefix_mask"}),
        "inputs of encode has state twice",
    ),
}


@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_that_makes_no_sense_is_refused(tmp_path: Path, name: str) -> None:
    change, problem = DELAYS[name]
    folder = delayed_bundle(tmp_path / "bundle", two_armed(), "tensor")
    with pytest.raises(BundleError, match=problem):
        verify_bundle(altered(folder, change))


def test_a_chunk_with_what_is_left_out_fits_a_message(tmp_path: Path) -> None:
    folder = delayed_bundle(tmp_path / "bundle", two_armed(), "left out")
    with pytest.raises(BundleError, match="are 129 actions, at most 128"):
        read_manifest(altered(folder, of_outputs(horizon=126)))


def test_a_switch_has_no_number_that_it_could_be_told_by(tmp_path: Path) -> None:
    robot = two_armed()
    groups = read_manifest(delayed_bundle(tmp_path / "as_is", robot, "tensor")).policy.outputs.groups
    switch = GripperSwitch(open_is="above", threshold=0.0, statistics=Unscaled())
    switched = (*(group for group in groups if not isinstance(group, Held)), switch)
    with pytest.raises(BundleError, match="is not known: export it with a gripper"):
        verify_bundle(delayed_bundle(tmp_path / "told", robot, "tensor", groups=switched))
    untold = Delay(rows="included", told=Untold(), at_start="hold")
    verify_bundle(delayed_bundle(tmp_path / "untold", robot, "tensor", groups=switched, delay=untold))


def test_only_what_is_told_by_a_tensor_has_tensors() -> None:
    for told, names in ((Untold(), ()), (InDecoder(), ()), (AsTensor(tensor="a", mask="b"), ("a", "b"))):
        assert Delay(rows="included", told=told, at_start="hold").tensors == names
