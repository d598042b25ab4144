"""The session seam: one graph, named tensors in, named tensors out. ONNX Runtime is the implementation of every CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contracts.errors import EngineError

Tensors = dict[str, NDArray[Any]]

CPU_PROVIDER = "CPUExecutionProvider"


@dataclass(frozen=True)
class TensorSpec:
    """Element type and shape of one tensor of a graph; all shapes are static."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Session(Protocol):
    """One graph, ready to run."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        """Run the graph once.

        Args:
            tensors: all `inputs`, by name. Not altered and not kept.

        Returns:
            all `outputs`, by name, owned by the caller.

        Raises:
            EngineError: the graph does not take these tensors, or failed.
        """


class OrtSession:
    """A graph in ONNX Runtime.

    Args:
        name: what errors call it.
        model: the serialised graph, whole: one that wants files beside it, which nobody verified, is refused.
        threads: threads inside one operator; the calling one is among them.
        provider: where it must run. ONNX Runtime falls back to the CPU with no more than a log line; this refuses.
        optimized: the graph is what `optimize` made of one, on this machine: it is run as it is.

    Raises:
        EngineError: not a graph, a provider that is not really there, or a shape that is not static.
    """

    def __init__(
        self, name: str, model: bytes, *, threads: int, provider: str = CPU_PROVIDER, optimized: bool = False
    ) -> None:
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise EngineError(f"{name}: {provider} is not part of this ONNX Runtime, which has {', '.join(available)}")
        options = _options(provider)
        options.intra_op_num_threads = threads
        if optimized:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
        except Exception as error:  # the library's errors share no base but this
            raise EngineError(f"{name} on {provider}: {_first_line(error)}") from error
        active = self._session.get_providers()
        if active[0] != provider:
            raise EngineError(f"{name}: asked for {provider}, ONNX Runtime would use {', '.join(active)}")
        self.name = name
        self.inputs: Mapping[str, TensorSpec] = {node.name: _spec_of(name, node) for node in self._session.get_inputs()}
        self.outputs: Mapping[str, TensorSpec] = {
            node.name: _spec_of(name, node) for node in self._session.get_outputs()
        }
        self._output_names = list(self.outputs)

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        """See `Session.run`."""
        try:
            values = self._session.run(self._output_names, tensors)
        except Exception as error:  # the library's errors share no base but this
            raise EngineError(f"{self.name}: {_first_line(error)}") from error
        return dict(zip(self._output_names, values, strict=True))


def optimize(name: str, model: bytes) -> bytes:
    """The graph as `OrtSession` would run it on this machine's CPU, for `optimized`: what there is to find, found.

    Raises:
        EngineError: not a graph, or larger than a graph of one file can be.
    """
    options = _options(CPU_PROVIDER)
    descriptor = os.memfd_create("optimized")
    try:
        # The library writes to a path, and not every process here may write to a disk.
        options.optimized_model_filepath = f"/proc/self/fd/{descriptor}"
        try:
            onnxruntime.InferenceSession(model, options, providers=[CPU_PROVIDER])
        except Exception as error:  # the library's errors share no base but this
            raise EngineError(f"{name}: {_first_line(error)}") from error
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            return file.read()
    finally:
        os.close(descriptor)


def _options(provider: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    # A graph given as bytes may still name files, which would be looked for in the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Two sessions whose idle threads spin take the cores from each other and from the control loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if provider != CPU_PROVIDER:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(bool)": np.dtype(np.bool_),
}


def _spec_of(name: str, node: Any) -> TensorSpec:
    if node.type not in _DTYPES:
        raise EngineError(f"{name}: tensor {node.name} is of type {node.type}, which this software does not feed")
    if not all(isinstance(size, int) for size in node.shape):
        raise EngineError(f"{name}: tensor {node.name} has no static shape: {node.shape}")
    return TensorSpec(_DTYPES[node.type], tuple(node.shape))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
