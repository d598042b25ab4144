"""`edge-export check` is the robot's own check, of any family; and an export replaces nothing but a bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.errors import BundleError, ConfigError, HandshakeError
from edge_runtime.contracts.golden import GOLDEN_NAME
from edge_runtime.contracts.manifest import blob_of, read_manifest, write_manifest
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
