"""INT8 by post-training quantization of ONNX graphs, with proof of how much really became INT8.

Convolutions are quantized statically: their activation ranges come from calibration data. Matrix products with weights
are quantized statically too (`Scheme.STATIC`), or with ranges taken at run time (`Scheme.DYNAMIC`), which ONNX
Runtime's CPU kernels do at no cost. Products of two activations, and scopes the caller names, stay in floating point.
"""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from edge_runtime.policies.exactness import require_runnable
from edge_runtime.policies.graph_file import read_graph
from export_tools.quiet import only_errors

Feed = dict[str, npt.NDArray[np.generic]]


class Scheme(enum.Enum):
    """Where the ranges of a matrix product's activations come from."""

    STATIC = "static"
    DYNAMIC = "dynamic"


@dataclass(frozen=True)
class Coverage:
    """Weights of convolutions and matrix products: how many elements there are, and how many are stored as INT8."""

    quantized: int
    total: int

    @property
    def fraction(self) -> float:
        return self.quantized / self.total if self.total else 0.0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.quantized + other.quantized, self.total + other.total)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def quantize(
    source: Path, target: Path, calibration: Sequence[Feed], *, matmul: Scheme, keep_float: Sequence[str] = ()
) -> Coverage:
    """Write an INT8 version of the graph `source` to `target` and return its coverage.

    `calibration` are real inputs of the graph. `keep_float` are names of submodules whose products stay in floating
    point; each must match at least one node, or `ValueError` is raised. `EngineError`: the products of the INT8 version
    are not exact on every processor.
    """
    graph = onnx.load(str(source)).graph
    kept = _nodes_in_scopes(graph, keep_float)
    weights = {i.name for i in graph.initializer}
    kept += [n.name for n in graph.node if n.op_type == "MatMul" and n.input[1] not in weights]
    statically = ["Conv"] if any(n.op_type == "Conv" for n in graph.node) else []
    if matmul is Scheme.STATIC:
        statically += ["MatMul", "Gemm"]
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder, only_errors():
        middle = source
        if statically:
            middle = target if matmul is Scheme.STATIC else Path(folder) / "convolutions.onnx"
            quantize_static(
                str(source),
                str(middle),
                _Reader(calibration),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=statically,
                nodes_to_exclude=kept,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
        if matmul is Scheme.DYNAMIC:
            quantize_dynamic(
                str(middle),
                str(target),
                op_types_to_quantize=["MatMul"],
                nodes_to_exclude=kept,
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
    require_runnable(target.name, read_graph(target.name, target.read_bytes()), lowest_is_exact=False)
    return coverage(source, target)


def _nodes_in_scopes(graph: onnx.GraphProto, scopes: Sequence[str]) -> list[str]:
    found: dict[str, list[str]] = {scope: [] for scope in scopes}
    for node in graph.node:
        where = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "")
        for scope in scopes:
            if f"'{scope}'" in where or f".{scope}'" in where:
                found[scope].append(node.name)
    missing = [scope for scope, nodes in found.items() if not nodes]
    if missing:
        raise ValueError(f"no node of the graph lies in {', '.join(missing)}")
    return [name for nodes in found.values() for name in nodes]


def coverage(source: Path, quantized: Path) -> Coverage:
    """Count weight elements of `source`'s convolutions and products, and the INT8 elements that `quantized` holds."""
    before = onnx.load(str(source)).graph
    sizes = {i.name: int(np.prod(i.dims)) for i in before.initializer}
    total = sum(
        sizes[name]
        for node in before.node
        if node.op_type in ("Conv", "MatMul", "Gemm")
        for name in node.input[1:2]
        if name in sizes
    )
    after = onnx.load(str(quantized)).graph
    small = sum(
        int(np.prod(i.dims)) for i in after.initializer if i.data_type == onnx.TensorProto.INT8 and len(i.dims) >= 2
    )
    return Coverage(quantized=min(small, total), total=total)
