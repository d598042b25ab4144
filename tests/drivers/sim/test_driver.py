"""The driver process of the simulated arm, alone: a real process on a real port, control's side written from C."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.messages import Heartbeat, Observation, SceneCommand, SceneStatus
from edge_runtime.drivers.sim.declaration import WATCHDOG_NS
from edge_runtime.ipc.frames import FrameReader
from edge_runtime.ipc.port import CommandState, FeedbackFlag
from tests.drivers.sim.conftest import Cell, StartCell


def follow(
    cell: Cell, seconds: float, speed_rad_s: float = 0.0, state: CommandState = CommandState.ACTIVE
) -> list[float]:
    """Be a control that moves joint 1 at constant speed at about 1 kHz; returns the last command."""
    q = cell.position()
    start_s, before_s = time.monotonic(), time.monotonic()
    while (now_s := time.monotonic()) < start_s + seconds:
        q[0] += speed_rad_s * (now_s - before_s)
        before_s = now_s
        cell.command(time.monotonic_ns(), state, q, (speed_rad_s, *(0.0,) * 6))
        time.sleep(0.001)
    return q


@pytest.mark.realtime
@pytest.mark.in_company
def test_observations_carry_pictures_of_the_instant_they_name(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=False)
    reader = FrameReader()
    seen = cell.collect(Observation, 12)
    for observation in seen[2:]:
        assert [ref.camera for ref in observation.frames] == ["scene", "wrist"]
        assert {ref.exposure_ns for ref in observation.frames} == {observation.exposure_ns}
        assert observation.published_ns - observation.exposure_ns < 100_000_000
    with reader.view(seen[-1].frames[0]) as pixels:
        assert pixels.shape == (128, 128, 3)
        assert pixels.std() > 5.0
    gaps_s = np.diff([observation.exposure_ns for observation in seen]) / 1e9
    assert np.median(gaps_s) == pytest.approx(0.05, abs=0.01)


@pytest.mark.realtime
@pytest.mark.in_company
def test_without_power_the_arm_stands_and_its_feedback_stays_fresh(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=False)
    before = cell.position()
    other = [value + 0.3 for value in before]
    deadline = time.monotonic() + 0.5
    ages_ns = []
    while time.monotonic() < deadline:
        cell.command(time.monotonic_ns(), CommandState.READY, other)
        feedback = cell.feedback()
        ages_ns.append(time.monotonic_ns() - feedback.stamp_ns)
        assert not np.any(feedback.dq)
        time.sleep(0.002)
    assert cell.position() == before
    assert np.median(ages_ns) < 5_000_000


@pytest.mark.realtime
@pytest.mark.in_company
def test_under_power_the_arm_follows_and_refuses_another_scene(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=False)
    assert cell.lay_out(7, seed=3).answer == "ok"
    start = cell.position()
    end = follow(cell, 0.6, speed_rad_s=0.4)
    assert end[0] - start[0] == pytest.approx(0.24, abs=0.03)
    assert cell.position()[0] == pytest.approx(end[0], abs=0.05)

    cell.scene.send(command := SceneCommand(id=8, seed=4, split="eval", stamp_ns=0))
    for _ in range(20):
        follow(cell, 0.02)
        cell.scene.send(command)
    statuses = [m for m in cell.subscriber.receive(0.5) if isinstance(m, SceneStatus)]
    assert (statuses[-1].answered_id, statuses[-1].answer) == (8, "not_allowed_now")
    assert statuses[-1].seed == 3
    assert statuses[-1].elapsed_s > 0.5
    follow(cell, 0.05, state=CommandState.READY)
    assert cell.lay_out(9, seed=4).seed == 4
    assert cell.collect(Heartbeat, 2)[-1].refusals == {"scene_command.not_allowed_now": 1}


@pytest.mark.realtime
@pytest.mark.in_company
def test_when_commands_cease_the_arm_stops_by_itself_within_limits_and_stays(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=False)
    follow(cell, 0.5, speed_rad_s=0.8)
    silent_since_s = time.monotonic()
    samples: list[tuple[float, float, float]] = []
    while time.monotonic() < silent_since_s + 0.6:
        feedback = cell.feedback()
        if not samples or samples[-1][0] != feedback.stamp_ns / 1e9:
            samples.append((feedback.stamp_ns / 1e9, float(feedback.q[0]), float(feedback.dq[0])))
        time.sleep(0.001)
    time_s, position_rad, speed_rad_s = np.array(samples).T
    assert abs(speed_rad_s[-1]) < 1e-6
    moving = time_s[np.abs(speed_rad_s) > 0.05]
    # The watchdog, 0.8 rad/s at 6 rad/s² of ramp, and the lag of servo and test.
    assert moving[-1] - silent_since_s < WATCHDOG_NS / 1e9 + 0.3
    assert np.ptp(position_rad) < 0.8 * (WATCHDOG_NS / 1e9 + 0.03) + 0.8**2 / (2 * 6.0) + 0.05
    feedback = cell.feedback()
    assert FeedbackFlag.DRIVER_FAULT in feedback.flags

    at_rest = cell.position()
    follow(cell, 0.2, speed_rad_s=0.8)
    assert cell.position() == at_rest, "it must not follow again before control has let go of it"
    follow(cell, 0.05, state=CommandState.READY)
    feedback = cell.feedback()
    assert FeedbackFlag.DRIVER_FAULT not in feedback.flags
    cell.subscriber.receive(0.0)
    assert cell.collect(Heartbeat, 2)[-1].counters["watchdog_stops"] == 1
    follow(cell, 0.3, speed_rad_s=0.4)
    assert cell.position()[0] > at_rest[0] + 0.05, "it follows again"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_asked_to_leave_leaves_nothing_behind(start_cell: StartCell, how: signal.Signals) -> None:
    cell = start_cell(lockstep=False)
    rings = {ref.ring for ref in cell.collect(Observation, 1)[0].frames}
    assert all((Path("/dev/shm") / ring).exists() for ring in rings)
    cell.process.send_signal(how)
    assert cell.process.wait(5.0) == 0
    left = {path.name for path in Path("/dev/shm").iterdir()}
    assert not rings & left
    assert cell.port.name not in left


def test_a_killed_driver_is_replaced_by_the_next(start_cell: StartCell) -> None:
    first = start_cell(lockstep=False)
    first.process.kill()
    first.process.wait(5.0)
    first.scene.close()
    second = start_cell(lockstep=False)
    assert len(second.position()) == 8
    assert len(second.collect(Observation, 3)) == 3


# ---- lockstep --------------------------------------------------------------------------------------------------------


def lockstep_episode(cell: Cell, ticks: int) -> tuple[list[list[float]], list[Observation]]:
    """Be a control in lockstep: one command for each tick, an acknowledgement for each observation."""
    observations: list[Observation] = []
    positions: list[list[float]] = []
    seen_ns = cell.port.now_ns()
    q = cell.position()
    deadline = time.monotonic() + 30.0
    while len(positions) < ticks:
        assert time.monotonic() < deadline
        for message in cell.subscriber.receive(0.0):
            if isinstance(message, Observation):
                observations.append(message)
                cell.port.acknowledge_observation(message.exposure_ns)
        now_ns = cell.port.now_ns()
        if now_ns > seen_ns:
            seen_ns = now_ns
            q[0] += 0.0004
            positions.append(cell.position())
            cell.command(now_ns, CommandState.ACTIVE, q, (0.4, *(0.0,) * 6))
    return positions, observations


def let_go(cell: Cell, ticks: int) -> None:
    """Be a control that is not armed, for some ticks."""
    deadline = time.monotonic() + 10.0
    end_ns = cell.port.now_ns() + ticks * 1_000_000
    while (now_ns := cell.port.now_ns()) < end_ns:
        assert time.monotonic() < deadline
        cell.command(now_ns, CommandState.READY, cell.position())
        time.sleep(0.0002)


def test_lockstep_repeats_a_seed_exactly_and_shows_an_observation_at_every_interval(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=True)
    runs = []
    for scene_id in (1, 2):
        assert cell.lay_out(scene_id, seed=11).answer == "ok"
        positions, observations = lockstep_episode(cell, 650)
        runs.append(positions)
        exposures = np.array([observation.exposure_ns for observation in observations])
        assert np.array_equal(np.diff(exposures), [200_000_000] * (len(exposures) - 1))
        assert len(exposures) == 4
        let_go(cell, ticks=200)
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][-1]


def test_lockstep_time_stands_still_until_the_observation_is_acknowledged(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=True)
    cell.lay_out(1, seed=5)
    deadline = time.monotonic() + 10.0
    seen: list[Observation] = []
    while not seen and time.monotonic() < deadline:
        cell.command(cell.port.now_ns(), CommandState.ACTIVE, cell.position())
        seen += [m for m in cell.subscriber.receive(0.0) if isinstance(m, Observation)]
    frozen_ns = cell.port.now_ns()
    assert seen[0].exposure_ns == frozen_ns
    time.sleep(0.3)
    assert cell.port.now_ns() == frozen_ns
    assert cell.collect(SceneStatus, 2), "the driver still says how it stands"
    cell.port.acknowledge_observation(frozen_ns)
    time.sleep(0.1)
    assert cell.port.now_ns() > frozen_ns


def test_lockstep_without_power_ticks_on_gently_and_shows_nothing(start_cell: StartCell) -> None:
    cell = start_cell(lockstep=True)
    start_ns, start_s = cell.port.now_ns(), time.monotonic()
    while time.monotonic() < start_s + 0.5:
        cell.command(cell.port.now_ns(), CommandState.READY, cell.position())
        assert not [m for m in cell.subscriber.receive(0.001) if isinstance(m, Observation)]
    passed_s = (cell.port.now_ns() - start_ns) / 1e9
    assert 0.0 < passed_s < 1.0
