"""What joins the C parts to Python: `ffi` and `lib` of the extension, its builder, and the port's system calls."""

from __future__ import annotations

try:
    from edge_runtime._native import ffi, lib
except ImportError as error:
    from edge_runtime.contracts.installation import again

    raise ImportError(f"the C extension edge_runtime._native can't be loaded ({error}); {again()}") from error

__all__ = ["ffi", "lib"]
