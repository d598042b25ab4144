"""ONNX graphs as bytes: what a session's maker has to know of one, without the library that writes them.

Guarantees: a graph that `require_runnable` lets pass is one file, and ONNX Runtime multiplies its integers exactly once
`session.x64quantprecision` asks for it. Refuses the others with what is the matter and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contracts.errors import EngineError

UINT8, INT8 = 2, 3
_INT32 = 6
_EXTERNAL = 1
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


@dataclass(frozen=True)
class Tensor:
    """A constant: element type as in ONNX, and the file that has its data; None: the graph itself.

    `has_lowest` is whether an INT8 one has an element of -128.
    """

    name: str
    element: int
    file: str | None
    has_lowest: bool


@dataclass(frozen=True)
class Node:
    """One operator. `constants` are tensors among its attributes, `bodies` graphs."""

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[Tensor, ...]
    bodies: tuple[Body, ...]


@dataclass(frozen=True)
class Body:
    """A graph, or the body of a function or loop. `inputs` are element types by name."""

    nodes: tuple[Node, ...] = ()
    constants: tuple[Tensor, ...] = ()
    inputs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphFile:
    """An ONNX file. `opsets` are versions by domain, "" is ONNX's own."""

    ir_version: int
    opsets: dict[str, int]
    main: Body
    functions: tuple[Body, ...]


def read_graph(name: str, model: bytes) -> GraphFile:
    """Read what there is to know.

    Raises:
        EngineError: these bytes are no ONNX file.
    """
    try:
        fields = list(_fields(memoryview(model)))
        file = GraphFile(
            ir_version=_last(fields, 1),
            opsets=dict(_opset(value) for number, value in fields if number == 8 and isinstance(value, memoryview)),
            main=next((_graph(value) for value in _chunks(fields, 7)), Body()),
            functions=tuple(Body(tuple(_node(node) for node in _chunks(_fields(f), 7))) for f in _chunks(fields, 25)),
        )
    except (ValueError, IndexError, RecursionError) as error:
        raise EngineError(_NO_GRAPH.format(name=name, size=len(model))) from error
    if not file.main.nodes:
        raise EngineError(_NO_GRAPH.format(name=name, size=len(model)))
    return file


_NO_GRAPH = (
    "{name} is no ONNX graph: its {size} bytes can't be read as one. The file is cut, or something else under this "
    "name; fetch or export the bundle again"
)


