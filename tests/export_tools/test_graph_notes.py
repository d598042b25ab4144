"""Notes for people leave a graph, wherever they stand in it, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from export_tools.graph_notes import notes_in, strip_notes


def _branch(value: float) -> onnx.GraphProto:
    made = helper.make_tensor("one", TensorProto.FLOAT, (1,), [value])
    node = helper.make_node("Constant", [], ["out"], value=made)
    node.metadata_props.add(key="trace", value="deep.py")
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, (1,))])


def _noted() -> onnx.ModelProto:
    branches = {"then_branch": _branch(1.0), "else_branch": _branch(2.0)}
    node = helper.make_node("If", ["which"], ["y"], doc_string="said", **branches)
    node.metadata_props.add(key="trace", value="model.py")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("which", TensorProto.BOOL, ())],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1,), doc_string="out")],
        doc_string="graph",
    )
    graph.metadata_props.add(key="signature", value="signature")
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, doc_string="model")
    made.metadata_props.add(key="infer", value="tool")
    return made


def test_notes_go_from_every_part_and_what_runs_stays(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    noted = _noted()
    onnx.save(noted, str(path))
    assert sorted(notes_in(path)) == sorted(
        ["model", "tool", "graph", "signature", "out", "said", "model.py", "deep.py", "deep.py"]
    )
    strip_notes(path)
    assert notes_in(path) == []
    bare = onnx.load(str(path))
    onnx.checker.check_model(bare, full_check=True)
    assert [a.g.node[0].attribute[0].t.float_data[0] for a in bare.graph.node[0].attribute] == [2.0, 1.0]
    once = path.read_bytes()
    strip_notes(path)
    assert path.read_bytes() == once
