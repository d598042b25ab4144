"""What keeps a robot on its bundle, in this process: a real store, real records, a real bus with a robot on it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import keeper
from edge_runtime.ota.agent.settings import settings_of
from edge_runtime.ota.lifecycle.changeover import Limits
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.transfer.fetch import Held
from edge_runtime.ota.transfer.staging import Staging
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


class _AtHand:
    """Has all pieces at hand."""

    def __init__(self, pieces: dict[str, bytes]) -> None:
        self.pieces = pieces

    def fetch(self, _release: ReleaseManifest, staging: Staging, _held: Held, _report: Callable[..., None]) -> None:
        """See `effects.Fetcher`."""
        for piece in staging.missing:
            staging.put(piece, self.pieces[piece])


class _NothingToDo:
    """Builds nothing, and finds nothing to compare."""

    def run(self, folder: Path, bundle: str, _should_end: Asked, _must_pause: Asked) -> GoldenReport:
        """See `effects.Build`, `effects.Check`."""
        assert folder.is_dir()
        return GoldenReport(bundle=bundle, verdict="no_data")


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
        self.settings = replace(settings_of(self.config), build=_NothingToDo(), golden=_NothingToDo())
        self.run_dir = folder / "run"
        self.run_dir.mkdir()
        self.robot = BusRobot(self.config, self.run_dir)

    def digest(self, version: str) -> str:
        return digest_of(self.folder, version)

    @contextlib.contextmanager
    def agent(self, obey_s: float = OBEY_S) -> Iterator[KeptRobot]:
        """An agent, recovered; when it is left it has ended without a word."""
        self.fetcher, limits = _AtHand(arm_of(self.folder).pieces), Limits(obey_s=obey_s, appear_s=obey_s)
        with keeper(self.config, self.settings, self.run_dir, limits=limits, fetcher=self.fetcher) as self.keeper:
            parts = self.keeper.installer
            self.runner, self.shared, self.history = parts.runner, parts.shared, parts.history
            self.activation, self.activity = self.keeper.activation, self.keeper.activity
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
        self.keeper.turn()

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
