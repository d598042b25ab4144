"""Who moves the robot: a person who jogs it or its policy, never both, and nobody who was not granted it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.messages import (
    Asker,
    Authority,
    AxisSpeeds,
    AxisTargets,
    JogCommand,
    OperatorCommand,
    OperatorKind,
)
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.supervisor import Supervisor
from edge_runtime.ipc.bus import Refusals
from edge_runtime.safety import Reason, State
from tests.control.control_process import make_config
from tests.control.stepped import SteppedLoop
from tests.control.supervised import CONFIG, Bench, RealClock, chunk_at, engine_status

VALID_NS = 200_000_000
HOLD_NS = 2_000_000_000
RETRACTS = {"retract": (0.1, 0.2, 0.3), "hold_timeout_ns": HOLD_NS}


class Held(Bench):
    """A control that follows no policy."""

    def __init__(self, stepped: SteppedLoop, folder: Path) -> None:
        super().__init__(stepped, folder, clock=RealClock(stepped), proved=False)
        self.refusals = Refusals()
        self.supervisor = Supervisor(
            CONFIG,
            bundles=None,
            bundle_digest=None,
            port=stepped.port,
            loop=stepped.loop,
            black_box=BlackBox(stepped.loop, make_config(), folder, Origin("arm", "", None)),
            orders=StandingOrders(folder),
            clock=RealClock(stepped),
            refusals=self.refusals,
        )


class Jogger:
    """A person who jogs one bench's robot."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.session, self._sequence = bench, 0, 0

    def begin(self, asker: Asker = Asker.PERSON) -> str | None:
        asked = self.bench.command(OperatorKind.JOG, asker)
        answer = self.bench.ask(asked)
        if answer == "done":
            self.session = asked.id
        return answer

    def say(self, motion: AxisSpeeds | AxisTargets, ticks: int = 30, valid_ns: int = VALID_NS) -> None:
        self._sequence += 1
        status = self.bench.supervisor.jog_status()
        self.bench.supervisor.take_jog(
            JogCommand(
                session=self.session,
                sequence=self._sequence,
                stamp_ns=self.bench.stepped.now_ns,
                valid_ns=valid_ns,
                joint_digest=status.joint_digest,
                motion=motion,
            )
        )
        self.bench.stepped.tick(ticks)
        self.bench.supervisor.drain()


SPEED = AxisSpeeds(speeds={"a": 0.2})


def ready(bench: Bench) -> Bench:
    bench.stepped.tick(1100)
    bench.supervisor.drain()
    return bench


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with SteppedLoop(priority=0, limits={"hold_timeout_ns": HOLD_NS}) as stepped:
        bench = Held(stepped, tmp_path)
        ready(bench)
        yield bench


@pytest.fixture
def with_policy(tmp_path: Path) -> Iterator[Bench]:
    """Of a robot that would retract to a posture of its own."""
    with SteppedLoop(priority=0, limits=RETRACTS) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        ready(bench)
        bench.supervisor.take_engine_status(engine_status(1))
        yield bench


def authority(bench: Bench) -> Authority:
    return bench.supervisor.report().authority


def refused(bench: Bench) -> dict[str, int]:
    return bench.supervisor._refusals.as_dict()


