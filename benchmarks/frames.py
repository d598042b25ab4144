"""Three cameras of 1280 x 720 at 30 Hz into the engine: frames in shared memory against pixels over ZeroMQ.

``python -m benchmarks.frames``: two real processes, both ways by turns in one run. A camera process fills frames and
publishes observations; the engine's side decodes them, looks at the frames and resizes them into the tensor that a
policy is fed. Latency is from the last pixel written to the last tensor filled.
"""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import multiprocessing.synchronize
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import zmq
from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from edge_runtime.contracts.errors import FrameError
from edge_runtime.contracts.manifest import CameraInput, RawPixels, Stretch
from edge_runtime.contracts.messages import FrameRef, Observation
from edge_runtime.contracts.topics import OBSERVATION, decode, encode
from edge_runtime.ipc.frames import FrameReader, FrameRing, ring_name
from edge_runtime.policies.transforms import ImageTransform

CAMERAS = ("left", "right", "wrist")
WIDTH_PX, HEIGHT_PX, RATE_HZ = 1280, 720, 30.0
TENSOR_PX = 224


@dataclass(frozen=True)
class Result:
    """One way of carrying frames.

    `pixel_copies` is how often a pixel is moved from the buffer the camera wrote to the tensor. Ring: by the resize;
    pixels: into the socket, out of it, by the resize.
    """

    way: str
    observations: int
    lost: int
    pixel_copies: int
    socket_bytes_per_observation: int
    latency_p50_ms: float
    latency_p99_ms: float
    transport_p50_ms: float
    transport_p99_ms: float
    camera_cpu_share: float
    engine_cpu_share: float


def _camera_process(
    run_dir: Path, way: str, count: int, ready: multiprocessing.synchronize.Event, report: object
) -> None:
    with ExitStack() as stack:
        rings = [
            stack.enter_context(FrameRing.create(ring_name(run_dir, name), name, WIDTH_PX, HEIGHT_PX))
            for name in CAMERAS
        ]
        _take_pictures(rings, run_dir, way, count, ready, report)


