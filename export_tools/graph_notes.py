"""What an exporter writes into a graph for people: stack traces with the paths of its machine, scopes, comments.

Nothing that runs the graph reads it, and it says more about who exported the graph than the robot has to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx

_FIELDS = ("doc_string", "metadata_props")


def strip_notes(path: Path) -> None:
    """Rewrite the graph at `path` without metadata and doc strings; nodes, names and weights stay as they are."""
    model = onnx.load(str(path), load_external_data=False)
    for part in _parts(model):
        for field in _FIELDS:
            if field in part.DESCRIPTOR.fields_by_name:
                part.ClearField(field)
    onnx.save_model(model, str(path))


def notes_in(path: Path) -> list[str]:
    """Every doc string and every value of metadata in the graph at `path`."""
    found: list[str] = []
    for part in _parts(onnx.load(str(path), load_external_data=False)):
        found += [part.doc_string] if part.doc_string else []
        found += [entry.value for entry in getattr(part, "metadata_props", ())]
    return found


def _parts(model: onnx.ModelProto) -> Iterator[Any]:
    """Everything in `model` that can carry notes."""
    yield model
    yield from _in_graph(model.graph)
    for function in model.functions:
        yield from (function, *function.value_info)
        yield from _in_nodes(function.node)


def _in_graph(graph: onnx.GraphProto) -> Iterator[Any]:
    yield from (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    yield from _in_nodes(graph.node)


def _in_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[Any]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield attribute
            # Touching one that is not there would make it an empty one.
            for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _in_graph(graph)
