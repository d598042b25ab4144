"""Let torchvision be imported beside a torch without CUDA, where it can't load its operators, but has to know of two.

``python -m scripts.torchvision_without_gpu``, with the Python of an environment that has both. For tests of what
imports torchvision and uses none of these operators.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

_MODULE = """import torch

OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def main() -> None:
    """Define them whenever this Python starts, unless its torchvision can be imported as it is."""
    try:
        import torchvision as torchvision
    except RuntimeError:
        site = Path(sysconfig.get_paths()["purelib"])
        (site / "torchvision_without_gpu.py").write_text(_MODULE, encoding="utf-8")
        (site / "torchvision_without_gpu.pth").write_text("import torchvision_without_gpu\n", encoding="utf-8")


if __name__ == "__main__":
    main()
