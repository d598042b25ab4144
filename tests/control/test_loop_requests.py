"""What is asked of the loop between two ticks: tighter limits, a look at its state; and what it reads of a driver."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.errors import SafetyError
from edge_runtime.ipc.port import FeedbackFlag
from edge_runtime.safety import Reason, Result, State
from tests.control.control_process import wave
from tests.control.stepped import SteppedLoop


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.01, math.nan, math.inf])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        assert stepped.loop.tighten(speed_scale=scale) is Result.REFUSED_VALUE


def test_tighter_at_any_time_looser_only_without_power() -> None:
    with SteppedLoop(limits={"tool_speed_max_m_s": (1.0,)}) as stepped:
        loop = stepped.loop
        stepped.arm()
        assert loop.tighten(speed_scale=0.5) is Result.DONE
        assert loop.tighten(speed_scale=0.6) is Result.REFUSED_LOOSER
        assert loop.tighten(speed_scale=0.5, tool_speed_max_m_s=0.25) is Result.DONE
        assert loop.tighten(speed_scale=0.4) is Result.REFUSED_LOOSER, "the tool may not get faster either"
        assert loop.tighten(speed_scale=0.5, tool_speed_max_m_s=2.0) is Result.REFUSED_VALUE
        loop.set_plan(wave(1, stepped.now_ns, 4.0, amplitude_rad=2.0))
        stepped.tick(1000)
        reports = loop.drain_reports()
        assert np.abs(reports["dq_command"]).max() == pytest.approx(1.0)
        assert (reports["reasons"] & np.uint64(Reason.LIMIT_SPEED_SCALE)).any()
        assert loop.disarm() is Result.DONE
        stepped.tick(1000)
        assert loop.tighten() is Result.DONE
        stepped.tick()
        assert loop.drain_reports()["speed_scale"][-1] == 1.0


def test_a_snapshot_is_the_state_after_the_last_tick() -> None:
    with SteppedLoop() as stepped:
        with pytest.raises(SafetyError, match="not ticked"):
            stepped.loop.snapshot()
        stepped.arm()
        assert stepped.loop.snapshot().state == State.HOLDING, "a request shows at once"
        stepped.loop.set_plan(wave(1, stepped.now_ns, 4.0))
        stepped.tick(300)
        snapshot = stepped.loop.snapshot()
        last = stepped.loop.drain_reports()[-1]
        assert snapshot.last_now_ns == stepped.now_ns
        assert list(snapshot.q) == last["q_command"].tolist()
        assert list(snapshot.dq) == last["dq_command"].tolist()
        assert list(snapshot.ddq) == last["ddq_command"].tolist()


@pytest.mark.parametrize(
    ("flag", "limits", "reason"),
    [
        (FeedbackFlag.HAS_TORQUE, {"tau_max": (5.0,) * 3, "debounce_ticks": 3}, Reason.TORQUE),
        (FeedbackFlag.HAS_WRENCH, {"force_max_n": (20.0,), "debounce_ticks": 3}, Reason.FORCE),
    ],
)
def test_measured_torque_and_force_reach_the_kernel(
    flag: FeedbackFlag, limits: dict[str, object], reason: Reason
) -> None:
    with SteppedLoop(limits=limits) as stepped:
        stepped.arm()
        for measured in (False, True):
            for _ in range(5):
                robot, stamp_ns = stepped.robot, stepped.now_ns + 1_000_000
                tau = [0.0, -6.0, 0.0, 0.0] if measured and flag is FeedbackFlag.HAS_TORQUE else None
                wrench = [[30.0, 0.0, 0.0, 0.0, 0.0, 0.0]] if measured and flag is FeedbackFlag.HAS_WRENCH else ()
                stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, tau, wrench)
                stepped.tick(measures=False)
            faults = stepped.loop.counters().faults
            assert faults == (reason if measured else Reason(0))


@pytest.mark.parametrize("flag", [FeedbackFlag.HAS_TORQUE, FeedbackFlag.HAS_WRENCH])
def test_a_sensor_that_falls_silent_is_a_fault_of_its_driver(flag: FeedbackFlag) -> None:
    def measure(flags: FeedbackFlag) -> None:
        robot, stamp_ns = stepped.robot, stepped.now_ns + 1_000_000
        tau = robot.zero if flags & FeedbackFlag.HAS_TORQUE else None
        wrench = [[0.0] * 6] if flags & FeedbackFlag.HAS_WRENCH else ()
        stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, tau, wrench)
        stepped.tick(measures=False)

    with SteppedLoop() as stepped:
        stepped.arm()
        measure(flag)
        assert stepped.loop.counters().state is State.HOLDING
        measure(FeedbackFlag(0))
        assert stepped.loop.counters().faults == Reason.DRIVER_FAULT, "its limit would not be watched any more"
        for _ in range(3):
            measure(FeedbackFlag(0))
        assert stepped.loop.reset() is Result.REFUSED_STOP_LINE
        measure(flag)
        assert stepped.loop.reset() is Result.DONE


@pytest.mark.parametrize("silent", [0, 1])
def test_a_wrench_that_falls_silent_is_missed_though_another_tools_goes_on(silent: int) -> None:
    def measure(*tools: bool) -> None:
        robot, stamp_ns = stepped.robot, stepped.now_ns + 1_000_000
        stepped.plant.write_feedback(stamp_ns, robot.q, robot.dq, None, [[0.0] * 6 if told else None for told in tools])
        stepped.tick(measures=False)

    with SteppedLoop() as stepped:
        stepped.arm()
        measure(True, True)
        assert stepped.loop.counters().state is State.HOLDING
        left = (silent != 0, silent != 1)
        measure(*left)
        assert stepped.loop.counters().faults == Reason.DRIVER_FAULT
        for _ in range(3):
            measure(*left)
        assert stepped.loop.reset() is Result.REFUSED_STOP_LINE
        measure(True, True)
        assert stepped.loop.reset() is Result.DONE


class PausedDriver:
    """Holds the driver's block as a driver does that was paused, or died, in the middle of writing it."""

    def __init__(self, stepped: SteppedLoop) -> None:
        self._path = Path("/dev/shm", stepped.plant.name)
        stamp = stepped.now_ns.to_bytes(8, "little")
        # The lock stands right before the block, which begins with stamp and number.
        feedback = stepped.plant.read_feedback()
        assert feedback is not None
        self._lock_at = self._path.read_bytes().index(stamp + feedback.seq.to_bytes(8, "little")) - 8

    def pause(self) -> None:
        with self._path.open("r+b") as region:
            region.seek(self._lock_at)
            lock = int.from_bytes(region.read(8), "little")
            region.seek(self._lock_at)
            region.write((lock | 1).to_bytes(8, "little"))


def test_a_driver_paused_in_its_block_does_not_keep_a_robot_at_rest_from_arming() -> None:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        driver = PausedDriver(stepped)
        driver.pause()
        stepped.tick(measures=False)
        assert stepped.loop.counters().torn_feedback == 1
        assert stepped.loop.arm() is Result.DONE
        stepped.tick()
        assert stepped.loop.counters().state is State.HOLDING


def test_a_driver_that_died_in_its_block_is_not_armed() -> None:
    with SteppedLoop(limits={"feedback_max_age_ns": 20_000_000}) as stepped:
        stepped.tick(2)
        PausedDriver(stepped).pause()
        stepped.tick(22, measures=False)
        assert stepped.loop.arm() is not Result.DONE
