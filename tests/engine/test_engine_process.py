"""The engine as a real process: real sockets, real frames, a real bundle, and everything bad that can be sent to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.engine_status import EngineStatus, InstructionAnswer
from edge_runtime.contracts.messages import ActionChunk, FrameRef, Heartbeat, Observation, OperatorCommand, OperatorKind
from edge_runtime.contracts.topics import (
    ACTION_CHUNK,
    ENGINE_STATUS,
    HEARTBEAT_ENGINE,
    OBSERVATION,
    OPERATOR,
    Topic,
    encode,
)
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.ipc.frames import FrameRing, ring_name
from edge_runtime.ipc.lifeline import lifeline_path
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name

BundleWriter = Callable[..., Path]
PATIENCE_S = 20.0


class Surroundings:
    """Everything the engine meets on a robot: driver and operator on their sockets, cameras in shared memory."""

    def __init__(self, run_dir: Path, embodiment: Embodiment) -> None:
        self.run_dir = run_dir
        self.embodiment = embodiment
        run_dir.mkdir()
        self.rings = [FrameRing.create(ring_name(run_dir, name), name, 128, 128) for name in ("scene", "wrist")]
        self._sockets = {topic: self._bind(topic) for topic in (OBSERVATION, OPERATOR)}
        self.chunks = Subscriber((ACTION_CHUNK,), run_dir)
        self.heartbeats = Subscriber((HEARTBEAT_ENGINE,), run_dir)
        self.statuses = Subscriber((ENGINE_STATUS,), run_dir)
        self.sequence = 0

    def _bind(self, topic: Topic) -> zmq.Socket[bytes]:
        socket = zmq.Context.instance().socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, 0)
        if topic.has_senders:
            socket.connect(topic.endpoint(self.run_dir, "engine"))
        else:
            socket.bind(topic.endpoint(self.run_dir))
        return socket

    def send(self, topic: Topic, *parts: bytes) -> None:
        """Send `parts` as they are: this side may lie."""
        self._sockets[topic].send_multipart(parts)

    def frames(self, exposure_ns: int, brightness: int = 51) -> tuple[FrameRef, ...]:
        refs = []
        for ring in self.rings:
            ring.slot()[:] = brightness
            refs.append(ring.commit(exposure_ns))
        return tuple(refs)

    def observation(self, exposure_ns: int | None = None, brightness: int = 51, **changes: object) -> Observation:
        exposure_ns = time.monotonic_ns() if exposure_ns is None else exposure_ns
        self.sequence += 1
        fields = {
            "sequence": self.sequence,
            "exposure_ns": exposure_ns,
            "published_ns": exposure_ns,
            "joint_digest": self.embodiment.joint_digest,
            "position": (*self.embodiment.home[:-1], 0.04),
            "velocity": (0.0,) * 8,
            **changes,
        }
        if "frames" not in fields:
            fields["frames"] = self.frames(exposure_ns, brightness)
        return Observation(**fields)  # type: ignore[arg-type]

    def observe(self, **changes: object) -> Observation:
        observation = self.observation(**changes)  # type: ignore[arg-type]
        self.send(OBSERVATION, encode(OBSERVATION, observation))
        return observation

    def heartbeat_with(
        self, is_wanted: Callable[[Heartbeat], bool], act: Callable[[], None] = lambda: None
    ) -> Heartbeat:
        """The first heartbeat that `is_wanted`, repeating `act` before each look."""
        deadline = time.monotonic() + PATIENCE_S
        last = None
        while time.monotonic() < deadline:
            act()
            last = self.heartbeats.wait_for(Heartbeat, 0.2)
            if isinstance(last, Heartbeat) and is_wanted(last):
                return last
        raise AssertionError(f"no such heartbeat within {PATIENCE_S} s; the last was {last}")

    def instruct(self, number: int = 1, instruction: str = "touch the red cube") -> None:
        """Repeat the instruction until the engine says that it follows it."""
        status = self.ask(number, instruction)
        assert (status.answer, status.instruction) == (InstructionAnswer.FOLLOWED, instruction)

    def ask(self, number: int, instruction: str) -> EngineStatus:
        """Repeat the instruction, as the operator's side does, until the engine says what became of it."""
        command = OperatorCommand(id=number, kind=OperatorKind.INSTRUCT, stamp_ns=0, instruction=instruction)
        deadline = time.monotonic() + PATIENCE_S
        status = None
        while time.monotonic() < deadline:
            self.send(OPERATOR, encode(OPERATOR, command))
            status = self.statuses.wait_for(EngineStatus, 0.1)
            if isinstance(status, EngineStatus) and status.instruction_id == number:
                return status
        raise AssertionError(f"no such status within {PATIENCE_S} s; the last was {status}")

    def chunk(self, brightness: int = 51) -> ActionChunk:
        """Observe until a chunk comes, not looking at those of earlier observations."""
        first = self.sequence + 1
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.observe(brightness=brightness)
            chunk = self.chunks.wait_for(ActionChunk, 0.05)
            if isinstance(chunk, ActionChunk) and chunk.observation_sequence >= first:
                return chunk
        raise AssertionError("no chunk came")

    def close(self) -> None:
        for ring in self.rings:
            ring.close()
        for socket in self._sockets.values():
            socket.close()
        self.chunks.close()
        self.heartbeats.close()
        self.statuses.close()


