"""From what the graphs say of an observation to normalized actions: one decoder for each kind of policy."""

from __future__ import annotations

from edge_runtime.contracts.manifest import (
    CacheTensor,
    Decoder,
    DiffusionDecoder,
    FlowDecoder,
    RegressionDecoder,
)
from edge_runtime.policies.decoders.diffusion import DiffusionDecoding
from edge_runtime.policies.decoders.flow import FlowDecoding
from edge_runtime.policies.decoders.regression import RegressionDecoding
from edge_runtime.policies.decoders.seam import Decoding, Step
from edge_runtime.policies.decoders.tokens import TokensDecoding


def decoding_of(
    decoder: Decoder,
    step: Step | None,
    cache: tuple[CacheTensor, ...],
    chunk_shape: tuple[int, ...],
    *,
    time_each: bool = False,
) -> Decoding:
    """What runs `decoder`.

    Args:
        step: runs the step graph; None: there is none.
        cache: the tensors that a step hands to the next one.
        chunk_shape: (1, horizon, width).
        time_each: the step graph of a flow takes a time for each action.
    """
    if isinstance(decoder, RegressionDecoder):
        return RegressionDecoding(decoder)
    if isinstance(decoder, (FlowDecoder, DiffusionDecoder)):
        assert step is not None, "the contract asks for it"
        if isinstance(decoder, FlowDecoder):
            return FlowDecoding(decoder, step, chunk_shape, time_each=time_each)
        return DiffusionDecoding(decoder, step, chunk_shape)
    return TokensDecoding(decoder, step, cache, chunk_shape)
