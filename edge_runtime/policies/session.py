"""The session seam: one graph, named tensors in, named tensors out. ONNX Runtime is the implementation of every CPU.

Guarantees: every session of robot, exporter, benchmarks and tests is made here, so all of them compute the same; and
products of integers are exact in it, whatever the processor (ADR 24).
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge_runtime.contracts.errors import EngineError
from edge_runtime.policies.exactness import require_runnable
from edge_runtime.policies.graph_file import product_of_integers, read_graph
from edge_runtime.policies.processor import threads_for

Tensors = dict[str, NDArray[Any]]

CPU_PROVIDER = "CPUExecutionProvider"
VERSION = str(onnxruntime.__version__)
"""Of ONNX Runtime."""

_PROBE_DEPTH, _PROBE_COLUMNS = 64, 16
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_WORDS_MAX = 2000
_RELEASE = tuple(int(part) for part in re.findall(r"\d+", VERSION)[:2])
_BEARS_NO_ZERO_POINT = (1, 30)
_VERSION_MAX = 200


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


@dataclass(frozen=True)
class Weights:
    """Files with the weights of a graph, which was verified with them: by name, as the graph has them, in `folder`."""

    folder: Path
    files: tuple[str, ...]


class OrtSession:
    """A graph in ONNX Runtime.

    Args:
        name: what errors call it.
        model: the serialised graph, whole: one that wants files beside it, which nobody verified, is refused.
        weights: the files that it may want. They are mapped into memory and not read.
        threads: threads inside one operator, the calling one among them; no more than there are processors for.
        provider: where it must run. ONNX Runtime falls back to the CPU with no more than a log line; this refuses.
        optimized: the graph is what `optimize` made of one, on this machine: it is run as it is.

    Raises:
        EngineError: not a graph, a provider that is not really there, or a shape that is not static.
    """

    def __init__(
        self,
        name: str,
        model: bytes,
        *,
        threads: int,
        provider: str = CPU_PROVIDER,
        optimized: bool = False,
        weights: Weights | None = None,
    ) -> None:
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise EngineError(f"{name}: {provider} is not part of this ONNX Runtime, which has {', '.join(available)}")
        options = _options(settings(provider))
        self.threads = options.intra_op_num_threads = threads_for(threads)
        if optimized:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        else:
            _require_runnable(name, model, () if weights is None else weights.files)
        if weights is not None:
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(weights.folder.resolve()))
        self._session = _start(name, model, options, provider)
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
            raise EngineError(f"{self.name}: {_words(error)}") from error
        return dict(zip(self._output_names, values, strict=True))


def optimize(name: str, model: bytes) -> bytes:
    """The graph as `OrtSession` would run it on this machine's CPU, for `optimized`: what there is to find, found.

    Raises:
        EngineError: not a graph, or larger than a graph of one file can be.
    """
    _require_runnable(name, model)
    options = _options(settings(CPU_PROVIDER))
    descriptor = os.memfd_create("optimized")
    try:
        # The library writes to a path, and not every process here may write to a disk.
        options.optimized_model_filepath = f"/proc/self/fd/{descriptor}"
        _start(name, model, options, CPU_PROVIDER)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            return file.read()
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Settings:
    """All that a session is told besides its graph and its threads: `attributes` and `entries` of its options."""

    provider: str
    attributes: Mapping[str, Any]
    entries: Mapping[str, str]

    @property
    def flags(self) -> tuple[str, ...]:
        """Each as ``name=value``: what an engine was made under."""
        told = {"provider": self.provider, **self.attributes, **self.entries}
        return tuple(f"{name}={getattr(value, 'name', value)}" for name, value in told.items())


def settings(provider: str = CPU_PROVIDER) -> Settings:
    """What every session on `provider` is told on this machine."""
    entries = {
        # A graph given as bytes may still name files, which would be looked for in the current folder.
        _WEIGHTS_FOLDER: os.devnull,
        # Two sessions whose idle threads spin take the cores from each other and from the control loop.
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
        **exact_entries(),
    }
    if provider != CPU_PROVIDER:
        entries["session.disable_cpu_ep_fallback"] = "1"
    return Settings(
        provider=provider,
        attributes={
            "graph_optimization_level": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
            "execution_mode": onnxruntime.ExecutionMode.ORT_SEQUENTIAL,
            "inter_op_num_threads": 1,
            "log_severity_level": 3,
        },
        entries=entries,
    )


def exact_entries() -> dict[str, str]:
    """What makes products of integers the same on every processor."""
    return {
        # INT8 weights become UINT8 when the graph is optimised. UINT8 products are exact on every x86-64, and slower
        # where VNNI instructions make those of INT8 exact too.
        "session.x64quantprecision": "1" if int8_saturates() else "0",
        # Weights of 4 and 8 bits in blocks are multiplied in floating point: by default their activations are
        # quantized behind the exporter's back, and how is each processor's own.
        "session.qdq_matmulnbits_accuracy_level": "1",
        # Arm's own kernels take another range of each row where the graph has one range of the whole tensor.
        "mlas.disable_kleidiai": "1",
    }


@lru_cache(maxsize=1)
def int8_saturates() -> bool:
    """Whether ONNX Runtime's product of UINT8 and INT8 loses what is above 16 bits on this processor: it multiplies.

    On x86-64 without VNNI two products are added in 16 bits, saturating: 255 * 127 + 255 * 127 = 32767. Asked of the
    library itself, because which of its kernels it takes where is its own and changes between its versions.
    """
    session = _start("products of integers", product_of_integers(), _silent(), CPU_PROVIDER)
    for rows in (1, 8):  # a product with one row has a kernel of its own
        for weight in (127, -128):
            a = np.full((rows, _PROBE_DEPTH), 255, np.uint8)
            b = np.full((_PROBE_DEPTH, _PROBE_COLUMNS), weight, np.int8)
            (product,) = session.run(None, {"a": a, "b": b})
            if (product != 255 * weight * _PROBE_DEPTH).any():
                return True
    return False


def _require_runnable(name: str, model: bytes, vouched: Collection[str] = ()) -> None:
    require_runnable(
        name,
        read_graph(name, model),
        lowest_is_exact=platform.machine() == "x86_64",
        zero_point_is_needed=_RELEASE < _BEARS_NO_ZERO_POINT and int8_saturates(),
        vouched=vouched,
    )


def _options(settings: Settings) -> Any:
    options = onnxruntime.SessionOptions()
    for name, value in settings.attributes.items():
        setattr(options, name, value)
    for name, value in settings.entries.items():
        options.add_session_config_entry(name, value)
    return options


def _start(name: str, model: bytes, options: Any, provider: str) -> Any:
    try:
        return onnxruntime.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # the library's errors share no base but this
        raise EngineError(_why(name, model, provider, error)) from error


def _why(name: str, model: bytes, provider: str, error: Exception) -> str:
    """What a person has to know of a graph that ONNX Runtime does not load."""
    file = read_graph(name, model)
    library = f"ONNX Runtime {VERSION}"
    newest = _newest(lambda version: product_of_integers(ir_version=version), file.ir_version)
    if newest is not None:
        return (
            f"{name} is written in ONNX IR version {file.ir_version}, and {library} reads {newest} at most. Save it "
            f"with ir_version {newest}, or install a newer onnxruntime"
        )
    newest = _newest(lambda version: product_of_integers(opset=version), file.opsets.get("", 0))
    if newest is not None:
        return (
            f"{name} is written in ONNX opset {file.opsets['']}, and {library} reads {newest} at most. Export it with "
            f"opset {newest} or lower, or install a newer onnxruntime"
        )
    return (
        f"{name} can't be loaded by {library} on {provider}: {_words(error)}. Export it with operators and types that "
        "this version has, or install the one that it was exported with"
    )


def _newest(write: Callable[[int], bytes], version: int) -> int | None:
    """The newest version that the library reads, asked with a graph that is well in each; None if it reads this one."""
    if version < 1 or _loads(write(version)):
        return None
    return next((older for older in range(min(version, _VERSION_MAX), 0, -1) if _loads(write(older))), None)


def _loads(model: bytes) -> bool:
    try:
        onnxruntime.InferenceSession(model, _silent(), providers=[CPU_PROVIDER])
    except Exception:  # the library's errors share no base but this
        return False
    return True


def _silent() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
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


def _words(error: Exception) -> str:
    """What the library says, without its own name and the places in its source."""
    words = " ".join(str(error).split()) or type(error).__name__
    words = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", words)
    return re.sub(r"/\S+\.(?:cc|h):\d+ .*?\) ", "", words)[:_WORDS_MAX].rstrip(". ")
