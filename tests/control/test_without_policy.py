"""Control without a policy: armed by a person alone, it holds, takes no chunk and retracts nowhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime.contracts.messages import Asker, OperatorCommand, OperatorKind, SafetyReport
from edge_runtime.control.black_box import BlackBox, Origin
from edge_runtime.control.standing_orders import StandingOrders
from edge_runtime.control.supervisor import Supervisor
from edge_runtime.control.without_policy import NoProof, holding
from edge_runtime.ipc.bus import Refusals
from edge_runtime.safety import State
from tests.control.control_process import make_config
from tests.control.stepped import SteppedLoop
from tests.control.supervised import CONFIG, RealClock, chunk_at


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[tuple[SteppedLoop, Supervisor]]:
    with SteppedLoop() as stepped:
        stepped.tick(2)
        yield (
            stepped,
            Supervisor(
                CONFIG,
                bundles=None,
                bundle_digest=None,
                port=stepped.port,
                loop=stepped.loop,
                black_box=BlackBox(stepped.loop, make_config(), tmp_path, Origin("arm", "", None)),
                orders=StandingOrders(tmp_path),
                clock=RealClock(stepped),
                refusals=Refusals(),
            ),
        )


def ask(supervisor: Supervisor, number: int, asker: Asker) -> tuple[str, SafetyReport]:
    arm = OperatorCommand(id=number, kind=OperatorKind.ARM, stamp_ns=time.monotonic_ns(), asker=asker)
    supervisor.take_operator(arm)
    supervisor.drain()
    report = supervisor.report()
    answer = report.answer_to(arm)
    return "" if answer is None else answer.answer, report


def test_a_person_arms_it_and_no_program_does(robot: tuple[SteppedLoop, Supervisor]) -> None:
    stepped, supervisor = robot
    deadline_s = time.monotonic() + 20.0
    while not (answer := ask(supervisor, 1, Asker.PROGRAM)[0]) and time.monotonic() < deadline_s:
        stepped.tick(200)
    assert answer == "refused_program"
    assert stepped.loop.counters().state is State.READY
    answer, report = ask(supervisor, 2, Asker.PERSON)
    assert answer == "done"
    assert stepped.loop.counters().state is State.HOLDING
    assert (report.policy, report.bundle_digest) == ("none", None)
    before = stepped.loop.counters().plans_taken
    receipt = supervisor.take_chunk(chunk_at(stepped.now_ns, 1))
    assert receipt is not None
    assert receipt.refusal == "wrong_bundle"
    stepped.tick(20)
    assert stepped.loop.counters().plans_taken == before
    assert stepped.loop.counters().state is State.HOLDING


def test_it_goes_nowhere_by_itself() -> None:
    limits = make_config(retract=(0.1, 0.2, 0.3))
    assert limits.retracts
    assert not holding(limits).retracts
    assert replace(holding(limits), retract=limits.retract) == limits, "nothing else is another"


def test_no_policy_needs_no_proof() -> None:
    assert NoProof().word(0).may_arm
    assert not NoProof().word(0).may_change
