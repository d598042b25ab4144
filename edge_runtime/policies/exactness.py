"""What of a graph keeps it from running the same on every processor.

Guarantees: a graph that `require_runnable` lets pass has its weights in itself or in files that the caller vouches for,
and ONNX Runtime multiplies its integers exactly once
`session.x64quantprecision` asks for it. Refuses the others with what is the matter and what to do. See ADR 24.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from edge_runtime.contracts.errors import EngineError
from edge_runtime.policies.graph_file import INT8, UINT8, Body, GraphFile, Node, Tensor

_FUSED = "com.microsoft"
_RESTORES = ("", "DequantizeLinear")
# Products whose INT8 weights ONNX Runtime turns into UINT8 where its kernels would saturate, as (input of the weights,
# input of their zero point); it does so for constants alone.
_PRODUCTS: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {
    ("", "MatMulInteger"): ((1, 3),),
    ("", "QLinearMatMul"): ((3, 5),),
    ("", "QLinearConv"): ((3, 5),),
    (_FUSED, "MatMulIntegerToFloat"): ((1, 5),),
    (_FUSED, "DynamicQuantizeMatMul"): ((1, 3),),
    (_FUSED, "QGemm"): ((3, 5),),
    (_FUSED, "QAttention"): ((1, 7),),
    (_FUSED, "DynamicQuantizeLSTM"): ((1, 9), (2, 11)),
    # No product itself: in QDQ form the one that it is before becomes one of the others, of these weights.
    _RESTORES: ((0, 2),),
}
_QLINEARMATMUL_OPSET_MAX = 20
"""Newer ones of this operator it leaves as they are."""
_MOVES = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""What it computes of constants before, without altering their elements."""


def require_runnable(
    name: str,
    file: GraphFile,
    *,
    lowest_is_exact: bool,
    zero_point_is_needed: bool = False,
    vouched: Collection[str] = (),
) -> None:
    """See the module.

    Args:
        name: what errors call it.
        file: the graph.
        lowest_is_exact: the kernels multiply INT8 weights of -128 exactly. Those of Arm add two products in 16 bits,
            where (-128 * -128) twice is one too many.
        zero_point_is_needed: the library ends the process where it turns INT8 weights without one into UINT8.
        vouched: files beside the graph that may hold its weights.

    Raises:
        EngineError: weights in other files, or a product of integers that is wrong on some processors.
    """
    others = sorted({tensor.file for tensor in _all_constants(file) if tensor.file is not None} - {*vouched})
    if others:
        raise EngineError(
            f"{name} keeps weights in other files ({', '.join(others[:3])}), which no manifest vouches for: a graph "
            "has to be one file. Save it with onnx.save_model(model, path, save_as_external_data=False), or name the "
            "files as external_data of the graph"
        )
    kernels = _Kernels(file.opsets.get("", 0), lowest_is_exact, zero_point_is_needed)
    for body in (file.main, *file.functions):
        _require_exact(name, body, kernels, {})


@dataclass(frozen=True)
class _Kernels:
    """What products are run by, and the version of the operators."""

    opset: int
    lowest_is_exact: bool
    zero_point_is_needed: bool


@dataclass(frozen=True)
class _Known:
    """What is known of a tensor; an element of 0: nothing."""

    element: int = 0
    is_constant: bool = False
    has_lowest: bool = False


_NOTHING = _Known()


def _require_exact(name: str, body: Body, kernels: _Kernels, outer: dict[str, _Known]) -> None:
    """`outer` are the tensors of the graphs around this one."""
    known = {**outer, **{tensor: _Known(element) for tensor, element in body.inputs.items()}}
    # A value that a caller may replace is none that the library computes with before.
    known |= {t.name: _Known(t.element, t.name not in body.inputs, t.has_lowest) for t in body.constants}
    for node in body.nodes:
        known |= _outputs(node, known)
        for inner in node.bodies:
            _require_exact(name, inner, kernels, known)
        for weights, zero_point in _PRODUCTS.get((node.domain, node.operator), ()):
            why = _fault(node, weights, zero_point, kernels, known)
            if why is not None:
                raise EngineError(f"{name}: the operator {node.operator} {node.name!r} {why}")


def _fault(node: Node, weights: int, zero_point: int, kernels: _Kernels, known: dict[str, _Known]) -> str | None:
    """What is the matter with a product of these inputs, and what to do."""
    found, zero = known.get(_input(node, weights), _NOTHING), _input(node, zero_point)
    if found.has_lowest and not kernels.lowest_is_exact:
        return _LOWEST
    if found.element == INT8 and kernels.zero_point_is_needed and not zero:
        return _NO_ZERO_POINT
    if (node.domain, node.operator) == _RESTORES or found.element == UINT8:
        return None
    if node.operator == "QLinearMatMul" and kernels.opset > _QLINEARMATMUL_OPSET_MAX:
        return f"multiplies INT8 weights in opset {kernels.opset}, {_SATURATES}"
    if not found.is_constant or (zero and not known.get(zero, _NOTHING).is_constant):
        return f"multiplies INT8 weights that are no constants, {_SATURATES}"
    return None


_SATURATES = (
    "of which ONNX Runtime gives wrong products on processors without VNNI. Quantize it in QDQ form, or its weights as "
    "UINT8"
)
_LOWEST = (
    "has weights of -128, which ONNX Runtime's kernels for Arm multiply wrongly. Quantize weights symmetrically, to "
    "-127 ... 127"
)
_NO_ZERO_POINT = (
    "names no zero point for its INT8 weights, which this version of ONNX Runtime does not bear on a processor without "
    "VNNI. Give them a zero point of 0, or install onnxruntime 1.30 or newer"
)


def _outputs(node: Node, known: dict[str, _Known]) -> dict[str, _Known]:
    if node.operator == "Constant" and node.constants and node.outputs:
        return {node.outputs[0]: _Known(node.constants[0].element, True, node.constants[0].has_lowest)}
    if node.operator in _MOVES and node.outputs:
        return {node.outputs[0]: known.get(_input(node, 0), _NOTHING)}
    if node.operator == "DynamicQuantizeLinear" and node.outputs:
        return dict.fromkeys((node.outputs[0], node.outputs[-1]), _Known(UINT8))
    if node.operator == "QuantizeLinear" and node.outputs:
        zero_point = _input(node, 2)
        return {node.outputs[0]: _Known(known.get(zero_point, _NOTHING).element if zero_point else UINT8)}
    return {}


def _input(node: Node, index: int) -> str:
    return node.inputs[index] if index < len(node.inputs) else ""


def _all_constants(file: GraphFile) -> Iterator[Tensor]:
    for body in _bodies(file):
        yield from body.constants
        for node in body.nodes:
            yield from node.constants


def _bodies(file: GraphFile) -> Iterator[Body]:
    bodies = [file.main, *file.functions]
    for body in bodies:
        yield body
        bodies += [inner for node in body.nodes for inner in node.bodies]
