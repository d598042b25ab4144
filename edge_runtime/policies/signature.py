"""Do a bundle's graphs have the tensors that its contract names, and does what one gives fit the next one?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import (
    AsTensor,
    DiffusionDecoder,
    FlowDecoder,
    Graph,
    GraphRole,
    InDecoder,
    Inputs,
    PolicyContract,
    RawPixels,
    RegressionDecoder,
    TokensDecoder,
)
from edge_runtime.policies.session import Session, TensorSpec

Dtypes = tuple[type[np.generic], ...]

FLOATS: Dtypes = (np.float32, np.float16, np.float64)
_INTEGERS: Dtypes = (np.int64, np.int32)
_MASKS: Dtypes = (np.bool_, np.int64, np.int32)

Allowed = tuple[Dtypes, tuple[int, ...]]
"""The element types that are fed, the usual one first, and the shape."""


def require_signature(contract: PolicyContract, sessions: Mapping[str, Session]) -> None:
    """Check the sessions of the contract's graphs, by path.

    Raises:
        BundleError: names the first graph and tensor that is not as it has to be.
    """
    pool = dict(_fed(contract))
    given: dict[str, TensorSpec] = {}
    wanted = {tensor for session in sessions.values() for tensor in session.inputs}
    for graph in contract.graphs:
        session, own = sessions[graph.path], {}
        if graph.role is GraphRole.STEP:
            own = dict(_own_inputs(contract))
            for tensor in graph.cache:
                _require(graph, tensor.output, session.outputs.get(tensor.output), session.inputs.get(tensor.input))
        for name, actual in session.inputs.items():
            _require(graph, name, actual, given.get(name) or _expected(actual, {**pool, **own}.get(name)))
        for name, allowed in own.items():
            _require(graph, name, session.inputs.get(name), _expected(session.inputs.get(name), allowed))
        if graph.role is GraphRole.ENCODE:
            given |= session.outputs
    first = contract.graphs[0]
    for name, allowed in pool.items():
        if name not in wanted:
            _require(first, name, None, _expected(None, allowed))
    last = sessions[contract.graphs[-1].path]
    for name, shape in _results(contract):
        _require(contract.graphs[-1], name, last.outputs.get(name), _float_spec(last.outputs.get(name), shape))
    returned = {name for name, _ in _results(contract)} | {c.output for graph in contract.graphs for c in graph.cache}
    for graph in contract.graphs:
        for name, actual in sessions[graph.path].outputs.items():
            if name not in wanted | returned:
                _require(graph, name, actual, None)


def _fed(contract: PolicyContract) -> Iterator[tuple[str, Allowed]]:
    inputs = contract.inputs
    for camera in inputs.cameras:
        side = (camera.height_px, camera.width_px)
        seen, beside = _times(inputs, camera.tensor)
        shape = (1, *seen, *side, 3 * beside) if camera.layout == "hwc" else (1, *seen, 3 * beside, *side)
        yield camera.tensor, ((np.uint8,) if isinstance(camera.scale, RawPixels) else FLOATS, shape)
        if camera.mask is not None:
            yield camera.mask, (_MASKS, (1,))
    if inputs.text is not None:
        yield inputs.text.tensor, (_INTEGERS, (1, inputs.text.max_tokens))
        if inputs.text.mask is not None:
            yield inputs.text.mask, (_MASKS, (1, inputs.text.max_tokens))
    if inputs.state is not None:
        seen, beside = _times(inputs, inputs.state.tensor)
        yield inputs.state.tensor, (FLOATS, (1, *seen, inputs.state.width * beside))
    if inputs.embodiment is not None:
        yield inputs.embodiment.tensor, (_INTEGERS, (1,))
    delay = contract.outputs.delay
    if delay is not None and isinstance(delay.told, AsTensor):
        yield delay.told.tensor, (FLOATS, (1, contract.outputs.trained_delay, contract.outputs.width))
        if delay.told.mask is not None:
            yield delay.told.mask, (_MASKS, (1, contract.outputs.trained_delay))


def _times(inputs: Inputs, tensor: str) -> tuple[tuple[int, ...], int]:
    """The dimension that a history adds, and how many observations lie side by side in the others."""
    history = inputs.history
    if history is None or not inputs.has_past(tensor):
        return (), 1
    return ((history.observations,), 1) if history.axis == "time" else ((), history.observations)


def _own_inputs(contract: PolicyContract) -> Iterator[tuple[str, Allowed]]:
    """What the decoder feeds to its step."""
    decoder = contract.decoder
    if isinstance(decoder, (FlowDecoder, DiffusionDecoder)):
        yield decoder.x, (FLOATS, (1, contract.horizon, contract.outputs.width))
        delay = contract.outputs.delay
        each = delay is not None and isinstance(delay.told, InDecoder)
        shape = (1, contract.horizon) if each else (1,)
        yield decoder.time, ((*FLOATS, *_INTEGERS) if isinstance(decoder, DiffusionDecoder) else FLOATS, shape)
    elif isinstance(decoder, TokensDecoder) and decoder.token is not None:
        yield decoder.token, (_INTEGERS, (1, 1))


def _results(contract: PolicyContract) -> Sequence[tuple[str, tuple[int, ...] | None]]:
    """What the last graph has to give; None: of any shape."""
    decoder, chunk = contract.decoder, (1, contract.horizon, contract.outputs.width)
    if isinstance(decoder, RegressionDecoder):
        return ((decoder.actions, chunk),)
    if isinstance(decoder, FlowDecoder):
        return ((decoder.velocity, chunk),)
    if isinstance(decoder, DiffusionDecoder):
        return ((decoder.output, chunk),)
    return ((decoder.logits, None),)


def _float_spec(actual: TensorSpec | None, shape: tuple[int, ...] | None) -> TensorSpec:
    return _expected(actual, (FLOATS, actual.shape if shape is None and actual is not None else shape or (1,)))


def _expected(actual: TensorSpec | None, allowed: Allowed | None) -> TensorSpec:
    """What a tensor has to be; of the element types that are fed its own, if it is one of them."""
    if allowed is None:
        return _NOTHING
    dtypes = [np.dtype(kind) for kind in allowed[0]]
    dtype = actual.dtype if actual is not None and actual.dtype in dtypes else dtypes[0]
    return TensorSpec(dtype, allowed[1])


_NOTHING = TensorSpec(np.dtype(np.void), ())


def _require(graph: Graph, name: str, actual: TensorSpec | None, expected: TensorSpec | None) -> None:
    if expected is _NOTHING:
        expected = None
    if actual != expected or actual is None:
        raise BundleError(f"{graph.path}: tensor {name}: expected {expected}, found {actual}")