def test_a_person_jogs_and_no_program_does(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin(Asker.PROGRAM) == "refused_program"
    jogger.say(SPEED)
    assert held.state() is State.READY
    assert refused(held) == {"jog.not_jogging": 1}
    assert authority(held) is Authority.NONE
    assert jogger.begin() == "done"
    assert authority(held) is Authority.JOG
    before_rad = held.stepped.robot.q.copy()
    held.stepped.tick(50)
    assert (held.stepped.robot.q == before_rad).all(), "beginning moves nothing"
    for _ in range(20):
        jogger.say(SPEED)
    moved_rad = held.stepped.robot.q - before_rad
    assert held.state() is State.ACTIVE
    assert moved_rad[0] == pytest.approx(0.2 * 0.6, rel=0.1)
    assert held.stepped.robot.dq[0] == pytest.approx(0.2, rel=1e-3)
    assert (moved_rad[1:] == 0.0).all()


def test_who_is_not_heard_any_more_moves_nothing_after_her_last_command_was_valid(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin() == "done"
    for _ in range(20):
        jogger.say(SPEED)
    # Nothing of Python has a part in it: the loop alone ticks on.
    held.stepped.tick(VALID_NS // 1_000_000 - 30)
    assert held.stepped.robot.dq[0] > 0.0
    longest_stop_ms = round(1e3 * (0.2 / 10.0 + 2.0 * 10.0 / 5000.0)) + 2
    held.stepped.tick(longest_stop_ms)
    assert (held.stepped.robot.dq == 0.0).all()
    assert held.state() is State.HOLDING


def test_the_other_way_round_a_policys_plans_are_refused_by_name_while_a_person_jogs(with_policy: Bench) -> None:
    bench, jogger = with_policy, Jogger(with_policy)
    assert jogger.begin() == "done"
    jogger.say(SPEED)
    receipt = bench.supervisor.take_chunk(chunk_at(bench.stepped.now_ns, 1))
    assert receipt is not None
    assert receipt.refusal == "jogged"
    report = bench.supervisor.report()
    assert (report.authority, report.bundle_digest, report.chunk_sequence) == (Authority.JOG, None, None)
    bench.supervisor.take_engine_status(engine_status(2, ""))
    jogger.say(SPEED, ticks=100)
    assert bench.state() is State.ACTIVE, "a sentence that the policy can't read is none of her business"
    assert bench.ask(bench.command(OperatorKind.ARM)) == "refused_state"
    assert bench.ask(bench.command(OperatorKind.DISARM)) == "done"
    bench.stepped.tick(100)
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    assert authority(bench) is Authority.POLICY
    bench.supervisor.take_engine_status(engine_status(3))
    assert bench.supervisor.take_chunk(chunk_at(bench.stepped.now_ns, 3)) is None
    bench.stepped.tick(10)
    jogger.say(SPEED)
    assert refused(bench)["jog.not_jogging"] == 1


def test_nobody_jogs_what_a_policy_moves_or_may_move(with_policy: Bench) -> None:
    bench, jogger = with_policy, Jogger(with_policy)
    assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
    assert bench.state() is State.HOLDING
    assert jogger.begin() == "refused_in_force"
    assert bench.supervisor.take_chunk(chunk_at(bench.stepped.now_ns, 1)) is None
    bench.stepped.tick(50)
    assert bench.state() is State.ACTIVE
    assert jogger.begin() == "refused_in_force"
    jogger.say(SPEED)
    assert authority(bench) is Authority.POLICY


def test_what_is_held_is_taken_over_at_rest_and_by_one_at_a_time(held: Held) -> None:
    assert held.ask(held.command(OperatorKind.ARM)) == "done"
    assert authority(held) is Authority.HOLD
    first, second = Jogger(held), Jogger(held)
    assert first.begin() == "done"
    assert authority(held) is Authority.JOG
    for _ in range(5):
        first.say(SPEED)
    assert second.begin() == "refused_moving"
    held.stepped.tick(400)
    assert second.begin() == "done"
    before_rad = held.stepped.robot.q.copy()
    first.say(SPEED)
    assert refused(held) == {"jog.other_session": 1}
    assert (held.stepped.robot.q == before_rad).all()
    second.say(SPEED)
    assert held.state() is State.ACTIVE


def test_a_stop_ends_jogging_until_a_person_begins_again(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin() == "done"
    for _ in range(5):
        jogger.say(SPEED)
    assert held.ask(held.command(OperatorKind.STOP)) == "done"
    jogger.say(SPEED, ticks=2)
    assert refused(held) == {"jog.not_allowed_now": 1}
    held.stepped.tick(100)
    assert held.state() is State.FAULT
    jogger.say(SPEED)
    assert refused(held)["jog.not_jogging"] == 1
    assert held.supervisor.jog_status().session == 0
    assert jogger.begin() == "refused_state"
    assert held.ask(held.command(OperatorKind.RESET)) == "done"
    jogger.say(SPEED)
    assert held.state() is State.READY
    assert jogger.begin() == "done"
    jogger.say(SPEED)
    assert held.state() is State.ACTIVE


@pytest.mark.parametrize("kind", ["held", "with_policy"])
def test_who_is_silent_for_long_finds_the_robot_disarmed_where_it_was(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bench: Bench = request.getfixturevalue(kind)
    jogger = Jogger(bench)
    assert jogger.begin() == "done"
    for _ in range(10):
        jogger.say(SPEED)
    bench.stepped.tick(400)
    rest_rad = bench.stepped.robot.q.copy()
    states = set()
    for _ in range(3 * HOLD_NS // 50_000_000):
        bench.stepped.tick(50)
        bench.supervisor.drain()
        states.add(bench.state())
    assert State.RETRACTING not in states
    assert bench.state() is State.READY
    assert (bench.stepped.robot.q == rest_rad).all()
    assert authority(bench) is Authority.NONE


def test_she_jogs_at_reduced_speed_and_the_policy_is_as_fast_as_before(tmp_path: Path) -> None:
    limit_m_s = CONFIG.safety.geometry.reduced_tool_speed_m_s if CONFIG.safety.geometry is not None else None
    with SteppedLoop(priority=0, limits={"tool_speed_max_m_s": (1.0,)}) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        ready(bench)
        bench.supervisor.take_engine_status(engine_status(1))
        tool_m_s = lambda: stepped.loop.snapshot().tightening.tool_speed_max_m_s  # noqa: E731
        assert tool_m_s() == 1.0
        assert Jogger(bench).begin() == "done"
        assert tool_m_s() == limit_m_s
        assert bench.supervisor.report().reduced is None, "an operator has ordered nothing"
        assert bench.ask(bench.command(OperatorKind.DISARM)) == "done"
        stepped.tick(10)
        assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
        assert tool_m_s() == 1.0


def test_reduced_speed_that_an_operator_ordered_outlives_jogging(tmp_path: Path) -> None:
    with SteppedLoop(priority=0, limits={"tool_speed_max_m_s": (1.0,)}) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        ready(bench)
        assert bench.ask(bench.command(OperatorKind.REDUCE_SPEED)) == "done"
        reduced_m_s = stepped.loop.snapshot().tightening.tool_speed_max_m_s
        assert Jogger(bench).begin() == "done"
        assert bench.ask(bench.command(OperatorKind.DISARM)) == "done"
        stepped.tick(10)
        bench.supervisor.drain()
        assert stepped.loop.snapshot().tightening.tool_speed_max_m_s == reduced_m_s
        assert bench.supervisor.report().reduced is not None


def test_the_kernel_looks_at_each_tick_and_keeps_the_limits(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin() == "done"
    fastest = AxisSpeeds(speeds={"a": 0.5, "b": -0.5})
    highest_rad_s = 0.0
    for _ in range(200):
        jogger.say(fastest)
        highest_rad_s = max(highest_rad_s, *abs(held.stepped.robot.dq))
    assert held.stepped.robot.q[:2] == pytest.approx([2.5, -2.5], abs=1e-3), "as far as the range goes"
    assert (abs(held.stepped.robot.q) <= 2.5).all()
    assert highest_rad_s <= 0.5 + 1e-9
    assert "limit_position" in held.supervisor.report().reasons
    for _ in range(20):
        jogger.say(AxisSpeeds(speeds={"a": -0.5}))
    assert held.stepped.robot.q[0] < 2.4, "and away from there at once"


def test_a_target_is_gone_to_and_held(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin() == "done"
    for _ in range(60):
        jogger.say(AxisTargets(targets={"c": -0.1, "gripper": 0.01}, speed_scale=0.1))
    assert held.stepped.robot.q == pytest.approx([0.0, 0.0, -0.1, 0.01], abs=1e-9)
    status = held.supervisor.jog_status()
    assert [axis.commanded for axis in status.axes] == pytest.approx([0.0, 0.0, -0.1, 0.01])
    assert [axis.measured for axis in status.axes] == pytest.approx([0.0, 0.0, -0.1, 0.01])


def test_what_she_did_wrong_is_told(held: Held) -> None:
    jogger = Jogger(held)
    assert jogger.begin() == "done"
    jogger.say(AxisSpeeds(speeds={"elbow": 0.1}))
    status = held.supervisor.jog_status()
    assert (status.refused_sequence, status.refused) == (1, "unknown_axis")
    assert status.detail == "this robot has no axis 'elbow'; it has: a, b, c, gripper"
    assert refused(held) == {"jog.unknown_axis": 1}


def test_a_person_moves_a_robot_whose_policy_has_died(tmp_path: Path) -> None:
    with SteppedLoop(priority=0, stall_timeout_s=0.1) as stepped:
        bench = Bench(stepped, tmp_path, clock=RealClock(stepped))
        ready(bench)
        bench.supervisor.take_engine_status(engine_status(1))
        assert bench.ask(bench.command(OperatorKind.ARM)) == "done"
        stepped.tick(5000)
        assert "policy_stalled" in [
            reason.name.lower() for reason in Reason if reason & stepped.loop.counters().reasons
        ]
        assert bench.supervisor.take_chunk(chunk_at(stepped.now_ns, 1)) is None
        stepped.tick(20)
        assert bench.state() is State.HOLDING, "plans of a policy that is lost are not followed"
        assert bench.ask(bench.command(OperatorKind.DISARM)) == "done"
        stepped.tick(20)
        jogger = Jogger(bench)
        assert jogger.begin() == "done"
        stepped.tick(5000)
        jogger.say(SPEED)
        assert bench.state() is State.ACTIVE


def test_in_virtual_time_nobody_jogs(tmp_path: Path) -> None:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        bench = Bench(stepped, tmp_path)
        assert Jogger(bench).begin() == "refused_lockstep"
        assert bench.state() is State.READY


def test_a_request_from_before_this_control_is_not_carried_out(held: Held) -> None:
    old = OperatorCommand(
        id=1, kind=OperatorKind.JOG, stamp_ns=time.monotonic_ns() - 10_000_000_000, asker=Asker.PERSON
    )
    assert held.ask(old) == "refused_restarted"
    assert held.ask(msgspec.structs.replace(old, id=2, stamp_ns=time.monotonic_ns())) == "done"


def test_who_says_what_is_over_when_it_arrives_finds_the_robot_disarmed_where_it_was(with_policy: Bench) -> None:
    bench, jogger = with_policy, Jogger(with_policy)
    assert jogger.begin() == "done"
    rest_rad = bench.stepped.robot.q.copy()
    states = set()
    for _ in range(2 * HOLD_NS // 30_000_000):
        jogger.say(SPEED, valid_ns=5_000_000)
        bench.supervisor.drain()
        states.add(bench.state())
    assert State.RETRACTING not in states
    assert bench.state() is State.READY
    assert (bench.stepped.robot.q == rest_rad).all()
