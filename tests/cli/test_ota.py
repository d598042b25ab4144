"""`edge-runtime ota` on a robot with a real hub beside it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.slots import SHIPPED, Slot, SlotFile
from edge_runtime.cli import main
from edge_runtime.cli.ota_look import HistoryReport, UpdatesReport
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.lifecycle.journal import Journal, JournalFile, Update
from edge_runtime.testing.web_server import WebServer
from tests.ota.kept_robot import KeptRobot
from tests.ota.updated_robot import Scene
from tests.settings import copy_settings


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("COLUMNS", "250")
    with WebServer({}) as server:
        yield Scene(tmp_path, server, time.time())


def say(capsys: pytest.CaptureFixture[str], path: Path, action: str, *options: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["ota", action, "--config", str(path), "--run-dir", str(path.parent / "run"), *options])
    said = capsys.readouterr()
    assert caught.value.code is None or isinstance(caught.value.code, int)
    return caught.value.code or 0, said.out, said.err


def test_who_wants_to_go_back_does_not_wait_for_what_that_does_not_need() -> None:
    code = "import edge_runtime.cli.ota, sys; print(*{'tuf', 'httpx', 'numpy', 'cryptography'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert loaded.split() == []


def test_before_anything_happened(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(capsys, scene.config_path, "status")
    assert code == 0
    assert "the bundle that came with the software" in out
    assert "has not said anything yet" in out
    assert say(capsys, scene.config_path, "history") == (0, "", "")
    assert not scene.settings.store.exists(), "looking leaves nothing behind"
    assert not (scene.config_path.parent / "run").exists()


def test_an_update_that_waits_and_one_that_was_refused(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    bad = scene.publish(scene.bundle("1", spoil=lambda plans: plans + 0.01))
    scene.assign(bad, 1)
    with scene.agent() as (agent, _):
        agent.turn(scene.now_s)
        good = scene.publish(scene.bundle("2"))
        scene.assign(good, 2)
        agent.turn(scene.now_s)
        # Beside the running agent.
        code, out, _ = say(capsys, scene.config_path, "status")
    assert code == 0
    lines = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert good.bundle_digest in lines["staged"]
    assert "ready" in lines["update"]
    assert bad.target_path in lines["refused here"]
    assert "golden pairs within" in lines["last entry"]
    _, out, _ = say(capsys, scene.config_path, "history")
    first, second = out.splitlines()
    assert "golden_differs: joint2 is off by" in first
    assert good.target_path in second


def test_the_same_for_programs(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = say(capsys, scene.config_path, "status", "--json")
    assert (code, err) == (0, "")
    report = msgspec.json.decode(out, type=UpdatesReport)
    assert (report.slots.active.bundle, report.newest, report.agent, report.engine) == (SHIPPED, None, None, None)
    code, out, _ = say(capsys, scene.config_path, "history", "--json")
    assert msgspec.json.decode(out) == {"entries": []}
    bad = scene.publish(scene.bundle("1", spoil=lambda plans: plans + 0.01))
    scene.assign(bad, 1)
    with scene.agent() as (agent, _):
        agent.turn(scene.now_s)
    _, out, _ = say(capsys, scene.config_path, "history", "--json")
    (entry,) = msgspec.json.decode(out, type=HistoryReport).entries
    assert (entry.refusal, entry.release_counter) == ("golden_differs", 0)
    _, out, _ = say(capsys, scene.config_path, "status", "--json")
    report = msgspec.json.decode(out, type=UpdatesReport)
    assert report.newest == entry
    assert report.journal.refused.release == bad.target_path
    assert report.counter_min is not None


def test_check_asks_and_fetches_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    code, out, _ = say(capsys, scene.config_path, "check")
    assert (code, out) == (0, "toy 1 under counter 1: it fits this robot\n")
    code, out, _ = say(capsys, scene.config_path, "check", "--json")
    assert (code, msgspec.json.decode(out)) == (
        0,
        {"result": "done", "detail": "toy 1 under counter 1: it fits this robot"},
    )
    assert scene.packs_asked == 0


def test_check_says_why_not_in_one_line(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.assign(scene.publish(scene.bundle("1")), 1)
    with scene.agent():
        code, _, err = say(capsys, scene.config_path, "check")
    assert code == 1
    assert err.startswith("error: busy: ")
    assert err.count("\n") == 1


def test_a_torn_pointer_is_told_and_not_hidden(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    with scene.agent() as (_, runner):
        SlotFile(scene.settings.root / "slots").write(runner.slots)
    for path in scene.settings.root.glob("slots.*"):
        path.write_bytes(b"torn")
    code, _, err = say(capsys, scene.config_path, "status")
    assert code == 1
    assert "neither of its two copies is whole" in err


def test_without_the_section_it_is_a_wrong_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = say(capsys, copy_settings(tmp_path), "status")
    assert code == 2
    assert "updates are off" in err


def to_the_end(scene: Scene) -> str:
    """Have version 1 committed, by an agent that is not there any more; its digest."""
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        agent.turn(scene.now_s)
        runner.clear()
        runner.prove()
    return release.bundle_digest


def test_without_an_agent_going_back_is_done_here_and_needs_no_hub(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    new = to_the_end(scene)
    scene.server.__exit__()
    assert SlotFile(scene.settings.root / "slots").read().active.bundle == new
    code, out, _ = say(capsys, scene.config_path, "rollback", "--reason", "it drops cubes")
    assert (code, out) == (0, f"rolled back to {scene.shipped_digest}\n")
    slots = SlotFile(scene.settings.root / "slots").read()
    assert (slots.active, slots.previous) == (Slot(), Slot(new, 1))
    _, out, _ = say(capsys, scene.config_path, "history")
    assert out.splitlines()[-1].endswith("rollback_asked: it drops cubes")


def test_nothing_to_go_back_to_is_one_line(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = say(capsys, scene.config_path, "rollback")
    assert (code, out) == (1, "")
    assert err == "error: not_now: there is no previous bundle\n"


def test_a_rollback_that_was_cut_is_ended_and_not_done_twice(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice would lead back to the bundle that somebody wanted to leave."""
    new = to_the_end(scene)
    update = Update(bundle=new, release_counter=1)
    journal = Journal(UpdateState.ROLLING_BACK, update, back_to=SHIPPED, reason="rollback_asked")
    slots = SlotFile(scene.settings.root / "slots")
    slots.write(slots.read().back_to(SHIPPED))
    JournalFile(scene.settings.root / "journal").write(journal)
    assert say(capsys, scene.config_path, "rollback")[:2] == (0, f"rolled back to {scene.shipped_digest}\n")
    assert slots.read().active == Slot()


