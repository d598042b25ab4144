"""A driver may be slower than the loop, and its samples late: a perfect robot behind it is no faulty one, and a faulty
one is found by the same measure as behind a fast driver."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from edge_runtime.safety import Kernel, KernelConfig, Measurement, Reason, Request, Result, State, Target, Verdict
from tests.safety.robot import TICK_NS, make_config

RATES_HZ = (30, 50, 60, 100, 125, 200, 250, 500, 1000)
STEP_12_BIT_RAD = 2.0 * math.pi / 4096
Spoil = Callable[[int, float], float]


def so101_like(**changes: object) -> KernelConfig:
    """Hobby servos on a serial bus: fast for their rate of samples."""
    config = make_config(
        2,
        q_min=(-1.9, -1.9),
        q_max=(1.9, 1.9),
        dq_max=(3.6, 3.6),
        ddq_max=(20.0, 20.0),
        dddq_max=(1000.0, 1000.0),
        tracking_max=(0.15, 0.15),
        feedback_max_age_ns=100_000_000,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


class SlowDriver:
    """Samples of a robot that is where it was told to be, taken at `rate_hz` and handed over `late` samples later.

    `spoil` gets the number of a sample and what it should be: what the robot was told `lag` ticks before.
    """

    def __init__(
        self,
        config: KernelConfig,
        rate_hz: float,
        late: int = 0,
        spoil: Spoil = lambda _, q: q,
        lag: int = 0,
        **load: object,
    ) -> None:
        self.kernel = Kernel(config)
        self.period_ns = round(1e9 / rate_hz)
        self.late = late
        self.spoil = spoil
        self.load = load
        self.now_ns = 10**9
        self.ticks = 0
        self.q = 0.0
        self.told_rad = [0.0] * (lag + 1)
        self.samples: list[Measurement] = []
        self.largest_lag_rad = 0.0

    def sample(self) -> Measurement:
        """The newest one that has arrived."""
        if self.now_ns >= 10**9 + len(self.samples) * self.period_ns:
            number = len(self.samples)
            q = (self.spoil(number, self.told_rad[0]), 0.0)
            stamp_ns = 10**9 + number * self.period_ns
            taken = Measurement(stamp_ns=stamp_ns, seq=number + 1, q=q, dq=(0.0, 0.0))
            self.samples.append(replace(taken, **self.load))  # type: ignore[arg-type]
        return self.samples[max(0, len(self.samples) - 1 - self.late)]

    def step(self, target_rad: float | None) -> Verdict:
        self.now_ns += TICK_NS
        self.ticks += 1
        sample = self.sample()
        target = None
        if target_rad is not None:
            stamps = {"stamp_ns": self.now_ns, "observation_ns": self.now_ns, "seq": self.ticks}
            target = Target(q=(target_rad, 0.0), **stamps)
        verdict = self.kernel.step(sample, target, self.now_ns)
        if verdict.state.is_armed:
            self.largest_lag_rad = max(self.largest_lag_rad, abs(self.q - sample.q[0]))
            self.q = verdict.q[0]
        self.told_rad = [*self.told_rad[1:], self.q]
        return verdict

    def arm(self) -> None:
        for _ in range(100):
            self.step(None)
        assert self.kernel.request(Request.ARM, self.sample(), self.now_ns) is Result.DONE

    def sweep(self, ticks: int, turn: int = 1300) -> Verdict:
        """From end to end at full speed and around again, every `turn` ticks; ends early with a fault."""
        for k in range(ticks):
            verdict = self.step(-1.8 if (k // turn) % 2 else 1.8)
            if verdict.faults:
                break
        return verdict


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_perfect_robot_at_full_speed_is_not_stopped(rate_hz: int, late: int) -> None:
    driver = SlowDriver(so101_like(), rate_hz, late)
    driver.arm()
    verdict = driver.sweep(6000)
    assert (verdict.faults, verdict.state) == (Reason(0), State.ACTIVE)
    # The slow ones are far behind the command of now, further than a tracking error may be.
    if rate_hz == 30 and late:
        assert driver.largest_lag_rad > 0.2


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("rate_hz", [10, *RATES_HZ])
def test_a_frozen_encoder_is_found_by_samples(rate_hz: int, late: int) -> None:
    """It repeats itself to the bit from one of its samples on: the second that is taken after the travel tells."""
    frozen: list[float] = []

    def stuck(number: int, q: float) -> float:
        if number * 1000 < 350 * rate_hz:
            return q
        frozen.append(q)
        return frozen[0]

    # At 3.6 rad/s and 10 samples a second the tracking error would be first.
    config = so101_like(tracking_max=(1000.0, 1000.0), feedback_max_age_ns=350_000_000)
    driver = SlowDriver(config, rate_hz, late, stuck)
    driver.arm()
    verdict = driver.step(1.8)
    gone_ns = 0
    while not verdict.faults:
        if not gone_ns and frozen and driver.q - frozen[0] > config.frozen_found[0]:
            gone_ns = driver.now_ns
        verdict = driver.step(1.8)
    assert verdict.faults == Reason.ENCODER_FROZEN
    assert driver.q - frozen[0] > config.of_axes("frozen_travel")[0]
    assert not gone_ns or driver.now_ns - gone_ns <= (2 + late) * driver.period_ns + 2 * TICK_NS


def coarse(step_rad: float) -> Spoil:
    """An encoder with steps of this size."""
    return lambda _, q: step_rad * math.floor(q / step_rad)


@pytest.mark.parametrize("rate_hz", [10, 15, 20, 30, 60, 100, 1000])
@pytest.mark.parametrize("lag", [0, 10, 20, 40])
def test_a_coarse_encoder_is_not_frozen_where_motion_turns(rate_hz: int, lag: int) -> None:
    """The joint, behind its command, is measured in the same place before and after the turn, which comes a tick later
    in its sample every time, so that in the end it has come everywhere."""
    config = so101_like(tracking_max=(0.5, 0.5), feedback_max_age_ns=250_000_000)
    driver = SlowDriver(config, rate_hz, 0, coarse(STEP_12_BIT_RAD), lag)
    driver.arm()
    verdict = driver.sweep(40_100, turn=401)
    assert (verdict.faults, verdict.state) == (Reason(0), State.ACTIVE)


@pytest.mark.parametrize("rate_hz", [10, 30, 100, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_a_joint_can_show_is_frozen(rate_hz: int, seed: int) -> None:
    """Of all that it was told since the sample before, give or take a step of the encoder, which is as wide as the
    travel, each sample shows what is nearest to the last one: it repeats itself as often as can be. Its motions are as
    short as its samples."""
    generator = random.Random(seed)
    config = so101_like(
        tracking_max=(1000.0, 1000.0),
        ddq_max=(200.0, 200.0),
        dddq_max=(200_000.0, 200_000.0),
        feedback_max_age_ns=round(1.2e9 / rate_hz) + 2 * TICK_NS,
    )
    shown = [0.0]
    told: list[float] = []

    def lazy(_: int, q: float) -> float:
        told.append(q)
        shown.append(min(max(shown[-1], min(told) - 0.025), max(told) + 0.025))
        del told[:-1]
        return shown[-1]

    driver = SlowDriver(config, rate_hz, 0, lazy)
    driver.arm()
    repeated = 0
    for _ in range(300):
        target = generator.uniform(-1.0, 1.0) * generator.choice((0.1, 1.8))
        for _ in range(generator.randint(1, 1000 // rate_hz + 10)):
            verdict = driver.step(target)
            told.append(driver.q)
            assert (verdict.faults, verdict.state) == (Reason(0), State.ACTIVE)
        repeated += len(shown) > 3 and len(set(shown[-3:])) == 1
    assert repeated > 20


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("lag_rad", "faults"), [(0.14, Reason(0)), (0.16, Reason.TRACKING_ERROR)])
def test_a_robot_that_lags_is_stopped_whatever_the_rate(rate_hz: int, lag_rad: float, faults: Reason) -> None:
    """Behind what it had been told when it was sampled, by a little less and a little more than it may be."""
    driver = SlowDriver(so101_like(), rate_hz)
    driver.arm()
    first = len(driver.samples)
    driver.spoil = lambda number, q: q - min(lag_rad, 0.02 * (number - first))
    assert driver.sweep(2500).faults == faults


@pytest.mark.parametrize("rate_hz", [30, 100, 1000])
def test_a_spike_in_one_sample_is_none_and_a_load_in_two_is_one(rate_hz: int) -> None:
    """Debouncing 5 ms means samples over 5 ms, not one sample that is looked at for as long."""
    driver = SlowDriver(so101_like(tau_max=(2.0, 2.0)), rate_hz)
    driver.arm()
    driver.load = {"tau": (3.0, 0.0)}
    before = len(driver.samples)
    while len(driver.samples) == before:
        assert not driver.step(0.0).faults
    driver.load = {"tau": (1.0, 0.0)}
    for _ in range(200):
        assert not driver.step(0.0).faults
    driver.load = {"tau": (3.0, 0.0)}
    before = len(driver.samples)
    while not driver.step(0.0).faults:
        assert len(driver.samples) - before <= 5
    assert len(driver.samples) - before == max(2, 5 * rate_hz // 1000)


@pytest.mark.parametrize("again", ["seq", "stamp_ns"])
def test_a_sample_that_comes_by_again_is_not_a_second_one(again: str) -> None:
    """Whether it is handed over under its own number or with its own stamp."""
    driver = SlowDriver(so101_like(), 1000)
    driver.arm()
    for _ in range(300):
        driver.step(1.8)
    held = driver.sample()
    for k in range(25):
        driver.now_ns += TICK_NS
        new = {"seq": held.seq + k, "stamp_ns": driver.now_ns} | {again: getattr(held, again)}
        stamps = {"stamp_ns": driver.now_ns, "observation_ns": driver.now_ns, "seq": 401 + k}
        target = Target(q=(1.8, 0.0), **stamps)
        verdict = driver.kernel.step(replace(held, **new), target, driver.now_ns)
        assert (verdict.faults, verdict.state) == (Reason(0), State.ACTIVE)
