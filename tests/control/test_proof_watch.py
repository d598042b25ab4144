"""The engine's word on its policy: only that of the one that lives, and for as long as it is heard."""

from __future__ import annotations

from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.contracts.messages import Heartbeat
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.control.proof_watch import ProofWatch

TIMEOUT_NS = 500
B = "b" * 64


def beat(pid: int = 7) -> Heartbeat:
    return Heartbeat(process="engine", pid=pid, stamp_ns=1, sequence=1, counters={}, refusals={}, gauges={})


def status(pid: int = 7, proof: ProofVerdict = ProofVerdict.MATCHED) -> PolicyStatus:
    return PolicyStatus(1, pid, 0, serving=B if proof.may_act else "", serving_since_ns=0, proof=proof)


def told() -> ProofWatch:
    watch = ProofWatch(TIMEOUT_NS)
    watch.hear(beat(), 1000)
    watch.hear(status(), 1000)
    return watch


def test_both_signs_are_asked_for_in_either_order() -> None:
    watch = ProofWatch(TIMEOUT_NS)
    assert watch.word(1000).may_change
    watch.hear(status(), 1000)
    assert not watch.word(1000).may_arm
    watch.hear(beat(), 1001)
    assert watch.word(1001).may_arm


def test_an_engine_that_has_fallen_silent_is_not_armed_for() -> None:
    watch = told()
    assert watch.word(1000 + TIMEOUT_NS).may_arm
    assert not watch.word(1001 + TIMEOUT_NS).may_arm


def test_after_silence_its_word_from_before_does_not_count_under_the_same_number_either() -> None:
    watch = told()
    watch.hear(beat(), 2000)
    assert not watch.word(2000).may_arm
    watch.hear(status(), 2001)
    assert watch.word(2001).may_arm


def test_a_word_that_comes_just_before_the_first_beat_counts() -> None:
    watch = told()
    watch.hear(status(), 1999)
    watch.hear(beat(), 2000)
    assert watch.word(2000).may_arm


def test_while_it_loads_its_first_bundle_there_is_something_to_wait_for() -> None:
    watch = told()
    watch.hear(status(proof=ProofVerdict.UNPROVEN), 1001)
    assert (watch.word(1001).may_arm, watch.word(1001).may_change) == (False, True)
    watch.hear(status(proof=ProofVerdict.DIFFERS), 1002)
    assert (watch.word(1002).may_arm, watch.word(1002).may_change) == (False, False)
