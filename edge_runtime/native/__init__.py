"""What joins the C parts to Python: `ffi` and `lib` of the extension, its builder, and the port's system calls."""

from __future__ import annotations

try:
    from edge_runtime._native import ffi, lib
except ImportError as error:
    raise ImportError("the C extension edge_runtime._native is not built: pip install -e . builds it") from error

__all__ = ["ffi", "lib"]
