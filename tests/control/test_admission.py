"""What is foreseen of a plan is what the loop then does, tick for tick; what is refused; what a longer seam cures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import Refusal
from edge_runtime.control.admission import Admission, Prediction, Rehearsal
from edge_runtime.control.chunk_buffer import Offer, Refused
from edge_runtime.control.limits import kernel_config
from edge_runtime.control.plan import Plan, beginning_of
from edge_runtime.safety import KernelConfig, Reason, Request, Result, State
from edge_runtime.safety.kernel_binding import Kernel, Measurement
from tests.control.control_process import make_config, wave
from tests.control.perfect_driver import JOINTS, ROBOT
from tests.control.stepped import SteppedLoop
from tests.safety.geometry_robot import HOME_RAD, arm

MS = 1_000_000
N = len(JOINTS)


@pytest.fixture
def stepped() -> Iterator[SteppedLoop]:
    with SteppedLoop(priority=0) as made:
        made.arm()
        made.tick()
        yield made


@pytest.fixture
def rehearsal() -> Rehearsal:
    return Rehearsal(make_config(), ROBOT, np.array([0.3] * N + [np.inf]))


def ramp(seq: int, start_ns: int, height_rad: float, rise_s: float, *, seconds: float = 0.8) -> Plan:
    """All joints from zero to `height_rad`, softly, within `rise_s`; knots 10 ms apart."""
    t_s = np.arange(0.0, seconds + 5e-3, 0.01)
    progress = np.clip(t_s / rise_s, 0.0, 1.0)
    height = height_rad * progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)
    return Plan(
        seq=seq,
        chunk_seq=seq,
        observation_ns=start_ns,
        t_ns=start_ns + np.round(t_s * 1e9).astype(np.int64),
        q=np.column_stack([np.outer(height, np.ones(N)), np.zeros(t_s.size)]),
    )


def jump(seq: int, start_ns: int, height_rad: float) -> Plan:
    """Stands still for 200 ms, then wants to be elsewhere at once."""
    plan = ramp(seq, start_ns, 0.0, 1.0)
    return replace(plan, q=np.where((plan.t_ns > start_ns + 200 * MS)[:, None], [height_rad] * N + [0.0], plan.q))


def followed(stepped: SteppedLoop, ticks: int) -> NDArray[np.float64]:
    stepped.loop.drain_reports()
    stepped.tick(ticks)
    reports = stepped.loop.drain_reports()
    assert len(reports) == ticks
    return np.array(reports["q_command"][:, : N + 1])


@pytest.mark.parametrize(
    ("shape", "interventions"),
    [(lambda now_ns: ramp(1, now_ns, 0.3, 0.7), 0), (lambda now_ns: jump(1, now_ns, 0.4), 100)],
    ids=["inside the limits", "a jump"],
)
def test_the_loop_does_what_was_foreseen_tick_for_tick(
    stepped: SteppedLoop, rehearsal: Rehearsal, shape: Callable[[int], Plan], interventions: int
) -> None:
    plan = shape(stepped.now_ns)
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    foreseen = rehearsal.predict(state, tick_ns, (plan,))
    commands = rehearsal.commands(state, tick_ns, (plan,))
    stepped.loop.set_plan(plan)
    np.testing.assert_array_equal(followed(stepped, len(commands)), commands)
    assert foreseen.ticks == len(commands) == 800
    assert foreseen.interventions >= interventions
    if interventions == 0:
        assert foreseen.interventions == 0
        assert (foreseen.limits, foreseen.first_ns) == ((), None)
        assert foreseen.deviation < 1e-12


def test_a_plan_that_waits_for_its_time_is_foreseen_with_the_one_before_it(
    stepped: SteppedLoop, rehearsal: Rehearsal
) -> None:
    first = wave(1, stepped.now_ns, 0.9)
    stepped.loop.set_plan(first)
    stepped.tick(200)
    second = replace(wave(2, stepped.now_ns - 200 * MS, 0.9), active_from_ns=stepped.now_ns + 150 * MS)
    third = replace(wave(3, stepped.now_ns - 200 * MS, 1.5), active_from_ns=stepped.now_ns + 300 * MS)
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    commands = rehearsal.commands(state, tick_ns, (first, second, third))
    stepped.loop.set_plan(second)
    stepped.tick()
    stepped.loop.set_plan(third)
    np.testing.assert_array_equal(followed(stepped, len(commands) - 1), commands[1:])


def test_what_the_kernel_would_alter_is_told(stepped: SteppedLoop, rehearsal: Rehearsal) -> None:
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    foreseen = rehearsal.predict(state, tick_ns, (jump(1, stepped.now_ns, 0.4),))
    assert {"limit_acceleration", "limit_jerk"} <= set(foreseen.limits)
    assert foreseen.first_ns is not None
    assert abs(foreseen.first_ns - (stepped.now_ns + 200 * MS)) <= 20 * MS
    assert 0.3 < foreseen.deviation < 0.5


def test_a_rehearsal_changes_nothing(stepped: SteppedLoop, rehearsal: Rehearsal) -> None:
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    plan = jump(1, stepped.now_ns, 0.4)
    assert rehearsal.predict(state, tick_ns, (plan,)) == rehearsal.predict(state, tick_ns, (plan,))
    assert followed(stepped, 50).any() == np.False_
    assert stepped.loop.counters().state is State.HOLDING


def test_a_plan_in_the_past_has_nothing_to_foresee(stepped: SteppedLoop, rehearsal: Rehearsal) -> None:
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    assert rehearsal.predict(state, tick_ns, (wave(1, tick_ns - 10**9, 0.5),)) == Prediction()


def test_the_beginning_of_a_plan_is_the_same_motion(stepped: SteppedLoop, rehearsal: Rehearsal) -> None:
    plan = wave(2, stepped.now_ns, 0.9)
    beginning = beginning_of(plan, stepped.now_ns + 260 * MS)
    assert beginning is not None
    assert beginning.seq == 1
    assert 260 * MS <= int(beginning.t_ns[-1]) - stepped.now_ns <= 400 * MS
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    whole, part = (rehearsal.commands(state, tick_ns, (each,)) for each in (plan, beginning))
    np.testing.assert_array_equal(part[:260], whole[:260])
    assert beginning_of(plan, int(plan.t_ns[-1])) is None


def offer_of(plan: Plan, blend_ns: int = 100 * MS) -> Offer:
    return Offer(plan, expired_actions=0, splice_ns=plan.observation_ns, blend_ns=blend_ns)


def no_other(blend_ns: int) -> Offer | Refused:
    raise AssertionError(f"a cross-fade of {blend_ns} ns was asked for")


def judge(stepped: SteppedLoop, offer: Offer, with_blend: Callable[[int], Offer | Refused] = no_other) -> Any:
    admission = Admission(make_config(), ROBOT, deviation_max_rad=0.25, blocked_max=0.5)
    state, tick_ns = stepped.loop.snapshot_at_tick(stepped.now_ns)
    return admission.judge(state, tick_ns, (), offer, with_blend)


def test_a_plan_that_the_kernel_follows_is_admitted_as_it_is(stepped: SteppedLoop) -> None:
    offer = offer_of(ramp(1, stepped.now_ns, 0.3, 0.7))
    judged = judge(stepped, offer)
    assert (judged.refused, judged.offer) == (None, offer)


def test_a_plan_that_is_only_clipped_is_admitted_with_what_is_foreseen(stepped: SteppedLoop) -> None:
    judged = judge(stepped, offer_of(jump(1, stepped.now_ns, 0.2)))
    assert judged.refused is None
    assert judged.prediction.interventions > 0


def test_a_plan_that_the_kernel_would_leave_behind_is_refused(stepped: SteppedLoop) -> None:
    judged = judge(stepped, offer_of(jump(1, stepped.now_ns, 0.4)))
    assert judged.refused is not None
    assert judged.refused.refusal is Refusal.PREDICTED_DEVIATION
    assert judged.prediction.deviation > 0.25


def test_a_robot_that_is_told_to_be_slow_may_stay_behind(stepped: SteppedLoop) -> None:
    plan = replace(ramp(1, stepped.now_ns, 0.8, 0.7), speed_scale=0.1)
    judged = judge(stepped, offer_of(plan))
    assert judged.refused is None
    assert judged.prediction.deviation > 0.25
    assert judged.prediction.slowed


def test_a_seam_that_would_be_clipped_gets_longer_until_it_is_not(stepped: SteppedLoop) -> None:
    asked: list[int] = []

    def with_blend(blend_ns: int) -> Offer:
        asked.append(blend_ns)
        return offer_of(ramp(1, stepped.now_ns, 0.15, blend_ns / 1e9), blend_ns)

    judged = judge(stepped, with_blend(100 * MS), with_blend)
    assert asked == [100 * MS, 200 * MS, 400 * MS]
    assert judged.offer.blend_ns == 400 * MS
    assert judged.prediction.interventions == 0


def test_a_longer_seam_is_not_tried_for_what_lies_behind_it(stepped: SteppedLoop) -> None:
    judged = judge(stepped, offer_of(jump(1, stepped.now_ns, 0.1)))
    assert judged.prediction.interventions > 0
    assert judged.offer.blend_ns == 100 * MS


def test_if_no_seam_is_free_of_limits_the_usual_one_is_kept(stepped: SteppedLoop) -> None:
    def with_blend(blend_ns: int) -> Offer:
        return offer_of(ramp(1, stepped.now_ns, 0.2, 0.1), blend_ns)

    judged = judge(stepped, with_blend(100 * MS), with_blend)
    assert judged.refused is None
    assert judged.offer.blend_ns == 100 * MS
    assert judged.prediction.interventions > 0


def test_a_longer_seam_saves_a_plan_that_would_be_refused(stepped: SteppedLoop) -> None:
    def with_blend(blend_ns: int) -> Offer:
        return offer_of(ramp(1, stepped.now_ns, 0.5, blend_ns / 1e9), blend_ns)

    assert judge(stepped, with_blend(100 * MS), lambda _: Refused(Refusal.STALE, "")).refused is not None
    judged = judge(stepped, with_blend(100 * MS), with_blend)
    assert judged.refused is None
    assert judged.offer.blend_ns > 100 * MS


def _arm_in_a_box() -> tuple[KernelConfig, Any, int]:
    """The simulated arm among walls, held at home; limits, kernel state, instant of its last tick."""
    config = load_config(SIM_CONFIG)
    limits = replace(
        kernel_config(config.safety, config.embodiment),
        geometry=msgspec.structs.replace(arm(), axes=config.embodiment.axis_names),
        tool_speed_max_m_s=(1.5,),
        clearance_min_m=0.01,
    )
    kernel = Kernel(limits)

    def measurement(now_ns: int) -> Measurement:
        return Measurement(stamp_ns=now_ns, seq=now_ns // MS, q=(*HOME_RAD, 0.0), dq=(0.0,) * 8)

    kernel.step(measurement(MS), None, MS)
    assert kernel.request(Request.ARM, measurement(MS), MS) is Result.DONE
    kernel.step(measurement(2 * MS), None, 2 * MS)
    return limits, kernel._state, 2 * MS


@pytest.mark.parametrize(("target_rad", "refusal"), [(0.4, None), (1.6, Refusal.PREDICTED_BLOCK)])
def test_a_plan_through_the_table_is_refused(target_rad: float, refusal: Refusal | None) -> None:
    limits, state, tick_ns = _arm_in_a_box()
    progress = np.linspace(0.0, 1.0, 41)
    reach = np.zeros((41, 8))
    # The shoulder leans forward, and with it the tool comes down on the table.
    reach[:, 1] = target_rad * progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)
    plan = Plan(
        seq=1,
        chunk_seq=1,
        observation_ns=tick_ns,
        t_ns=tick_ns + np.arange(41, dtype=np.int64) * 50 * MS,
        q=np.array([*HOME_RAD, 0.0]) + reach,
    )
    admission = Admission(limits, load_config(SIM_CONFIG).embodiment, deviation_max_rad=10.0, blocked_max=0.2)
    judged = admission.judge(state, tick_ns, (), offer_of(plan, 400 * MS), no_other)
    assert (judged.refused.refusal if judged.refused is not None else None) is refusal
    assert (Reason.LIMIT_GEOMETRY in judged.prediction.reasons) == (refusal is not None)
    assert (judged.prediction.blocked > 0.2) == (refusal is not None)
