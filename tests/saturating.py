"""What a processor without VNNI makes of a bundle when nobody asks ONNX Runtime for exact products, on any processor.

There a product of UINT8 and INT8 matrices adds two products at a time in 16 bits, and loses what does not fit. The same
is written here in plain operators, and put where the robot keeps the engines that it has built.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_runtime.bundles.engine_cache import EngineCache
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.engine.engines import Engines
from edge_runtime.policies.session import optimize

_MOST, _LEAST = 2**15 - 1, -(2**15)


def saturating(model: bytes) -> bytes:
    """The graph with every product of integers done as such a kernel does it; zero points come off afterwards."""
    made = onnx.load_from_string(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    nodes = []
    for node in made.graph.node:
        nodes += [node] if node.op_type != "MatMulInteger" else _saturating_product(node, weights)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return bytes(made.SerializeToString())


def _saturating_product(node: onnx.NodeProto, weights: dict[str, np.ndarray]) -> Iterator[onnx.NodeProto]:
    left, right, left_zero, right_zero = node.input
    weight = weights[right].astype(np.int32)
    assert weight.ndim == 2
    assert not weights[right_zero].any()
    (product,) = node.output
    count = 0

    def name() -> str:
        nonlocal count
        count += 1
        return f"{product}/saturating_{count}"

    def constant(value: object, kind: type = np.int32) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name()], value=numpy_helper.from_array(np.array(value, kind)))

    def node_of(kind: str, *inputs: onnx.NodeProto | str, out: str = "", **attributes: object) -> onnx.NodeProto:
        names = [value if isinstance(value, str) else value.output[0] for value in inputs]
        return helper.make_node(kind, names, [out or name()], **attributes)

    wide = node_of("Cast", left, to=TensorProto.INT32)
    yield wide
    if len(weight) % 2:
        weight = np.pad(weight, ((0, 1), (0, 0)))
        pads, nothing, columns = constant([0, 1], np.int64), constant(0), constant([-1], np.int64)
        wide = node_of("Pad", wide, pads, nothing, columns)
        yield from (pads, nothing, columns, wide)
    end, axis, two = constant([2**31 - 1]), constant([-1]), constant([2])
    yield from (end, axis, two)
    pairs = []
    for first in (0, 1):
        start, half, last = constant([first]), constant(weight[first::2]), constant([-1], np.int64)
        every_other = node_of("Slice", wide, start, end, axis, two)
        column = node_of("Unsqueeze", every_other, last)
        pairs.append(node_of("Mul", column, half))
        yield from (start, half, last, every_other, column, pairs[-1])
    both, least, most = node_of("Add", *pairs), constant(_LEAST), constant(_MOST)
    clipped = node_of("Clip", both, least, most)
    along = constant([-2], np.int64)
    summed = node_of("ReduceSum", clipped, along, keepdims=0)
    yield from (both, least, most, clipped, along, summed)
    zero, sums = node_of("Cast", left_zero, to=TensorProto.INT32), constant(weight.sum(axis=0))
    offset = node_of("Mul", zero, sums)
    yield from (zero, sums, offset, node_of("Sub", summed, offset, out=product))


def plant(config: RobotConfig, bundle: Path) -> None:
    """Put such engines of `bundle` where the robot of `config` keeps its own, under the keys that it asks for."""
    cache, engines, manifest = EngineCache.of(config), Engines.of(config), read_manifest(bundle)
    assert cache is not None
    for graph in [graph.path for graph in manifest.policy.graphs]:
        cache.write(engines.key(manifest.digest, graph), optimize(graph, saturating((bundle / graph).read_bytes())))
