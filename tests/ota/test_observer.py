"""What is heard on the bus is counted once, and for the bundle that acted."""

from __future__ import annotations

import msgspec
import pytest

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import ControlState, EpisodeEnded, EpisodeJudge, EpisodeOutcome, GateState
from edge_runtime.contracts.topics import CHUNK_RECEIPT, ENGINE_STATUS, EPISODE_ENDED, POLICY_STATUS
from edge_runtime.ota.probation.bundle_stats import Record
from edge_runtime.ota.probation.observer import Observer
from tests.ota.talking_robot import STEP_NS, TalkingRobot, report

OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def observer() -> Observer:
    observer = Observer()
    observer.boots(OLD)
    return observer


@pytest.fixture
def robot(observer: Observer) -> TalkingRobot:
    return TalkingRobot(observer, OLD)


def test_motion_makes_windows_and_chunks(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(25.0)
    record = observer.record(OLD)
    assert record.active_s == pytest.approx(25.0, abs=0.11)
    assert record.interventions == (2, 0, 0, 0, 0)
    assert record.chunks == pytest.approx(250, abs=3)
    assert record.chunks_older_than(60e6) == record.chunks
    assert record.chunks_older_than(100e6) == 0
    assert (record.stalled, record.withheld, record.crashes, record.trips, record.episodes) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("state", [ControlState.READY, ControlState.HOLDING, ControlState.FAULT, ControlState.SILENT])
def test_a_robot_that_does_not_follow_its_policy_is_no_evidence(
    robot: TalkingRobot, observer: Observer, state: ControlState
) -> None:
    robot.state = state
    robot.run(30.0)
    assert observer.record(OLD) == Record(bundle=OLD)


def test_a_window_is_motion_added_up_over_pauses(robot: TalkingRobot, observer: Observer) -> None:
    for _ in range(3):
        robot.state = ControlState.ACTIVE
        robot.run(4.0)
        robot.state = ControlState.STOPPING
        robot.run(0.3)
        robot.state = ControlState.READY
        robot.run(20.0)
    assert observer.record(OLD).interventions == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(("altered", "place"), [(0, 0), (3, 1), (60, 2), (600, 3), (5000, 4)])
def test_a_window_has_the_class_of_its_altered_ticks(
    robot: TalkingRobot, observer: Observer, altered: int, place: int
) -> None:
    robot.run(1.0)
    robot.interventions = altered // 100 if altered >= 100 else altered
    robot.run(5.0 if altered >= 100 else STEP_NS * 1e-9)
    robot.interventions = 0
    robot.run(9.2 if altered < 100 else 4.2)
    assert observer.record(OLD).interventions.index(1) == place


def test_a_window_that_a_change_of_policy_cut_belongs_to_neither(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(9.0)
    robot.interventions = 50
    robot.bundle = NEW
    robot.run(9.0)
    robot.bundle = OLD
    robot.run(5.0)
    assert observer.record(OLD).windows == observer.record(NEW).windows == 0
    assert observer.record(NEW).active_s == pytest.approx(9.0, abs=0.11)


def test_a_window_with_lost_reports_belongs_to_nobody(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(9.0)
    robot.now_ns += 3_000_000_000
    robot.run(9.5)
    assert observer.record(OLD).windows == 0
    assert observer.record(OLD).active_s == pytest.approx(18.5, abs=0.2)


def test_a_plan_that_runs_out_stalls_the_window(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(3.0)
    robot.state = ControlState.HOLDING
    robot.run(0.5)
    robot.state = ControlState.ACTIVE
    robot.run(8.0)
    assert (observer.record(OLD).stalled, observer.record(OLD).withheld) == (1, 0)


def test_a_policy_that_asks_withholds(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(3.0)
    robot.state, robot.gate = ControlState.HOLDING, GateState.ASKING
    robot.run(0.5)
    robot.state, robot.gate = ControlState.ACTIVE, GateState.SURE
    robot.run(8.0)
    assert (observer.record(OLD).stalled, observer.record(OLD).withheld) == (0, 1)


@pytest.mark.parametrize(
    ("refusal", "withheld", "counted"),
    [
        (Refusal.PREDICTED_BLOCK, 1, True),
        (Refusal.UNSURE, 1, True),
        (Refusal.STALE, 0, True),
        (Refusal.WRONG_BUNDLE, 0, False),
        (Refusal.BEFORE_ARMING, 0, False),
    ],
)
def test_refused_chunks_count_where_the_policy_is_to_blame(
    robot: TalkingRobot, observer: Observer, refusal: Refusal, withheld: int, counted: bool
) -> None:
    robot.refusal = refusal
    robot.run(11.0)
    assert observer.record(OLD).withheld == withheld
    assert (observer.record(OLD).chunks > 50) == counted


def test_a_chunk_belongs_to_who_served_when_it_was_made(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(2.0)
    late = robot.receipt(chunk_sequence=10**6)
    robot.bundle = NEW
    robot.run(2.0)
    before = observer.record(NEW).chunks
    robot.hear(CHUNK_RECEIPT, late)
    assert observer.record(NEW).chunks == before


def test_a_status_that_was_overtaken_tells_nothing(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(2.0)
    overtaken = robot.status()
    robot.bundle = NEW
    robot.run(0.5)
    robot.hear(POLICY_STATUS, overtaken)
    robot.run(STEP_NS * 1e-9)
    before = observer.record(NEW).chunks
    robot.hear(CHUNK_RECEIPT, robot.receipt(chunk_sequence=10**6))
    assert observer.record(NEW).chunks == before + 1


def test_a_clock_that_begins_anew_is_followed(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(2.0)
    robot.now_ns -= 900_000_000_000
    robot.bundle = NEW
    robot.run(3.0)
    assert observer.record(NEW).chunks > 20


def test_receipts_and_reports_said_again_or_overtaken_count_once(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(2.0)
    before = observer.record(OLD)
    robot.hear(CHUNK_RECEIPT, robot.receipt())
    for ago in (0, 1, 5):
        observer.take(report(robot.now_ns - ago * STEP_NS, OLD, interventions=500), robot.now_s)
    robot.hear(POLICY_STATUS, robot.status())
    assert observer.record(OLD) == before
    robot.run(9.0)
    assert observer.record(OLD).interventions == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("faults", "trips"),
    [
        (("tracking_error",), 1),
        (("force", "torque"), 1),
        (("operator_stop",), 0),
        (("stop_line", "tracking_error"), 0),
        (("feedback_stale",), 0),
        (("driver_fault", "force"), 0),
    ],
)
def test_a_trip_is_the_policys_unless_somebody_or_something_else_stopped(
    robot: TalkingRobot, observer: Observer, faults: tuple[str, ...], trips: int
) -> None:
    robot.run(2.0)
    robot.faults, robot.state = faults, ControlState.STOPPING
    robot.run(1.0)
    robot.state = ControlState.FAULT
    robot.run(2.0)
    assert observer.record(OLD).trips == trips


def test_what_follows_a_persons_stop_is_nobodys_trip(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(2.0)
    robot.faults, robot.state = ("stop_line",), ControlState.STOPPING
    robot.run(0.2)
    robot.faults = ("stop_line", "tracking_error")
    robot.run(2.0)
    assert observer.record(OLD).trips == 0


def test_each_trip_counts_once_and_after_a_reset_again(robot: TalkingRobot, observer: Observer) -> None:
    for _ in range(2):
        robot.faults, robot.state = (), ControlState.ACTIVE
        robot.run(1.0)
        robot.faults, robot.state = ("force",), ControlState.STOPPING
        robot.run(1.0)
    assert observer.record(OLD).trips == 2


def test_a_trip_that_was_latched_before_counts_for_nobody(robot: TalkingRobot, observer: Observer) -> None:
    robot.faults, robot.state = ("force",), ControlState.FAULT
    robot.run(2.0)
    assert observer.record(OLD).trips == 0


def test_outcomes_count_for_who_moved_the_robot(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(1.0)
    robot.episode(success=True)
    robot.episode(success=False)
    robot.bundle = NEW
    robot.run(1.0)
    robot.episode(success=False)
    assert (observer.record(OLD).episodes, observer.record(OLD).failures) == (2, 1)
    assert (observer.record(NEW).episodes, observer.record(NEW).failures) == (1, 1)


def test_an_outcome_told_again_counts_once(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(5.0)
    outcome = robot.tell(False, started_ns)
    robot.hear(EPISODE_ENDED, outcome)
    robot.run(5.0)
    robot.hear(EPISODE_ENDED, outcome)
    assert observer.record(OLD).episodes == 1


@pytest.mark.parametrize("outcome", [EpisodeOutcome.ABORTED, EpisodeOutcome.UNKNOWN])
def test_an_episode_that_nobody_judged_counts_for_nothing(
    robot: TalkingRobot, observer: Observer, outcome: EpisodeOutcome
) -> None:
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(5.0)
    ended = EpisodeEnded(
        id=1, started_ns=started_ns, ended_ns=robot.now_ns, outcome=outcome, judge=EpisodeJudge.PROGRAM
    )
    robot.hear(EPISODE_ENDED, ended)
    assert observer.record(OLD).episodes == 0


@pytest.mark.parametrize(("bundle", "episodes"), [("", 1), (OLD, 1), (NEW, 0)])
def test_an_episode_that_is_said_of_another_bundle_is_not_held_against_this_one(
    robot: TalkingRobot, observer: Observer, bundle: str, episodes: int
) -> None:
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(5.0)
    ended = EpisodeEnded(
        id=1,
        started_ns=started_ns,
        ended_ns=robot.now_ns,
        outcome=EpisodeOutcome.FAILURE,
        judge=EpisodeJudge.SCENE,
        bundle=bundle,
    )
    robot.hear(EPISODE_ENDED, ended)
    assert (observer.record(OLD).episodes, observer.record(OLD).failures) == (episodes, episodes)


def test_an_episode_that_a_change_of_policy_cut_belongs_to_neither(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(5.0)
    robot.bundle = NEW
    robot.run(5.0)
    robot.tell(False, started_ns)
    # Nor does one in which the change came before the robot had moved.
    robot.state = ControlState.READY
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(2.0)
    robot.bundle = OLD
    robot.run(2.0)
    robot.state = ControlState.ACTIVE
    robot.bundle = NEW
    robot.run(2.0)
    robot.tell(False, started_ns)
    assert observer.record(OLD).episodes == observer.record(NEW).episodes == 0


def test_an_episode_without_motion_belongs_to_nobody(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(5.0)
    robot.state = ControlState.READY
    robot.run(5.0)
    robot.episode(success=False)
    robot.state = ControlState.ACTIVE
    robot.run(5.0)
    assert observer.record(OLD).episodes == 0


def test_an_episode_that_began_before_listening_belongs_to_nobody(robot: TalkingRobot, observer: Observer) -> None:
    started_ns = robot.now_ns - 5_000_000_000
    robot.run(5.0)
    robot.tell(False, started_ns)
    # And one that ends in the future is nonsense.
    robot.hear(EPISODE_ENDED, msgspec.structs.replace(robot.tell(False, started_ns), id=9, ended_ns=2**62))
    assert observer.record(OLD).episodes == 0


def test_outputs_that_are_no_numbers_are_counted_since_the_last_time(robot: TalkingRobot, observer: Observer) -> None:
    robot.not_finite = 7
    robot.run(1.0)
    assert observer.record(OLD).not_finite == 0  # from before, under whatever served then
    robot.not_finite = 8
    robot.run(1.0)
    assert observer.record(OLD).not_finite == 1
    overtaken = robot.work()
    robot.not_finite = 2**63 - 1
    robot.run(1.0)
    robot.hear(ENGINE_STATUS, overtaken)
    robot.run(1.0)
    assert observer.record(OLD).not_finite == 2


def test_outputs_belong_to_the_bundle_that_gave_them(robot: TalkingRobot, observer: Observer) -> None:
    robot.not_finite = 3
    robot.run(1.0)
    robot.bundle, robot.not_finite = NEW, 1
    robot.run(1.0)
    assert (observer.record(OLD).not_finite, observer.record(NEW).not_finite) == (0, 1)
    robot.bundle, robot.not_finite = OLD, 0
    robot.run(1.0)
    robot.engine, robot.not_finite = 101, 5
    robot.run(1.0)
    assert observer.record(OLD).not_finite == 0, "what another engine had counted before is not known to be of now"


def test_a_trial_begins_with_an_empty_record(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(15.0)
    observer.begin(OLD)
    assert observer.record(OLD) == Record(bundle=OLD)
    robot.run(6.0)
    assert observer.record(OLD).windows == 0


def test_records_from_before_go_on() -> None:
    observer = Observer([Record(bundle=OLD, episodes=5, failures=1)])
    robot = TalkingRobot(observer, OLD)
    robot.run(1.0)
    robot.episode(success=False)
    assert (observer.record(OLD).episodes, observer.record(OLD).failures) == (6, 2)
    assert set(observer.records()) == {OLD}


def test_there_is_a_bound_on_bundles_and_the_one_that_acts_stays(robot: TalkingRobot, observer: Observer) -> None:
    for k in range(100):
        robot.bundle = f"{k % 50:064x}" if k % 2 else OLD
        robot.run(0.2)
    assert len(observer.records()) <= 8
    assert observer.record(OLD).active_ns > 0


def test_a_bundle_whose_chunks_are_all_kept_at_rest_has_withheld_them(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(15.0)
    robot.state, robot.refusal = ControlState.HOLDING, Refusal.PREDICTED_BLOCK
    robot.run(30.5)
    assert observer.record(OLD).withheld == 3
    robot.refusal = Refusal.UNSURE
    robot.run(60.0)
    assert observer.record(OLD).withheld == 3, "a person is asked, who may take her time"
    assert observer.record(OLD).active_s == pytest.approx(15.0, abs=0.11)


def test_an_arm_that_disarms_before_long_is_kept_at_rest_all_the_same(robot: TalkingRobot, observer: Observer) -> None:
    for _ in range(5):
        robot.state, robot.refusal = ControlState.HOLDING, Refusal.PREDICTED_BLOCK
        robot.run(5.0)
        robot.state, robot.refusal = ControlState.READY, None
        robot.run(5.0)
    assert observer.record(OLD).withheld == 2


def test_one_that_moves_again_was_not_kept_at_rest(robot: TalkingRobot, observer: Observer) -> None:
    for _ in range(5):
        robot.state, robot.refusal = ControlState.HOLDING, Refusal.PREDICTED_BLOCK
        robot.run(8.0)
        robot.state, robot.refusal = ControlState.ACTIVE, None
        robot.run(1.0)
    assert observer.record(OLD).withheld == 0


def test_a_bundle_that_is_too_slow_to_move_anything_is_late(robot: TalkingRobot, observer: Observer) -> None:
    robot.state, robot.refusal, robot.age_ns = ControlState.HOLDING, Refusal.STALE, 2_000_000_000
    robot.run(20.0)
    assert observer.record(OLD).chunks_older_than(1e9) == pytest.approx(200, abs=3)


@pytest.mark.parametrize("said", [1, 200])
def test_one_attempt_is_one_episode_however_many_tell_of_it(robot: TalkingRobot, observer: Observer, said: int) -> None:
    robot.run(1.0)
    started_ns = robot.now_ns
    robot.run(5.0)
    for _ in range(said):
        robot.tell(False, started_ns)
    assert (observer.record(OLD).episodes, observer.record(OLD).failures) == (1, 1)
    robot.episode(success=True, seconds=5.0)
    assert observer.record(OLD).episodes == 2


def test_attempts_that_took_no_time_are_none(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(5.0)
    middle_ns = robot.now_ns - 1_000_000_000
    for number in range(1, 20):
        ended = EpisodeEnded(
            id=number,
            started_ns=middle_ns,
            ended_ns=middle_ns,
            outcome=EpisodeOutcome.FAILURE,
            judge=EpisodeJudge.PROGRAM,
        )
        robot.hear(EPISODE_ENDED, ended)
    assert observer.record(OLD).episodes == 0


def test_an_attempt_of_long_ago_does_not_count_again(robot: TalkingRobot, observer: Observer) -> None:
    robot.run(1.0)
    first = robot.now_ns
    robot.run(1.0)
    told = robot.tell(False, first)
    for _ in range(70):
        robot.episode(success=True, seconds=1.0)
    before = observer.record(OLD)
    assert before.failures == 1
    for number in range(1000, 1100):
        robot.hear(EPISODE_ENDED, msgspec.structs.replace(told, id=number))
    assert observer.record(OLD).episodes == before.episodes
