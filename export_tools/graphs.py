"""Torch modules to ONNX graphs: static shapes, batch 1, opset 20, weights inside the file.

Knows no model family. Checks what it wrote: a graph that does not load is an error here, not on the robot.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export_tools.quiet import only_errors

# The newest opset that TensorRT 10.3 (JetPack 6) reads in full.
OPSET = 20


def export_graph(
    module: nn.Module,
    example: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    path: Path,
) -> int:
    """Write `module` (in evaluation mode) as one ONNX file at `path`; returns its number of nodes.

    `example` fixes every shape. Raises `onnx.checker.ValidationError` if the result is not a valid graph, and
    `ValueError` if torch renamed or dropped an input or output.
    """
    with warnings.catch_warnings(), torch.no_grad(), only_errors("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            input_names=list(input_names),
            output_names=list(output_names),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch.onnx.export returned nothing")
    model = program.model_proto
    # Shapes that torch inferred; the quantizer infers its own and trips over a mixture.
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    written = ([i.name for i in model.graph.input], [o.name for o in model.graph.output])
    if written != (list(input_names), list(output_names)):
        raise ValueError(f"the graph's inputs and outputs are {written}, expected {(input_names, output_names)}")
    onnx.save_model(model, str(path))
    return len(model.graph.node)
