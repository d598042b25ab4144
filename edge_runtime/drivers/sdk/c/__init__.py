"""The driver SDK in C: `driver_sdk.h`, and what it is built from."""

from __future__ import annotations

from pathlib import Path

_SDK = Path(__file__).parent
_RUNTIME = _SDK.parents[2]


def compiler_arguments() -> list[str]:
    """What a C compiler needs beside a driver's own sources: folders of headers, and sources."""
    folders = [_SDK, _RUNTIME / "ipc", _RUNTIME / "native"]
    sources = [_SDK / "driver_sdk.c", _SDK / "sha256.c", _RUNTIME / "native" / "port.c"]
    return [*(f"-I{folder}" for folder in folders), *map(str, sources), "-lm", "-lrt"]
