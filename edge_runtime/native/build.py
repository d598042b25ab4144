"""Builder of `edge_runtime._native`, called by setup.py.

The C headers are the only description of types, constants and functions: what stands between `bindings:begin` and
`bindings:end` in them is handed to cffi as it is, and cffi checks it against what the compiler sees. One extension
serves every Python from 3.10 on (limited API).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from cffi import FFI

PACKAGE = Path(__file__).resolve().parents[1]
HEADERS = (
    "ipc/driver_port.h",
    "native/port.h",
    "native/lifeline.h",
    "safety/kernel/geometry.h",
    "safety/kernel/kernel.h",
    "control/loop/plan.h",
    "control/loop/black_box.h",
    "control/loop/stop_line.h",
    "control/loop/loop.h",
)
PRIVATE = (
    "safety/kernel/number.h",
    "safety/kernel/vector.h",
    "safety/kernel/profile.h",
    "safety/kernel/motion.h",
    "control/loop/loop_state.h",
    "control/loop/resident.h",
    "control/loop/watch.h",
)
SOURCES = (
    "native/port.c",
    "native/lifeline.c",
    "safety/kernel/profile.c",
    "safety/kernel/geometry.c",
    "safety/kernel/geometry_check.c",
    "safety/kernel/walk.c",
    "safety/kernel/motion.c",
    "safety/kernel/checks.c",
    "safety/kernel/config.c",
    "safety/kernel/kernel.c",
    "control/loop/plan.c",
    "control/loop/black_box.c",
    "control/loop/watch.c",
    "control/loop/resident.c",
    "control/loop/stop_line.c",
    "control/loop/tick.c",
    "control/loop/mailbox.c",
    "control/loop/loop.c",
)
# Contracted multiply-adds round differently from one machine to the next; the kernel's results may not.
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-ffp-contract=off", "-fno-math-errno")
GLUE = """
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
"""


def declarations(header: Path) -> str:
    """The part of a C header meant for bindings."""
    text = header.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"/\* bindings:begin \*/\n(.*?)/\* bindings:end \*/", text, flags=re.DOTALL))


def require_toolchain(compiler: str, include: str) -> None:
    """Exits with one line that names the missing Debian package, instead of a page of compiler output.

    Args:
        compiler: the command that would be run.
        include: folder of Python's C headers.
    """
    if shutil.which(compiler) is None:
        sys.exit(f"edge-runtime: no C compiler ({compiler}): sudo apt-get install gcc")
    if not Path(include, "Python.h").is_file():
        sys.exit("edge-runtime: the header Python.h is missing: sudo apt-get install python3-dev")


def builder() -> FFI:
    """The cffi builder; paths are relative to the folder of setup.py, as setuptools wants them."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    require_toolchain(shlex.split(compiler)[0], sysconfig.get_path("include"))
    ffi = FFI()
    root = PACKAGE.parent
    for header in HEADERS:
        ffi.cdef(declarations(PACKAGE / header))
    includes = "\n".join(f'#include "{Path(header).name}"' for header in HEADERS)
    ffi.set_source(
        "edge_runtime._native",
        GLUE + includes,
        sources=[str((PACKAGE / source).relative_to(root)) for source in SOURCES],
        depends=[str((PACKAGE / header).relative_to(root)) for header in (*HEADERS, *PRIVATE)],
        include_dirs=sorted({str((PACKAGE / header).parent.relative_to(root)) for header in HEADERS}),
        extra_compile_args=list(FLAGS),
        libraries=["m", "rt", "pthread"],
        py_limited_api=True,
    )
    return ffi
