"""ONNX graphs as bytes, without the library that makes them: a robot has none."""

from __future__ import annotations

_UINT8, _INT8, _INT32 = 2, 3, 6
_IR_VERSION, _OPSET = 8, 13


def product_of_integers() -> bytes:
    """A graph of one operator: y = a (M, K) UINT8 times b (K, N) INT8, in INT32."""
    node = b"".join(_text(number, text) for number, text in ((1, "a"), (1, "b"), (2, "y"), (4, "MatMulInteger")))
    graph = b"".join(
        (
            _field(1, node),
            _text(2, "product"),
            _field(11, _matrix("a", _UINT8)),
            _field(11, _matrix("b", _INT8)),
            _field(12, _matrix("y", _INT32)),
        )
    )
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, _number(2, _OPSET))


def _matrix(name: str, element: int) -> bytes:
    """A ValueInfoProto of two dimensions of any size."""
    tensor = _number(1, element) + _field(2, _field(1, b"") * 2)
    return _text(1, name) + _field(2, _field(1, tensor))


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 1 << 14
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + size + data


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _number(number: int, value: int) -> bytes:
    assert value < 128
    return bytes([number << 3, value])
