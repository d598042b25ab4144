"""A recording as a picture: each axis's setpoint, command, measurement and range, and the verdicts as bands below.

Needs matplotlib, which nothing else here does; draws to a file, never to a screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.cli.replay import ticks_of, trip_ns
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.installation import explain
from edge_runtime.safety import AxisKind, Reason, State
from edge_runtime.safety.recording import Recording

_FORMATS = (".png", ".svg", ".pdf")
_LABELLED = 0.05
"""A state that lasts for a smaller part of the recording than this has no room for its name."""
_COLOURS = {
    State.SILENT: "#d9d9d9",
    State.READY: "#b3cde3",
    State.ACTIVE: "#b7e1a1",
    State.HOLDING: "#fff2ae",
    State.STOPPING: "#fdcd9c",
    State.FAULT: "#f4a6a0",
    State.RETRACTING: "#cbb9e0",
}


def plot(recording: Recording, path: Path) -> None:
    """Draw `recording` to `path`.

    Raises:
        EdgeError: matplotlib is not installed, the ending names no format, or the file can't be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise EdgeError(f"--plot {path}: the name must end in one of {', '.join(_FORMATS)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise EdgeError(f"--plot: {explain(error, ('plot',))}") from None
    ticks = ticks_of(recording)
    if not len(ticks):
        raise EdgeError(f"--plot {path}: the recording holds no tick")
    names = recording.header.axis_names
    t_s = (ticks["tick_ns"] - trip_ns(recording)) / 1e9
    shown = [reason for reason in Reason if (ticks["verdict"]["reasons"] & np.uint64(reason)).any()]
    band_inches = 0.5 + 0.18 * (len(shown) + 1)
    figure = Figure(figsize=(11.0, 1.5 * len(names) + band_inches + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names) + 1, 1, sharex=True, height_ratios=[1.5] * len(names) + [band_inches])
    for i, (name, axis) in enumerate(zip(names, axes[:-1], strict=True)):
        _draw_axis(axis, recording, ticks, t_s, i, name)
    axes[0].legend(loc="upper left", bbox_to_anchor=(0.0, 1.32), ncols=4, fontsize=8, frameon=False)
    _draw_bands(axes[-1], ticks, t_s, shown)
    axes[-1].set_xlim(t_s[0], t_s[-1])
    axes[-1].set_xlabel("s from the trip" if recording.header.cause == "trip" else "s from the request")
    cause = ", ".join(recording.header.reasons) or recording.header.cause
    title = f"{recording.header.robot}, {recording.header.written_utc}: {cause}"
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error


def _draw_axis(
    axis: Any, recording: Recording, ticks: NDArray[np.void], t_s: NDArray[np.float64], i: int, name: str
) -> None:
    config = recording.native_config()
    drives = config.axis_kind[i] == AxisKind.VELOCITY
    low, high = (-config.dq_max[i], config.dq_max[i]) if drives else (config.q_min[i], config.q_max[i])
    # What trips a robot may be a number that no axis has room for.
    setpoint, command, measured = (
        np.clip(ticks[part]["dq" if drives and part != "setpoint" else "q"][:, i], low - 1.0, high + 1.0)
        for part in ("setpoint", "verdict", "feedback")
    )
    if config.axis_kind[i] == AxisKind.CONTINUOUS:
        # All in the turn that it is commanded to be in.
        setpoint, measured = (
            command + np.remainder(value - command + np.pi, 2.0 * np.pi) - np.pi for value in (setpoint, measured)
        )
    setpoint = np.where(ticks["setpoint"]["present"] != 0, setpoint, np.nan)
    axis.plot(t_s, setpoint, color="#888888", linewidth=1.0, label="setpoint")
    axis.plot(t_s, command, color="#1f77b4", linewidth=1.4, label="command")
    axis.plot(t_s, measured, color="#d95f02", linewidth=0.8, linestyle="--", label="measured")
    drawn = np.concatenate((command, measured))
    drawn = drawn[np.isfinite(drawn)]
    for k, limit in enumerate((low, high)):
        axis.axhline(limit, color="#b2182b", linewidth=0.8, label="range" if k == 0 else None)
    # The range is drawn where it is near; a joint in the middle of it would be a flat line otherwise.
    if drawn.size:
        room = max(0.05, 0.25 * float(np.ptp(drawn)))
        axis.set_ylim(float(drawn.min()) - room, float(drawn.max()) + room)
    axis.axvline(0.0, color="black", linewidth=0.8, linestyle=":")
    units = recording.header.units
    named = f"{name}, {units[i]}" if i < len(units) else name
    axis.set_ylabel(f"{named}\n{low:.4g} to {high:.4g}".replace("$", r"\$"), fontsize=7)
    axis.tick_params(labelsize=7)


def _draw_bands(axis: Any, ticks: NDArray[np.void], t_s: NDArray[np.float64], shown: list[Reason]) -> None:
    states = ticks["verdict"]["state"]
    for state in State:
        spans = _spans(states == state, t_s)
        if spans:
            axis.broken_barh(spans, (-0.4, 0.8), color=_COLOURS[state])
            start, width = max(spans, key=lambda span: span[1])
            if width > _LABELLED * (t_s[-1] - t_s[0]):
                axis.text(start + width / 2, 0, state.name.lower(), ha="center", va="center", fontsize=6, clip_on=True)
    for row, reason in enumerate(shown, start=1):
        acted = (ticks["verdict"]["reasons"] & np.uint64(reason)) != 0
        axis.broken_barh(_spans(acted, t_s), (row - 0.4, 0.8), color="#444444")
    axis.set_yticks(range(len(shown) + 1), ["state", *((reason.name or "").lower() for reason in shown)])
    axis.tick_params(labelsize=7)
    axis.invert_yaxis()
    axis.axvline(0.0, color="black", linewidth=0.8, linestyle=":")


def _spans(mask: NDArray[np.bool_], t_s: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Start and width of every run of ticks in `mask`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    tick_s = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 1e-3
    pairs = edges.reshape(-1, 2)
    return [(float(t_s[first]), float(t_s[last - 1] - t_s[first]) + tick_s) for first, last in pairs.tolist()]
