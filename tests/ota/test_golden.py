"""What an update agent makes of a golden check: real child processes, good ones and bad ones."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.ota.lifecycle.golden import GoldenCheck
from edge_runtime.testing.golden_bundles import SHIPPED, Arrays, copy_with

ENGINE = GoldenCheck.of(SIM_CONFIG, required=True)


def child(source: str, limit_s: float = 20.0) -> GoldenCheck:
    return GoldenCheck((sys.executable, "-c", source), limit_s=limit_s)


def refused(check: GoldenCheck, folder: Path, bundle: str) -> OtaError:
    with pytest.raises(OtaError) as caught:
        check.run(folder, bundle)
    return caught.value


def test_the_shipped_bundle_passes() -> None:
    report = ENGINE.run(SHIPPED, read_manifest(SHIPPED).digest)
    assert (report.verdict, report.cases) == ("matched", 8)


def test_a_bundle_that_answers_differently_is_refused_with_the_joint(tmp_path: Path) -> None:
    def shift(data: Arrays) -> None:
        data["plan"][:, :, 3] += 0.02

    folder = copy_with(tmp_path / "bundle", shift)
    error = refused(ENGINE, folder, read_manifest(folder).digest)
    assert error.refusal is OtaRefusal.GOLDEN_DIFFERS
    assert "joint4 is off by 0.0" in error.detail


def test_a_bundle_whose_engine_does_not_start_is_refused_with_its_words(tmp_path: Path) -> None:
    folder = copy_with(tmp_path / "bundle")
    (folder / "denoise.onnx").write_bytes(b"no graph")
    error = refused(ENGINE, folder, read_manifest(folder).digest)
    assert error.refusal is OtaRefusal.GOLDEN_FAILED
    assert "does not match the manifest" in error.detail


def test_whether_a_bundle_may_come_without_pairs_is_the_owners_choice(tmp_path: Path) -> None:
    folder = copy_with(tmp_path / "bundle", Arrays.clear)
    digest = read_manifest(folder).digest
    assert refused(ENGINE, folder, digest).refusal is OtaRefusal.GOLDEN_MISSING
    assert GoldenCheck.of(SIM_CONFIG, required=False).run(folder, digest).verdict == "no_data"


def test_the_report_of_another_bundle_does_not_count() -> None:
    error = refused(ENGINE, SHIPPED, "0" * 64)
    assert error.refusal is OtaRefusal.GOLDEN_FAILED


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import sys; sys.exit('three')", "exit code 1: three"),
        ("print('all is well')", "report"),
        ("print('{' * 70000)", "more than"),
        ("pass", "report"),
    ],
)
def test_a_child_that_fails_or_babbles_is_no_answer(tmp_path: Path, source: str, words: str) -> None:
    error = refused(child(source), tmp_path, "0" * 64)
    assert error.refusal is OtaRefusal.GOLDEN_FAILED
    assert words in error.detail


def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    started_s = time.monotonic()
    error = refused(child("import time; time.sleep(60)", limit_s=0.5), tmp_path, "0" * 64)
    assert error.refusal is OtaRefusal.GOLDEN_FAILED
    assert time.monotonic() - started_s < 10.0


def test_an_end_that_is_asked_for_says_nothing_about_the_bundle(tmp_path: Path) -> None:
    with pytest.raises(OtaError) as caught:
        child("import time; time.sleep(60)").run(tmp_path, "0" * 64, should_end=lambda: True)
    assert caught.value.refusal is OtaRefusal.NOT_NOW


def test_the_child_runs_when_nothing_else_wants_to(tmp_path: Path) -> None:
    error = refused(child("import os, sys; sys.exit(f'policy {os.sched_getscheduler(0)}')"), tmp_path, "0" * 64)
    assert "policy 5" in error.detail, "SCHED_IDLE"
