"""Products of integers are exact on this processor; `tests/processors` has others, and kernels that saturate."""

from __future__ import annotations

import ast
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.contracts.errors import EngineError
from edge_runtime.policies import session
from edge_runtime.policies.exactness import require_runnable
from edge_runtime.policies.graph_file import read_graph
from edge_runtime.policies.session import OrtSession, optimize
from tests.policies.integer_products import cases, shipped_graphs
from tests.policies.run_graphs import wrong

ROOT = Path(__file__).parents[2]
EIGHT_BITS = (TensorProto.INT8, TensorProto.UINT8)
NO_PRODUCTS = {"DequantizeLinear", "QuantizeLinear", "QLinearAdd", "Reshape", "Transpose"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("products")
    # -128 is refused elsewhere.
    for case in cases(-128 if platform.machine() == "x86_64" else -127):
        case.write(folder)
    return folder


def test_products_at_the_ends_of_the_range_are_exact_here(folder: Path) -> None:
    assert wrong(folder) == {}


def _eight_bit_operators(model: onnx.ModelProto) -> set[str]:
    """Operators that read tensors of 8 bits."""
    small = {tensor.name for tensor in model.graph.initializer if tensor.data_type in EIGHT_BITS}
    small |= {i.name for i in model.graph.input if i.type.tensor_type.elem_type in EIGHT_BITS}
    found = set()
    for node in model.graph.node:
        reads = bool(small & set(node.input))
        if reads:
            found.add(node.op_type)
        if node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear") or (
            reads and node.op_type.startswith(("QLinear", "Transpose", "Reshape"))
        ):
            small |= set(node.output)
    return found


def _with_engines(models: Iterator[onnx.ModelProto]) -> Iterator[onnx.ModelProto]:
    for model in models:
        yield model
        yield onnx.load_from_string(optimize("graph", model.SerializeToString()))


def test_every_operator_of_the_shipped_graphs_that_multiplies_integers_is_tried() -> None:
    shipped = {op for m in _with_engines(iter(shipped_graphs().values())) for op in _eight_bit_operators(m)}
    tried = {op for m in _with_engines(case.model for case in cases()) for op in _eight_bit_operators(m)}
    assert {"MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QLinearConv"} <= shipped
    # Pictures come as UINT8 and are made floats.
    assert shipped - NO_PRODUCTS - {"Cast", "Concat"} <= tried


def test_a_session_is_told_all_that_its_flags_say() -> None:
    told = session.settings()
    options = session._options(told)
    for name, value in told.attributes.items():
        assert getattr(options, name) == value
    for name, value in told.entries.items():
        assert options.get_session_config_entry(name) == value
    flags = dict(flag.split("=", 1) for flag in told.flags)
    assert flags.keys() == {"provider", *told.attributes, *told.entries}
    assert flags["graph_optimization_level"] == "ORT_ENABLE_ALL"
    assert flags["session.x64quantprecision"] == ("1" if session.int8_saturates() else "0")


def test_nobody_else_makes_a_session() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    makers = set()
    for name in tracked.stdout.split():
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            names = (getattr(node, field, None) for field in ("id", "attr", "name"))
            if {"InferenceSession", "SessionOptions"} & set(names):
                makers.add(name)
    assert makers == {"edge_runtime/policies/session.py"}


