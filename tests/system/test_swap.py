"""The policy is changed while the arm moves: no tick is lost, nothing jumps, and what goes wrong stops nobody."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.manifest.version_1 import FlowSampler, written
from edge_runtime.contracts.messages import ActionChunk, SafetyReport
from edge_runtime.contracts.topics import ACTION_CHUNK, SAFETY_REPORT
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.safety import State
from edge_runtime.safety.recording import KIND_TICK, Recording, read_recording
from edge_runtime.safety.replay import replay
from edge_runtime.testing.two_bundles import Orders, TwoBundles, variant_of
from tests.settings import replace
from tests.system.conftest import Robot
from tests.system.drift_bundle import write_robot

pytestmark = pytest.mark.realtime

CHANGES = 20
TICK_S = 1e-3
ROUNDING = 1e-6
"""Part of a limit that the positions' own rounding may make."""
STARVING_NS = 600_000_000
"""A plan reaches 0.8 s beyond its observation."""
DRIFT = pytest.mark.parametrize("robot_toml", ["drift"], indirect=True)
"""With a policy that is loaded in no time and never done."""


class Bench:
    """A moving robot with two bundles, somebody who gives orders, and everything that engine and control said."""

    def __init__(self, robot: Robot, bundles: TwoBundles, orders: Orders, tap: Subscriber) -> None:
        self.robot, self.bundles, self.orders = robot, bundles, orders
        self.shipped = bundles.shipped
        self.chunks: list[ActionChunk] = []
        self.reports: list[SafetyReport] = []
        self._tap = tap
        robot.operator.on_wait = self._tend

    def _tend(self) -> None:
        self.robot.table.tend()
        self.orders.tend()
        for message in self._tap.receive(0.0):
            if isinstance(message, ActionChunk):
                self.chunks.append(message)
            elif isinstance(message, SafetyReport):
                self.reports.append(message)

    def until(self, condition: Callable[[], bool]) -> None:
        self.robot.until(condition, 30.0)

    def follow(self, seconds: float) -> None:
        self.robot.operator.wait_until(lambda: False, seconds)

    def until_followed(self, digest: str) -> None:
        """Until the arm moves as that bundle's policy says."""

        def followed() -> bool:
            report = self.robot.operator.watcher.report
            return report is not None and (report.bundle_digest, report.state.value) == (digest, "active")

        self.until(followed)

    def until_standby(self, digest: str) -> None:
        def waits() -> bool:
            policy = self.robot.operator.watcher.policy
            return policy is not None and policy.standby == digest

        self.until(waits)

    def recording(self) -> Recording:
        folder = self.robot.run_dir / "black_box"
        known = set(folder.glob("*.bin"))
        self.robot.operator.record()
        self.until(lambda: bool(set(folder.glob("*.bin")) - known))
        return read_recording((set(folder.glob("*.bin")) - known).pop())


