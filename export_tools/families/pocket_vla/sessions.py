"""The trained model in torch eager, as sessions: the reference that exported graphs are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import FlowDecoder, PolicyContract
from edge_runtime.policies.session import Session, Tensors, TensorSpec
from export_tools.families.pocket_vla.model import PocketVla

Feed = Mapping[str, NDArray[Any]]
_FLOAT = np.dtype(np.float32)


def torch_sessions(model: PocketVla, contract: PolicyContract) -> dict[str, Session]:
    """Sessions of both graphs, by the paths that the contract has for them."""
    model = model.eval()
    encode, denoise = contract.graphs
    first = TorchEncode(model, contract)
    return {encode.path: first, denoise.path: TorchDenoise(model, contract, first.outputs)}


class TorchEncode:
    """`PocketVla.encode`; see `edge_runtime.policies.session.Session`."""

    def __init__(self, model: PocketVla, contract: PolicyContract) -> None:
        self._model = model
        config = model.config
        # In the order of the contract: pictures, state, words.
        *self._pictures, self._state, self._tokens = contract.inputs.tensors
        picture = TensorSpec(np.dtype(np.uint8), (1, config.image_px, config.image_px, 3))
        self.inputs: Mapping[str, TensorSpec] = {
            **dict.fromkeys(self._pictures, picture),
            self._tokens: TensorSpec(np.dtype(np.int64), (1, config.max_tokens)),
            self._state: TensorSpec(_FLOAT, (1, config.action_dim)),
        }
        self.outputs: Mapping[str, TensorSpec] = {
            name: TensorSpec(_FLOAT, value.shape)
            for name, value in self.run({n: np.zeros(s.shape, s.dtype) for n, s in self.inputs.items()}).items()
        }

    @torch.inference_mode()
    def run(self, tensors: Feed) -> Tensors:
        """See `Session.run`."""
        names = (*self._pictures, self._tokens, self._state)
        prefix = self._model.encode(*(torch.from_numpy(tensors[name]) for name in names))
        return {f"prefix_{layer}": value.numpy() for layer, value in enumerate(prefix)}


class TorchDenoise:
    """`PocketVla.denoise`; see `edge_runtime.policies.session.Session`."""

    def __init__(self, model: PocketVla, contract: PolicyContract, prefix: Mapping[str, TensorSpec]) -> None:
        decoder = contract.decoder
        assert isinstance(decoder, FlowDecoder)
        self._model, self._decoder, self._prefix = model, decoder, tuple(prefix)
        chunk = TensorSpec(_FLOAT, (1, contract.horizon, contract.outputs.width))
        self.inputs: Mapping[str, TensorSpec] = {decoder.x: chunk, decoder.time: TensorSpec(_FLOAT, (1,)), **prefix}
        self.outputs: Mapping[str, TensorSpec] = {decoder.velocity: chunk}

    @torch.inference_mode()
    def run(self, tensors: Feed) -> Tensors:
        """See `Session.run`."""
        x, time = (torch.from_numpy(tensors[name].copy()) for name in (self._decoder.x, self._decoder.time))
        prefix = tuple(torch.from_numpy(tensors[name]) for name in self._prefix)
        return {self._decoder.velocity: self._model.denoise(x, time, prefix).numpy()}