def require_runnable(name: str, file: GraphFile, *, lowest_is_exact: bool, zero_point_is_needed: bool = False) -> None:
    """See the module.

    Args:
        name: what errors call it.
        file: the graph.
        lowest_is_exact: the kernels multiply INT8 weights of -128 exactly. Those of Arm add two products in 16 bits,
            where (-128 * -128) twice is one too many.
        zero_point_is_needed: the library ends the process where it turns INT8 weights without one into UINT8.

    Raises:
        EngineError: weights in other files, or a product of integers that is wrong on some processors.
    """
    others = sorted({tensor.file for tensor in _all_constants(file) if tensor.file is not None})
    if others:
        raise EngineError(
            f"{name} keeps weights in other files ({', '.join(others[:3])}), which no manifest vouches for: a graph "
            "has to be one file. Save it with onnx.save_model(model, path, save_as_external_data=False)"
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

    @classmethod
    def of(cls, tensor: Tensor) -> _Known:
        return cls(tensor.element, True, tensor.has_lowest)


_NOTHING = _Known()


def product_of_integers(ir_version: int = 8, opset: int = 13) -> bytes:
    """A graph of one operator: y = a (M, K) UINT8 times b (K, N) INT8, in INT32."""
    node = b"".join(_text(number, text) for number, text in ((1, "a"), (1, "b"), (2, "y"), (4, "MatMulInteger")))
    matrices = ((11, "a", UINT8), (11, "b", INT8), (12, "y", _INT32))
    graph = _chunk(1, node) + _text(2, "product")
    graph += b"".join(_chunk(number, _matrix(name, element)) for number, name, element in matrices)
    return _number(1, ir_version) + _chunk(7, graph) + _chunk(8, _number(2, opset))


def _require_exact(name: str, body: Body, kernels: _Kernels, outer: dict[str, _Known]) -> None:
    """`outer` are the tensors of the graphs around this one."""
    known = {**outer, **{tensor: _Known(element) for tensor, element in body.inputs.items()}}
    known |= {tensor.name: _Known.of(tensor) for tensor in body.constants}
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
        return {node.outputs[0]: _Known.of(node.constants[0])}
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


# What follows reads and writes the wire format of Protocol Buffers. Field numbers are those of onnx.proto.


def _graph(data: memoryview) -> Body:
    fields = list(_fields(data))
    return Body(
        nodes=tuple(_node(value) for value in _chunks(fields, 1)),
        constants=(
            *(_tensor(value) for value in _chunks(fields, 5)),
            *(_tensor(values) for sparse in _chunks(fields, 15) for values in _chunks(_fields(sparse), 1)),
        ),
        inputs=dict(_value(value) for value in _chunks(fields, 11)),
    )


def _node(data: memoryview) -> Node:
    fields = list(_fields(data))
    attributes = [list(_fields(value)) for value in _chunks(fields, 5)]
    domain = _string(fields, 7)
    return Node(
        operator=_string(fields, 4),
        domain="" if domain == "ai.onnx" else domain,
        name=_string(fields, 3),
        inputs=tuple(str(value, "utf-8") for value in _chunks(fields, 1)),
        outputs=tuple(str(value, "utf-8") for value in _chunks(fields, 2)),
        constants=tuple(_tensor(value) for a in attributes for n in (5, 10) for value in _chunks(a, n)),
        bodies=tuple(_graph(value) for a in attributes for n in (6, 11) for value in _chunks(a, n)),
    )


def _tensor(data: memoryview) -> Tensor:
    fields = list(_fields(data))
    pairs = [list(_fields(value)) for value in _chunks(fields, 13)]
    file = next((_string(pair, 2) for pair in pairs if _string(pair, 1) == "location"), "a file without a name")
    is_external, element = _last(fields, 14) == _EXTERNAL, _last(fields, 2)
    return Tensor(
        name=_string(fields, 8),
        element=element,
        file=file if is_external else None,
        has_lowest=element == INT8 and (_has_lowest_raw(fields) or _has_lowest_listed(fields)),
    )


def _has_lowest_raw(fields: Iterable[Field]) -> bool:
    return any(b"\x80" in bytes(value) for value in _chunks(fields, 9))


def _has_lowest_listed(fields: Iterable[Field]) -> bool:
    """Of elements that are written as numbers, one by one or together."""
    for number, value in fields:
        if number == 5 and isinstance(value, int) and value & 0xFF == 0x80:
            return True
        if number == 5 and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                element, position = _varint(value, position)
                if element & 0xFF == 0x80:
                    return True
    return False


def _value(data: memoryview) -> tuple[str, int]:
    fields = list(_fields(data))
    types = [kind for value in _chunks(fields, 2) for kind in _chunks(_fields(value), 1)]
    return _string(fields, 1), next((_last(list(_fields(kind)), 1) for kind in types), 0)


def _opset(data: memoryview) -> tuple[str, int]:
    fields = list(_fields(data))
    domain = _string(fields, 1)
    return "" if domain == "ai.onnx" else domain, _last(fields, 2)


Field = tuple[int, "int | memoryview"]


def _chunks(fields: Iterable[Field], wanted: int) -> Iterator[memoryview]:
    for number, value in fields:
        if number == wanted and isinstance(value, memoryview):
            yield value


def _last(fields: Iterable[Field], wanted: int) -> int:
    """0 where it is missing, as the format says."""
    found = 0
    for number, value in fields:
        if number == wanted and isinstance(value, int):
            found = value
    return found


def _string(fields: Iterable[Field], wanted: int) -> str:
    return next((str(value, "utf-8") for value in _chunks(fields, wanted)), "")


def _fields(data: memoryview) -> Iterator[Field]:
    """Numbers of two wire types and chunks of bytes; others are passed over.

    Raises:
        ValueError, IndexError: not this format.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
        elif wire == 2:
            size, position = _varint(data, position)
            if size > len(data) - position:
                raise ValueError("cut")
            yield number, data[position : position + size]
            position += size
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError("no such wire type")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number without an end")


def _matrix(name: str, element: int) -> bytes:
    """A ValueInfoProto of two dimensions of any size."""
    shape = _chunk(2, _chunk(1, b"") * 2)
    return _text(1, name) + _chunk(2, _chunk(1, _number(1, element) + shape))


def _chunk(number: int, data: bytes) -> bytes:
    return _encoded(number << 3 | 2) + _encoded(len(data)) + data


def _text(number: int, text: str) -> bytes:
    return _chunk(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _encoded(number << 3) + _encoded(value)


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
