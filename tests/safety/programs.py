"""Builds the C programs of these tests against the kernel's own files, with the flags that the kernel ships with."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_runtime.native.build import FLAGS

HERE = Path(__file__).resolve().parent
KERNEL = HERE.parents[1] / "edge_runtime" / "safety" / "kernel"
INLINE = (KERNEL / "number.h", KERNEL / "vector.h", KERNEL / "profile.h", KERNEL / "motion.h")
"""Headers with functions in them."""
STRICT = ("-Wconversion",)
# For the compiler: at link alone they would watch nothing. A quotient of zeros is no error: clamp() gives it a meaning.
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")


def kernel_sources() -> list[Path]:
    """Every C file of the kernel: one that is added is proved like the others."""
    return sorted(KERNEL.glob("*.c"))


def battery_sources() -> list[Path]:
    """What asks the kernel, but for the functions of number.h, which are mutated with it."""
    return [*sorted((HERE / "proof").glob("battery*.c")), HERE / "fuzz_stream.c", HERE / "fuzz_arm.c"]


def build(program: Path, sources: Sequence[Path], *flags: str, compiler: str = "gcc", strict: bool = True) -> Path:
    """Compiles and links sources into program."""
    found = shutil.which(compiler)
    assert found is not None, f"no {compiler}: sudo apt-get install {compiler}"
    warnings = STRICT if strict else ()
    includes = (f"-I{KERNEL}", f"-I{HERE}")
    command = [found, *FLAGS, *warnings, *flags, *includes, *map(str, sources), "-lm", "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def fuzzer(folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """The fuzzer against the kernel."""
    return build(folder / "fuzz", [*sorted(HERE.glob("fuzz*.c")), *kernel_sources()], *flags, compiler=compiler)


def run_fuzzer(
    program: Path, seed: int, ticks: int, geometry_percent: int, *, emulator: Sequence[str] = ()
) -> dict[str, Any]:
    """What the fuzzer tells. It gives way to whatever else is held to times."""
    command = ["nice", *emulator, str(program), str(seed), str(ticks), str(geometry_percent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