def test_an_activation_that_was_cut_is_taken_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    release = scene.publish(scene.bundle("1"))
    scene.assign(release, 1)
    with scene.agent() as (agent, runner):
        agent.turn(scene.now_s)
        update, slots = runner.journal.update, runner.slots
    SlotFile(scene.settings.root / "slots").write(slots.on_trial())
    JournalFile(scene.settings.root / "journal").write(Journal(UpdateState.ACTIVATING, update))
    assert say(capsys, scene.config_path, "rollback")[:2] == (0, f"rolled back to {scene.shipped_digest}\n")
    journal = JournalFile(scene.settings.root / "journal").read()
    assert journal == Journal(reason="rollback_asked", refused=update)
    assert SlotFile(scene.settings.root / "slots").read().active == Slot()


def test_without_an_agent_the_engine_that_runs_is_ordered_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = KeptRobot(tmp_path)
    command = ["ota", "rollback", "--config", str(kept.config.path), "--run-dir", str(kept.run_dir)]
    with kept.robot:
        with kept.agent():
            new = kept.commit("1")
        with pytest.raises(SystemExit) as caught:
            main(command)
        assert not caught.value.code
        assert capsys.readouterr().out == f"rolled back to {kept.digest('0')}\n"
        assert kept.robot.served[-1] == kept.digest("0")
        # One that cannot load what it should go back to is told to a person, and the next one begins with it.
        kept.robot.refuses.add(new)
        with pytest.raises(SystemExit) as caught:
            main(command)
        said = capsys.readouterr().out
        assert said == "the pointer is back, the engine is not: it was told to refuse it: restart it\n"
        assert SlotFile(kept.settings.root / "slots").read().active == Slot(new, 1)


def test_words_from_elsewhere_are_shown_and_do_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "fine\n2030-01-01 committed\x1b[2J\x9b31m\u202e\u200b"
    with scene.agent() as (agent, runner):
        agent.note(scene.now_s, "rollback", hostile)
        update = Update("bundles/toy/" + "0" * 64 + ".json", "0" * 64, 1)
        JournalFile(scene.settings.root / "journal").write(Journal(UpdateState.FAILED, update, reason=hostile))
        SlotFile(scene.settings.root / "slots").write(runner.slots)
    for action in ("status", "history"):
        code, out, _ = say(capsys, scene.config_path, action)
        assert code == 0
        assert r"fine\n2030-01-01 committed\x1b[2J\x9b31m\u202e\u200b" in out
        assert all(char == "\n" or char.isprintable() for char in out)
