"""Proofs on disk: what is not whole, not ours or not under this key is not there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.kept_proofs import PROOFS_NAME, KeptProofs, ProofKey
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.testing.two_bundles import TwoBundles
from tests.system.drift_bundle import write_robot

KEY = ProofKey(
    bundle="a" * 64,
    embodiment="e" * 64,
    backend="onnxruntime",
    backend_version="1.32.0",
    device="x86_64 a processor 0123456789abcdef",
    driver="cuda=12.6",
    flags=("level=all",),
    threads=1,
    engines=(("denoise.onnx", "1" * 64), ("encode.onnx", "2" * 64)),
    software="f" * 64,
)
REPORT = GoldenReport(
    bundle=KEY.bundle, verdict="matched", cases=8, joint_names=("j",), error_p99_rad=(0.001,), bound_p99_rad=0.01
)


@pytest.fixture
def kept(tmp_path: Path) -> KeptProofs:
    return KeptProofs(tmp_path / PROOFS_NAME)


def file_of(tmp_path: Path, bundle: str = KEY.bundle) -> Path:
    return tmp_path / PROOFS_NAME / f"{bundle}.json"


def test_what_was_shown_is_known_to_the_next_process(kept: KeptProofs, tmp_path: Path) -> None:
    assert kept.read(KEY) is None
    kept.write(KEY, REPORT)
    assert KeptProofs(tmp_path / PROOFS_NAME).read(KEY) == REPORT
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600


OTHERS: dict[str, object] = {
    "bundle": "b" * 64,
    "embodiment": "0" * 64,
    "backend": "tensorrt",
    "backend_version": "1.33.0",
    "device": "x86_64 a processor 0000000000000000",
    "driver": "cuda=12.8",
    "flags": ("level=all", "session.x64quantprecision=1"),
    "threads": 2,
    "engines": (("denoise.onnx", "1" * 64), ("encode.onnx", "3" * 64)),
    "software": "0" * 64,
    "format_version": 2,
}


@pytest.mark.parametrize("field", ProofKey.__struct_fields__)
def test_under_anything_else_it_has_to_be_shown_again(kept: KeptProofs, field: str) -> None:
    kept.write(KEY, REPORT)
    assert kept.read(msgspec.structs.replace(KEY, **{field: OTHERS[field]})) is None
    assert kept.read(KEY) == REPORT


def _alter(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"0.001", b"0.002"))


def _of_another(path: Path) -> None:
    """Whole, and of another bundle."""
    key = msgspec.structs.replace(KEY, bundle="b" * 64)
    KeptProofs(path.parent).write(key, msgspec.structs.replace(REPORT, bundle=key.bundle))
    (path.parent / f"{key.bundle}.json").replace(path)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    "spoil",
    [
        _alter,
        _of_another,
        _link,
        lambda path: os.truncate(path, 100),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(path.read_bytes() + b" " * 100_000),
        lambda path: path.write_bytes(b"\xff" * 200),
        lambda path: path.chmod(0o620),
        lambda path: path.chmod(0o604),
    ],
)
def test_what_is_not_whole_or_not_ours_alone_is_not_there(
    kept: KeptProofs, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    kept.write(KEY, REPORT)
    spoil(file_of(tmp_path))
    assert kept.read(KEY) is None
    file_of(tmp_path).unlink()
    kept.write(KEY, REPORT)
    assert kept.read(KEY) == REPORT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_has_put_there_is_not_there(kept: KeptProofs, tmp_path: Path) -> None:
    kept.write(KEY, REPORT)
    os.chown(file_of(tmp_path), 65534, 65534)
    assert kept.read(KEY) is None


def test_a_disk_that_takes_nothing_costs_a_run_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / PROOFS_NAME).write_bytes(b"no folder")
    kept = KeptProofs(tmp_path / PROOFS_NAME)
    with caplog.at_level(logging.WARNING):
        kept.write(KEY, REPORT)
    assert "run again at the next start" in caplog.text
    assert kept.read(KEY) is None


def test_of_many_bundles_the_newest_are_kept(kept: KeptProofs, tmp_path: Path) -> None:
    digests = [f"{k:064x}" for k in range(20)]
    for k, digest in enumerate(digests):
        kept.write(msgspec.structs.replace(KEY, bundle=digest), msgspec.structs.replace(REPORT, bundle=digest))
        os.utime(file_of(tmp_path, digest), ns=(k, k))
    assert {path.stem for path in (tmp_path / PROOFS_NAME).iterdir()} == set(digests[-16:])


def test_they_lie_where_engine_and_update_agent_both_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config, updated = load_config(SIM_CONFIG), TwoBundles(write_robot(tmp_path / "config"))

    def place(kept: KeptProofs) -> Path | None:
        kept.write(KEY, REPORT)
        found = list(tmp_path.rglob(f"{KEY.bundle}.json"))
        for path in found:
            path.unlink()
        return found[0].parent if found else None

    assert place(KeptProofs.of(updated.config)) == updated.root / PROOFS_NAME
    assert place(KeptProofs.of(updated.config, tmp_path / "run")) == updated.root / PROOFS_NAME
    assert place(KeptProofs.of(config, tmp_path / "run")) == tmp_path / "run" / PROOFS_NAME
    assert place(KeptProofs.of(config)) is None
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'state'}:/elsewhere")
    assert place(KeptProofs.of(config, tmp_path / "run")) == tmp_path / "state" / PROOFS_NAME
