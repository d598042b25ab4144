"""Sessions of a bundle's graphs on this robot's backend: from engines that were built ahead, or built here and now.

Guarantees: an engine is built from the graph that is given, and loaded only under the key it was built for. One that
the cache does not have, or that the backend does not load, is built again; a cache that takes nothing keeps no session
from being made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from edge_runtime.bundles.engine_cache import EngineCache, EngineKey
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.engines import BuiltEngine
from edge_runtime.contracts.errors import EngineError, StorageError
from edge_runtime.engine.tensorrt_session import TensorRtBackend
from edge_runtime.ipc.clock import MonotonicClock
from edge_runtime.policies.processor import describe
from edge_runtime.policies.session import VERSION, OrtSession, Session, Weights, optimize, settings

Say = Callable[[str], None]


class Backend(Protocol):
    """What runs graphs on this robot."""

    name: str
    version: str
    device: str
    driver: str
    flags: tuple[str, ...]

    def build(self, name: str, model: bytes, cache: EngineCache | None, say: Say) -> bytes:
        """The engine of a graph; `say` is told how far it is. `cache` may have measurements from before.

        Raises:
            EngineError: cannot be built here.
        """

    def load(self, name: str, engine: bytes, threads: int) -> Session:
        """A session of what `build` returned.

        Raises:
            EngineError: this is no engine, or not one for this machine.
        """

    def run_as_is(self, name: str, model: bytes, threads: int) -> Session | None:
        """A session of the graph itself; None where there is none without an engine.

        Raises:
            EngineError: no such graph runs here.
        """

    def run_beside(self, name: str, model: bytes, weights: Weights, threads: int) -> Session:
        """A session of a graph whose weights lie in files beside it.

        Raises:
            EngineError: no such graph runs here.
        """


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU. An engine is the graph as its optimiser leaves it, so that loading has less to do."""

    name = "onnxruntime"
    driver = ""

    def __init__(self) -> None:
        self.version = VERSION
        processor = describe()
        self.device = f"{processor.name} {processor.digest}"
        self.flags = settings().flags

    def build(self, name: str, model: bytes, cache: EngineCache | None, say: Say) -> bytes:  # noqa: ARG002
        """See `Backend.build`. There is nothing to measure, and nothing to tell: it takes less than a second."""
        return optimize(name, model)

    def load(self, name: str, engine: bytes, threads: int) -> Session:
        """See `Backend.load`."""
        return OrtSession(name, engine, threads=threads, optimized=True)

    def run_as_is(self, name: str, model: bytes, threads: int) -> Session | None:
        """See `Backend.run_as_is`."""
        return OrtSession(name, model, threads=threads)

    def run_beside(self, name: str, model: bytes, weights: Weights, threads: int) -> Session:
        """See `Backend.run_beside`."""
        return OrtSession(name, model, threads=threads, weights=weights)


class Engines:
    """What makes sessions on one robot. Without `cache` nothing is kept."""

    def __init__(self, backend: Backend | None = None, cache: EngineCache | None = None) -> None:
        self.backend = backend or OnnxRuntimeBackend()
        self._cache = cache

    @classmethod
    def of(cls, config: RobotConfig) -> Engines:
        """As `robot.toml` says.

        Raises:
            EngineError: the backend is not on this machine; says what to install.
        """
        backend: Backend = TensorRtBackend() if config.engine.backend == "tensorrt" else OnnxRuntimeBackend()
        return cls(backend, EngineCache.of(config))

    def key(self, bundle: str, graph: str) -> EngineKey:
        """What the engine of a graph is kept under on this machine."""
        return EngineKey(
            bundle=bundle,
            graph=graph,
            backend=self.backend.name,
            backend_version=self.backend.version,
            device=self.backend.device,
            driver=self.backend.driver,
            flags=self.backend.flags,
        )

    def session(self, bundle: str, folder: Path, graph: str, *, threads: int) -> Session:
        """A session of `graph`, of the verified bundle `bundle` in `folder`. May take minutes, and says so in the log.

        Raises:
            EngineError: it cannot be run here.
        """
        return self.loaded(bundle, folder, graph, threads=threads)[0]

    def loaded(
        self, bundle: str, folder: Path, graph: str, *, threads: int, external_data: tuple[str, ...] = ()
    ) -> tuple[Session, str]:
        """As `session`, with the SHA-256 of the bytes that it really runs: those of an engine, or of the graph.

        Args:
            external_data: files of the verified bundle that hold the graph's weights. They are mapped, and no engine
                is made of such a graph: it would hold them a second time.

        Raises:
            EngineError: it cannot be run here.
        """
        if external_data:
            model = (folder / graph).read_bytes()
            session = self.backend.run_beside(graph, model, Weights(folder, external_data), threads)
            return session, sha256(model).hexdigest()
        built = self._load(bundle, graph, threads)
        if built is not None:
            return built[1], sha256(built[0]).hexdigest()
        model = (folder / graph).read_bytes()
        as_is = self.backend.run_as_is(graph, model, threads)
        if as_is is not None:
            return as_is, sha256(model).hexdigest()
        logging.warning("%s has no engine yet: building it, which takes minutes", graph)
        engine = self.backend.build(graph, model, self._cache, logging.info)
        if self._cache is None:
            logging.warning("%s: without [ota] its engine is not kept, and the next start builds it again", graph)
        else:
            try:
                self._cache.write(self.key(bundle, graph), engine)
            except StorageError as error:
                logging.warning("%s: its engine is not kept: %s", graph, error)
        return self.backend.load(graph, engine, threads), sha256(engine).hexdigest()

    def build(
        self, bundle: str, folder: Path, graph: str, say: Say, external_data: tuple[str, ...] = ()
    ) -> BuiltEngine:
        """Have an engine of `graph`, of the verified bundle `bundle` in `folder`, in the cache, one that loads.

        Of a graph with `external_data` there is none to be had, see `loaded`: it is looked whether it runs.

        Raises:
            EngineError: it cannot be built here, or there is no cache.
            StorageError: it is not kept.
        """
        if self._cache is None:
            raise EngineError("there is nowhere to keep engines: robot.toml has no section [ota]")
        if external_data:
            self.loaded(bundle, folder, graph, threads=1, external_data=external_data)
            return BuiltEngine(graph=graph, size_bytes=(folder / graph).stat().st_size, reused=True, seconds=0.0)
        found = self._load(bundle, graph, threads=1)
        if found is not None:
            return BuiltEngine(graph=graph, size_bytes=len(found[0]), reused=True, seconds=0.0)
        clock = MonotonicClock()
        started_ns = clock.now_ns()
        engine = self.backend.build(graph, (folder / graph).read_bytes(), self._cache, say)
        self.backend.load(graph, engine, threads=1)
        self._cache.write(self.key(bundle, graph), engine)
        seconds = (clock.now_ns() - started_ns) / 1e9
        return BuiltEngine(graph=graph, size_bytes=len(engine), reused=False, seconds=seconds)

    def _load(self, bundle: str, graph: str, threads: int) -> tuple[bytes, Session] | None:
        engine = None if self._cache is None else self._cache.read(self.key(bundle, graph))
        if engine is None:
            return None
        try:
            return engine, self.backend.load(graph, engine, threads)
        except EngineError as error:
            logging.warning("an engine that does not load is built again: %s", error)
            return None
