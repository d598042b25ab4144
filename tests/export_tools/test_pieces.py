"""The pieces of a file are the file, whatever it holds; what did not change gives the same pieces again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from edge_runtime.config.robot_file import SIM_BUNDLE
from edge_runtime.contracts.release import MAX_BLOB_BYTES
from edge_runtime.releases.pieces import Piece, split, tensor_parts
from edge_runtime.releases.tensor_files import (
    MIN_TENSOR_BYTES,
    FileReader,
    TensorRange,
    find_tensors,
    onnx_ranges,
    safetensors_ranges,
    usable,
)


class Bytes:
    """A file in memory that, as any, may give less than was asked for."""

    def __init__(self, data: bytes, at_once: int = 1 << 30) -> None:
        self._data = data
        self._at_once = at_once
        self.size_bytes = len(data)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + min(count, self._at_once)]


def digests(pieces: Sequence[Piece]) -> list[str]:
    return [hashlib.sha256(piece.data).hexdigest() for piece in pieces]


def random_bytes(seed: int, size: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=400).flatmap(lambda part: st.integers(0, 900).map(lambda times: part * times)),
    ranges=st.lists(
        st.builds(
            TensorRange,
            name=st.text(max_size=3),
            offset=st.integers(-10, 400_000),
            size_bytes=st.integers(-10, 200_000),
            element_bytes=st.sampled_from([1, 2, 4]),
        ),
        max_size=6,
    ),
)
def test_pieces_are_the_file_and_none_is_too_large(data: bytes, ranges: list[TensorRange]) -> None:
    tensors = usable(ranges, len(data))
    pieces = list(split(Bytes(data), tensors))
    assert b"".join(piece.data for piece in pieces) == data
    assert all(0 < len(piece.data) <= MAX_BLOB_BYTES for piece in pieces)
    assert [piece.offset for piece in pieces] == [sum(len(p.data) for p in pieces[:n]) for n in range(len(pieces))]
    ends = [piece.offset + len(piece.data) for piece in pieces if piece.tensor or piece.element_bytes > 1]
    assert set(ends) <= {t.offset + t.size_bytes for t in tensors}
    assert {t.offset + t.size_bytes for t in tensors} <= {piece.offset + len(piece.data) for piece in pieces}


def test_a_large_file_is_cut_as_in_one_go_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_runtime.releases import pieces as module

    data = random_bytes(1, 5_000_000)
    whole = list(split(Bytes(data), []))
    monkeypatch.setattr(module, "_WINDOW_BYTES", 600_000)
    monkeypatch.setattr(module, "_HASH_STEP_BYTES", 4099)
    assert list(split(Bytes(data, at_once=70_001), [])) == whole


def test_chunks_are_about_64_kib() -> None:
    sizes = [len(piece.data) for piece in split(Bytes(random_bytes(2, 20_000_000)), [])]
    assert 48 << 10 < np.mean(sizes) < 112 << 10
    assert min(sizes[:-1]) >= 16 << 10
    assert max(sizes) <= 256 << 10


def test_the_same_content_is_cut_the_same_way_after_an_insertion() -> None:
    data = random_bytes(3, 4_000_000)
    before = set(digests(list(split(Bytes(data), []))))
    after = digests(list(split(Bytes(data[:1_000_000] + b"a line more" + data[1_000_000:]), [])))
    assert len(set(after) - before) <= 3


def test_a_byte_that_changed_touches_the_chunks_around_it() -> None:
    data = bytearray(random_bytes(4, 4_000_000))
    before = digests(list(split(Bytes(bytes(data)), [])))
    data[2_000_000] ^= 1
    after = digests(list(split(Bytes(bytes(data)), [])))
    assert 1 <= len(set(after) - set(before)) <= 3


def test_a_tensor_above_16_mib_is_cut_at_fixed_places_inside_it() -> None:
    tensor = TensorRange("w", 1000, (33 << 20) + 2, 2)
    assert [(part.number, part.offset, part.size_bytes) for part in tensor_parts([tensor])] == [
        (0, 1000, 16 << 20),
        (1, 1000 + (16 << 20), 16 << 20),
        (2, 1000 + (32 << 20), (1 << 20) + 2),
    ]


def test_the_few_bytes_before_a_tensor_travel_with_it_while_both_fit() -> None:
    near, far = TensorRange("a", 4096, 20_000, 2), TensorRange("b", 24_096 + 4097, 20_000, 2)
    assert [(part.offset, part.size_bytes) for part in tensor_parts([near, far])] == [(0, 24_096), (28_193, 20_000)]
    full = TensorRange("c", 10, (16 << 20) - 10, 2)
    assert [(part.offset, part.size_bytes) for part in tensor_parts([full])] == [(0, 16 << 20)]
    over = TensorRange("d", 11, (16 << 20) - 10, 2)
    assert [(part.offset, part.size_bytes) for part in tensor_parts([over])] == [(11, (16 << 20) - 10)]


def test_a_file_that_ends_early_is_an_error_and_no_short_piece() -> None:
    reader = Bytes(random_bytes(5, 100_000))
    reader.size_bytes = 200_000
    with pytest.raises(EOFError, match="changed while it was read"):
        list(split(reader, []))


def graph(path: Path, *, external: bool = False) -> dict[str, bytes]:
    """An ONNX file with two initializers and a constant, all large enough; their bytes by name."""
    rng = np.random.default_rng(6)
    arrays = {
        "half": rng.standard_normal(20_000).astype(np.float16),
        "single": rng.standard_normal((100, 120)).astype(np.float32),
        "inline": rng.integers(-128, 127, 30_000).astype(np.int8),
        "small": np.zeros(7, np.float32),
    }
    held = {name: numpy_helper.from_array(array, name) for name, array in arrays.items()}
    nodes = [
        helper.make_node("Constant", [], ["inline_out"], value=held["inline"]),
        helper.make_node("Identity", ["single"], ["y"]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (100, 120))
    kept = [held[name] for name in ("half", "single", "small")]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [output], initializer=kept))
    onnx.save_model(model, str(path), save_as_external_data=external, location="weights.bin", size_threshold=1024)
    return {name: array.tobytes() for name, array in arrays.items() if array.nbytes >= MIN_TENSOR_BYTES}


def test_tensors_of_an_onnx_file_are_where_onnx_put_them(tmp_path: Path) -> None:
    expected = graph(tmp_path / "model.onnx")
    data = (tmp_path / "model.onnx").read_bytes()
    found = find_tensors({"model.onnx": len(data)}, lambda path: FileReader(tmp_path / path))
    ranges = found["model.onnx"]
    assert {r.name: data[r.offset : r.offset + r.size_bytes] for r in ranges} == expected
    assert {r.name: r.element_bytes for r in ranges} == {"half": 2, "single": 4, "inline": 1}


def test_tensors_in_a_file_beside_are_found_through_the_graph(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    expected = graph(tmp_path / "graphs" / "model.onnx", external=True)
    sizes = {f"graphs/{name}": (tmp_path / "graphs" / name).stat().st_size for name in ("model.onnx", "weights.bin")}
    found = find_tensors(sizes, lambda path: FileReader(tmp_path / path))
    data = (tmp_path / "graphs" / "weights.bin").read_bytes()
    assert {r.name: data[r.offset : r.offset + r.size_bytes] for r in found["graphs/weights.bin"]} == {
        name: expected[name] for name in ("half", "single")
    }
    assert [r.name for r in found["graphs/model.onnx"]] == ["inline"]


def test_tensors_of_a_safetensors_file_are_where_safetensors_put_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    arrays = {
        "a": rng.standard_normal(20_000).astype(np.float16),
        "b": rng.standard_normal(10_000).astype(np.float64),
        "c": rng.integers(0, 255, 50_000).astype(np.uint8),
        "small": np.zeros(3, np.float32),
    }
    save_file(arrays, tmp_path / "w.safetensors", metadata={"format": "np"})
    data = (tmp_path / "w.safetensors").read_bytes()
    ranges = find_tensors({"w.safetensors": len(data)}, lambda path: FileReader(tmp_path / path))["w.safetensors"]
    assert {r.name: data[r.offset : r.offset + r.size_bytes] for r in ranges} == {
        name: arrays[name].tobytes() for name in "abc"
    }
    assert {r.name: r.element_bytes for r in ranges} == {"a": 2, "b": 4, "c": 1}


def test_every_large_initializer_of_the_shipped_graphs_is_found() -> None:
    for name in ("encode.onnx", "denoise.onnx"):
        data = (SIM_BUNDLE / name).read_bytes()
        ranges = find_tensors({name: len(data)}, lambda path: FileReader(SIM_BUNDLE / path))[name]
        found = {r.name: data[r.offset : r.offset + r.size_bytes] for r in ranges}
        for tensor in onnx.load(str(SIM_BUNDLE / name)).graph.initializer:
            if len(tensor.raw_data) >= MIN_TENSOR_BYTES:
                assert found[tensor.name] == tensor.raw_data


@pytest.fixture(scope="module")
def onnx_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    graph(path)
    return path.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_broken_onnx_file_has_harmless_tensors_or_none(onnx_bytes: bytes, data: st.DataObject) -> None:
    broken = bytearray(onnx_bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1) | st.integers(0, 200))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(broken)))
    reader = Bytes(bytes(broken[:end]), at_once=data.draw(st.integers(1, 9)) * 1000)
    inside, _ = onnx_ranges(reader)
    pieces = list(split(reader, usable(inside, end)))
    assert b"".join(piece.data for piece in pieces) == bytes(broken[:end])


@given(data=st.binary(max_size=300))
def test_noise_is_no_onnx_and_no_safetensors_file(data: bytes) -> None:
    for ranges in (onnx_ranges(Bytes(data))[0], safetensors_ranges(Bytes(data))):
        assert usable(ranges, len(data)) == []


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"a":1}',
        b'{"a":{"dtype":"F16","data_offsets":[0]}}',
        b'{"a":{"dtype":16,"data_offsets":[0,20000]}}',
        b'{"a":{"dtype":"F16","data_offsets":[20000,0]}}',
        b'{"a":{"dtype":"F16","data_offsets":[-20000,0]}}',
        b'{"a":{"dtype":"F16","data_offsets":[0,1e99]}}',
        b'{"a":{"dtype":"F16","data_offsets":[0,99999999999999999999999]}}',
        b"[" * 10_000,
    ],
)
def test_a_safetensors_header_that_lies_has_no_tensors(header: bytes) -> None:
    data = len(header).to_bytes(8, "little") + header + bytes(30_000)
    assert usable(safetensors_ranges(Bytes(data)), len(data)) == []


def test_tensors_that_overlap_are_not_both_taken() -> None:
    first, second = TensorRange("a", 0, 30_000, 1), TensorRange("b", 20_000, 30_000, 1)
    assert usable([second, first], 100_000) == [first]
