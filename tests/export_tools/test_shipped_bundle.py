"""The bundle in the repository: whole, small, fit for the simulated arm, and still saying what it was trained to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.config.robot_file import SIM_BUNDLE as BUNDLE
from edge_runtime.contracts.embodiment import joint_order_digest
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import FlowDecoder, verify_bundle
from edge_runtime.drivers.sim.declaration import JOINT_NAMES
from edge_runtime.policies.tokenizers.words import read_tokenizer
from edge_runtime.testing.golden_bundles import Arrays, copy_with
from export_tools.check import check_bundle
from export_tools.cli import main
from export_tools.families.pocket_vla.contract import NOISE_SEED, embodiment
from export_tools.families.pocket_vla.language import build_tokenizer
from export_tools.graph_notes import notes_in


def test_digests_hold_and_it_is_small() -> None:
    manifest = verify_bundle(BUNDLE)
    assert sum(blob.size_bytes for blob in manifest.blobs) <= 15_000_000
    assert {p.name for p in BUNDLE.iterdir()} == {blob.path for blob in manifest.blobs} | {"manifest.json"}
    assert manifest.policy.joint_digest == joint_order_digest(JOINT_NAMES)
    decoder = manifest.policy.decoder
    assert isinstance(decoder, FlowDecoder)
    assert decoder.fixed_noise
    assert decoder.noise_seed == NOISE_SEED


def test_a_bundle_of_the_first_format_keeps_its_identity() -> None:
    raw = msgspec.json.decode((BUNDLE / "manifest.json").read_bytes())
    assert raw["format_version"] == 1
    manifest = verify_bundle(BUNDLE)
    assert manifest.canonical_json() == msgspec.json.encode(raw, order="sorted")
    assert manifest.digest == "f4bbc6eff17cbf41ba6ef73300540c155ff438f3e2ad4cefa5bec5a26da28c24"


def test_golden_pairs_hold_on_this_machine() -> None:
    report = check_bundle(BUNDLE, embodiment())
    assert (report.verdict, report.cases) == ("matched", 8)


def test_vocabulary_is_the_grammar_s() -> None:
    assert read_tokenizer(BUNDLE / "tokenizer.json") == build_tokenizer()


def test_figures_of_the_run_are_beside_it() -> None:
    figures = json.loads((BUNDLE / "training.json").read_text())
    assert figures["recipe"]["seed"] == verify_bundle(BUNDLE).provenance.seed
    assert figures["training"]["steps"] > 0
    closed = figures["closed_loop_int8_in_process"]
    assert closed["instructed"]["successes"] > closed["swapped"]["successes"]


def test_nothing_in_it_names_the_machine_it_was_made_on() -> None:
    for name in ("manifest.json", "training.json", "parity.json"):
        assert not re.search(r"/(root|home|tmp|work)/", (BUNDLE / name).read_text())


def test_no_graph_carries_notes_of_the_machine_it_was_exported_on() -> None:
    for path in BUNDLE.glob("*.onnx"):
        assert notes_in(path) == []


def test_check_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", str(BUNDLE)]) == 0
    assert "digests hold" in capsys.readouterr().out
    assert main(["check", str(tmp_path)]) == 1
    assert "manifest.json" in capsys.readouterr().err


def test_a_bundle_that_cannot_read_its_own_sentences_is_refused(tmp_path: Path) -> None:
    def say_what_nobody_knows(data: Arrays) -> None:
        data["instruction"] = np.array(["pick up the mug"] * len(data["instruction"]))

    folder = copy_with(tmp_path / "bundle", say_what_nobody_knows)
    with pytest.raises(BundleError, match="golden sentence 'pick up the mug': the policy does not know: pick, up, mug"):
        check_bundle(folder, embodiment())