@pytest.fixture
def robot_toml(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The shipped arm with the shipped policy, or with the drift policy; its own settings each time."""
    if getattr(request, "param", "") == "drift":
        return write_robot(tmp_path / "config")
    for source in SIM_CONFIG.parent.glob("*.toml"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    replace(tmp_path / "robot.toml", r'bundle = ".*"', f'bundle = "{load_config(SIM_CONFIG).bundle_dir}"')
    return tmp_path / "robot.toml"


@pytest.fixture
def bundles(robot_toml: Path) -> TwoBundles:
    return TwoBundles(robot_toml)


@pytest.fixture
def bench(bundles: TwoBundles, moving_robot: Robot) -> Iterator[Bench]:
    with (
        Orders(moving_robot.run_dir) as orders,
        Subscriber((ACTION_CHUNK, SAFETY_REPORT), moving_robot.run_dir) as tap,
    ):
        yield Bench(moving_robot, bundles, orders, tap)


def other_of(bundles: TwoBundles) -> str:
    """Installs a bundle that plans in fewer steps and says it in other units than the shipped one."""
    contract = written(read_manifest(bundles.config.bundle_dir).policy)
    before = contract.action_normalization
    scaled = type(before)(mean=before.mean, std=tuple(value * 1.05 for value in before.std))
    made = variant_of(
        bundles.config.bundle_dir,
        bundles.root.parent / "other",
        sampler=FlowSampler(steps=4, noise_seed=3, fixed_noise=True),
        action_normalization=scaled,
    )
    return bundles.install(made)


def assert_within_limits(recording: Recording) -> int:
    """No command breaks the arm's limits, by the positions alone; how often the bundle that was followed changed."""
    limits, joints = recording.header.limits, recording.header.axis_names.index("gripper")
    ticks = recording.records[recording.records["kind"] == KIND_TICK]
    # Before it was armed, the arm was where it had been put.
    idle = np.flatnonzero(ticks["verdict"]["state"] != State.ACTIVE)
    ticks = ticks[idle[-1] + 1 :] if len(idle) else ticks
    motion = ticks["verdict"]["q"][:, :joints]
    # What the loop wrote over while the ring was copied is missing.
    follows = np.diff(ticks["seq"].astype(np.int64)) == 1
    in_row = np.ones(len(ticks), bool)
    for name in ("dq_max", "ddq_max", "dddq_max"):
        motion = np.diff(motion, axis=0) / TICK_S
        in_row = in_row[1:] & in_row[:-1] & follows[len(follows) - len(motion) :]
        assert (np.abs(motion[in_row]) <= np.asarray(limits[name])[:joints] * (1.0 + ROUNDING)).all(), name
    assert in_row.mean() > 0.5
    followed = ticks["verdict"]["bundle_digest"]
    followed = followed[followed.any(axis=1)]
    return int(np.count_nonzero((np.diff(followed.astype(np.int16), axis=0) != 0).any(axis=1)))


def test_changed_in_motion_again_and_again_nobody_could_tell_from_the_motion(bench: Bench) -> None:
    other = other_of(bench.bundles)
    bench.bundles.point(bench.shipped, previous=other)
    watcher = bench.robot.operator.watcher
    bench.until_followed(bench.shipped)
    # The other one is loaded while the arm moves.
    bench.orders.give(bench.shipped, other)
    bench.until_standby(other)
    for turn in range(CHANGES):
        serve, standby = (other, bench.shipped) if turn % 2 == 0 else (bench.shipped, other)
        bench.orders.give(serve, standby)
        bench.until_followed(serve)
        assert watcher.policy is not None
        assert watcher.policy.failed == ""
    bench.follow(0.3)

    chunks, reports = bench.chunks, bench.reports
    assert {chunk.bundle_digest for chunk in chunks} == {bench.shipped, other}
    acted = [digest for digest, _ in itertools.groupby(chunk.bundle_digest for chunk in chunks)]
    assert len(acted) == CHANGES + 1
    assert all(b.sequence == a.sequence + 1 for a, b in itertools.pairwise(chunks))
    pairs = list(itertools.pairwise(chunks))
    gaps_ns = [b.published_ns - a.published_ns for a, b in pairs]
    is_change = [a.bundle_digest != b.bundle_digest for a, b in pairs]
    elsewhere_ns = max(gap for gap, change in zip(gaps_ns, is_change, strict=True) if not change)
    if elsewhere_ns < STARVING_NS:
        # Of a machine that withholds the processor for longer, nothing can be asked.
        assert max(gaps_ns) < STARVING_NS
        assert {report.state.value for report in reports} == {"active"}
        assert min(report.plan_left_ns for report in reports) > 0, "no plan ran out"
    assert {report.faults for report in reports} == {()}
    assert {report.bundle_digest for report in reports} == {bench.shipped, other}
    assert bench.robot.refused("control.action_chunk.wrong_bundle") == 0
    assert bench.robot.table.restarts()["engine"] == 0
    assert watcher.heartbeats["control"].counters["reports_dropped"] == 0
    moved = np.abs(np.diff([report.position_commanded for report in reports], axis=0)).sum()
    assert moved > 0.5, "it was under way all the while"
    first, last = reports[0], reports[-1]
    ticks, overruns = last.loop.ticks - first.loop.ticks, last.loop.overruns - first.loop.overruns
    assert ticks + overruns == pytest.approx((last.stamp_ns - first.stamp_ns) / 1e6, abs=15), "no tick is unaccounted"

    recording = bench.recording()
    assert replay(recording).identical
    assert assert_within_limits(recording) >= 3, "there are several changes in it"


@DRIFT
def test_an_altered_or_foreign_bundle_is_named_and_the_arm_goes_on(bench: Bench) -> None:
    other = other_of(bench.bundles)
    bench.bundles.point(bench.shipped, previous=other)
    blob = bench.bundles.folder(other) / "denoise.onnx"
    blob.write_bytes(bytes(blob.stat().st_size))
    watcher = bench.robot.operator.watcher
    moved_from = bench.robot.operator.watcher.report
    for serve, standby in ((other, bench.shipped), ("0" * 64, bench.shipped), (bench.shipped, other)):
        order = bench.orders.give(serve, standby)
        named = serve if serve != bench.shipped else standby

        def failed(order: int = order) -> bool:
            policy = watcher.policy
            return policy is not None and policy.order_id == order and bool(policy.failed)

        bench.until(failed)
        assert watcher.policy is not None
        assert (watcher.policy.failed, watcher.policy.serving) == (named, bench.shipped)
        assert watcher.policy.problem
    bench.follow(0.5)
    assert {chunk.bundle_digest for chunk in bench.chunks} == {bench.shipped}
    assert {report.state.value for report in bench.reports} == {"active"}
    assert moved_from is not None
    assert bench.reports[-1].position_measured[6] > moved_from.position_measured[6]


@DRIFT
def test_an_engine_that_is_killed_in_a_change_comes_back_with_what_the_pointer_names(bench: Bench) -> None:
    other = other_of(bench.bundles)
    bench.bundles.point(other, previous=bench.shipped)
    bench.orders.give(other, bench.shipped)
    os.kill(bench.robot.table.pids()["engine"], signal.SIGKILL)
    bench.until(lambda: bench.robot.table.restarts()["engine"] == 1)
    bench.until_followed(other)
    bench.until_standby(bench.shipped)
    assert bench.robot.refused("control.action_chunk.wrong_bundle") == 0
    assert {report.faults for report in bench.reports} == {()}
    assert {report.state.value for report in bench.reports} <= {"active", "holding"}
