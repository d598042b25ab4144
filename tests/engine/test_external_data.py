"""Weights beside a graph: those that the manifest pins are mapped, others are refused, and an altered one is found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data

from edge_runtime.contracts.errors import BundleError, EngineError
from edge_runtime.contracts.manifest import Graph, GraphRole, blob_of, read_manifest, write_manifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.golden import check
from tests.other_families import regression_bundle, two_armed

WEIGHTS = "policy.data"


def outside(folder: Path, *, pinned: bool = True) -> Path:
    """The second family's bundle with the weights of its graph in a file of their own."""
    regression_bundle(folder)
    model = onnx.load(str(folder / "policy.onnx"))
    convert_model_to_external_data(model, location=WEIGHTS, size_threshold=1024)
    onnx.save(model, str(folder / "policy.onnx"))
    graph = Graph(role=GraphRole.ENCODE, path="policy.onnx", external_data=(WEIGHTS,) if pinned else ())
    manifest = read_manifest(folder)
    blobs = tuple(blob_of(folder, name) for name in ("golden.npz", "policy.onnx", WEIGHTS))
    policy = msgspec.structs.replace(manifest.policy, graphs=(graph,))
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=blobs, policy=policy))
    return folder


def test_pinned_weights_beside_the_graph_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = outside(tmp_path / "bundle")
    assert (folder / WEIGHTS).stat().st_size >= 100 * 14 * 4
    monkeypatch.chdir(tmp_path)
    assert check(Path("bundle"), two_armed(), threads=1).verdict == "matched"


def test_weights_that_no_manifest_pins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=rf"{WEIGHTS}\), which no manifest vouches for.*external_data"):
        BundlePolicy.load(outside(tmp_path / "bundle", pinned=False), two_armed(), threads=1)


def test_pinned_weights_that_were_altered_are_refused_by_name(tmp_path: Path) -> None:
    folder = outside(tmp_path / "bundle")
    data = np.fromfile(folder / WEIGHTS, np.uint8)
    data[40] ^= 1
    data.tofile(folder / WEIGHTS)
    with pytest.raises(BundleError, match=rf"{WEIGHTS}: does not match the manifest"):
        BundlePolicy.load(folder, two_armed(), threads=1)


def test_external_data_that_is_no_blob_is_refused(tmp_path: Path) -> None:
    folder = regression_bundle(tmp_path / "bundle")
    raw = msgspec.json.decode((folder / "manifest.json").read_bytes())
    raw["policy"]["graphs"][0]["external_data"] = ["../../etc/passwd"]
    (folder / "manifest.json").write_bytes(msgspec.json.encode(raw))
    with pytest.raises(BundleError, match="not among the blobs"):
        read_manifest(folder)
