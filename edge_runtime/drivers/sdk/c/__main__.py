"""``python -m edge_runtime.drivers.sdk.c``: what to give a C compiler beside a driver's own sources."""

from __future__ import annotations

import shlex

from edge_runtime.drivers.sdk.c import compiler_arguments

if __name__ == "__main__":
    print(shlex.join(compiler_arguments()))
