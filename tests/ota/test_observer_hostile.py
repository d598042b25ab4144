"""Whatever is said on the bus, in whatever order, and over a real one: nothing fails, nothing counts twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import (
    ControlState,
    EpisodeEnded,
    EpisodeJudge,
    EpisodeOutcome,
    KernelReason,
    Message,
)
from edge_runtime.contracts.topics import CHUNK_RECEIPT, EPISODE_ENDED, POLICY_STATUS, SAFETY_REPORT
from edge_runtime.ipc.bus import Publisher, Sender, Subscriber
from edge_runtime.ota.probation.observer import Observer
from tests.ota.talking_robot import STEP_NS, TalkingRobot, report

OLD, NEW = "a" * 64, "b" * 64

HUGE = st.one_of(st.integers(-(2**63), 2**64 - 1), st.sampled_from([0, -1, 2**63 - 1, 2**64 - 1, 10**12]))
ODD_TEXT = st.sampled_from([OLD, NEW, "", "shipped", "A" * 64, "a" * 65, None])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_message_makes_it_fail_or_counts_for_more_than_one(data: st.DataObject) -> None:
    observer = Observer()
    observer.boots(OLD)
    robot = TalkingRobot(observer, OLD)
    robot.run(0.5)
    for _ in range(8):
        before = {name: observer.record(name) for name in (OLD, NEW)}
        kind = data.draw(st.sampled_from(["report", "receipt", "outcome"]))
        if kind == "report":
            odd: Message = report(
                data.draw(HUGE),
                data.draw(ODD_TEXT),
                interventions=data.draw(HUGE),
                plan_left_ns=data.draw(HUGE),
                faults=tuple(data.draw(st.lists(st.sampled_from(list(KernelReason)), max_size=3))),
                state=data.draw(st.sampled_from([state for state in ControlState if state.is_known])),
            )
        elif kind == "receipt":
            odd = robot.receipt(
                chunk_sequence=data.draw(HUGE),
                exposure_ns=data.draw(HUGE),
                received_ns=data.draw(HUGE),
                chunk_published_ns=data.draw(HUGE),
                refusal=data.draw(st.sampled_from([*Refusal, None])),
            )
        else:
            stamps = sorted(data.draw(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))))
            odd = EpisodeEnded(
                id=data.draw(st.integers(1, 2**63 - 1)),
                started_ns=stamps[0],
                ended_ns=stamps[1],
                outcome=data.draw(st.sampled_from(list(EpisodeOutcome))),
                judge=EpisodeJudge.PROGRAM,
            )
        observer.take(odd, robot.now_s)
        for name, was in before.items():
            record = observer.record(name)
            assert record.windows - was.windows in (0, 1)
            assert record.episodes - was.episodes in (0, 1)
            assert record.chunks - was.chunks in (0, 1)
            assert record.trips - was.trips in (0, 1)
            assert 0 <= record.active_ns - was.active_ns <= 1_000_000_000
    # And it listens on.
    was = observer.record(OLD)
    robot.run(1.0)
    assert observer.record(OLD).active_s >= was.active_s + 0.8


def test_messages_in_any_order_within_their_topics_count_the_same() -> None:
    """Each topic has a queue of its own, so that they overtake each other."""
    said: list[Message] = []

    class Notes(Observer):
        def take(self, message: Message, now_s: float) -> None:
            said.append(message)
            super().take(message, now_s)

    robot = TalkingRobot(straight := Notes(), OLD)
    robot.run(5.0)
    robot.episode(success=True, seconds=8.0)
    robot.faults = ("force",)
    robot.run(9.0)
    reports = [message for message in said if type(message) is type(report(0, OLD))]
    others = [message for message in said if type(message) is not type(report(0, OLD))]
    shuffled = Observer()
    randomness = random.Random(4)
    # Half a second of each at a time, the reports first or last.
    for tenth in range(0, len(reports), 10):
        part = reports[tenth : tenth + 10]
        share = others[tenth * len(others) // len(reports) : (tenth + 10) * len(others) // len(reports)]
        for message in (*part, *share) if randomness.random() < 0.5 else (*share, *part):
            shuffled.take(message, 1000.0)
    one, two = straight.record(OLD), shuffled.record(OLD)
    assert (one.episodes, one.trips, one.active_ns, one.windows) == (
        two.episodes,
        two.trips,
        two.active_ns,
        two.windows,
    )
    assert two.chunks == pytest.approx(one.chunks, abs=10)


def test_over_a_real_bus(tmp_path: Path) -> None:
    """The topics of the table reach it as they are."""
    observer = Observer()
    topics = (SAFETY_REPORT, CHUNK_RECEIPT, POLICY_STATUS, EPISODE_ENDED)
    robot = TalkingRobot(Observer(), OLD)
    with (
        Subscriber(topics, tmp_path, process="ota") as subscriber,
        Publisher(SAFETY_REPORT, tmp_path) as reports,
        Publisher(CHUNK_RECEIPT, tmp_path) as receipts,
        Publisher(POLICY_STATUS, tmp_path) as statuses,
        Sender(EPISODE_ENDED, tmp_path) as outcomes,
    ):
        for turn in range(2000):
            robot.run(STEP_NS * 1e-9)
            reports.send(report(robot.now_ns, OLD))
            statuses.send(robot.status())
            receipts.send(robot.receipt())
            outcomes.send(
                EpisodeEnded(
                    id=turn + 1,
                    started_ns=robot.now_ns - STEP_NS,
                    ended_ns=robot.now_ns,
                    outcome=(EpisodeOutcome.SUCCESS, EpisodeOutcome.FAILURE)[turn % 2],
                    judge=EpisodeJudge.SCENE,
                )
            )
            for message in subscriber.receive(0.005):
                observer.take(message, robot.now_s)
            record = observer.record(OLD)
            if record.windows and record.chunks and record.failures and record.successes:
                return
    raise AssertionError(observer.record(OLD))
