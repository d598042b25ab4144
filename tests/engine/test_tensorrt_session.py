"""TensorRT for real, `pytest -m gpu`: needs an NVIDIA GPU, TensorRT and cuda-python. Elsewhere these are left out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_runtime.bundles.engine_cache import TIMINGS_NAME, EngineCache
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import EngineError
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.engines import Engines
from edge_runtime.engine.golden import check
from edge_runtime.engine.tensorrt_session import TensorRtBackend
from edge_runtime.policies.session import OrtSession, Session

pytestmark = pytest.mark.gpu

BundleWriter = Callable[..., Path]


@pytest.fixture(scope="module")
def backend() -> TensorRtBackend:
    return TensorRtBackend()


def graph(operator: str = "MatMul", *, size: int | str = 64, kind: int = TensorProto.FLOAT) -> bytes:
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["product"]), helper.make_node("Tanh", ["product"], ["bounded"])],
        "graph",
        [value(name, kind, [size, size]) for name in ("a", "b")],
        [value(name, kind, [size, size]) for name in ("product", "bounded")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def quiet(_: str) -> None:
    pass


def tensors(dtype: type = np.float32) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(1)
    return {name: numbers.standard_normal((64, 64)).astype(dtype) for name in ("a", "b")}


@pytest.fixture(scope="module")
def session(backend: TensorRtBackend) -> Session:
    return backend.load("graph", backend.build("graph", graph(), None, quiet), 1)


def test_it_answers_as_onnx_runtime_does(session: Session) -> None:
    reference = OrtSession("graph", graph(), threads=1)
    assert (session.inputs, session.outputs) == (reference.inputs, reference.outputs)
    for _ in range(3):
        fed = tensors()
        expected, answered = reference.run(fed), session.run(fed)
        for name in expected:
            # TensorFloat-32 keeps 10 bits of each factor.
            np.testing.assert_allclose(answered[name], expected[name], rtol=1e-2, atol=0.05)


def test_half_precision_stays_half(backend: TensorRtBackend) -> None:
    model = graph(kind=TensorProto.FLOAT16)
    session = backend.load("half", backend.build("half", model, None, quiet), 1)
    fed = tensors(np.float16)
    assert session.outputs["product"].dtype == np.float16
    np.testing.assert_allclose(
        session.run(fed)["product"], fed["a"].astype(np.float32) @ fed["b"].astype(np.float32), rtol=1e-2, atol=0.1
    )


def test_answers_belong_to_the_caller_and_what_is_fed_is_not_altered(session: Session) -> None:
    fed = tensors()
    kept = {name: array.copy() for name, array in fed.items()}
    first = session.run(fed)
    before = first["product"].copy()
    session.run({name: -2.0 * array for name, array in fed.items()})
    np.testing.assert_array_equal(first["product"], before)
    for name, array in kept.items():
        np.testing.assert_array_equal(fed[name], array)


def test_transposed_arrays_are_fed_as_they_read(session: Session) -> None:
    fed = tensors()
    turned = {name: np.asfortranarray(array) for name, array in fed.items()}
    np.testing.assert_array_equal(session.run(turned)["product"], session.run(fed)["product"])


@pytest.mark.parametrize(
    "change",
    [
        lambda fed: fed.pop("a"),
        lambda fed: fed.update(c=fed["a"]),
        lambda fed: fed.update(a=fed["a"][:32]),
        lambda fed: fed.update(a=fed["a"].astype(np.float64)),
    ],
    ids=["missing", "too-many", "shape", "type"],
)
def test_wrong_tensors_are_an_engine_error(session: Session, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    fed = tensors()
    change(fed)
    with pytest.raises(EngineError, match="graph"):
        session.run(fed)


@pytest.mark.parametrize(
    "model",
    [b"", b"not a graph", graph("NoSuchOperator"), graph(size="n")],
    ids=["empty", "garbage", "unknown operator", "dynamic"],
)
def test_what_cannot_be_built_is_refused_by_name(backend: TensorRtBackend, model: bytes) -> None:
    with pytest.raises(EngineError, match="broken"):
        backend.build("broken", model, None, quiet)


def test_a_graph_cannot_pull_in_a_file_that_nobody_verified(
    backend: TensorRtBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = helper.make_graph(
        [helper.make_node("Add", ["a", "w"], ["sum"])],
        "outside",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [300])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [300])],
        [onnx.numpy_helper.from_array(np.ones(300, np.float32), "w")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = tmp_path / "outside.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match="outside"):
        backend.build("outside", path.read_bytes(), None, quiet)


def test_what_is_no_engine_is_refused_by_name(backend: TensorRtBackend) -> None:
    with pytest.raises(EngineError, match="broken"):
        backend.load("broken", b"no engine", 1)


def test_the_builder_says_how_far_it_is_and_keeps_what_it_measured(backend: TensorRtBackend, tmp_path: Path) -> None:
    said: list[str] = []
    cache = EngineCache(tmp_path)
    backend.build("graph", graph(), cache, said.append)
    assert any(line.startswith("graph: ") for line in said)
    assert len(list((tmp_path / TIMINGS_NAME).iterdir())) == 1
    backend.build("graph", graph(), cache, quiet)


def test_a_session_made_on_one_thread_runs_on_another(session: Session) -> None:
    fed = tensors()
    answers: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: answers.append(session.run(fed)["product"]))
    thread.start()
    thread.join(60.0)
    np.testing.assert_array_equal(answers[0], session.run(fed)["product"])


def test_a_policy_runs_on_engines_that_were_built_once(
    backend: TensorRtBackend, write_bundle: BundleWriter, embodiment: Embodiment, tmp_path: Path
) -> None:
    folder = write_bundle()
    engines = Engines(backend, EngineCache(tmp_path / "engines"))
    first = BundlePolicy.load(folder, embodiment, threads=1, engines=engines)
    assert engines.build(first.digest, folder, "encode.onnx", quiet).reused
    assert check(folder, embodiment, threads=1, engines=engines).verdict == "no_data"
