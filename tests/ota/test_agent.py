"""An update from the hub until it is ready on the robot's disk: real hub, server, store and engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.lifecycle.effects import EndableClock
from edge_runtime.ota.lifecycle.golden import GoldenCheck
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.testing.web_server import WebServer
from tests.ota.updated_robot import Plans, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with WebServer({}) as server:
        yield Scene(tmp_path, server, time.time())


def off(plans: Plans) -> Plans:
    return plans + 0.01


def test_an_update_arrives_is_built_checked_and_waits(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal, entry.release) == ("ready", "", release.target_path)
        assert "3 golden pairs within" in entry.detail
        assert runner.slots.staged == Slot(release.bundle_digest, 1)
        assert verify_bundle(runner.store.folder(release.bundle_digest)).digest == release.bundle_digest
        assert runner.boot().bundle == SHIPPED, "what runs is not changed"
        asked = scene.packs_asked
        assert asked > 0
        again = agent.turn(scene.now_s + 1)
        assert again.state == "ready"
        assert scene.packs_asked == asked, "what is there is not fetched again"
    assert [entry.state for entry in History(scene.settings.store).entries()] == ["ready"]


def test_a_bundle_that_fails_its_golden_pairs_is_given_up_and_never_runs(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1", spoil=off))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert entry.refusal == "golden_differs"
        assert entry.state == "idle"
        assert runner.slots.staged is None
        assert runner.boot().bundle == SHIPPED
        assert runner.journal.refused.release == release.target_path
        assert list(runner.store.bundles.iterdir()) == [], "and takes no space"
        requests = scene.packs_asked
        assert agent.turn(scene.now_s + 1).refusal == "refused_before"
        assert scene.packs_asked == requests
    # Another counter is another decision.
    good = scene.publish(scene.bundle("2"))
    scene.assign(good, 2)
    with scene.agent() as (agent, _):
        assert (agent.turn(scene.now_s).state, agent.turn(scene.now_s).refusal) == ("ready", "")


def test_a_bundle_that_crashes_its_engine_is_given_up(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    crash = GoldenCheck((sys.executable, "-c", "import os; os.abort()"))
    with scene.agent(replace(scene.settings, golden=crash)) as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert (entry.refusal, entry.state) == ("golden_failed", "idle")
        assert runner.boot().bundle == SHIPPED


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"joint_digest": "0" * 64}, "incompatible_joints"),
        ({"architectures": ("pdp11",)}, "incompatible_architecture"),
        ({"gpu_architectures": ("sm_87",)}, "incompatible_gpu"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_pack_is_asked_for(
    scene: Scene, change: dict[str, object], refusal: str
) -> None:
    bundle = scene.bundle("1")
    release = scene.publish(bundle, lambda compatibility: msgspec.structs.replace(compatibility, **change))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        with pytest.raises(OtaError) as caught:
            agent.consult(scene.now_s)
        assert str(caught.value.refusal) == refusal
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal) == ("idle", refusal)
        assert scene.packs_asked == 0
        assert runner.slots.staged is None


def test_consulting_fetches_nothing(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    with scene.agent() as (agent, runner):
        assert "toy 1 under counter 1: it fits" in agent.consult(scene.now_s)
        assert (scene.packs_asked, runner.journal.state) == (0, UpdateState.IDLE)


def test_a_bundle_without_golden_pairs_comes_only_where_that_is_allowed(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1", golden=False)), 1)
    lenient = replace(scene.settings, golden=GoldenCheck.of(scene.config_path, required=False))
    with scene.agent(lenient) as (agent, _):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.detail) == ("ready", "ready; without golden pairs")


def test_a_bundle_without_golden_pairs_does_not_come_where_they_are_asked_for(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1", golden=False)), 1)
    with scene.agent() as (agent, _):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal) == ("idle", "golden_missing")


def test_nothing_is_installed_before_its_time(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1, not_before_s=int(scene.now_s) + 60)
    with scene.agent() as (agent, _):
        assert agent.turn(scene.now_s).refusal == "not_before"
        assert scene.packs_asked == 0
        assert agent.turn(scene.now_s + 61).state == "ready"


def test_a_robot_at_work_is_not_disturbed_by_a_check(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    at_work = True
    with scene.agent(is_busy=lambda: at_work) as (agent, _):
        assert "when the robot is not at work" in agent.turn(scene.now_s).detail
        assert agent.waits_for_check
        at_work = False
        assert "golden pairs within" in agent.examine(scene.now_s).detail
        assert not agent.waits_for_check


def test_a_check_stands_still_while_the_robot_is_at_work_and_goes_on_from_there(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    real = scene.settings.golden.command
    begun, looks = scene.folder / "begun", []
    source = f"import os, sys, time; open({str(begun)!r}, 'a').write('.'); time.sleep(1.0)"
    source = f"{source}; os.execv(sys.argv[1], sys.argv[1:])"
    slow = GoldenCheck((sys.executable, "-c", source, *real))

    def is_busy() -> bool:
        """From the start of the check on, for two seconds."""
        if begun.exists():
            looks.append(time.monotonic())
        return bool(looks) and looks[-1] - looks[0] < 2.0

    with scene.agent(replace(scene.settings, golden=slow), is_busy=is_busy) as (agent, _):
        assert agent.turn(scene.now_s).state == "ready"
    assert begun.read_text() == ".", "begun once"
    assert len(looks) > 3


def test_a_check_that_waits_for_too_long_says_for_what_and_nothing_about_the_bundle(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    begun = scene.folder / "begun"
    source = f"import time; open({str(begun)!r}, 'w').close(); time.sleep(60)"
    slow = GoldenCheck((sys.executable, "-c", source), pause_max_s=0.5)
    with scene.agent(replace(scene.settings, golden=slow), is_busy=begun.exists) as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal) == ("golden_check", "at_work")
        assert "at rest" in entry.detail
        assert runner.journal.refused.release == ""
        assert agent.waits_for_check
        begun.unlink()
        runner.withdraw()
    with scene.agent() as (agent, _):
        assert agent.turn(scene.now_s).state == "ready"


def test_a_newer_assignment_takes_the_place_of_one_that_waits(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    with scene.agent() as (agent, runner):
        agent.turn(scene.now_s)
        newer = scene.publish(scene.bundle("2"))
        scene.assign(newer, 2)
        assert agent.turn(scene.now_s).release == newer.target_path
        assert runner.slots.staged == Slot(newer.bundle_digest, 2)


def test_a_trial_gives_way_only_to_what_may_be_installed_now(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    with scene.agent() as (agent, runner):
        assert agent.turn(scene.now_s).state == "ready"
        runner.clear()
        superseded = scene.shared.superseded
        scene.assign(scene.publish(scene.bundle("2")), 2, not_before_s=int(scene.now_s) + 60)
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal, superseded.is_set()) == ("probation", "not_before", False)
        agent.turn(scene.now_s + 61)
        assert superseded.is_set()
        scene.server.behave = lambda _request: lambda exchange: exchange.answer(503)
        agent.turn(scene.now_s + 61)
        assert superseded.is_set(), "nobody has said otherwise"
        scene.server.behave = lambda _request: None
        third = scene.bundle("3")
        misfit = scene.publish(third, lambda fits: msgspec.structs.replace(fits, architectures=("pdp11",)))
        scene.assign(misfit, 3)
        entry = agent.turn(scene.now_s + 61)
        assert (entry.state, entry.refusal) == ("probation", "incompatible_architecture")
        assert not superseded.is_set()


def test_what_a_robot_has_committed_is_not_prepared_again(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        assert agent.turn(scene.now_s).state == "ready"
        runner.clear()
        runner.prove()
        assert Floor(scene.settings.floor).release().release_counter == 1
        asked = scene.packs_asked
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.detail) == ("idle", "runs what it should")
        assert (runner.slots.committed.bundle, scene.packs_asked) == (release.bundle_digest, asked)
        assert "which this robot has" in agent.consult(scene.now_s)


def test_a_counter_that_was_passed_is_refused_before_any_pack_is_asked_for(scene: Scene) -> None:
    Floor(scene.settings.floor).raise_release(5, "bundles/toy/other.json")
    scene.assign(scene.publish(scene.bundle("1")), 1)
    with scene.agent() as (agent, _):
        assert agent.turn(scene.now_s).refusal == "rollback"
    assert scene.packs_asked == 0


def test_a_folder_that_takes_no_metadata_is_a_refusal_with_a_name(scene: Scene) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    scene.settings.store.mkdir()
    (scene.settings.store / "metadata").write_bytes(b"in the way")
    with scene.agent() as (agent, runner):
        assert agent.turn(scene.now_s).refusal == "storage_fault"
        assert runner.boot().bundle == SHIPPED


def test_a_torn_journal_leads_back_to_the_shipped_bundle(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent() as (agent, _):
        agent.turn(scene.now_s)
    for path in scene.settings.root.glob("journal.*"):
        path.write_bytes(b"torn")
    with scene.agent() as (agent, runner):
        assert (runner.journal.state, runner.boot().bundle) == (UpdateState.IDLE, SHIPPED)
        assert agent.turn(scene.now_s).state == "ready", "and the way forward is open"


def test_waits_end_when_the_process_should() -> None:
    started_s = time.monotonic()
    with pytest.raises(OtaError):
        EndableClock(lambda: True).wait(60.0)
    EndableClock(never).wait(0.25)
    assert 0.2 < time.monotonic() - started_s < 10.0


def test_without_a_network_nothing_is_lost_and_the_check_still_runs(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent(is_busy=lambda: True) as (agent, _):
        agent.turn(scene.now_s)
    scene.server.__exit__()
    with scene.agent() as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal) == ("ready", "unreachable")
        assert not agent.waits_for_check
        assert runner.slots.staged == Slot(release.bundle_digest, 1)


def test_a_download_that_breaks_goes_on_in_the_next_turn(scene: Scene) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    scene.server.behave = lambda request: (lambda exchange: exchange.answer(503)) if "/packs/" in request.path else None
    with scene.agent() as (agent, runner):
        entry = agent.turn(scene.now_s)
        assert (entry.state, entry.refusal) == ("downloading", "server_busy")
        scene.server.behave = lambda _request: None
        assert agent.turn(scene.now_s).state == "ready"
        assert runner.slots.staged == Slot(release.bundle_digest, 1)


def test_two_agents_do_not_share_a_store(scene: Scene) -> None:
    with scene.agent(), pytest.raises(OtaError) as caught, scene.agent():
        pass
    assert caught.value.refusal is OtaRefusal.BUSY