def _product(operator: str, opset: int, *, is_constant: bool, element: type[np.generic] = np.int8) -> bytes:
    b = np.full((64, 8), np.iinfo(element).max, element)  # type: ignore[type-var]
    zero, one = np.array(0, element), np.array(1.0, np.float32)
    kinds = {"a": TensorProto.UINT8, "b": helper.np_dtype_to_tensor_dtype(b.dtype)}
    inputs = ["a", "b"] if operator == "MatMulInteger" else ["a", "one", "a_zero", "b", "one", "zero", "one", "a_zero"]
    constants = {"zero": zero, "one": one, "a_zero": np.array(0, np.uint8), **({"b": b} if is_constant else {})}
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], name="attention")],
        "product",
        [helper.make_tensor_value_info("a", kinds["a"], [4, 64])]
        + ([] if is_constant else [helper.make_tensor_value_info("b", kinds["b"], b.shape)]),
        [helper.make_tensor_value_info("y", TensorProto.INT32 if operator == "MatMulInteger" else kinds["a"], [4, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.mark.parametrize("maker", [optimize, lambda name, model: OrtSession(name, model, threads=1)])
@pytest.mark.parametrize(
    ("model", "match"),
    [
        (_product("MatMulInteger", 20, is_constant=False), "MatMulInteger 'attention'.*no constants"),
        (_product("QLinearMatMul", 20, is_constant=False), "QLinearMatMul 'attention'.*no constants"),
        (_product("QLinearMatMul", 21, is_constant=True), "QLinearMatMul 'attention'.*opset 21"),
    ],
)
def test_a_product_that_the_option_does_not_reach_is_refused_on_every_processor(
    model: bytes, match: str, maker: Any
) -> None:
    with pytest.raises(EngineError, match=f"encode.onnx.*{match}.*UINT8"):
        maker("encode.onnx", model)


def test_weights_that_a_caller_may_replace_are_no_constants() -> None:
    model = onnx.load_from_string(_product("MatMulInteger", 20, is_constant=True))
    model.graph.input.append(helper.make_tensor_value_info("b", TensorProto.INT8, [64, 8]))
    with pytest.raises(EngineError, match="no constants"):
        OrtSession("encode.onnx", model.SerializeToString(), threads=1)


@pytest.mark.parametrize(
    "model",
    [
        _product("MatMulInteger", 20, is_constant=False, element=np.uint8),
        _product("MatMulInteger", 20, is_constant=True),
        _product("QLinearMatMul", 20, is_constant=True),
        _product("QLinearMatMul", 21, is_constant=True, element=np.uint8),
    ],
)
def test_products_that_are_exact_anyway_are_not_refused(model: bytes) -> None:
    OrtSession("encode.onnx", model, threads=1)


@pytest.mark.parametrize("operator", ["MatMulInteger", "QLinearMatMul", "DequantizeLinear"])
@pytest.mark.parametrize("is_raw", [True, False])
def test_the_lowest_weight_is_refused_where_it_is_multiplied_wrongly(operator: str, is_raw: bool) -> None:
    def graph(element: int, moved: bool = False) -> bytes:
        b = np.full((64, 8), 5, np.int8)
        b[40, 3] = element
        if is_raw:
            tensor = numpy_helper.from_array(b, "b")
        else:
            tensor = helper.make_tensor("b", TensorProto.INT8, b.shape, b.ravel().tolist())
        position = {"MatMulInteger": 1, "QLinearMatMul": 3, "DequantizeLinear": 0}[operator]
        node = helper.make_node(operator, [*["other"] * position, "moved" if moved else "b"], ["y"])
        made = helper.make_graph([helper.make_node("Transpose", ["b"], ["moved"]), node], "product", [], [], [tensor])
        opsets = [helper.make_opsetid("", 20)]
        return bytes(helper.make_model(made, opset_imports=opsets).SerializeToString())

    lowest, above = (read_graph("encode.onnx", graph(element)) for element in (-128, -127))
    require_runnable("encode.onnx", above, lowest_is_exact=False)
    require_runnable("encode.onnx", lowest, lowest_is_exact=True)
    if operator == "QLinearMatMul":
        with pytest.raises(EngineError, match="-128"):
            require_runnable("encode.onnx", read_graph("encode.onnx", graph(-128, moved=True)), lowest_is_exact=False)
    with pytest.raises(EngineError, match=r"encode\.onnx: the operator .* has weights of -128.*-127 \.\.\. 127"):
        require_runnable("encode.onnx", lowest, lowest_is_exact=False)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("MatMulInteger", ["a", "b"]),
        ("MatMulInteger", ["a", "b", "", ""]),
        ("DequantizeLinear", ["b", "scale"]),
        ("DequantizeLinear", ["moved", "scale"]),
    ],
)
def test_weights_without_a_zero_point_are_refused_where_the_library_ends_over_them(
    operator: str, inputs: list[str]
) -> None:
    nodes = [helper.make_node("Transpose", ["b"], ["moved"]), helper.make_node(operator, inputs, ["y"])]
    weights = [numpy_helper.from_array(np.ones((4, 4), np.int8), "b")]
    model = helper.make_model(helper.make_graph(nodes, "product", [], [], weights))
    file = read_graph("encode.onnx", model.SerializeToString())
    require_runnable("encode.onnx", file, lowest_is_exact=True)
    with pytest.raises(EngineError, match=rf"{operator} '' names no zero point.*onnxruntime 1\.30"):
        require_runnable("encode.onnx", file, lowest_is_exact=True, zero_point_is_needed=True)


@pytest.mark.parametrize("name", ["encode.onnx", "denoise.onnx"])
def test_the_shipped_graphs_run_with_every_version_on_every_processor(name: str) -> None:
    file = read_graph(name, shipped_graphs()[name].SerializeToString())
    require_runnable(name, file, lowest_is_exact=False, zero_point_is_needed=True)
