"""ONNX graphs as bytes: what a session's maker has to know of one, without the library that writes them.

Guarantees: a graph that `require_runnable` lets pass is one file, and ONNX Runtime multiplies its integers exactly once
`session.x64quantprecision` asks for it. Refuses the others with what is the matter and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from contracts.errors import EngineError

UINT8, INT8 = 2, 3
_INT32 = 6
_EXTERNAL = 1
_FUSED = "com.microsoft"

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


def require_runnable(name: str, file: GraphFile, *, lowest_is_exact: bool) -> None:
    """See the module.

    Args:
        name: what errors call it.
        file: the graph.
        lowest_is_exact: the kernels multiply INT8 weights of -128 exactly. Those of Arm add two products in 16 bits,
            where (-128 * -128) twice is one too many.

    Raises:
        EngineError: weights in other files, or a product of integers that is wrong on some processors.
    """
    others = sorted({tensor.file for tensor in _all_constants(file) if tensor.file is not None})
    if others:
        raise EngineError(
            f"{name} keeps weights in other files ({', '.join(others[:3])}), which no manifest vouches for: a graph "
            "has to be one file. Save it with onnx.save_model(model, path, save_as_external_data=False)"
        )
    for body in (file.main, *file.functions):
        _require_exact(name, body, file.opsets.get("", 0), {})
    if not lowest_is_exact:
        _require_no_lowest(name, file)


def product_of_integers(ir_version: int = 8, opset: int = 13) -> bytes:
    """A graph of one operator: y = a (M, K) UINT8 times b (K, N) INT8, in INT32."""
    node = b"".join(_text(number, text) for number, text in ((1, "a"), (1, "b"), (2, "y"), (4, "MatMulInteger")))
    matrices = ((11, "a", UINT8), (11, "b", INT8), (12, "y", _INT32))
    graph = _chunk(1, node) + _text(2, "product")
    graph += b"".join(_chunk(number, _matrix(name, element)) for number, name, element in matrices)
    return _number(1, ir_version) + _chunk(7, graph) + _chunk(8, _number(2, opset))


def _require_exact(name: str, body: Body, opset: int, known: dict[str, tuple[int, bool]]) -> None:
    """`known` are the element type (0: not known) and whether it is a constant, of each tensor seen so far."""
    known = {**known, **{tensor: (element, False) for tensor, element in body.inputs.items()}}
    known |= {tensor.name: (tensor.element, True) for tensor in body.constants}
    for node in body.nodes:
        known |= _outputs(node, known)
        for inner in node.bodies:
            _require_exact(name, inner, opset, known)
        for weights, zero_point in _PRODUCTS.get((node.domain, node.operator), ()):
            element, is_constant = known.get(_input(node, weights), (0, False))
            zero_point_name = _input(node, zero_point)
            is_constant &= not zero_point_name or known.get(zero_point_name, (0, False))[1]
            too_new = node.operator == "QLinearMatMul" and opset > _QLINEARMATMUL_OPSET_MAX
            if element != UINT8 and (too_new or not is_constant):
                why = f"in opset {opset}" if too_new else "with weights that are no constants"
                raise EngineError(
                    f"{name}: the operator {node.operator} {node.name!r} multiplies INT8 weights {why}. On processors "
                    "without VNNI ONNX Runtime gives wrong products there. Quantize it in QDQ form, or its weights as "
                    "UINT8"
                )


def _require_no_lowest(name: str, file: GraphFile) -> None:
    lowest = {tensor.name for tensor in _all_constants(file) if tensor.has_lowest}
    for body in _bodies(file):
        for node in body.nodes:
            weights = {_input(node, index) for index, _ in _PRODUCTS.get((node.domain, node.operator), ())}
            if node.operator == "DequantizeLinear":
                weights = {_input(node, 0)}
            if lowest & weights:
                raise EngineError(
                    f"{name}: the weights {', '.join(sorted(lowest & weights))} have elements of -128, which ONNX "
                    "Runtime's kernels for Arm multiply wrongly. Quantize weights symmetrically, to -127 ... 127"
                )


def _outputs(node: Node, known: dict[str, tuple[int, bool]]) -> dict[str, tuple[int, bool]]:
    if node.operator == "Constant" and node.constants:
        return {node.outputs[0]: (node.constants[0].element, True)}
    if node.operator in _MOVES:
        return {node.outputs[0]: known.get(_input(node, 0), (0, False))}
    if node.operator == "DynamicQuantizeLinear":
        return dict.fromkeys((node.outputs[0], node.outputs[-1]), (UINT8, False))
    if node.operator == "QuantizeLinear":
        zero_point = _input(node, 2)
        return {node.outputs[0]: (known.get(zero_point, (0, False))[0] if zero_point else UINT8, False)}
    return {}


def _input(node: Node, index: int) -> str:
    return node.inputs[index] if index < len(node.inputs) else ""


def _all_constants(file: GraphFile) -> Iterator[Tensor]:
    for body in _bodies(file):
        yield from body.constants
        for node in body.nodes:
            # What an operator makes of its own attribute goes by the name of its output.
            yield from (replace(tensor, name=node.outputs[0]) for tensor in node.constants if node.outputs)


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
