"""What `edge-runtime check` says of the bundles on a robot that gets updates."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from edge_runtime.cli import check as check_package
from edge_runtime.cli import pace
from edge_runtime.cli.check import LOOKS, check
from edge_runtime.cli.check.policy import bundle, inference
from edge_runtime.cli.check.row import Level
from edge_runtime.cli.claims import claims
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.manifest.version_1 import FlowSampler
from edge_runtime.policies.processor import allowed
from edge_runtime.testing.two_bundles import TwoBundles, variant_of
from tests.system.drift_bundle import write_robot


def test_it_looks_at_what_boots_and_tells_what_had_to_be_passed_over(tmp_path: Path) -> None:
    bundles = TwoBundles(write_robot(tmp_path / "config"))
    config = bundles.config
    made = variant_of(
        config.bundle_dir, tmp_path / "made", sampler=FlowSampler(steps=3, noise_seed=1, fixed_noise=True)
    )
    other = bundles.install(made)
    bundles.point(other)
    [row] = bundle(config)
    assert row.level is Level.OK
    assert other[:12] in row.found

    blob = bundles.folder(other) / "denoise.onnx"
    blob.write_bytes(bytes(blob.stat().st_size))
    [row] = bundle(config)
    assert row.level is Level.WARN
    assert bundles.shipped[:12] in row.found
    assert "denoise.onnx" in row.found
    assert [row.name for row in inference(config)] == ["inference"], "it runs what the engine would run"

    (config.bundle_dir / "encode.onnx").unlink()
    with pytest.raises(BundleError):
        list(bundle(config))


def test_names_in_a_bundle_command_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_robot(tmp_path / "config")
    manifest = tmp_path / "config" / "bundle" / "manifest.json"
    text = manifest.read_text("utf-8")
    name = read_manifest(manifest.parent).name
    manifest.write_text(text.replace(f'"name": "{name}"', '"name": "x\\u001b[31m\\u202e\\nfit"', 1), "utf-8")
    assert read_manifest(manifest.parent).name == "x\x1b[31m\u202e\nfit"
    options = argparse.Namespace(config=path, json=False)
    looks = tuple(look for look in LOOKS if look.name in ("driver", "bundle"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_package, "LOOKS", looks)
        check(options, Console(width=200))
    claims(options, Console(width=200))
    out = capsys.readouterr().out
    assert out.count(r"x\x1b[31m\u202e\nfit") == 2
    assert not {"\x1b", "\u202e"} & set(out)


def test_threads_that_no_processor_is_for_are_named_and_not_advised() -> None:
    shipped = load_config(SIM_CONFIG)
    engine = msgspec.structs.replace(shipped.engine, threads=64)
    config = msgspec.structs.replace(shipped, engine=engine)
    level, found, remedy = pace.verdict([5.0] * 5, read_manifest(config.bundle_dir).policy, config)
    possible = allowed()
    assert level == "fail"
    assert f"threads: {min(64, possible)}" in found
    if possible < 64:
        assert f"(64 asked, {possible} processors allowed)" in found
    assert "threads" not in remedy
    assert remedy
