"""The NVIDIA GPU of this machine, as its driver describes it.

Asks the driver's own library, which every machine with such a GPU has, and opens no context on the device: asking costs
neither its memory nor anything of what runs there. Refuses to know what it is used for. ``python -m edge_runtime.gpu
LIBRARY`` prints the architecture.
"""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DRIVER_LIBRARY = "libcuda.so.1"
DRIVER_VERSION = Path("/proc/driver/nvidia/version")
_LIMIT_S = 20.0

# CUdevice_attribute, cuda.h.
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """`architecture` such as ``sm_87``; `cuda`, the newest CUDA version that its `driver` takes, such as ``12.6``."""

    name: str
    architecture: str
    cuda: str
    driver: str


def find_gpu(library: str = DRIVER_LIBRARY, version_file: Path = DRIVER_VERSION) -> Gpu | None:
    """The first GPU, which is the one that is used; None where there is none, or no driver that answers."""
    version, device, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(256)
    try:
        cuda = ctypes.CDLL(library)
        fault = (
            cuda.cuInit(0)
            or cuda.cuDriverGetVersion(ctypes.byref(version))
            or cuda.cuDeviceGet(ctypes.byref(device), 0)
            or cuda.cuDeviceGetAttribute(ctypes.byref(major), _COMPUTE_CAPABILITY_MAJOR, device)
            or cuda.cuDeviceGetAttribute(ctypes.byref(minor), _COMPUTE_CAPABILITY_MINOR, device)
            or cuda.cuDeviceGetName(name, len(name), device)
        )
    except (OSError, AttributeError):
        return None
    if fault:
        return None
    driver = ""
    with contextlib.suppress(OSError):
        driver = version_file.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    return Gpu(
        name=name.value.decode(errors="replace"),
        architecture=f"sm_{major.value}{minor.value}",
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        driver=driver,
    )


def find_architecture(library: str = DRIVER_LIBRARY, limit_s: float = _LIMIT_S) -> str | None:
    """Architecture of the first GPU; None where there is none, or its driver does not answer within `limit_s`.

    Asked in a process of its own: a driver that hangs harms nothing else, and keeps no memory of who asked.
    """
    try:
        ctypes.CDLL(library)
    except OSError:
        return None
    try:
        asked = subprocess.run(
            (sys.executable, "-m", "edge_runtime.gpu", library),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None


if __name__ == "__main__":
    found = find_gpu(sys.argv[1])
    print("" if found is None else found.architecture)
