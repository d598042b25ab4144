"""When the engine crashed, how often, and whose crash it was."""

from __future__ import annotations

import pytest

from edge_runtime.contracts.messages import OperatorCommand, OperatorKind
from edge_runtime.contracts.topics import HEARTBEAT_ENGINE, POLICY_STATUS
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ota.probation.observer import Observer
from tests.ota.talking_robot import TalkingRobot

OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def robot() -> TalkingRobot:
    observer = Observer()
    observer.boots(OLD)
    return TalkingRobot(observer, OLD)


def crashes(robot: TalkingRobot, bundle: str = OLD) -> int:
    return robot.listener.record(bundle).crashes


def test_an_engine_that_lives_has_not_crashed(robot: TalkingRobot) -> None:
    robot.run(90.0)
    assert crashes(robot) == 0


def test_another_process_is_one_crash_of_what_served(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = 101
    robot.bundle = NEW
    robot.run(30.0)
    assert (crashes(robot), crashes(robot, NEW)) == (1, 0)


@pytest.mark.parametrize("away_s", [3.0, 30.0, 59.0])
def test_an_engine_that_comes_back_has_crashed_once_however_long_it_took(robot: TalkingRobot, away_s: float) -> None:
    robot.run(5.0)
    robot.engine = None
    robot.run(away_s)
    robot.engine = 101
    robot.run(30.0)
    assert crashes(robot) == 1


def test_an_engine_that_hangs_and_goes_on_has_crashed_once(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = None
    robot.run(9.0)
    assert crashes(robot) == 0
    robot.run(3.0)
    robot.engine = 100
    robot.run(30.0)
    assert crashes(robot) == 1


def test_an_engine_that_never_comes_back_is_counted_again_and_again(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = None
    robot.run(11.0)
    assert crashes(robot) == 1
    robot.listener.boots(NEW)
    robot.run(60.0)
    assert (crashes(robot), crashes(robot, NEW)) == (1, 1)
    robot.run(60.0)
    assert (crashes(robot), crashes(robot, NEW)) == (1, 2)


def test_an_engine_that_never_comes_up_is_laid_to_what_it_should_boot(robot: TalkingRobot) -> None:
    robot.engine = None
    robot.listener.boots(NEW)
    robot.run(59.0)
    assert crashes(robot, NEW) == 0
    robot.run(2.0)
    assert crashes(robot, NEW) == 1


def test_a_crash_before_the_engine_has_said_what_serves_is_laid_to_what_it_should_boot(robot: TalkingRobot) -> None:
    robot.says_status = False
    robot.listener.boots(NEW)
    robot.run(3.0)
    robot.engine = 101
    robot.run(3.0)
    assert (crashes(robot), crashes(robot, NEW)) == (0, 1)


def test_a_crash_while_another_is_being_loaded_is_laid_to_both(robot: TalkingRobot) -> None:
    robot.loading = NEW
    robot.run(3.0)
    robot.engine, robot.loading = 101, ""
    robot.run(3.0)
    assert (crashes(robot), crashes(robot, NEW)) == (1, 1)


def test_a_crash_loop_is_counted_each_time(robot: TalkingRobot) -> None:
    for pid in range(101, 106):
        robot.run(4.0)
        robot.engine = None
        robot.run(3.0)
        robot.engine = pid
    robot.run(1.0)
    assert crashes(robot) == 5


def test_a_restart_of_the_whole_robot_is_nobodys_crash(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = robot.control = robot.driver = None
    robot.run(20.0)
    robot.control, robot.driver = 201, 301
    robot.run(15.0)
    robot.engine = 101
    robot.run(20.0)
    assert crashes(robot) == 0


def test_a_restart_in_which_the_engine_is_heard_first_is_nobodys_crash(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = robot.control = robot.driver = None
    robot.run(4.0)
    robot.engine = 101
    robot.run(4.0)
    robot.control, robot.driver = 201, 301
    robot.run(20.0)
    assert crashes(robot) == 0


def test_a_silent_control_tells_nothing_of_the_engine(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = robot.control = None
    robot.run(300.0)
    assert crashes(robot) == 0


def test_a_listener_that_was_away_blames_nobody(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.now_ns += 300_000_000_000
    robot.listener.look(robot.now_s)
    robot.run(5.0)
    robot.now_ns += 300_000_000_000
    robot.engine = 101
    robot.run(5.0)
    assert crashes(robot) == 0


def test_other_processes_and_messages_are_no_sign_of_the_engine(robot: TalkingRobot) -> None:
    robot.run(5.0)
    robot.engine = None
    for _ in range(12):
        robot.hear(HEARTBEAT_ENGINE, robot.heartbeat("hub", 100))
        robot.listener.take(OperatorCommand(id=1, kind=OperatorKind.STOP, stamp_ns=0), robot.now_s)
        robot.run(1.0)
    assert crashes(robot) == 1


def test_the_last_words_of_an_engine_that_has_gone_are_no_crash_of_the_next(robot: TalkingRobot) -> None:
    robot.run(5.0)
    last_beat, last_status = robot.heartbeat("engine", 100), robot.status()
    robot.engine = 101
    robot.run(0.1)
    for _ in range(3):
        robot.hear(HEARTBEAT_ENGINE, last_beat)
        robot.hear(POLICY_STATUS, last_status)
        robot.run(1.0)
    assert crashes(robot) == 1


def test_a_bundle_on_trial_shares_its_crashes_with_nobody(robot: TalkingRobot) -> None:
    """What it is held against would crash as often as it does, and excuse it."""
    robot.listener.boots(OLD, on_trial=True)
    robot.loading = NEW
    robot.run(3.0)
    robot.engine = 101
    robot.run(3.0)
    assert (crashes(robot), crashes(robot, NEW)) == (1, 0)


def start(robot: TalkingRobot, pid: int, seconds: float) -> None:
    """An engine says that it loads its first bundle, and nothing else."""
    for _ in range(round(seconds)):
        robot.hear(POLICY_STATUS, PolicyStatus(robot.now_ns, pid, 0, serving="", serving_since_ns=0, loading=NEW))
        robot.run(1.0)


def test_a_start_that_takes_long_is_no_crash(robot: TalkingRobot) -> None:
    robot.engine = None
    robot.listener.boots(NEW, on_trial=True)
    start(robot, 101, 600.0)
    robot.run(50.0)
    assert crashes(robot, NEW) == 0, "a library may keep it from saying so for a while"
    robot.bundle, robot.engine = NEW, 101
    robot.run(30.0)
    assert crashes(robot, NEW) == 0


def test_a_bundle_that_ends_each_engine_at_its_start_is_found_out_at_once(robot: TalkingRobot) -> None:
    robot.engine = None
    robot.listener.boots(NEW, on_trial=True)
    for pid in (101, 102, 103):
        start(robot, pid, 3.0)
    assert crashes(robot, NEW) == 2
