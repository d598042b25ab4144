"""Graphs in TensorRT: engines built on this robot's own GPU, and sessions of them. For TensorRT 10.3 to 11.

Guarantees: a graph runs in the precision that it is written in, which is what was compared with the trained policy: the
network is strongly typed, and the builder chooses how, never what. Tensors whose type or shape the engine does not have
never reach the device. Refuses machines without the libraries, naming what to install. Trusts engines as code: they
must be of this robot's own making, see `edge_runtime.bundles.engine_cache`.
"""

from __future__ import annotations

import importlib
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundles.engine_cache import TIMINGS_NAME, EngineCache, EngineKey
from edge_runtime.contracts.errors import EngineError, StorageError
from edge_runtime.contracts.installation import explain
from edge_runtime.gpu import find_gpu
from edge_runtime.policies.session import Session, Tensors, TensorSpec, Weights

WORKSPACE_BYTES = 1 << 30
"""Scratch memory of one layer at most. Without a bound it is all there is, which a Jetson shares with everything."""

OPTIMIZATION_LEVEL = 3

# A graph given as bytes may still name files, which would be looked for beside this: there is no such place.
_NOWHERE = "/dev/null/graph.onnx"
_DEVICE = 0

Say = Callable[[str], None]


class TensorRtBackend:
    """See `edge_runtime.engine.engines.Backend`.

    Raises:
        EngineError: no GPU, or a library that is missing; says what to install.
    """

    name = "tensorrt"
    flags: tuple[str, ...] = (f"level={OPTIMIZATION_LEVEL}", "strongly_typed=1", f"workspace_bytes={WORKSPACE_BYTES}")

    def __init__(self) -> None:
        self._trt = _library("tensorrt")
        self._cuda = _Cuda(_library("cuda.bindings.runtime"))
        gpu = find_gpu()
        if gpu is None:
            raise EngineError("tensorrt: no NVIDIA GPU answers on this machine")
        self.version = str(self._trt.__version__)
        self.device = f"{gpu.architecture} {gpu.name}"
        self.driver = f"cuda={gpu.cuda} {gpu.driver}".strip()
        self._problems: deque[str] = deque(maxlen=4)
        self._logger = _logger(self._trt, self._problems)

    def build(self, name: str, model: bytes, cache: EngineCache | None, say: Say) -> bytes:
        """See `Backend.build`. What the builder measures is kept in `cache`: the next build of such layers is short."""
        trt = self._trt
        self._cuda.use_device(name)
        self._problems.clear()
        builder = trt.Builder(self._logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(model, _NOWHERE):
            faults = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
            raise EngineError(f"{name}: TensorRT cannot read the graph: {faults[:600]}")
        for tensor in (network.get_input(i) for i in range(network.num_inputs)):
            if any(size < 0 for size in tensor.shape):
                raise EngineError(f"{name}: tensor {tensor.name} has no static shape: {tuple(tensor.shape)}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        config.builder_optimization_level = OPTIMIZATION_LEVEL
        # Config and builder know of the monitor but do not own it.
        monitor = _progress(trt, name, say)
        config.progress_monitor = monitor
        timings_key = self._timings_key()
        known = None if cache is None else cache.read(timings_key)
        timings = config.create_timing_cache(known or b"")
        config.set_timing_cache(timings, False)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EngineError(f"{name}: TensorRT cannot build an engine: {self._last_words()}")
        if cache is not None:
            try:
                cache.write(timings_key, bytes(timings.serialize()))
            except StorageError as error:
                say(f"{name}: measurements are not kept: {error}")
        return bytes(engine)

    def load(self, name: str, engine: bytes, threads: int) -> Session:  # noqa: ARG002 (a GPU has its own)
        """See `Backend.load`."""
        self._cuda.use_device(name)
        self._problems.clear()
        runtime = self._trt.Runtime(self._logger)
        loaded = runtime.deserialize_cuda_engine(engine)
        context = None if loaded is None else loaded.create_execution_context()
        if context is None:
            raise EngineError(f"{name}: TensorRT does not take this engine: {self._last_words()}")
        return TensorRtSession(name, self._trt, self._cuda, (runtime, loaded, context))

    def run_as_is(self, name: str, model: bytes, threads: int) -> Session | None:  # noqa: ARG002
        """See `Backend.run_as_is`: no graph runs without an engine."""
        return None

    def run_beside(self, name: str, model: bytes, weights: Weights, threads: int) -> Session:  # noqa: ARG002
        """See `Backend.run_beside`. An engine is made of one file."""
        raise EngineError(
            f"{name} keeps its weights in {', '.join(weights.files)}: for TensorRT a graph has to be one file. Save it "
            "with onnx.save_model(model, path, save_as_external_data=False), or use the backend onnxruntime"
        )

    def _timings_key(self) -> EngineKey:
        return EngineKey(
            bundle=TIMINGS_NAME,
            graph=TIMINGS_NAME,
            backend=self.name,
            backend_version=self.version,
            device=self.device,
            driver=self.driver,
        )

    def _last_words(self) -> str:
        return "; ".join(self._problems)[:600] or "it does not say why"


class TensorRtSession:
    """One engine with a stream and device memory of its own. Made by `TensorRtBackend.load`.

    Args:
        parts: runtime, engine and execution context, which must live as long as this does.
    """

    def __init__(self, name: str, trt: Any, cuda: _Cuda, parts: tuple[Any, Any, Any]) -> None:
        _, engine, self._context = parts
        self._parts, self._cuda = parts, cuda
        self.name = name
        inputs: dict[str, TensorSpec] = {}
        outputs: dict[str, TensorSpec] = {}
        for tensor in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
            is_input = engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT
            (inputs if is_input else outputs)[tensor] = _spec_of(trt, engine, name, tensor)
        self.inputs: Mapping[str, TensorSpec] = inputs
        self.outputs: Mapping[str, TensorSpec] = outputs
        self._stream = cuda.open_stream(name)
        self._addresses: dict[str, int] = {}
        weakref.finalize(self, cuda.release, self._addresses, self._stream)
        for tensor, spec in (inputs | outputs).items():
            self._addresses[tensor] = cuda.allocate(name, spec.dtype.itemsize * int(np.prod(spec.shape)))
            if not self._context.set_tensor_address(tensor, self._addresses[tensor]):
                raise EngineError(f"{name}: TensorRT does not take an address for tensor {tensor}")

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        """See `Session.run`."""
        if tensors.keys() != self.inputs.keys():
            raise EngineError(f"{self.name}: takes {sorted(self.inputs)}, got {sorted(tensors)}")
        fed: list[NDArray[Any]] = []  # the device reads them until the stream is done
        for tensor, spec in self.inputs.items():
            array = tensors[tensor]
            if TensorSpec(array.dtype, array.shape) != spec:
                raise EngineError(f"{self.name}: tensor {tensor} is {spec}, got {array.dtype}{array.shape}")
            fed.append(np.ascontiguousarray(array))
            self._cuda.upload(self.name, self._addresses[tensor], fed[-1], self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(f"{self.name}: TensorRT did not run the engine")
        results = {tensor: np.empty(spec.shape, spec.dtype) for tensor, spec in self.outputs.items()}
        for tensor, array in results.items():
            self._cuda.download(self.name, array, self._addresses[tensor], self._stream)
        self._cuda.wait(self.name, self._stream)
        return results


class _Cuda:
    """The few calls of the CUDA runtime that are needed; what fails is an `EngineError` after the name of the graph.

    The runtime's own context of the device is used, which every thread of the process shares.
    """

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def use_device(self, name: str) -> None:
        """Say for the calling thread which GPU it means."""
        self._call(name, self._runtime.cudaSetDevice, _DEVICE)

    def open_stream(self, name: str) -> Any:
        return self._call(name, self._runtime.cudaStreamCreate)

    def allocate(self, name: str, size_bytes: int) -> int:
        return int(self._call(name, self._runtime.cudaMalloc, max(1, size_bytes)))

    def upload(self, name: str, address: int, array: NDArray[Any], stream: Any) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(name, self._runtime.cudaMemcpyAsync, address, array.ctypes.data, array.nbytes, kind, stream)

    def download(self, name: str, array: NDArray[Any], address: int, stream: Any) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(name, self._runtime.cudaMemcpyAsync, array.ctypes.data, address, array.nbytes, kind, stream)

    def wait(self, name: str, stream: Any) -> None:
        self._call(name, self._runtime.cudaStreamSynchronize, stream)

    def release(self, addresses: Mapping[str, int], stream: Any) -> None:
        """Give memory and stream back, as far as there still is a device to give them to."""
        for address in addresses.values():
            self._runtime.cudaFree(address)
        self._runtime.cudaStreamDestroy(stream)

    def _call(self, name: str, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        error, *values = function(*arguments)
        if error != self._runtime.cudaError_t.cudaSuccess:
            raise EngineError(f"{name}: {function.__name__}: {error.name}")
        return values[0] if values else None


def _library(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(f"backend tensorrt: {explain(error, ('jetson',))}") from error


def _spec_of(trt: Any, engine: Any, name: str, tensor: str) -> TensorSpec:
    dtypes = {
        trt.DataType.FLOAT: np.float32,
        trt.DataType.HALF: np.float16,
        trt.DataType.INT32: np.int32,
        trt.DataType.INT64: np.int64,
        trt.DataType.UINT8: np.uint8,
        trt.DataType.INT8: np.int8,
        trt.DataType.BOOL: np.bool_,
    }
    kind, shape = engine.get_tensor_dtype(tensor), tuple(engine.get_tensor_shape(tensor))
    if kind not in dtypes:
        raise EngineError(f"{name}: tensor {tensor} is of type {kind}, which this software does not feed")
    if any(size < 0 for size in shape):
        raise EngineError(f"{name}: tensor {tensor} has no static shape: {shape}")
    return TensorSpec(np.dtype(dtypes[kind]), shape)


def _logger(trt: Any, problems: deque[str]) -> Any:
    """What TensorRT tells of errors, kept for whoever raises: its calls only say that they failed."""
    severity = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, words: str) -> None:
            if level in (severity.ERROR, severity.INTERNAL_ERROR):
                problems.append(words)

    return Logger()


def _progress(trt: Any, name: str, say: Say) -> Any:
    class Progress(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase: str, above: str | None, steps: int) -> None:
            if not above:
                say(f"{name}: {phase}, {steps} steps")

        def step_complete(self, _phase: str, _step: int) -> bool:
            return True

        def phase_finish(self, _phase: str) -> None:
            pass

    return Progress()
