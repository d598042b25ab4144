"""What keeps a robot on its bundle, in this process: a real store, real records, a real bus with a robot on it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_runtime.bundles.installed import Installed
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.agent_bus import AgentBus
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.agent.settings import settings_of
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.lifecycle.activation import Activation
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy
from edge_runtime.ota.lifecycle.effects import Effects, EndableClock
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.transfer.staging import Staging
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from tests.ota.bus_robot import BusRobot
from tests.ota.store_exercise import arm_of, digest_of, make_bundles, release
from tests.settings import copy_settings

PATIENCE_S = 60.0
OBEY_S = 30.0
_SECTION = {
    "robot_id": "arm-1",
    "hardware": "sim_arm",
    "image_url": "http://127.0.0.1:1/image",
    "director_url": "http://127.0.0.1:1/director",
    "image_root": "image.json",
    "director_root": "director.json",
    "store": "store",
}


class _DeskHands(Effects):
    """Has all pieces at hand, and nothing to build or to compare; the engine is that of the bus."""

    pieces: dict[str, bytes]

    def fetch(self, staging: Staging) -> None:
        for piece in staging.missing:
            staging.put(piece, self.pieces[piece])

    def build(self, folder: Path) -> None:
        assert folder.is_dir()

    def golden_check(self, folder: Path) -> None:
        assert folder.is_dir()


class KeptRobot:
    """A robot with the small bundles of `store_exercise`; version 0 is shipped."""

    def __init__(self, folder: Path, *, activate: str = "in_motion", probation: str = "") -> None:
        self.folder = folder
        make_bundles(folder)
        home = folder / "robot"
        home.mkdir()
        path = copy_settings(home)
        (home / "bundle").rmdir()
        (home / "bundle").symlink_to(folder / "0")
        for name in ("image.json", "director.json"):
            (home / name).write_bytes(b"{}")
        lines = [f"{key} = {json.dumps(value)}" for key, value in {**_SECTION, "activate": activate}.items()]
        terms = probation or "episodes_min = 0\nactive_min_s = 0.0"
        path.write_text("\n".join([path.read_text(), "[ota]", *lines, "[ota.probation]", terms]))
        self.config = load_config(path)
        self.settings = settings_of(self.config)
        self.run_dir = folder / "run"
        self.run_dir.mkdir()
        self.robot = BusRobot(self.config, self.run_dir)

    def digest(self, version: str) -> str:
        return digest_of(self.folder, version)

    @contextlib.contextmanager
    def agent(self, obey_s: float = OBEY_S) -> Iterator[KeptRobot]:
        """An agent, recovered; when it is left it has ended without a word."""
        settings, clock = self.settings, EndableClock(never)
        installed, orders = Installed.of(self.config), DesiredPolicy()
        self.shared, self.history = Shared(), History(settings.store)
        with contextlib.ExitStack() as stack:
            transport = stack.enter_context(HttpTransport(settings.network, clock))
            self.agent_bus = stack.enter_context(AgentBus(self.run_dir, orders, obey_s=obey_s, appear_s=obey_s))
            effects = _DeskHands(settings, transport, clock, self.agent_bus, lambda: installed.shipped_digest)
            effects.pieces = arm_of(self.folder).pieces
            self.runner = stack.enter_context(Runner(settings.root, settings.shipped, Floor(settings.floor), effects))
            self.runner.recover()
            self.activation = Activation(
                settings, installed, self.runner, effects, self.agent_bus, orders, self.history, self.shared
            )
            yield self

    def get_ready(self, version: str, counter: int = 0, *, probation_s: int = 1) -> str:
        """Bring a version to READY, as the worker does; its digest."""
        with self.shared.lock:
            self.runner.assign(release(self.folder, version), counter or int(version), probation_s)
            self.runner.admit()
        assert self.state is UpdateState.READY
        return self.digest(version)

    @property
    def state(self) -> UpdateState:
        return self.runner.journal.state

    def tend(self) -> None:
        """What the agent's main thread does again and again."""
        self.agent_bus.pump()
        self.activation.look(time.monotonic())

    def until(self, condition: Callable[[], bool]) -> None:
        """Tend to it until `condition` holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, (self.runner.journal, self.runner.slots, self.robot.served)
            self.tend()

    def tend_for(self, seconds: float) -> None:
        """Tend to it."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.tend()

    def commit(self, version: str, counter: int = 0) -> str:
        """Go through with an update."""
        digest = self.get_ready(version, counter, probation_s=0)
        self.until(lambda: self.state is UpdateState.IDLE)
        assert self.runner.slots.committed.bundle == digest, self.runner.journal
        return digest

    def said(self) -> list[tuple[str, str]]:
        """What the history has."""
        return [(entry.refusal, entry.detail) for entry in self.history.entries()]
