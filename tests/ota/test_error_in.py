"""One update on one robot's disk, failing in every state, refused where it must be, asked for what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile, Slots
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.testing.small_bundles import Arm
from tests.ota.store_exercise import arm_of, digest_of, install, make_bundles, open_runner, release
from tests.ota.updates import assign_2, come_back, to_probation, update_2


def test_error_in_downloading_waits_and_goes_on(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        arm.online = False
        assign_2(runner)
        assert (runner.journal.state, runner.journal.reason) == (UpdateState.DOWNLOADING, "unreachable")
        runner.resume()
        assert runner.journal.state is UpdateState.DOWNLOADING
        arm.online = True
        assign_2(runner)
        assert runner.journal.state is UpdateState.STAGED


def test_error_in_verifying_fetches_what_is_altered(work: Path) -> None:
    class Careless(Arm):
        spoilt = False

        def fetch(self, staging: Staging) -> None:
            super().fetch(staging)
            if not self.spoilt:
                path = next((work / "root" / "staging").glob("*/bundle/denoise.onnx"))
                path.write_bytes(bytes(path.stat().st_size))
                self.spoilt = True

    arm = Careless(arm_of(work).pieces)
    with open_runner(work, arm) as runner:
        runner.recover()
        assign_2(runner)
        assert runner.journal.state is UpdateState.STAGED
    assert arm.asked == ["fetch", "fetch"]


@pytest.mark.parametrize("failing", ["build", "golden_check"], ids=["error_in_building", "error_in_golden_check"])
def test_error_before_activation_leaves_what_runs(work: Path, failing: str) -> None:
    arm = arm_of(work)
    arm.bad.add(failing)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        assert runner.journal.state is UpdateState.IDLE
        assert runner.journal.refused == update_2(work)
        assert "failed" in runner.journal.reason
        assert "serve" not in arm.asked
        assert runner.boot().bundle == digest_of(work, "1")
        assert list(runner.store.installed()) == [digest_of(work, "1")]
        with pytest.raises(OtaError) as caught:
            assign_2(runner)
        assert caught.value.refusal is OtaRefusal.REFUSED_BEFORE
        install(runner, work, "3")
        assert runner.journal.state is UpdateState.IDLE
    assert Floor(work / "floor").release().release_counter == 1


@pytest.mark.parametrize("state", [UpdateState.BUILDING, UpdateState.GOLDEN_CHECK], ids=str)
def test_work_that_is_cut_short_goes_on_later(work: Path, state: UpdateState) -> None:
    arm = arm_of(work)
    arm.cut_short.add({UpdateState.BUILDING: "build", UpdateState.GOLDEN_CHECK: "golden_check"}[state])
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        assert (runner.journal.state, runner.journal.reason) == (state, "not_now")
        arm.cut_short.clear()
        runner.resume()
        assert (runner.journal.state, runner.journal.reason) == (UpdateState.READY, "")


@pytest.mark.parametrize("way", ["staged", "building", "ready"])
def test_a_rollback_forgets_what_is_being_prepared(work: Path, way: str) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        install(runner, work, "2")
        runner.assign(release(work, "3"), 3)
        if way == "building":
            arm.cut_short.add("build")
        if way != "staged":
            runner.admit()
        assert runner.journal.state is UpdateState(way)
        runner.roll_back()
        assert runner.boot().bundle == digest_of(work, "1")
        assert (runner.slots.staged, runner.slots.previous) == (None, Slot(digest_of(work, "2"), 2))
        runner.assign(release(work, "3"), 3)
        assert runner.journal.state is UpdateState.STAGED


def test_error_in_activating_goes_back(work: Path) -> None:
    class Choosy(Arm):
        def serve(self, folder: Path, standby: Path) -> bool:
            obeys = super().serve(folder, standby)
            self._ask("serve " + folder.parent.name, folder)
            return obeys

    arm = Choosy(arm_of(work).pieces)
    arm.bad.add("serve " + digest_of(work, "2"))
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        assert runner.journal.state is UpdateState.IDLE
        assert runner.boot().bundle == digest_of(work, "1")
        assert arm.serves == runner.store.folder(digest_of(work, "1"))


def test_error_in_probation_goes_back_without_a_download(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        arm.online, arm.sent = False, 0
        runner.fail("latency")
        assert runner.boot().bundle == digest_of(work, "1")
        assert runner.journal == Journal(reason="latency", refused=update_2(work))
        assert arm.sent == 0


def test_error_in_rolling_back_points_back_all_the_same_and_serves_when_it_can(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        to_probation(runner)
        arm.bad.add("serve")
        runner.fail("latency")
        assert runner.journal.state is UpdateState.ROLLING_BACK
        assert runner.boot().bundle == digest_of(work, "1")
        arm.bad.clear()
        runner.resume()
        assert runner.journal.state is UpdateState.IDLE
        assert arm.serves == runner.store.folder(digest_of(work, "1"))


def test_error_in_committed_never_goes_back(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
        for path in (work / "floor").iterdir():
            path.write_bytes(b"")
        runner.prove()
        assert (runner.journal.state, runner.journal.reason) == (UpdateState.COMMITTED, "torn_state")
        assert runner.slots.committed.bundle == digest_of(work, "2")
        runner.resume()
        assert runner.journal.state is UpdateState.COMMITTED
        assert runner.boot().bundle == digest_of(work, "2")


def test_a_rollback_that_was_asked_for_swaps_the_two_and_can_be_undone(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        install(runner, work, "2")
        runner.roll_back()
        assert runner.slots.committed.bundle == digest_of(work, "1")
        assert runner.slots.previous == Slot(digest_of(work, "2"), 2)
        with pytest.raises(OtaError) as caught:
            runner.assign(release(work, "2"), 2)
        assert caught.value.refusal is OtaRefusal.REFUSED_BEFORE
        runner.roll_back()
        assert runner.slots.committed.bundle == digest_of(work, "2")
    assert Floor(work / "floor").release().release_counter == 2


def test_requests_that_do_not_fit_are_refused_by_name_and_change_nothing(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        before = (runner.journal, runner.slots)
        for request in (runner.admit, runner.prove, runner.withdraw, lambda: runner.fail("no")):
            with pytest.raises(OtaError) as caught:
                request()
            assert caught.value.refusal is OtaRefusal.NOT_NOW
        with pytest.raises(OtaError) as caught:
            runner.assign(release(work, "2"), 1)
        assert caught.value.refusal is OtaRefusal.ROLLBACK
        runner.assign(release(work, "1"), 1)
        runner.resume()
        assert (runner.journal, runner.slots) == before
        to_probation(runner)
        with pytest.raises(OtaError) as caught:
            runner.assign(release(work, "3"), 3)
        assert caught.value.refusal is OtaRefusal.NOT_NOW


def test_a_robot_that_only_has_what_was_shipped_cannot_go_back(tmp_path: Path) -> None:
    make_bundles(tmp_path)
    with open_runner(tmp_path) as runner:
        runner.recover()
        with pytest.raises(OtaError) as caught:
            runner.roll_back()
        assert caught.value.refusal is OtaRefusal.NOT_NOW
        install(runner, tmp_path, "1")
        runner.roll_back()
        assert runner.boot().bundle == SHIPPED


def test_there_is_one_writer(work: Path) -> None:
    with open_runner(work):
        with pytest.raises(OtaError) as caught, open_runner(work):
            pass
        assert caught.value.refusal is OtaRefusal.BUSY
    with open_runner(work) as runner:
        runner.recover()


@pytest.mark.parametrize("torn", ["journal", "slots"])
@pytest.mark.parametrize("during", ["idle", "probation"])
def test_torn_state_leads_to_a_bundle_that_is_known_to_be_good(work: Path, torn: str, during: str) -> None:
    with open_runner(work) as runner:
        runner.recover()
        if during == "probation":
            to_probation(runner)
    for name in (f"{torn}.a", f"{torn}.b"):
        (work / "root" / name).write_bytes(b"\0" * 4096)
    runner, _ = come_back(work)
    assert runner.journal.state is UpdateState.IDLE
    assert runner.journal.reason == "torn_state"
    assert runner.boot().bundle == (digest_of(work, "1") if torn == "journal" else SHIPPED)
    with open_runner(work) as runner:
        runner.recover()
        install(runner, work, "4")
        assert runner.boot().bundle == digest_of(work, "4")


def test_a_torn_floor_stops_installs_and_no_boot(work: Path) -> None:
    for path in (work / "floor").iterdir():
        path.write_bytes(b"")
    come_back(work)
    with open_runner(work) as runner:
        runner.recover()
        with pytest.raises(OtaError) as caught:
            assign_2(runner)
        assert caught.value.refusal is OtaRefusal.TORN_STATE
        assert runner.boot().bundle == digest_of(work, "1")


def test_neither_the_floor_nor_the_slots_alone_are_believed(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        install(runner, work, "2")
        runner.roll_back()
        with pytest.raises(OtaError) as caught:
            runner.assign(release(work, "3"), 2)
        assert caught.value.refusal is OtaRefusal.ROLLBACK
    slots = SlotFile(work / "root" / "slots")
    slots.write(Slots(active=Slot(digest_of(work, "1"), 3), committed=Slot(digest_of(work, "1"), 3)))
    with open_runner(work) as runner:
        runner.recover()
        with pytest.raises(OtaError) as caught:
            runner.assign(release(work, "4"), 3)
        assert caught.value.refusal is OtaRefusal.ROLLBACK


def test_an_update_that_gives_way_is_forgotten_and_its_pieces_are_not(work: Path) -> None:
    arm = arm_of(work)
    with open_runner(work, arm) as runner:
        runner.recover()
        assign_2(runner)
        arm.online = False
        runner.assign(release(work, "3"), 3)
        assert (runner.journal.state, runner.slots.staged) == (UpdateState.DOWNLOADING, None)
        assert list(runner.store.installed()) == [digest_of(work, "1")]
        runner.assign(release(work, "4"), 4)
        staged = [path.name for path in runner.store.staging.iterdir()]
        assert staged == [digest_of(work, "4")]


def test_slots_and_journal_that_disagree_lead_back(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
    slots = SlotFile(work / "root" / "slots")
    slots.write(slots.read().with_staged(Slot(digest_of(work, "2"), 2)))
    runner, arm = come_back(work)
    assert runner.journal == Journal(reason="torn_state", refused=update_2(work))
    assert arm.serves == runner.store.folder(digest_of(work, "1"))


def test_a_journal_that_is_gone_in_the_midst_of_a_trial_leads_back(work: Path) -> None:
    with open_runner(work) as runner:
        runner.recover()
        to_probation(runner)
    for name in ("journal.a", "journal.b"):
        (work / "root" / name).unlink()
    runner, _ = come_back(work)
    assert runner.journal.state is UpdateState.IDLE
    assert runner.boot().bundle == digest_of(work, "1")


def test_a_copy_that_is_behind_is_mended_on_the_next_start(work: Path) -> None:
    slots = work / "root" / "slots.a"
    slots.write_bytes(b"")
    come_back(work)
    assert slots.read_bytes() == (work / "root" / "slots.b").read_bytes()
