"""The trained model in torch eager, as sessions: the reference that exported graphs are held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import PolicyContract
from edge_runtime.policies.session import Session, Tensors, TensorSpec
from export_tools.families.pocket_vla.model import PocketVla

Feed = Mapping[str, NDArray[Any]]
_FLOAT = np.dtype(np.float32)


def torch_sessions(model: PocketVla, contract: PolicyContract) -> dict[str, Session]:
    """Sessions of both graphs, by the paths that the contract has for them."""
    model = model.eval()
    return {
        contract.graphs.encode: TorchEncode(model, contract),
        contract.graphs.denoise: TorchDenoise(model, contract),
    }


class TorchEncode:
    """`PocketVla.encode`; see `edge_runtime.policies.session.Session`."""

    def __init__(self, model: PocketVla, contract: PolicyContract) -> None:
        self._model = model
        graphs, config = contract.graphs, model.config
        self._names = (*(image.tensor for image in contract.images), graphs.tokens, graphs.state)
        picture = TensorSpec(np.dtype(np.uint8), (1, config.image_px, config.image_px, 3))
        self.inputs: Mapping[str, TensorSpec] = {
            **{image.tensor: picture for image in contract.images},
            graphs.tokens: TensorSpec(np.dtype(np.int64), (1, config.max_tokens)),
            graphs.state: TensorSpec(_FLOAT, (1, config.action_dim)),
        }
        self.outputs: Mapping[str, TensorSpec] = {
            name: TensorSpec(_FLOAT, value.shape)
            for name, value in self.run({n: np.zeros(s.shape, s.dtype) for n, s in self.inputs.items()}).items()
        }

    @torch.inference_mode()
    def run(self, tensors: Feed) -> Tensors:
        """See `Session.run`."""
        prefix = self._model.encode(*(torch.from_numpy(tensors[name]) for name in self._names))
        return {f"prefix_{layer}": value.numpy() for layer, value in enumerate(prefix)}


class TorchDenoise:
    """`PocketVla.denoise`; see `edge_runtime.policies.session.Session`."""

    def __init__(self, model: PocketVla, contract: PolicyContract) -> None:
        self._model, self._graphs = model, contract.graphs
        prefix = TorchEncode(model, contract).outputs
        self._prefix = tuple(prefix)
        chunk = TensorSpec(_FLOAT, (1, contract.horizon, model.config.action_dim))
        self.inputs: Mapping[str, TensorSpec] = {
            contract.graphs.x: chunk,
            contract.graphs.time: TensorSpec(_FLOAT, (1,)),
            **prefix,
        }
        self.outputs: Mapping[str, TensorSpec] = {contract.graphs.velocity: chunk}

    @torch.inference_mode()
    def run(self, tensors: Feed) -> Tensors:
        """See `Session.run`."""
        x, time = (torch.from_numpy(tensors[name]) for name in (self._graphs.x, self._graphs.time))
        prefix = tuple(torch.from_numpy(tensors[name]) for name in self._prefix)
        return {self._graphs.velocity: self._model.denoise(x, time, prefix).numpy()}
