"""Keeps the figures of a benchmark with the machine they were measured on, and holds them against the budgets."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from edge_runtime.policies.processor import describe

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def machine() -> dict[str, str]:
    """Processor with what inference uses of it, cores, kernel and the versions that matter."""
    processor = describe()
    versions = {name: _version(name) for name in ("numpy", "onnxruntime", "pyzmq", "mujoco", "torch", "ruckig")}
    return {
        "cpu": processor.name,
        "instruction_set": processor.instruction_set,
        "features": " ".join(processor.features),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: number for name, number in versions.items() if number},
    }


def record(name: str, figures: Mapping[str, Any], console: Console) -> None:
    """Write ``results/<name>.json`` and print how the figures stand against ``budgets.toml``.

    Args:
        name: of the benchmark, also its section in the budgets.
        figures: plain values; those that have a budget are numbers, or None where the machine could not tell.
        console: where the comparison is printed.

    Raises:
        SystemExit: a figure is over its budget; the file has been written.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = msgspec.json.format(msgspec.json.encode({"machine": machine(), "figures": dict(figures)}), indent=2)
    path.write_bytes(text + b"\n")
    over = []
    budgets = tomllib.loads((FOLDER / "budgets.toml").read_text()).get(name, {})
    for key, budget in budgets.items():
        value = figures[key]
        if value is None:
            console.print(f"budget {key}: [yellow]not measured[/]")
            continue
        within = value <= budget
        console.print(f"budget {key}: {value:.3g} of {budget:g}, {'[green]within[/]' if within else '[red]over[/]'}")
        if not within:
            over.append(key)
    console.print(f"figures written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if over:
        sys.exit(f"over budget: {', '.join(over)}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
