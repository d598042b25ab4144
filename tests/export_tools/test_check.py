"""`edge-export check` is the robot's own check, of any family; and an export replaces nothing but a bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from edge_runtime.config.robot_file import SIM_BUNDLE, SIM_CONFIG, load_config
from edge_runtime.contracts.errors import BundleError, ConfigError, HandshakeError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
from edge_runtime.engine.golden import check as run_on_robot
from edge_runtime.testing import golden_bundles
from export_tools.bundle import require_replaceable
from export_tools.check import check_bundle, read_embodiment
from export_tools.cli import main
from export_tools.families.pocket_vla.contract import embodiment
from tests.other_families import regression_bundle, two_armed


def test_another_family_is_held_to_its_golden_pairs(tmp_path: Path) -> None:
    folder = regression_bundle(tmp_path / "bundle")
    report = check_bundle(folder, two_armed())
    assert (report.verdict, report.cases) == ("matched", 3)
    with np.load(folder / GOLDEN_NAME) as archive:
        golden = dict(archive)
    golden["plan"] = golden["plan"] + 0.01
    np.savez(folder / GOLDEN_NAME, **golden)
    with pytest.raises(BundleError, match=r"does not do what it was trained to: .* is off by 0\.0100 rad"):
        check_bundle(_sealed(folder), two_armed())


def _sealed(folder: Path) -> Path:
    manifest = read_manifest(folder)
    names = [blob.path for blob in manifest.blobs if (folder / blob.path).exists()]
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=tuple(blob_of(folder, name) for name in names)))
    return folder


def test_a_bundle_without_golden_pairs_is_told_apart_from_one_that_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = regression_bundle(tmp_path / "bundle")
    (folder / GOLDEN_NAME).unlink()
    with pytest.raises(BundleError, match=r"carries no golden pairs \(golden\.npz\)"):
        check_bundle(_sealed(folder), two_armed())
    # The command's own default is the simulated arm.
    assert main(["check", str(folder)]) == 1
    assert "policy.embodiment: expected 'pocket_arm', got 'two_armed'" in capsys.readouterr().err


def test_a_bundle_for_another_robot_type_names_the_field(tmp_path: Path) -> None:
    with pytest.raises(HandshakeError, match=r"policy\.embodiment"):
        check_bundle(regression_bundle(tmp_path / "bundle"), embodiment())


def test_a_file_that_declares_no_robot_is_named(tmp_path: Path) -> None:
    for data in (b"name = 1", b"\xff", b"[[joints]"):
        (tmp_path / "embodiment.toml").write_bytes(data)
        with pytest.raises(ConfigError, match=r"embodiment\.toml"):
            read_embodiment(tmp_path / "embodiment.toml")
    with pytest.raises(ConfigError, match="No such file"):
        read_embodiment(tmp_path / "nowhere.toml")


def test_an_export_replaces_a_bundle_and_nothing_else(tmp_path: Path) -> None:
    require_replaceable(tmp_path / "new")
    require_replaceable(tmp_path)
    require_replaceable(regression_bundle(tmp_path / "bundle"))
    with pytest.raises(BundleError, match=r"is no bundle \(no manifest\.json in it\): name another folder with --out"):
        require_replaceable(tmp_path)


def test_a_build_without_arguments_would_not_replace_what_ships() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "export_tools", "build", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "(default pocket_vla)" in " ".join(shown.split())
    assert "assets" not in shown


def _with_a_word_beyond_the_table(folder: Path) -> None:
    words = json.loads((folder / "tokenizer.json").read_bytes())
    words["words"]["mug"] = 1 << 14
    (folder / "tokenizer.json").write_text(json.dumps(words))


def _with_a_graph_that_gives_no_number(folder: Path) -> None:
    model = onnx.load(str(folder / "denoise.onnx"))
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) == 1:
            nothing = np.full(weight.dims, np.nan, np.float32)
            weight.CopyFrom(onnx.numpy_helper.from_array(nothing, weight.name))
    onnx.save(model, str(folder / "denoise.onnx"))


def _with_golden_sentences_that_it_does_not_know(folder: Path) -> None:
    with np.load(folder / GOLDEN_NAME) as archive:
        golden = dict(archive)
    golden["instruction"] = np.array(["pick up the mug"] * len(golden["instruction"]))
    np.savez(folder / GOLDEN_NAME, **golden)


FAULTS = {
    "has the number 16384": _with_a_word_beyond_the_table,
    "not finite at the home position": _with_a_graph_that_gives_no_number,
    "a robot would refuse its own golden sentence": _with_golden_sentences_that_it_does_not_know,
}


@pytest.mark.parametrize("problem", FAULTS)
def test_what_a_robot_refuses_the_exporter_refuses_with_the_same_words(problem: str, tmp_path: Path) -> None:
    folder = shutil.copytree(SIM_BUNDLE, tmp_path / "bundle")
    FAULTS[problem](folder)
    golden_bundles.seal(folder)
    config = load_config(SIM_CONFIG)
    with pytest.raises(BundleError, match=problem) as by_exporter:
        check_bundle(folder, config.embodiment)
    with pytest.raises(BundleError, match=problem) as by_robot:
        run_on_robot(folder, config.embodiment, threads=1)
    assert str(by_exporter.value) == str(by_robot.value)


def test_a_deviation_that_nothing_ever_moved_is_named_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for deviation in ("1e-8", "1e-300"):
        folder = regression_bundle(tmp_path / deviation)
        raw = json.loads((folder / "manifest.json").read_text())
        raw["policy"]["inputs"]["state"]["groups"][0]["statistics"]["std"][3] = float(deviation)
        (folder / "manifest.json").write_text(json.dumps(raw))
        assert main(["check", str(folder)]) == 1
        said = capsys.readouterr().err
        field = "policy.inputs.state.groups[0].statistics.std of left_joint4"
        assert f"error: chunk_regression 1 is refused: {field} is {float(deviation):g}" in said
        assert "Export it with a deviation of 1" in said