def _take_pictures(
    rings: list[FrameRing],
    run_dir: Path,
    way: str,
    count: int,
    ready: multiprocessing.synchronize.Event,
    report: object,
) -> None:
    scenes = np.random.default_rng(0).integers(0, 256, (4, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, 4)
    socket.bind(OBSERVATION.endpoint(run_dir))
    ready.wait(10)
    time.sleep(0.3)  # a subscription takes a moment to arrive
    cpu_s, started = time.process_time(), time.monotonic()
    for sequence in range(count):
        time.sleep(max(0.0, started + sequence / RATE_HZ - time.monotonic()))
        for ring in rings:
            np.copyto(ring.slot(), scenes[sequence % 4])
        exposure_ns = time.monotonic_ns()
        pixels = [ring.slot() for ring in rings]
        refs = tuple(ring.commit(exposure_ns) for ring in rings)
        message = encode(OBSERVATION, _observation(sequence, exposure_ns, refs))
        if way == "ring":
            socket.send(message)
        else:
            socket.send_multipart([message, *(view.data for view in pixels)], copy=False)
    share = (time.process_time() - cpu_s) / (time.monotonic() - started)
    report.send(share)  # type: ignore[attr-defined]
    time.sleep(0.5)


def _observation(sequence: int, exposure_ns: int, frames: tuple[FrameRef, ...]) -> Observation:
    return Observation(
        sequence=sequence,
        exposure_ns=exposure_ns,
        published_ns=exposure_ns,
        joint_digest="0" * 64,
        position=(0.0,) * 8,
        velocity=(0.0,) * 8,
        frames=frames,
    )


def _engine_side(run_dir: Path, way: str, count: int) -> Result:
    context = multiprocessing.get_context("spawn")
    ready, (here, there) = context.Event(), context.Pipe()
    camera = context.Process(target=_camera_process, args=(run_dir, way, count, ready, there), daemon=True)
    camera.start()
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, 4)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(OBSERVATION.endpoint(run_dir))
    images = {
        name: ImageTransform(
            CameraInput(
                camera=name,
                tensor=name,
                width_px=TENSOR_PX,
                height_px=TENSOR_PX,
                resize=Stretch(),
                interpolation="bilinear",
                antialias="area",
                colours="rgb",
                layout="hwc",
                scale=RawPixels(),
            )
        )
        for name in CAMERAS
    }
    take: Callable[[Observation, list[zmq.Frame]], None]
    reader = FrameReader()

    def take_from_ring(observation: Observation, _: list[zmq.Frame]) -> None:
        for ref in observation.frames:
            with reader.view(ref) as pixels:
                # The claim of this benchmark: what is resized is the camera's own memory.
                base = pixels.base
                while isinstance(base, np.ndarray):
                    base = base.base
                assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)
                images[ref.camera].fill(pixels)

    def take_from_message(observation: Observation, parts: list[zmq.Frame]) -> None:
        for ref, part in zip(observation.frames, parts, strict=True):
            images[ref.camera].fill(np.frombuffer(part.buffer, np.uint8).reshape(ref.height_px, ref.width_px, 3))

    take = take_from_ring if way == "ring" else take_from_message
    transport_ns: list[int] = []
    latency_ns: list[int] = []
    size_bytes = 0
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    ready.set()
    started, cpu_s = 0.0, 0.0
    while poller.poll(3000 if latency_ns else 15000):
        message, *parts = socket.recv_multipart(copy=False)
        if not latency_ns:
            started, cpu_s = time.monotonic(), time.process_time()
        size_bytes = len(message.buffer) + sum(len(part.buffer) for part in parts)
        observation = decode(OBSERVATION, message.bytes)
        assert isinstance(observation, Observation)
        arrived_ns = time.monotonic_ns()
        try:
            take(observation, parts)
        except FrameError:
            continue  # counted with the lost ones
        transport_ns.append(arrived_ns - observation.exposure_ns)
        latency_ns.append(time.monotonic_ns() - observation.exposure_ns)
        if observation.sequence == count - 1:
            break
    engine_share = (time.process_time() - cpu_s) / (time.monotonic() - started)
    camera_share = here.recv() if here.poll(5) else float("nan")
    camera.join(5)
    socket.close()
    latency_ms, transport_ms = np.array(latency_ns) / 1e6, np.array(transport_ns) / 1e6
    return Result(
        way=way,
        observations=len(latency_ns),
        lost=count - len(latency_ns),
        pixel_copies=1 if way == "ring" else 3,
        socket_bytes_per_observation=size_bytes,
        latency_p50_ms=round(float(np.percentile(latency_ms, 50)), 3),
        latency_p99_ms=round(float(np.percentile(latency_ms, 99)), 3),
        transport_p50_ms=round(float(np.percentile(transport_ms, 50)), 3),
        transport_p99_ms=round(float(np.percentile(transport_ms, 99)), 3),
        camera_cpu_share=round(camera_share, 3),
        engine_cpu_share=round(engine_share, 3),
    )


def main() -> None:
    """Run both ways by turns, print the table, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    turns: list[Result] = []
    for _ in range(arguments.rounds):
        for way in ("ring", "pixels"):
            with tempfile.TemporaryDirectory(prefix="edge-frames-") as run_dir:
                turns.append(_engine_side(Path(run_dir), way, round(arguments.seconds * RATE_HZ)))
    table = Table(
        title=f"{len(CAMERAS)} cameras, {WIDTH_PX} x {HEIGHT_PX} px, {RATE_HZ:g} Hz, into {TENSOR_PX} x {TENSOR_PX}"
    )
    for column in ("way", "copies", "kB", "lost", "there, ms", "in tensor, ms", "CPU"):
        table.add_column(column, justify="left" if column == "way" else "right", no_wrap=True)
    for turn in sorted(turns, key=lambda turn: turn.way, reverse=True):
        table.add_row(
            turn.way,
            str(turn.pixel_copies),
            f"{turn.socket_bytes_per_observation / 1e3:.1f}",
            str(turn.lost),
            f"{turn.transport_p50_ms:.2f} / {turn.transport_p99_ms:.2f}",
            f"{turn.latency_p50_ms:.2f} / {turn.latency_p99_ms:.2f}",
            f"{turn.camera_cpu_share:.0%} + {turn.engine_cpu_share:.0%}",
        )
    console = Console()
    console.print(table)
    console.print("Times: p50 / p99 from the last pixel written to the message read, to the last tensor filled.")
    figures = {
        "cameras": len(CAMERAS),
        "frame_px": [WIDTH_PX, HEIGHT_PX],
        "tensor_px": TENSOR_PX,
        "rate_hz": RATE_HZ,
        "turns": [asdict(turn) for turn in turns],
    }
    record("frames", figures, console)


if __name__ == "__main__":
    main()
