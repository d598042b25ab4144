"""The whole robot in motion with its update agent, a hub that signs, and a server between them that can fall silent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from benchmarks.robot_in_motion import RobotInMotion, copy_shipped_settings
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.assignment import AssignmentTerms
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.release import ReleaseManifest
from edge_runtime.contracts.topics import POLICY_ORDER
from edge_runtime.contracts.updates import PolicyOrder, UpdateStatus
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.processes import OTA, PROCESSES
from edge_runtime.releases.key_files import load_signer
from edge_runtime.releases.pack import pack_bundle
from edge_runtime.releases.sign import draft_release, sign_draft
from edge_runtime.testing.web_server import Behaviour, Exchange, FolderObjects, Request, WebServer
from hub.hub import make_development_hub
from scripts.demo.bundles import quicker

ROBOT, HARDWARE = "arm-1", "sim_arm"
_SILENCE_S = 5.0


def _say_nothing(exchange: Exchange) -> None:
    exchange.silence(_SILENCE_S)
    exchange.cut()


class Hub:
    """A hub of development keys below `folder`, served on this machine.

    Attributes:
        is_silent: requests are taken, not answered, and cut off in the end: worse for a robot than no network.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.is_silent = folder, False
        self._now_s = time.time()
        self._hub = make_development_hub(folder / "hub", self._now_s)
        self.server = WebServer({}, self._behave)
        self.server.objects = FolderObjects(folder / "hub")

    def _behave(self, _: Request) -> Behaviour | None:
        return _say_nothing if self.is_silent else Exchange.serve

    def section(self) -> str:
        """`[ota]` of a robot that belongs to it."""
        url, robot = self.server.url, self._hub.folder / "robot"
        values = {
            "robot_id": ROBOT,
            "hardware": HARDWARE,
            "image_url": f"{url}/image",
            "director_url": f"{url}/director/robots",
            "image_root": str(robot / "image.root.json"),
            "director_root": str(robot / "director.root.json"),
            "store": str(self.folder / "store"),
            "activate": "in_motion",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        probation = ["[ota.probation]", "episodes_min = 1", "active_min_s = 1.0", "failures_ahead = 1"]
        return "\n".join(["", "[ota]", *lines, "check_interval_s = 1.0", *probation, ""])

    def publish(self, bundle: Path) -> tuple[ReleaseManifest, int]:
        """Release a bundle, or the same one again under the next counter."""
        packed = self.folder / "packed"
        release = pack_bundle(bundle, packed)
        draft, counter = draft_release(self._hub.image.releases(), release.canonical_json(), (HARDWARE,), self._now_s)
        for name in ("exporter", "approver"):
            sign_draft(draft, load_signer(self._hub.development_keys / f"{name}.key"))
        self._hub.image.publish_release(draft, packed, self._hub.online(), self._now_s)
        return release, counter

    def assign(self, release: ReleaseManifest, counter: int, probation_s: int) -> None:
        """Tell the robot to run it."""
        terms = AssignmentTerms(
            robot_id=ROBOT,
            release_counter=counter,
            hardware=HARDWARE,
            not_before_s=0,
            rollout_id=f"rollout-{counter}",
            probation_s=probation_s,
        )
        self._hub.director.assign(release.target_path, terms, self._hub.image, self._hub.online(), self._now_s)


class UpdatedRobot:
    """A context manager: the robot runs, in motion after `begin`, with its agent beside it.

    Attributes:
        orders: to its engine, oldest first, each once.
        shipped, update: digests of the two bundles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.orders: list[PolicyOrder] = []
        self._line: Subscriber | None = None
        self._stack = ExitStack()

    def __enter__(self) -> UpdatedRobot:
        with ExitStack() as stack:
            self.hub = Hub(self._folder)
            stack.enter_context(self.hub.server)
            self.config_path = copy_shipped_settings(self._folder / "config")
            with self.config_path.open("a", encoding="utf-8") as file:
                file.write(self.hub.section())
            config = load_config(self.config_path)
            self.bundle = self._folder / "update"
            self.update = quicker(config.bundle_dir, self.bundle).digest
            self.shipped = read_manifest(config.bundle_dir).digest
            self.motion = stack.enter_context(RobotInMotion(config, (*PROCESSES, OTA), also=self._tap_orders))
            self._line = stack.enter_context(Subscriber((POLICY_ORDER,), self.motion.run_dir))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def status(self) -> UpdateStatus | None:
        """What the agent last said."""
        return self.motion.operator.watcher.update

    def wait_for(self, state: str, running: str) -> None:
        """Until the agent is in `state`, and the engine runs what it should."""
        self.motion.until(lambda: self._is(state, running))

    def wait_for_standby(self) -> None:
        """Until going over takes no loading."""
        self.motion.until(lambda: bool(self.motion.statuses and self.motion.statuses[-1].standby))

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """`edge-runtime ota ...` as a person types it."""
        arguments = ["--config", str(self.config_path), "--run-dir", str(self.motion.run_dir)]
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("edge-runtime")), "ota", *words, *arguments], stdout=subprocess.DEVNULL
        )

    def first_order(self, serve: str, after_ns: int) -> PolicyOrder:
        """The first order that has `serve` act, given after an instant. The id of an order is when it was given."""
        self.motion.until(lambda: bool(self._orders_of(serve, after_ns)))
        return self._orders_of(serve, after_ns)[0]

    def _orders_of(self, serve: str, after_ns: int) -> Sequence[PolicyOrder]:
        return [order for order in self.orders if order.serve == serve and order.id >= after_ns]

    def _is(self, state: str, running: str) -> bool:
        status, engine = self.status, self.motion.statuses[-1:]
        return (
            status is not None
            and (status.state, status.running) == (state, running)
            and bool(engine)
            and engine[0].serving == running
        )

    def _tap_orders(self) -> None:
        for message in self._line.receive(0.0) if self._line else ():
            if isinstance(message, PolicyOrder) and (not self.orders or self.orders[-1] != message):
                self.orders.append(message)
