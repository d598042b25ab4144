"""Histograms of durations: bars in the terminal always, a picture where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console


def histogram(title: str, values_us: NDArray[np.float64], console: Console, width: int = 40) -> None:
    """Draw shares over doubling bins; the bar's length is logarithmic, so that one in a million still shows."""
    console.print(f"\n[bold]{title}[/]")
    edges = [0.0, *(2.0**k for k in range(-2, 17))]
    counts, _ = np.histogram(values_us, bins=edges)
    used = np.flatnonzero(counts)
    for i in range(used[0], used[-1] + 1):
        share = counts[i] / values_us.size
        length = 0 if counts[i] == 0 else max(1, round(width * (1.0 + np.log10(share) / np.log10(values_us.size + 1))))
        console.print(f"{edges[i]:>9.2f} to {edges[i + 1]:>8.2f} µs {counts[i]:>8} {'█' * length}", highlight=False)


def picture(path: Path, panels: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> bool:
    """Write the same as a picture, a panel for each set of series; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8.0, 3.2 * len(panels)), layout="constrained")
    largest_us = max(float(values.max()) for series in panels.values() for values in series.values())
    edges = np.geomspace(0.5, max(200.0, largest_us), 160)
    for axes, (title, series) in zip(
        figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0], panels.items(), strict=True
    ):
        for name, values in series.items():
            axes.hist(values, bins=edges, weights=np.full(values.size, 1.0 / values.size), histtype="step", label=name)
        axes.set(xscale="log", yscale="log", xlabel="µs", ylabel="share", title=title)
        axes.legend()
    figure.savefig(path, dpi=110)
    return True
