"""The update agent as its own process, between a real hub and a robot's bus: trials, rollbacks, kills, and people."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.cli import main
from edge_runtime.contracts.states import UpdateState
from edge_runtime.contracts.topics import UPDATE_COMMAND, UPDATE_STATUS
from edge_runtime.contracts.updates import UpdateCommand, UpdateKind, UpdateStatus
from edge_runtime.ipc.bus import Sender, Subscriber
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.lifecycle.journal import JournalFile
from edge_runtime.testing.web_server import WebServer
from tests.ota.bus_robot import BusRobot
from tests.ota.updated_robot import Scene

PATIENCE_S = 60.0


class Life:
    """A hub, a robot on its bus, and the agent between them."""

    def __init__(self, scene: Scene, robot: BusRobot, run_dir: Path) -> None:
        self.scene, self.robot, self.run_dir = scene, robot, run_dir
        self.shipped = scene.shipped_digest
        self.heard: list[UpdateStatus] = []
        self._subscriber = Subscriber((UPDATE_STATUS,), run_dir)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ("-m", "edge_runtime.ota", "--config", self.scene.config_path, "--run-dir", self.run_dir)
        with (self.run_dir / "agent.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *map(str, command)], stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10.0)

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30.0)

    def end(self) -> None:
        self._subscriber.close()
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def threads(self) -> list[Path]:
        return list(Path(f"/proc/{self.pid}/task").iterdir())

    @property
    def state(self) -> UpdateState | None:
        journal = JournalFile(self.scene.settings.root / "journal").read()
        return None if journal is None else journal.state

    @property
    def log(self) -> str:
        return (self.run_dir / "agent.log").read_text()

    def until(self, condition: Callable[[UpdateStatus], bool]) -> UpdateStatus:
        """The first status from now on for which `condition` holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        self._subscriber.receive(0.0)
        while time.monotonic() < deadline_s:
            for message in self._subscriber.receive(0.1):
                assert isinstance(message, UpdateStatus)
                self.heard.append(message)
                if condition(message):
                    return message
            assert self._process is None or self._process.poll() is None, self.log
        raise AssertionError(f"{self.heard[-1:]} {self.log}")

    def until_settled(self, bundle: str, counter: int) -> UpdateStatus:
        return self.until(lambda said: (said.state, said.running, said.running_counter) == ("idle", bundle, counter))

    def release(self, version: str, counter: int, *, probation_s: int = 1) -> str:
        """Publish a new bundle and assign it; its digest."""
        release = self.scene.publish(self.scene.bundle(version))
        self.scene.assign(release, counter, probation_s=probation_s)
        return release.bundle_digest

    @property
    def slots(self) -> Slots:
        return SlotFile(self.scene.settings.root / "slots").read()

    def command(self, action: str, *options: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["ota", action, "--config", str(self.scene.config_path), "--run-dir", str(self.run_dir), *options])
        return int(caught.value.code or 0)


def on_trial_s(said: UpdateStatus) -> float:
    """How long, as the words on the trial begin; 0 where they begin with something else."""
    number, _, rest = said.trial.partition(" of ")
    return float(number) if "s on trial" in rest else 0.0


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    monkeypatch.setenv("COLUMNS", "250")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with WebServer({}) as server:
        scene = Scene(tmp_path, server, time.time())
        scene.set('activate = "in_motion"\n[ota.probation]\nepisodes_min = 0\nactive_min_s = 0.0')
        with BusRobot(scene.config, run_dir) as robot:
            life = Life(scene, robot, run_dir)
            try:
                yield life
            finally:
                life.end()


def test_an_update_goes_through_and_everybody_can_see_it(life: Life, capsys: pytest.CaptureFixture[str]) -> None:
    new = life.release("1", 1, probation_s=2)
    life.start()
    life.until(lambda said: said.state == "probation" and "on trial" in said.trial)
    nice = {int(thread.name): os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in life.threads}
    assert nice[life.pid] == os.getpriority(os.PRIO_PROCESS, 0), "an order to go back does not wait"
    assert 10 in nice.values(), "and what takes long does"
    assert life.command("status") == 0
    assert f"acts            {new}" in capsys.readouterr().out
    assert life.robot.standby == life.shipped, "what it would go back to stays warm"
    life.until_settled(new, 1)
    assert life.robot.served == [life.shipped, new]
    assert life.slots == Slots(active=Slot(new, 1), committed=Slot(new, 1), previous=Slot())
    # A person who asks hears what the hub says.
    assert life.command("check") == 0
    assert "which this robot has" in capsys.readouterr().out
    life.scene.server.__exit__()
    assert life.command("rollback", "--reason", "it drops cubes") == 0
    assert capsys.readouterr().out == f"rolled back to {life.shipped}\n"
    assert life.robot.served == [life.shipped, new, life.shipped]
    assert life.slots.active == Slot()
    assert any(entry.detail == "it drops cubes" for entry in History(life.scene.settings.store).entries())
    assert life.stop() == 0, life.log


def test_going_back_for_the_whole_fleet_moves_no_bytes(life: Life) -> None:
    first = life.scene.publish(life.scene.bundle("1"))
    life.scene.assign(first, 1, probation_s=1)
    life.start()
    life.until_settled(first.bundle_digest, 1)
    life.release("2", 2, probation_s=600)
    life.until(lambda said: said.state == "probation")
    asked = life.scene.packs_asked
    # In the middle of the trial, the hub wants the bundle from before, under a new counter.
    life.scene.assign(life.scene.publish(life.scene.folder / "bundle-1"), 3, probation_s=600)
    said = life.until_settled(first.bundle_digest, 3)
    assert said.reason == ""
    assert any(said.reason == "superseded" for said in life.heard)
    assert life.scene.packs_asked == asked
    assert life.slots.committed == Slot(first.bundle_digest, 3)


def test_killed_at_random_points_the_agent_gets_there_all_the_same(life: Life) -> None:
    new = life.release("1", 1)
    draw = random.Random(5)
    for _ in range(5):
        life.start()
        time.sleep(draw.uniform(0.4, 2.0))
        life.kill()
        assert life.slots.active in (Slot(), Slot(new, 1))
    life.start()
    life.until_settled(new, 1)
    assert life.robot.served == [life.shipped, new]


def test_killed_in_activating_probation_and_rolling_back(life: Life) -> None:
    new = life.release("1", 1, probation_s=3600)
    life.robot.changes_over = False
    life.start()
    life.until(lambda said: said.state == "activating")
    life.kill()
    assert life.slots.active == Slot(new, 1)
    # Now without the hub.
    life.scene.server.__exit__()
    life.robot.changes_over = True
    life.start()
    life.until(lambda said: on_trial_s(said) >= 1.0)
    life.kill()
    life.start()
    life.until(lambda said: on_trial_s(said) >= 1.0)
    life.robot.changes_over = False
    now_ns = time.monotonic_ns()
    with Sender(UPDATE_COMMAND, life.run_dir) as line:
        deadline_s = time.monotonic() + PATIENCE_S
        while life.state is not UpdateState.ROLLING_BACK:
            assert time.monotonic() < deadline_s
            line.send(UpdateCommand(id=now_ns, kind=UpdateKind.ROLLBACK, stamp_ns=now_ns, reason="no"))
            time.sleep(0.05)
    life.kill()
    life.robot.changes_over = True
    life.start()
    said = life.until_settled(life.shipped, 0)
    assert said.reason == "rollback_asked"
    assert life.robot.served == [life.shipped, new, life.shipped]
