"""Graphs that multiply integers at the ends of their range, one for each operator and kernel, and what they must give.

Each `Case` is written as a graph and an archive with its inputs and `want`, so that `run_graphs` needs neither the
library that makes graphs nor this module: it runs under an emulated processor too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.testing.golden_bundles import SHIPPED

Array = NDArray[Any]
SIZES = (  # rows, depth, columns: one row, odd ones, fewer and more than a kernel's block, deeper than its stride
    (1, 1, 1),
    (1, 64, 33),
    (1, 4096, 16),
    (2, 3, 7),
    (3, 65, 16),
    (5, 127, 31),
    (7, 1000, 5),
    (13, 64, 64),
    (16, 4096, 33),
    (65, 129, 17),
)
CONVOLUTIONS = (  # input channels, output channels, side of the kernel, stride, groups
    (3, 16, 3, 2, 1),
    (64, 33, 1, 1, 1),
    (16, 16, 3, 1, 1),
    (3, 7, 7, 1, 1),
    (32, 32, 3, 1, 32),
    (16, 32, 3, 1, 4),
)
OPSETS = (13, 20, 21)


@dataclass(frozen=True)
class Case:
    """`want` is the first output; no element may be off by more than `within`."""

    name: str
    model: onnx.ModelProto
    inputs: dict[str, Array]
    want: Array
    within: float = 0.0

    def write(self, folder: Path) -> None:
        """As `<name>.onnx` and `<name>.npz` in `folder`."""
        onnx.save(self.model, str(folder / f"{self.name}.onnx"))
        np.savez(folder / f"{self.name}.npz", want=self.want, within=self.within, **self.inputs)


def shipped_graphs() -> dict[str, onnx.ModelProto]:
    """The graphs of the shipped bundle."""
    return {path.name: onnx.load(str(path)) for path in sorted(SHIPPED.glob("*.onnx"))}


def cases(lowest: int = -128) -> Iterator[Case]:
    """All of them; weights go from `lowest` to 127."""
    for shape in (*SIZES, *sorted(_shipped_products())):
        yield from _products(*shape, lowest)
    for shape in SIZES:
        yield from _quantized_products(*shape, lowest, opset=20)
    for opset in OPSETS:
        yield from _quantized_products(5, 127, 31, lowest, opset)
    for shape in (*CONVOLUTIONS, *sorted(_shipped_convolutions())):
        yield _convolution(*shape, lowest)


def _shipped_products() -> set[tuple[int, int, int]]:
    """Weights of the shipped graphs, with as many rows as make a full block and a rest."""
    shapes = set()
    for model in shipped_graphs().values():
        weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        shapes |= {(17, *weights[n.input[1]]) for n in model.graph.node if n.op_type == "MatMulInteger"}
    return shapes  # type: ignore[return-value]


def _shipped_convolutions() -> set[tuple[int, int, int, int, int]]:
    shapes = set()
    for model in shipped_graphs().values():
        tensors = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        made_of = {node.output[0]: node for node in model.graph.node}
        for node in model.graph.node:
            if node.op_type == "Conv":
                outputs, inputs, side, _ = tensors[made_of[node.input[1]].input[0]]
                attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
                groups = attributes.get("group", 1)
                shapes.add((inputs * groups, outputs, side, attributes.get("strides", [1])[0], groups))
    return shapes


def _activations(rows: int, depth: int) -> Array:
    """UINT8: all at the upper end in the first row, ends by chance in the others, with both of them in each row."""
    values = np.where(np.random.default_rng(rows).random((rows, depth)) < 0.75, 255, 0)
    values[0] = 255
    return values.astype(np.uint8)


def _weights(depth: int, columns: int, lowest: int) -> Array:
    """INT8: columns of 127, of `lowest`, of both by turns, and of ends by chance."""
    kinds = np.arange(columns) % 4
    chance = np.where(np.random.default_rng(columns).random((depth, columns)) < 0.5, 127, lowest)
    turns = np.where(np.arange(depth) % 2, 127, lowest)[:, None]
    return np.select([kinds == 0, kinds == 1, kinds == 2], [127, lowest, turns], chance).astype(np.int8)


def _products(rows: int, depth: int, columns: int, lowest: int) -> Iterator[Case]:
    size = f"{rows}x{depth}x{columns}"
    a, b = _activations(rows, depth), _weights(depth, columns, lowest)
    exact = a.astype(np.int64) @ b.astype(np.int64)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    model = _model([node], {"a": a}, exact.astype(np.int32), {"b": b})
    yield Case(f"MatMulInteger_{size}", model, {"a": a}, exact)
    # 0 and 255 in a tensor of floats: its scale is 1, its zero point 0, and quantizing it gives the same integers.
    x = a.astype(np.float32)
    x[0, 0] = 255.0
    if not (x == 0.0).any() and rows > 1:
        x[-1, -1] = 0.0
    exact = x.astype(np.int64) @ b.astype(np.int64)
    for consumers in (1, 2):
        name = "dynamic" if consumers == 1 else "dynamic_shared"
        yield Case(f"{name}_{size}", _dynamic(x, b, exact, consumers), {"x": x}, exact.astype(np.float32))


def _dynamic(x: Array, b: Array, exact: Array, consumers: int) -> onnx.ModelProto:
    """x times b with the range of x taken at run time; what several share is quantized once."""
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])]
    for i in range(consumers):
        nodes += [
            helper.make_node("MatMulInteger", ["q", "b", "zero", "b_zero"], [f"product{i}"]),
            helper.make_node("Cast", [f"product{i}"], [f"float{i}"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["scale", "b_scale"], [f"scale{i}"]),
            helper.make_node("Mul", [f"float{i}", f"scale{i}"], ["y" if i == 0 else f"y{i}"]),
        ]
    constants = {"b": b, "b_zero": np.zeros(b.shape[1], np.int8), "b_scale": np.ones(b.shape[1], np.float32)}
    return _model(nodes, {"x": x}, exact.astype(np.float32), constants, others=consumers - 1)


def _quantized_products(rows: int, depth: int, columns: int, lowest: int, opset: int) -> Iterator[Case]:
    """QDQ: with a range for the product, which makes an operator of integers alone, and without."""
    size = f"{rows}x{depth}x{columns}_opset{opset}"
    a, b = _activations(rows, depth), _weights(depth, columns, lowest)
    exact = a.astype(np.int64) @ b.astype(np.int64)
    x = a.astype(np.float32)
    for operator in ("MatMul", "Gemm"):
        nodes, constants = _dequantized(b)
        product = helper.make_node(operator, ["xd", "bd"], ["y"])
        yield Case(
            f"QDQ_{operator}_{size}",
            _model([*nodes, product], {"x": x}, exact.astype(np.float32), constants, opset),
            {"x": x},
            exact.astype(np.float32),
        )
        case = _requantized(operator, x, exact, nodes, constants, opset)
        yield Case(f"QDQ_{operator}_ranged_{size}", *case)


def _convolution(inputs: int, outputs: int, side: int, stride: int, groups: int, lowest: int) -> Case:
    b = _weights(inputs // groups * side * side, outputs, lowest).T.reshape(outputs, inputs // groups, side, side)
    rng = np.random.default_rng(inputs)
    a = np.where(rng.random((1, inputs, side + 7, side + 6)) < 0.9, 255, 0)
    windows = np.lib.stride_tricks.sliding_window_view(a, (side, side), axis=(2, 3))[:, :, ::stride, ::stride]
    grouped = windows.reshape(1, groups, inputs // groups, *windows.shape[2:])
    kernels = b.astype(np.int64).reshape(groups, outputs // groups, inputs // groups, side, side)
    exact = np.einsum("ngchwij,gocij->ngohw", grouped, kernels).reshape(1, outputs, *windows.shape[2:4])
    nodes, constants = _dequantized(np.ascontiguousarray(b))
    attributes = {"strides": [stride, stride], "group": groups}
    case = _requantized("Conv", a.astype(np.float32), exact, nodes, constants, 20, attributes)
    return Case(f"QDQ_Conv_{inputs}_{outputs}_{side}_{stride}_{groups}", *case)


def _dequantized(b: Array) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Nodes that quantize x with the scale 1 and restore it and b, as "xd" and "bd"."""
    one = np.array(1.0, np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "x_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "x_zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["b", "one", "b_zero"], ["bd"]),
    ]
    return nodes, {"b": b, "one": one, "x_zero": np.array(0, np.uint8), "b_zero": np.array(0, np.int8)}


