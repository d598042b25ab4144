"""Robots of many shapes through the real loop: chunks become plans, plans verdicts, verdicts commands and recordings.

What is recorded is replayed bit for bit. The driver is perfect, the limits come of a safety file as a robot's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.axes import Continuous
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.messages import ActionChunk, InferenceTiming
from edge_runtime.control.admission import Admission
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.chunk_buffer import ChunkBuffer, Posture
from edge_runtime.control.chunk_pipeline import ChunkPipeline, Taken
from edge_runtime.control.limits import kernel_config
from edge_runtime.safety import KernelConfig, State
from edge_runtime.safety.recording import read_recording
from edge_runtime.safety.replay import replay
from edge_runtime.testing.other_robots import OTHER_ROBOTS, write_settings
from tests.control.stepped import SteppedLoop
from tests.control.test_chunk_pipeline import SETTINGS

MS = 1_000_000
DT_NS = 50 * MS
HORIZON = 16


@dataclass
class Bench:
    """One robot on a stepped loop, armed, and the way of its chunks."""

    embodiment: Embodiment
    config: KernelConfig
    stepped: SteppedLoop
    buffer: ChunkBuffer
    pipeline: ChunkPipeline
    chunks: int = 0

    def rest(self) -> Posture:
        """Where each axis is commanded to be, a base how fast it drives."""
        drives = [axis.is_velocity for axis in self.embodiment.axes]
        command = self.stepped.port.read_command()
        assert command is not None
        return Posture(np.where(drives, command.dq, command.q))

    def chunk(self, goal: NDArray[np.float64]) -> ActionChunk:
        """From where the robot is smoothly to `goal` in 0.8 s; a base drives at that speed meanwhile."""
        self.chunks += 1
        now, start = self.stepped.now_ns, self.rest().position
        share = np.arange(1, HORIZON + 1) / HORIZON
        rows = start + (share**3 * (10.0 - 15.0 * share + 6.0 * share**2))[:, None] * (goal - start)
        turns = np.array([isinstance(axis, Continuous) for axis in self.embodiment.axes])
        # A policy may tell of a joint without ends modulo a turn.
        rows = np.where(turns, np.remainder(rows + np.pi, 2.0 * np.pi) - np.pi, rows)
        return ActionChunk(
            sequence=self.chunks,
            observation_sequence=self.chunks,
            exposure_ns=now,
            published_ns=now,
            dt_ns=DT_NS,
            joint_digest=self.embodiment.joint_digest,
            bundle_digest="b" * 64,
            instruction_id=1,
            position=tuple(map(tuple, rows.tolist())),
            timing=InferenceTiming(received_ns=now, preprocess_ns=1, model_ns=1, postprocess_ns=1),
        )

    def follow(self, goal: NDArray[np.float64]) -> Taken:
        """Hand over a chunk that leads there."""
        taken = self.pipeline.take(self.chunk(goal), self.stepped.now_ns, self.rest(), 0)
        assert isinstance(taken, Taken), taken
        return taken


@pytest.fixture(params=sorted(OTHER_ROBOTS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    embodiment = OTHER_ROBOTS[request.param]
    settings = load_config(write_settings(tmp_path, embodiment))
    config = kernel_config(settings.safety, settings.embodiment)
    with SteppedLoop(embodiment=embodiment, config=config, priority=0) as stepped:
        stepped.tick(2)
        stepped.arm()
        stepped.tick()
        buffer = ChunkBuffer(embodiment, blend_ns=100 * MS, max_age_ns=1000 * MS, reach_ns=2000 * MS)
        admission = Admission(config, embodiment, deviation_max_rad=0.3, blocked_max=0.5)
        yield Bench(embodiment, config, stepped, buffer, ChunkPipeline(stepped.loop, buffer, admission, SETTINGS))


def away(embodiment: Embodiment, share: float) -> NDArray[np.float64]:
    """A posture some way from home, inside all ranges, and a base that drives."""
    goal = []
    for axis in embodiment.axes:
        if axis.is_velocity:
            goal.append(share * axis.high)
        elif axis.has_range:
            farther = axis.high if axis.high - axis.home >= axis.home - axis.low else axis.low
            goal.append(axis.home + share * (farther - axis.home))
        else:
            goal.append(axis.home + share)
    return np.array(goal)


def test_chunks_are_followed_and_the_recording_replays_bit_for_bit(bench: Bench, tmp_path: Path) -> None:
    """All axes go where the chunks say, and what was recorded is what the kernel says again."""
    embodiment, stepped = bench.embodiment, bench.stepped
    box = BlackBox(stepped.loop, bench.config, tmp_path / "box", Origin("test", "0" * 64, None))
    for share in (0.05, 0.1):
        bench.follow(away(embodiment, share))
        stepped.tick(700)
    command = stepped.port.read_command()
    assert command is not None
    assert command.state.follows
    goal = away(embodiment, 0.1)
    for i, axis in enumerate(embodiment.axes):
        told = float(command.dq[i] if axis.is_velocity else command.q[i])
        left = told - goal[i]
        left = float(np.remainder(left + np.pi, 2.0 * np.pi) - np.pi) if not axis.has_range else left
        allowed = 0.25 * axis.high if axis.is_velocity else 0.05 * max(1.0, abs(goal[i] - axis.home))
        assert abs(left) <= allowed, f"{axis.name} is told {told}, its goal is {goal[i]}"
    assert stepped.loop.counters().faults == 0
    with box:
        box.record()
    (path,) = (tmp_path / "box").iterdir()
    recording = read_recording(path)
    assert recording.header.axis_names == embodiment.axis_names
    result = replay(recording)
    assert result.identical, result.differences[:3]
    assert result.ticks > 1400


def test_a_plan_that_plays_out_ends_at_rest(bench: Bench) -> None:
    """Joints stand where they were told to go; a base brakes inside its limits, and no gripper moves on."""
    embodiment, stepped = bench.embodiment, bench.stepped
    bench.follow(away(embodiment, 0.1))
    stepped.tick(3000)
    assert stepped.loop.counters().state is State.HOLDING
    assert not stepped.robot.dq.any(), "nothing moves"
    speeds = np.array([report["dq_command"][: len(embodiment.axes)] for report in stepped.loop.drain_reports()])
    for i, axis in enumerate(embodiment.axes):
        if axis.is_velocity:
            assert np.abs(speeds[:, i]).max() > 0.05 * axis.high, f"{axis.name} drove"
            most = bench.config.ddq_max[i] * 1e-3
            assert np.abs(np.diff(speeds[:, i])).max() <= most * (1 + 1e-9), f"{axis.name} brakes inside its limits"
