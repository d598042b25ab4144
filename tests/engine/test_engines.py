"""Sessions from engines that were built ahead: the same numbers, and none but those of this machine's own making."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.bundles.engine_cache import EngineCache
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import EngineError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines, OnnxRuntimeBackend, Say
from edge_runtime.engine.tensorrt_session import TensorRtBackend
from edge_runtime.policies.golden import plan_of
from edge_runtime.policies.processor import describe
from edge_runtime.policies.session import optimize, settings
from edge_runtime.testing.golden_bundles import SHIPPED, pairs

DIGEST = read_manifest(SHIPPED).digest
GRAPHS = ("encode.onnx", "denoise.onnx")


class Slow(OnnxRuntimeBackend):
    """A backend that runs nothing but what it has built, and tells how far it is, as that of a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.built: list[str] = []

    def build(self, name: str, model: bytes, cache: EngineCache | None, say: Say) -> bytes:
        self.built.append(name)
        say(f"{name}: Building, 1 steps")
        return super().build(name, model, cache, say)

    def run_as_is(self, name: str, model: bytes, threads: int) -> None:  # noqa: ARG002
        return None


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def engines(cache: EngineCache) -> Engines:
    return Engines(cache=cache)


def build(engines: Engines) -> list[bool]:
    """Whether each graph's engine was there."""
    return [engines.build(DIGEST, SHIPPED, graph, lambda _: None).reused for graph in GRAPHS]


def plans(embodiment: Embodiment, engines: Engines | None, threads: int = 1) -> np.ndarray:
    policy = BundlePolicy.load(SHIPPED, embodiment, threads=threads, engines=engines)
    data = pairs()
    return np.stack([plan_of(policy, embodiment, data, case) for case in range(len(data["plan"]))])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_built_engine_gives_the_same_bits(embodiment: Embodiment, engines: Engines, threads: int) -> None:
    build(engines)
    np.testing.assert_array_equal(plans(embodiment, engines, threads), plans(embodiment, None, threads))


def test_what_was_built_is_what_runs(cache: EngineCache, engines: Engines) -> None:
    other = optimize("other", (SHIPPED / "denoise.onnx").read_bytes())
    cache.write(engines.key(DIGEST, "encode.onnx"), other)
    session = engines.session(DIGEST, SHIPPED, "encode.onnx", threads=1)
    assert "velocity" in session.outputs, "that of the other graph"


def test_a_second_build_finds_everything(engines: Engines) -> None:
    assert build(engines) == [False, False]
    assert build(engines) == [True, True]


def test_an_altered_engine_is_not_run_and_is_built_again(
    embodiment: Embodiment, engines: Engines, tmp_path: Path
) -> None:
    build(engines)
    expected = plans(embodiment, None)
    path = tmp_path / "engines" / DIGEST / engines.key(DIGEST, "denoise.onnx").digest / "engine"
    data = bytearray(path.read_bytes())
    data[-100] ^= 0x40
    path.write_bytes(data)
    np.testing.assert_array_equal(plans(embodiment, engines), expected)
    assert build(engines) == [True, False]


def test_an_engine_that_does_not_load_is_built_again(
    embodiment: Embodiment, cache: EngineCache, engines: Engines
) -> None:
    cache.write(engines.key(DIGEST, "encode.onnx"), b"whole, but no engine")
    np.testing.assert_array_equal(plans(embodiment, engines), plans(embodiment, None))
    assert build(engines) == [False, False]
    assert build(engines) == [True, True]


def test_an_engine_is_not_run_for_another_bundle(engines: Engines) -> None:
    build(engines)
    assert not engines.build("0" * 64, SHIPPED, "encode.onnx", lambda _: None).reused


def test_the_key_knows_software_and_machine(engines: Engines) -> None:
    key = engines.key(DIGEST, "encode.onnx")
    assert (key.bundle, key.graph, key.backend) == (DIGEST, "encode.onnx", "onnxruntime")
    assert key.backend_version
    assert key.flags
    assert key.device.endswith(describe().digest)


class Saturating(OnnxRuntimeBackend):
    """One that was not told to be exact."""

    def __init__(self) -> None:
        super().__init__()
        self.flags = tuple(flag for flag in self.flags if not flag.startswith("session.x64quantprecision="))


def test_an_engine_that_was_made_under_other_flags_is_built_again(cache: EngineCache) -> None:
    assert build(Engines(Saturating(), cache)) == [False, False]
    assert build(Engines(cache=cache)) == [False, False]
    assert build(Engines(cache=cache)) == [True, True]


def test_every_setting_of_a_session_is_in_the_key(engines: Engines) -> None:
    flags = engines.key(DIGEST, "encode.onnx").flags
    assert flags == settings().flags
    for i in range(len(flags)):
        other = OnnxRuntimeBackend()
        other.flags = (*flags[:i], f"{flags[i]}0", *flags[i + 1 :])
        assert Engines(other).key(DIGEST, "encode.onnx").digest != engines.key(DIGEST, "encode.onnx").digest


def test_without_a_cache_there_is_nowhere_to_build() -> None:
    with pytest.raises(EngineError, match=r"no section \[ota\]"):
        build(Engines())


def test_a_fresh_robot_builds_what_it_cannot_run_otherwise_says_so_and_keeps_it(
    embodiment: Embodiment, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Slow()
    with caplog.at_level(logging.INFO):
        np.testing.assert_array_equal(plans(embodiment, Engines(backend, cache)), plans(embodiment, None))
    assert backend.built == list(GRAPHS)
    assert "encode.onnx has no engine yet" in caplog.text
    assert "denoise.onnx: Building, 1 steps" in caplog.text
    plans(embodiment, Engines(backend, cache))
    assert backend.built == list(GRAPHS), "the second start finds them"


def test_where_nothing_can_be_kept_it_runs_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "engines").write_bytes(b"no folder")
    for cache, words in (
        (None, "is not kept, and the next start"),
        (EngineCache(tmp_path / "engines"), "engines: File exists: move away what lies there"),
    ):
        backend = Slow()
        session = Engines(backend, cache).session(DIGEST, SHIPPED, "denoise.onnx", threads=1)
        assert "velocity" in session.outputs
        assert words in caplog.text


def test_what_is_no_graph_is_refused_by_name(engines: Engines, tmp_path: Path) -> None:
    (tmp_path / "encode.onnx").write_bytes(b"not a graph")
    with pytest.raises(EngineError, match=r"encode\.onnx"):
        engines.build(DIGEST, tmp_path, "encode.onnx", lambda _: None)


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is on this machine")
def test_without_tensorrt_its_backend_says_what_to_install() -> None:
    with pytest.raises(EngineError, match=r"tensorrt.* not installed; to install: .*JetPack"):
        TensorRtBackend()
