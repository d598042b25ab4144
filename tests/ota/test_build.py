"""What an update agent makes of a build: the real one on the shipped bundle, and children that go wrong."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_runtime.bundles.engine_cache import ENGINES_NAME, EngineCache, EngineKey
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.engines import BuildReport
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.engine.engines import Engines
from edge_runtime.ota.lifecycle.build import EngineBuild
from edge_runtime.ota.lifecycle.golden import GoldenCheck
from edge_runtime.policies.session import optimize
from edge_runtime.testing.golden_bundles import SHIPPED, copy_with
from tests.ota.store_exercise import VERSIONS, digest_of, install, open_runner
from tests.settings import copy_settings

DIGEST = read_manifest(SHIPPED).digest
OTA = """
[ota]
robot_id = "arm-1"
hardware = "sim_arm"
image_url = "https://updates.example/image"
director_url = "https://updates.example/director"
image_root = "image.root.json"
director_root = "director.root.json"
store = "store"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = copy_settings(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + OTA, encoding="utf-8")
    return path


def child(source: str, limit_s: float = 20.0) -> EngineBuild:
    return EngineBuild((sys.executable, "-c", source), limit_s=limit_s)


def refused(build: EngineBuild, folder: Path, bundle: str = DIGEST) -> OtaError:
    with pytest.raises(OtaError) as caught:
        build.run(folder, bundle)
    return caught.value


def test_the_shipped_bundle_is_built_once(config: Path) -> None:
    first, second = (EngineBuild.of(config).run(SHIPPED, DIGEST) for _ in range(2))
    assert [(engine.graph, engine.reused) for engine in first.engines] == [
        ("encode.onnx", False),
        ("denoise.onnx", False),
    ]
    assert [engine.reused for engine in second.engines] == [True, True]
    assert [engine.size_bytes for engine in second.engines] == [engine.size_bytes for engine in first.engines]
    assert first.backend == "onnxruntime"
    assert len(list((config.parent / "store" / "bundles" / ENGINES_NAME / DIGEST).iterdir())) == 2


def test_a_bundle_that_cannot_be_built_is_refused_with_the_words(config: Path, tmp_path: Path) -> None:
    folder = copy_with(tmp_path / "copy")
    (folder / "denoise.onnx").write_bytes(b"no graph")
    error = refused(EngineBuild.of(config), folder)
    assert error.refusal is OtaRefusal.BUILD_FAILED
    assert "does not match the manifest" in error.detail


def test_a_disk_that_does_not_take_it_says_nothing_about_the_bundle(config: Path) -> None:
    (config.parent / "store").write_bytes(b"no folder")
    assert refused(EngineBuild.of(config), SHIPPED).refusal is OtaRefusal.STORAGE_FAULT


def test_the_build_of_another_bundle_does_not_count(config: Path) -> None:
    error = refused(EngineBuild.of(config), SHIPPED, "0" * 64)
    assert error.refusal is OtaRefusal.BUILD_FAILED


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import sys; sys.exit('out of memory')", "exit code 1: out of memory"),
        ("print('built')", "report"),
        ("print('{' * 70000)", "more than"),
        ("pass", "report"),
    ],
)
def test_a_child_that_fails_or_babbles_has_built_nothing(tmp_path: Path, source: str, words: str) -> None:
    error = refused(child(source), tmp_path)
    assert error.refusal is OtaRefusal.BUILD_FAILED
    assert words in error.detail


def test_of_many_words_the_last_are_quoted(tmp_path: Path) -> None:
    source = (
        "import sys; print('x' * 99 + chr(10), file=sys.stderr, end='') or [*map(sys.stderr.write, ['yes\\n'] * 99999)]"
    )
    error = refused(child(f"{source}; sys.exit('the end')"), tmp_path)
    assert error.detail.endswith("exit code 1: the end")


@pytest.mark.parametrize(
    "source",
    ["import time; time.sleep(60)", "import os, time; os.close(1); os.close(2); time.sleep(60)"],
    ids=["silent", "pipes closed"],
)
def test_a_child_that_hangs_is_ended(tmp_path: Path, source: str) -> None:
    started_s = time.monotonic()
    error = refused(child(source, limit_s=0.5), tmp_path)
    assert error.refusal is OtaRefusal.BUILD_FAILED
    assert "within 0.5 s" in error.detail
    assert time.monotonic() - started_s < 30.0