def _requantized(
    operator: str,
    x: Array,
    exact: Array,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Array],
    opset: int,
    attributes: dict[str, Any] | None = None,
) -> tuple[onnx.ModelProto, dict[str, Array], Array, float]:
    """The product in 8 bits again; a value between two of them may become either."""
    scale = np.float32(max(1.0, float(np.abs(exact).max())) / 120.0)
    nodes = [
        *nodes,
        helper.make_node(operator, ["xd", "bd"], ["product"], **(attributes or {})),
        helper.make_node("QuantizeLinear", ["product", "y_scale", "y_zero"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "y_scale", "y_zero"], ["y"]),
    ]
    constants = {**constants, "y_scale": np.array(scale), "y_zero": np.array(128, np.uint8)}
    want = exact.astype(np.float32)
    return _model(nodes, {"x": x}, want, constants, opset), {"x": x}, want, float(0.51 * scale)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Array],
    output: Array,
    constants: dict[str, Array],
    opset: int = 20,
    others: int = 0,
) -> onnx.ModelProto:
    """A checked graph with the output "y", and `others` named "y1" and on."""
    graph = helper.make_graph(
        nodes,
        "product",
        [_value(name, array) for name, array in inputs.items()],
        [_value(name, output) for name in ("y", *(f"y{i + 1}" for i in range(others)))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _value(name: str, array: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
