"""Sessions for the exporter's own ends: exported graphs, and what graphs are fed, for calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_runtime.contracts.manifest import Graph
from edge_runtime.policies.session import OrtSession, Session, Tensors, TensorSpec, Weights

THREADS = 2


def exported_sessions(folder: Path, graphs: Iterable[Graph]) -> dict[str, Session]:
    """Sessions of the graphs in `folder`, by their paths, as robots run them.

    Raises:
        EngineError: a graph that cannot be run.
    """
    return {graph.path: exported_session(folder, graph) for graph in graphs}


def exported_session(folder: Path, graph: Graph) -> Session:
    """A session of one graph in `folder`, as robots run it.

    Raises:
        EngineError: it cannot be run.
    """
    return OrtSession(
        graph.path,
        (folder / graph.path).read_bytes(),
        threads=THREADS,
        weights=Weights(folder, graph.external_data) if graph.external_data else None,
    )


class RecordedSession:
    """A session that keeps what it is fed.

    Attributes:
        feeds: the tensors of each run, in order.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs: Mapping[str, TensorSpec] = session.inputs
        self.outputs: Mapping[str, TensorSpec] = session.outputs
        self.feeds: list[dict[str, NDArray[Any]]] = []

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        """See `Session.run`."""
        self.feeds.append({name: value.copy() for name, value in tensors.items()})
        return self._session.run(tensors)