def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    started = tmp_path / "pid"
    with pytest.raises(OtaError) as caught:
        child(source, limit_s=60.0).run(tmp_path, DIGEST, lambda: started.exists() and bool(started.read_text()))
    assert caught.value.refusal is OtaRefusal.NOT_NOW
    pid = int(started.read_text())
    end_s = time.monotonic() + 30.0
    while time.monotonic() < end_s and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


COUNTS = "import sys, time; [(open({path!r}, 'a').write('.'), time.sleep(0.02)) for _ in range(100)]; print({report!r})"
REPORT = msgspec.json.encode(BuildReport(bundle=DIGEST, backend="b", device="d")).decode()


def test_a_child_stands_still_while_it_must_pause_goes_on_from_there_and_its_limit_with_it(tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    beats.touch()
    build = child(COUNTS.format(path=str(beats), report=REPORT), limit_s=15.0)
    paused: list[int] = []
    asked_s = time.monotonic()

    def is_at_work() -> bool:
        """At work for 17 s from the tenth beat on: longer than the child may run."""
        nonlocal asked_s
        count = beats.stat().st_size
        if count < 10 or (paused and time.monotonic() - asked_s > 17.0):
            return False
        if not paused:
            asked_s = time.monotonic()
        paused.append(count)
        return True

    assert build.run(tmp_path, DIGEST, must_pause=is_at_work).bundle == DIGEST
    assert beats.stat().st_size == 100, "begun once, and not again"
    assert paused[-1] <= paused[1] + 1, "it wrote while it should have stood still"


def test_a_child_that_stands_still_for_too_long_is_ended_and_that_says_nothing_about_the_bundle(tmp_path: Path) -> None:
    build = replace(child("import time; time.sleep(600)"), pause_max_s=0.5)
    with pytest.raises(OtaError) as caught:
        build.run(tmp_path, DIGEST, must_pause=lambda: True)
    assert caught.value.refusal is OtaRefusal.AT_WORK


def test_a_child_that_stands_still_can_be_cut_short(tmp_path: Path) -> None:
    asked: list[bool] = []

    def is_at_work() -> bool:
        asked.append(True)
        return True

    with pytest.raises(OtaError) as caught:
        child("import time; time.sleep(600)").run(tmp_path, DIGEST, lambda: len(asked) > 3, is_at_work)
    assert caught.value.refusal is OtaRefusal.NOT_NOW


def test_a_child_that_was_killed_is_told_apart(tmp_path: Path) -> None:
    error = refused(child(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"), tmp_path)
    assert (error.refusal, error.detail) == (OtaRefusal.BUILD_FAILED, "the build ended with SIGKILL: ")


def test_the_golden_check_is_of_what_was_built(config: Path) -> None:
    EngineBuild.of(config).run(SHIPPED, DIGEST)
    check = GoldenCheck.of(config, required=True)
    assert check.run(SHIPPED, DIGEST).verdict == "matched"
    engines = Engines.of(load_config(config))
    cache = EngineCache.of(load_config(config))
    assert cache is not None
    cache.write(engines.key(DIGEST, "denoise.onnx"), optimize("faster", _half_as_fast_again()))
    with pytest.raises(OtaError) as caught:
        check.run(SHIPPED, DIGEST)
    assert caught.value.refusal is OtaRefusal.GOLDEN_DIFFERS


def _half_as_fast_again() -> bytes:
    """The shipped bundle's second graph, with its velocity times 1.5."""
    model = onnx.load_from_string((SHIPPED / "denoise.onnx").read_bytes())
    for node in model.graph.node:
        node.output[:] = ["slow" if name == "velocity" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.5, np.float32), "factor"))
    model.graph.node.append(helper.make_node("Mul", ["slow", "factor"], ["velocity"]))
    return bytes(model.SerializeToString())


def test_engines_go_when_no_slot_names_their_bundle_and_those_of_the_shipped_one_stay(work: Path) -> None:
    cache = EngineCache(work / "root" / ENGINES_NAME)
    digests = [digest_of(work, version) for version in VERSIONS]
    with open_runner(work) as runner:
        runner.recover()
        install(runner, work, "2")
        for digest in digests:
            key = EngineKey(bundle=digest, graph="g", backend="b", backend_version="1", device="d")
            cache.write(key, b"engine")
        install(runner, work, "3")
    left = {path.name for path in (work / "root" / ENGINES_NAME).iterdir()}
    assert left == {digests[0], digests[2], digests[3]}, "shipped, previous, committed"
