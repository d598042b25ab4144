"""ONNX graphs as bytes: what a session's maker has to know of one, without the library that writes them.

Reads operators, constants and versions, and of the weights only whether an INT8 one is -128.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge_runtime.contracts.errors import EngineError

UINT8, INT8 = 2, 3
_INT32 = 6
_EXTERNAL = 1


@dataclass(frozen=True)
class Tensor:
    """A constant: element type as in ONNX, and the file that has its data; None: the graph itself.

    `has_lowest` is whether an INT8 one has, or may have, an element of -128.
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


def product_of_integers(ir_version: int = 8, opset: int = 13) -> bytes:
    """A graph of one operator: y = a (M, K) UINT8 times b (K, N) INT8, in INT32."""
    node = b"".join(_text(number, text) for number, text in ((1, "a"), (1, "b"), (2, "y"), (4, "MatMulInteger")))
    matrices = ((11, "a", UINT8), (11, "b", INT8), (12, "y", _INT32))
    graph = _chunk(1, node) + _text(2, "product")
    graph += b"".join(_chunk(number, _matrix(name, element)) for number, name, element in matrices)
    return _number(1, ir_version) + _chunk(7, graph) + _chunk(8, _number(2, opset))


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
        # Data in another file is not read here: it may hold any value.
        has_lowest=element == INT8 and (is_external or _has_lowest_raw(fields) or _has_lowest_listed(fields)),
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
