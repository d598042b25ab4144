"""What `edge-runtime view` draws in Rerun: a recording of the black box, or a robot that runs.

Only reads: recordings, settings and the bus. The body is that of the safety kernel's own geometry, placed by the
kernel's own arithmetic, so that what is seen is what is watched.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.cli.export_mcap import wall_offset_ns
from edge_runtime.cli.replay import reason_names, ticks_of
from edge_runtime.client.explanations import REASONS, STATES
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import EdgeError, FrameError
from edge_runtime.contracts.installation import explain
from edge_runtime.contracts.messages import ActionChunk, KernelReason, Observation, SafetyReport
from edge_runtime.contracts.subcommand import say, warn
from edge_runtime.contracts.topics import ACTION_CHUNK, OBSERVATION, SAFETY_REPORT
from edge_runtime.control.limits import kernel_config
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.native import ffi, lib
from edge_runtime.safety import State
from edge_runtime.safety.recording import Recording, read_recording

_BODY_HZ = 50.0
"""The body is drawn so often; curves have every tick."""
_BODY_COLOUR = (120, 170, 230)
_ZONE_COLOUR = (210, 60, 50)
_POLL_S = 0.05


class Body:
    """Capsules of a kernel's geometry, placed for a posture.

    Args:
        config: `kernel_config *`.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._geometry = ffi.addressof(config, "geometry")
        geometry = config.geometry
        self._pose = ffi.new("geometry_pose *")
        self._places = ffi.new("geometry_places *")
        self.radii_m = [geometry.capsules[i].radius_m for i in range(geometry.n_capsules)]

    def ends_at(
        self, q: Sequence[float], base: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of the middle line of each capsule in the world, (capsules, 3) m each.

        Args:
            q: of every axis, in its unit.
            base: x (m), y (m) and yaw (rad) of a mobile base.
        """
        values = ffi.new("double[]", [float(value) for value in q] + [0.0] * (lib.KERNEL_MAX_AXES - len(q)))
        lib.geometry_pose_at(self._geometry, ffi.new("double[]", list(base)), values, self._pose)
        lib.geometry_places_at(self._geometry, self._pose, self._places)
        n = len(self.radii_m)
        return tuple(np.array([list(points[i]) for i in range(n)]) for points in (self._places.a_m, self._places.b_m))  # type: ignore[return-value]


def view(options: argparse.Namespace) -> int:
    """Show a recording or a running robot; the exit code.

    Raises:
        EdgeError: the package rerun-sdk is missing, or there is nothing to show.
    """
    try:
        import rerun as rr
    except ModuleNotFoundError as error:
        raise EdgeError(f"view: {explain(error, ('rerun',))}") from None
    recording = read_recording(options.file) if options.file is not None else None
    if recording is not None and recording.torn:
        warn(recording.torn)
    rr.init("edge-runtime", spawn=options.save is None)
    if options.save is not None:
        if not options.save.parent.is_dir():
            raise EdgeError(f"{options.save}: there is no such folder")
        rr.save(options.save)
    if recording is not None:
        draw_recording(rr, recording)
    else:
        with contextlib.suppress(KeyboardInterrupt):
            _live(rr, options)
    if options.save is not None:
        rr.disconnect()
        say(f"wrote {options.save}; to look at it: rerun {options.save}")
    return 0


def draw_recording(rr: Any, recording: Recording) -> None:
    """Curves of every tick, the body fifty times a second, states and trips as a log."""
    ticks = ticks_of(recording)
    if not len(ticks):
        raise EdgeError("the recording holds no tick")
    config = recording.native_config()
    _draw_world(rr, config.geometry)
    stamps_s = (ticks["now_ns"] + wall_offset_ns(recording)) / 1e9
    index = [rr.TimeColumn("time", timestamp=stamps_s)]
    present = ticks["setpoint"]["present"] != 0
    for axis, name in enumerate(recording.header.axis_names):
        asked = np.where(present, ticks["setpoint"]["q"][:, axis], np.nan)
        for what, values in (
            ("asked", asked),
            ("commanded", ticks["verdict"]["q"][:, axis]),
            ("measured", ticks["feedback"]["q"][:, axis]),
        ):
            rr.send_columns(f"axes/{name}/{what}", indexes=index, columns=rr.Scalars.columns(scalars=values))
    for field in ("speed_scale", "accepted", "time_to_rest_s"):
        columns = rr.Scalars.columns(scalars=ticks["verdict"][field])
        rr.send_columns(f"kernel/{field}", indexes=index, columns=columns)
    body = Body(config) if config.geometry.n_capsules else None
    due_s, state, faults = -np.inf, -1, 0
    for tick, stamp_s in zip(ticks, stamps_s.tolist(), strict=True):
        verdict = tick["verdict"]
        if body is not None and stamp_s >= due_s:
            due_s = stamp_s + 1.0 / _BODY_HZ
            rr.set_time("time", timestamp=stamp_s)
            feedback = tick["feedback"]
            base = feedback["odometry"].tolist() if feedback["has_odometry"] else (0.0, 0.0, 0.0)
            _draw_body(rr, body, feedback["q"].tolist(), base)
        if int(verdict["state"]) != state or int(verdict["faults"]) != faults:
            state, faults = int(verdict["state"]), int(verdict["faults"])
            rr.set_time("time", timestamp=stamp_s)
            meaning = STATES[State(state).said].meaning
            tripped = f": {reason_names(faults)}" if faults else ""
            level = "ERROR" if faults else "INFO"
            rr.log("kernel/events", rr.TextLog(f"{State(state).name.lower()} ({meaning}){tripped}", level=level))


def _draw_world(rr: Any, geometry: Any) -> None:
    """What the body is kept away from."""
    rr.log("/", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    boxes = [geometry.keepouts[i] for i in range(geometry.n_keepouts)]
    if boxes:
        low, high = (np.array([list(getattr(box, end)) for box in boxes]) for end in ("min_m", "max_m"))
        grown = np.array([[box.radius_m] * 3 for box in boxes])
        rr.log(
            "world/keep_out",
            rr.Boxes3D(centers=(low + high) / 2.0, half_sizes=(high - low) / 2.0 + grown, colors=[_ZONE_COLOUR]),
            static=True,
        )
    for i in range(geometry.n_planes):
        normal = np.array(list(geometry.planes[i].normal))
        origin = normal * geometry.planes[i].offset_m
        arrow = rr.Arrows3D(origins=[origin], vectors=[0.15 * normal], colors=[_ZONE_COLOUR])
        rr.log(f"world/plane_{i}", arrow, static=True)


def _draw_body(rr: Any, body: Body, q: Sequence[float], base: Sequence[float]) -> None:
    if not np.isfinite(q).all() or not np.isfinite(base).all():
        return
    first, second = body.ends_at(q, base)
    along = second - first
    lengths = np.linalg.norm(along, axis=1)
    ways = zip(along, lengths, strict=True)
    rotations = [_from_z(vector / length if length > 1e-9 else None) for vector, length in ways]
    rr.log(
        "world/body",
        rr.Capsules3D(
            lengths=lengths,
            radii=body.radii_m,
            translations=first,
            quaternions=[rr.Quaternion(xyzw=rotation) for rotation in rotations],
            colors=[_BODY_COLOUR],
        ),
    )


def _from_z(direction: NDArray[np.float64] | None) -> tuple[float, float, float, float]:
    """The rotation (x, y, z, w) that turns +z to `direction`."""
    if direction is None:
        return 0.0, 0.0, 0.0, 1.0
    x, y, z = direction.tolist()
    if z < -1.0 + 1e-9:
        return 1.0, 0.0, 0.0, 0.0
    scale = float(np.sqrt(2.0 * (1.0 + z)))
    return -y / scale, x / scale, 0.0, scale / 2.0


def _live(rr: Any, options: argparse.Namespace) -> None:
    """What the bus says, until Ctrl-C."""
    config = load_config(options.config)
    native = kernel_config(config.safety, config.embodiment).to_native()
    body = Body(native) if native.geometry.n_capsules else None
    _draw_world(rr, native.geometry)
    names = config.embodiment.axis_names
    reader = FrameReader()
    state = ""
    until_s = None if options.seconds is None else time.monotonic() + options.seconds
    # Stamps of the bus are of the monotonic clock.
    offset_s = time.time() - time.monotonic()
    say(f"showing {config.robot.name} in {options.run_dir}, live; Ctrl-C ends it")
    with Subscriber((SAFETY_REPORT, OBSERVATION, ACTION_CHUNK), Path(options.run_dir)) as subscriber:
        while until_s is None or time.monotonic() < until_s:
            for message in subscriber.receive(_POLL_S):
                if isinstance(message, SafetyReport):
                    rr.set_time("time", timestamp=message.stamp_ns / 1e9 + offset_s)
                    state = _draw_report(rr, message, names, body, state)
                elif isinstance(message, Observation):
                    rr.set_time("time", timestamp=message.exposure_ns / 1e9 + offset_s)
                    _draw_pictures(rr, reader, message)
                elif isinstance(message, ActionChunk):
                    _draw_chunk(rr, message, names, offset_s)


def _draw_report(rr: Any, report: SafetyReport, names: tuple[str, ...], body: Body | None, state: str) -> str:
    for name, told, seen in zip(names, report.position_commanded, report.position_measured, strict=False):
        rr.log(f"axes/{name}/commanded", rr.Scalars(told))
        rr.log(f"axes/{name}/measured", rr.Scalars(seen))
    rr.log("kernel/speed_scale", rr.Scalars(report.speed_scale))
    if report.stop_margin_m is not None:
        rr.log("kernel/stop_margin_m", rr.Scalars(report.stop_margin_m))
    if body is not None:
        _draw_body(rr, body, report.position_measured, (0.0, 0.0, 0.0))
    words = f"{report.state}: {'; '.join(_meaning(fault) for fault in report.faults) or STATES[report.state].meaning}"
    if words != state:
        rr.log("kernel/events", rr.TextLog(words, level="ERROR" if report.faults else "INFO"))
    return words


def _meaning(fault: KernelReason) -> str:
    return f"{fault} ({REASONS[fault].meaning})"


def _draw_pictures(rr: Any, reader: FrameReader, observation: Observation) -> None:
    for ref in observation.frames:
        # Overwritten before it was looked at: the next one is on its way.
        with contextlib.suppress(FrameError), reader.view(ref) as pixels:
            rr.log(f"cameras/{ref.camera}", rr.Image(pixels.copy()).compress())


def _draw_chunk(rr: Any, chunk: ActionChunk, names: tuple[str, ...], offset_s: float) -> None:
    """What the policy plans: each row where it is due."""
    due_s = [(chunk.exposure_ns + (k + 1) * chunk.dt_ns) / 1e9 + offset_s for k in range(len(chunk.position))]
    rows = np.array(chunk.position)
    for axis, name in enumerate(names[: rows.shape[1]]):
        index = [rr.TimeColumn("time", timestamp=due_s)]
        rr.send_columns(f"axes/{name}/planned", indexes=index, columns=rr.Scalars.columns(scalars=rows[:, axis]))