@pytest.fixture
def surroundings(tmp_path: Path, embodiment: Embodiment) -> Iterator[Surroundings]:
    surroundings = Surroundings(tmp_path / "run", embodiment)
    yield surroundings
    surroundings.close()


@pytest.fixture
def config(tmp_path: Path, write_bundle: BundleWriter) -> Path:
    """A robot.toml that names the toy bundle."""
    for source in SIM_CONFIG.parent.glob("*.toml"):
        shutil.copy(source, tmp_path)
    path = tmp_path / "robot.toml"
    path.write_text(
        f"""
        [robot]
        name = "toy"
        driver = "sim"
        embodiment = "embodiment.toml"
        safety = "safety.toml"
        bundle = "{write_bundle().name}"
        [engine]
        replan_interval_s = 0.0
        """
    )
    return path


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(surroundings: Surroundings, config: Path) -> Iterator[Start]:
    """Starts an engine; whatever still runs at the end of the test is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edge_runtime.engine", "--config", str(config)]
        process = subprocess.Popen(
            [*command, "--run-dir", str(surroundings.run_dir), *extra], stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    lifeline_path(port_name(surroundings.run_dir)).unlink(missing_ok=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_instructed_engine_answers_and_ends_when_asked(
    start: Start, surroundings: Surroundings, number: signal.Signals
) -> None:
    process = start()
    surroundings.instruct(instruction="touch the red cube")
    chunk = surroundings.chunk()
    offset = 0.1 * 51 / 255 + 0.01 * (2 + 3 + 4 + 6)
    expected_rad = np.array(surroundings.embodiment.home[:-1]) + 0.1 * offset
    np.testing.assert_allclose(np.array(chunk.position)[:, :-1], np.tile(expected_rad, (4, 1)), atol=1e-6)
    assert chunk.instruction_id == 1
    assert chunk.exposure_ns < chunk.timing.received_ns < chunk.published_ns
    beat = surroundings.heartbeat_with(lambda beat: beat.counters["inferences"] > 0)
    assert (beat.process, beat.pid) == ("engine", process.pid)
    assert beat.gauges["inference_p99_ms"] >= beat.gauges["model_p50_ms"] > 0
    process.send_signal(number)
    _, stderr = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "Traceback" not in stderr


def _nan_for(home: tuple[float, ...], data: bytes) -> bytes:
    """The same bytes with the first joint position replaced by a quiet NaN."""
    packed = msgspec.msgpack.encode(home[1])
    assert packed in data
    return data.replace(packed, b"\xcb\x7f\xf8" + bytes(6), 1)


def test_everything_bad_is_refused_with_its_kind_and_the_engine_lives(start: Start, surroundings: Surroundings) -> None:
    process = start()
    surroundings.heartbeat_with(
        lambda beat: beat.refusals.get("observation.no_instruction", 0) > 0, lambda: surroundings.observe() and None
    )
    surroundings.instruct()
    surroundings.chunk()

    def observed(**changes: object) -> bytes:
        return encode(OBSERVATION, surroundings.observation(**changes))  # type: ignore[arg-type]

    now_ns = time.monotonic_ns

    def gone() -> bytes:
        data = observed()
        for _ in range(8):
            surroundings.frames(0)
        return data

    def resized(**changes: object) -> bytes:
        exposure_ns = now_ns()
        scene, wrist = surroundings.frames(exposure_ns)
        return observed(exposure_ns=exposure_ns, frames=(msgspec.structs.replace(scene, **changes), wrist))

    attacks: dict[str, Callable[[], tuple[bytes, ...]]] = {
        "observation.oversized": lambda: (bytes(OBSERVATION.max_bytes + 1),),
        "observation.malformed": lambda: (os.urandom(100),),
        "observation.not_finite": lambda: (_nan_for(surroundings.embodiment.home, observed()),),
        "observation.joint_order": lambda: (observed(joint_digest="0" * 64),),
        "observation.shape": lambda: (observed(position=(0.0,) * 7, velocity=(0.0,) * 7),),
        "observation.stale": lambda: (observed(exposure_ns=now_ns() - 10**9),),
        "observation.future": lambda: (observed(exposure_ns=now_ns() + 10**9),),
        "observation.out_of_range": lambda: (resized(slot=99),),
        "observation.camera_missing": lambda: (observed(frames=()),),
        "observation.frame_gone": lambda: (gone(),),
        "observation.out_of_order": lambda: (observed(), observed(exposure_ns=now_ns() - 100_000_000)),
        "observation.duplicate": lambda: (observed(),) * 2,
        "operator.malformed": lambda: (b"\xc1",),
        "operator.oversized": lambda: (bytes(OPERATOR.max_bytes + 1),),
    }
    for key, attack in attacks.items():
        topic = OPERATOR if key.startswith("operator") else OBSERVATION
        deadline = time.monotonic() + PATIENCE_S
        refusals: dict[str, int] = {}
        while key not in refusals:
            assert time.monotonic() < deadline, (key, refusals)
            for message in attack():
                surroundings.send(topic, message)
            beat = surroundings.heartbeats.wait_for(Heartbeat, 0.3)
            refusals = beat.refusals if isinstance(beat, Heartbeat) else {}
    for topic in (OBSERVATION, OPERATOR):
        surroundings.send(topic, b"two", b"frames")
        surroundings.send(topic, b"")
        surroundings.send(topic, bytes(2 << 20))
    surroundings.instruct(2)
    assert surroundings.chunk().instruction_id == 2
    assert process.poll() is None


def test_an_answer_that_is_not_finite_is_kept_back(start: Start, surroundings: Surroundings) -> None:
    start()
    surroundings.instruct()
    surroundings.heartbeat_with(
        lambda beat: beat.refusals.get("action_chunk.not_finite", 0) > 0,
        lambda: surroundings.observe(brightness=200) and None,
    )
    assert surroundings.chunks.receive(0.0) == []
    assert surroundings.chunk(brightness=51).instruction_id == 1


def test_a_killed_engine_is_replaced_by_one_that_needs_only_the_instruction(
    start: Start, surroundings: Surroundings
) -> None:
    first = start()
    surroundings.instruct()
    surroundings.chunk()
    first.kill()
    first.wait()
    start()
    surroundings.instruct(1)
    surroundings.chunk()


def test_a_stopped_engine_that_goes_on_answers_what_is_new(start: Start, surroundings: Surroundings) -> None:
    process = start()
    surroundings.instruct()
    surroundings.chunk()
    process.send_signal(signal.SIGSTOP)
    for _ in range(200):
        surroundings.observe()
    time.sleep(0.3)
    process.send_signal(signal.SIGCONT)
    resumed_ns = time.monotonic_ns()
    assert surroundings.chunk().exposure_ns >= resumed_ns
    beat = surroundings.heartbeat_with(lambda beat: beat.refusals.get("observation.stale", 0) > 0)
    assert beat.counters["inferences"] <= 4


def test_in_lockstep_every_observation_gets_its_chunk(start: Start, surroundings: Surroundings) -> None:
    embodiment = surroundings.embodiment
    name = port_name(surroundings.run_dir)
    with DriverPort.create(name, len(embodiment.axes), embodiment.joint_digest, 0, virtual_clock=True) as port:
        port.advance_clock(1)
        start("--lockstep")
        surroundings.instruct()
        for step in range(1, 6):
            port.advance_clock(step * 1_000_000)
            observation = surroundings.observe(exposure_ns=step * 1_000_000)
            chunk = surroundings.chunks.wait_for(ActionChunk, PATIENCE_S)
            assert isinstance(chunk, ActionChunk)
            assert chunk.observation_sequence == observation.sequence
            assert chunk.exposure_ns == chunk.timing.received_ns == chunk.published_ns == step * 1_000_000


def test_an_altered_bundle_ends_the_start_with_one_line(start: Start, config: Path) -> None:
    (config.parent / "bundle" / "encode.onnx").write_bytes(b"altered")
    process = start()
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "encode.onnx" in stderr
    assert len(stderr.strip().splitlines()) == 1
