"""The ONNX Runtime session: named tensors, and no silent fallback to anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.contracts.errors import EngineError
from edge_runtime.policies.processor import allowed
from edge_runtime.policies.session import OrtSession, TensorSpec, optimize


def _adder(size: int | str = 3, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
        "adder",
        [helper.make_tensor_value_info(name, kind, [size]) for name in ("a", "b")],
        [helper.make_tensor_value_info(name, kind, [size]) for name in ("sum", "difference")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("module", ["edge_runtime.policies.session", "export_tools.quantize"])
def test_the_library_reports_to_nobody(module: str, tmp_path: Path) -> None:
    """ONNX Runtime 1.32 keeps a number of the machine and what it wants to send in the home folder, if it may."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", f"import {module}; import edge_runtime.policies.session as s; s.int8_saturates()"],
        env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        check=True,
        timeout=120,
    )
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name or "Microsoft" in path.name]


def test_outputs_come_by_name() -> None:
    session = OrtSession("adder", _adder().SerializeToString(), threads=1)
    vector = TensorSpec(np.dtype(np.float32), (3,))
    assert session.inputs == {"a": vector, "b": vector}
    assert session.outputs == {"sum": vector, "difference": vector}
    a, b = np.array([1, 2, 3], np.float32), np.array([10, 20, 30], np.float32)
    outputs = session.run({"b": b, "a": a})
    np.testing.assert_array_equal(outputs["sum"], a + b)
    np.testing.assert_array_equal(outputs["difference"], a - b)


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": np.zeros(3, np.float32)},
        {"a": np.zeros(4, np.float32), "b": np.zeros(3, np.float32)},
        {"a": np.zeros(3, np.float64), "b": np.zeros(3, np.float32)},
        {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32), "c": np.zeros(3, np.float32)},
    ],
    ids=["missing", "shape", "type", "too-many"],
)
def test_wrong_tensors_are_an_engine_error(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(EngineError, match="adder"):
        OrtSession("adder", _adder().SerializeToString(), threads=1).run(tensors)


def test_an_absent_provider_is_refused_instead_of_replaced_by_the_cpu() -> None:
    with pytest.raises(EngineError, match="CUDAExecutionProvider"):
        OrtSession("adder", _adder().SerializeToString(), threads=1, provider="CUDAExecutionProvider")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (b"", "broken"),
        (b"not a graph", "broken"),
        (_adder("n").SerializeToString(), "static"),
        (_adder(3, TensorProto.UINT32).SerializeToString(), "uint32"),
    ],
    ids=["empty", "garbage", "dynamic", "uint32"],
)
def test_what_cannot_be_fed_is_refused_at_load(model: bytes, match: str) -> None:
    with pytest.raises(EngineError, match=match):
        OrtSession("broken", model, threads=1)


@pytest.mark.parametrize("version", [99, 2**62])
def test_a_graph_of_a_newer_format_says_which_version_is_read_here_and_what_to_do(version: int) -> None:
    newer_ir, newer_opset = _adder(), _adder()
    newer_ir.ir_version = version
    newer_opset.opset_import[0].version = version
    for make in (optimize, lambda name, model: OrtSession(name, model, threads=1)):
        with pytest.raises(
            EngineError, match=rf"adder.*IR version {version}, .* reads \d+ at most\. Save it .*install"
        ):
            make("adder", newer_ir.SerializeToString())
        with pytest.raises(EngineError, match=rf"adder.*opset {version}, .* reads \d+ at most\. Export it .*install"):
            make("adder", newer_opset.SerializeToString())


def test_the_version_that_is_named_is_read() -> None:
    model = _adder()
    model.ir_version = 99
    with pytest.raises(EngineError) as refused:
        OrtSession("adder", model.SerializeToString(), threads=1)
    named = re.search(r"reads (\d+) at most", str(refused.value))
    assert named is not None
    model.ir_version = int(named[1])
    OrtSession("adder", model.SerializeToString(), threads=1)
    model.ir_version += 1
    with pytest.raises(EngineError, match="at most"):
        OrtSession("adder", model.SerializeToString(), threads=1)


def test_an_operator_that_is_not_known_is_named_however_long_the_message() -> None:
    names = [f"an_input_with_a_long_name_{i}" for i in range(40)]
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", names, ["sum"])],
        "unknown",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in names],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(EngineError, match=r"No Op registered for NoSuchOperator.*Export it with operators"):
        OrtSession("unknown", model.SerializeToString(), threads=1)


def test_weights_in_another_file_are_named_with_what_to_do() -> None:
    model = _adder()
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    for made, where in ((model, "a graph"), (_in_a_branch(model), "a branch")):
        with pytest.raises(EngineError, match=r"weights\.bin.*one file\. Save it with .*save_as_external_data=False"):
            OrtSession(where, made.SerializeToString(), threads=1)


def _in_a_branch(model: onnx.ModelProto) -> onnx.ModelProto:
    outer = _adder()
    outer.graph.node.append(helper.make_node("If", ["a"], ["x"], then_branch=model.graph, else_branch=model.graph))
    return outer


@pytest.mark.parametrize("cut", [1, 7, 40, 90])
def test_a_graph_that_is_cut_says_so(cut: int) -> None:
    with pytest.raises(EngineError, match=r"adder"):
        OrtSession("adder", _adder().SerializeToString()[:-cut], threads=1)


def test_threads_are_no_more_than_processors() -> None:
    assert OrtSession("adder", _adder().SerializeToString(), threads=64).threads == min(64, allowed())


def test_a_graph_cannot_pull_in_a_file_that_nobody_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "w"], ["sum"])],
        "outside",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [300])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [300])],
        [numpy_helper.from_array(np.ones(300, np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = tmp_path / "outside.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size >= 1200
    data = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match=r"weights\.bin"):
        OrtSession("outside", data, threads=1)
