"""The update agent, put together: the one place that says who holds whom.

Three layers, each of which stands on the one before. The agent is all three; the standalone commands, the benchmarks
and the tests take as many as they need, with the same parts.

- `installer`: brings updates onto the disk and carries them out. `Agent` asks, `Runner` writes, `Effects` does.
- `keeper`: keeps the robot on the bundle that it should have. `AgentBus` hears, `Activation` decides.
- `update_agent`: the keeper, and a `Worker` that takes its time on a thread of its own, with `Scrub` beside it.

Calls go down: whoever is held knows nobody above, and calls nobody back. What comes from outside are the arguments.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.bundles.installed import Installed
from edge_runtime.bundles.slots import Slot, SlotFile
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import OtaError
from edge_runtime.ota.agent.activation import Activation
from edge_runtime.ota.agent.agent import Agent
from edge_runtime.ota.agent.agent_bus import LISTEN_S, AgentBus, Bus, SilentBus
from edge_runtime.ota.agent.history import History
from edge_runtime.ota.agent.requests import Requests
from edge_runtime.ota.agent.robot_activity import RobotActivity
from edge_runtime.ota.agent.settings import AgentSettings, reporting_of, settings_of
from edge_runtime.ota.agent.shared import Shared
from edge_runtime.ota.agent.status_report import Post, Reporting, send_report
from edge_runtime.ota.agent.worker import Worker
from edge_runtime.ota.lifecycle.changeover import NO_ENGINE, Changeover, Limits
from edge_runtime.ota.lifecycle.child import Asked, never
from edge_runtime.ota.lifecycle.desired_policy import DesiredPolicy, acting, known
from edge_runtime.ota.lifecycle.effects import Effects, EndableClock, Engine, Fetcher
from edge_runtime.ota.lifecycle.robot import Robot
from edge_runtime.ota.lifecycle.runner import Runner
from edge_runtime.ota.probation.trial import Trial
from edge_runtime.ota.store.scrub import Scrub
from edge_runtime.ota.transfer.fetch import BlobFetcher
from edge_runtime.ota.transfer.retry import Patience
from edge_runtime.ota.transfer.retrying_transport import METADATA_PATIENCE, RetryingTransport
from edge_runtime.ota.transfer.schedule import Clock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor

_SAY_NS = 100_000_000


@dataclass(frozen=True)
class Installer:
    """What brings updates here and carries them out. Does nothing by itself; its runner has still to recover."""

    installed: Installed
    shared: Shared
    history: History
    floor: Floor
    clock: Clock
    transport: Post
    effects: Effects
    runner: Runner
    agent: Agent
    should_end: Asked
    must_wait: Asked


def store_runner(root: Path, shipped: Path, floor: Path, robot: Robot) -> Runner:
    """The one writer of the store in `root`, over `robot`; not yet entered. The floors lie in the folder `floor`."""
    return Runner(root, shipped, floor_of(root, floor), robot)


def floor_of(root: Path, floor: Path) -> Floor:
    """The floors in the folder `floor`, of the robot whose store is in `root`."""
    return Floor(floor, SlotFile(root / "slots"))


@contextlib.contextmanager
def installer(
    config: RobotConfig,
    settings: AgentSettings,
    engine: Engine,
    *,
    should_end: Asked = never,
    must_wait: Asked = never,
    shared: Shared | None = None,
    clock: Clock | None = None,
    transport: Post | None = None,
    fetcher: Fetcher | None = None,
    patience: Patience = METADATA_PATIENCE,
) -> Iterator[Installer]:
    """The first layer, holding the lock of the store; see `Installer`.

    Args:
        engine: takes the orders of the life cycle.
        should_end, must_wait: see `Effects`.
        clock, transport, fetcher: other ones than this machine's clock, HTTP, and a fetcher over the two.
        patience: with the repositories.

    Raises:
        OtaError: `BUSY`: another process has the store.
    """
    shared, history = shared or Shared(), History(settings.store)
    installed, clock = Installed.of(config), clock or EndableClock(should_end)
    with contextlib.ExitStack() as stack:
        transport = transport or stack.enter_context(HttpTransport(settings.network, clock))
        effects = Effects(
            settings.root,
            installed,
            fetcher or BlobFetcher(transport, clock, settings.fetch),
            settings.build,
            settings.golden,
            engine,
            should_end=should_end,
            must_wait=must_wait,
        )
        floor = floor_of(settings.root, settings.floor)
        runner = stack.enter_context(Runner(settings.root, settings.shipped, floor, effects))
        patient = RetryingTransport(transport, clock, patience=patience)
        agent = Agent(settings, runner, patient, floor, history, shared, must_wait=must_wait)
        yield Installer(
            installed, shared, history, floor, clock, transport, effects, runner, agent, should_end, must_wait
        )


class Keeper:
    """What keeps the robot on its bundle, once its runner has recovered. `turn` again and again, from one thread.

    It alone holds the bus: what arrives is taken in, then it is decided, then it is said. Nothing that it calls can
    listen, so that no decision is made in the middle of another one.
    """

    def __init__(
        self,
        installer: Installer,
        bus: Bus,
        orders: DesiredPolicy,
        activity: RobotActivity,
        requests: Requests,
        activation: Activation,
    ) -> None:
        self.installer = installer
        self.orders = orders
        self.activity = activity
        self.requests = requests
        self.activation = activation
        self._bus = bus
        self._said: object = None
        self._due_ns = 0

    def turn(self, timeout_s: float = LISTEN_S) -> None:
        """Listen, for up to `timeout_s`; decide; say what is due: at once what is new, else ten times a second."""
        messages = self._bus.listen(timeout_s)
        now_ns = time.monotonic_ns()
        for message in messages:
            self.activation.take(message, now_ns)
        self.activation.look(now_ns * 1e-9)
        news = (self.orders.order, self.requests.answers)
        if now_ns >= self._due_ns or news != self._said:
            self._due_ns, self._said = now_ns + _SAY_NS, news
            self._bus.say(self.orders.order, self.activation.status())


@contextlib.contextmanager
def keeper(
    config: RobotConfig,
    settings: AgentSettings,
    run_dir: Path | None,
    *,
    should_end: Asked = never,
    limits: Limits | None = None,
    fetcher: Fetcher | None = None,
) -> Iterator[Keeper]:
    """The second layer, recovered: here the robot is only brought back to a bundle that it may run.

    Args:
        run_dir: of the robot's sockets; None: nothing of it runs.
        limits: of waiting for its engine.

    Raises:
        OtaError: as `installer` and `Runner.recover`.
        ProcessError: another agent is on this bus.
    """
    limits = limits or (NO_ENGINE if run_dir is None else Limits())
    orders, shared, requests = DesiredPolicy(), Shared(), Requests(time.monotonic_ns())
    changeover = Changeover(orders, time.monotonic_ns, limits)
    activity = RobotActivity(limits.heard_s)

    def must_leave_off() -> bool:
        return should_end() or shared.interrupt.is_set()

    def must_wait() -> bool:
        return activity.is_at_work and not settings.in_motion

    with contextlib.ExitStack() as stack:
        bus: Bus = SilentBus() if run_dir is None else stack.enter_context(AgentBus(run_dir))
        parts = stack.enter_context(
            installer(
                config,
                settings,
                changeover,
                should_end=must_leave_off,
                must_wait=must_wait,
                shared=shared,
                fetcher=fetcher,
            )
        )
        runner, digest_of = parts.runner, parts.installed.digest_of
        # What takes long is the worker's.
        shared.interrupt.set()
        runner.recover()
        shared.interrupt.clear()
        activation = Activation(
            settings,
            parts.installed,
            runner,
            parts.effects,
            orders,
            changeover,
            activity,
            requests,
            Trial(settings.store, lambda: known(runner.slots, digest_of)),
            parts.history,
            shared,
            must_wait=must_wait,
        )
        yield Keeper(parts, bus, orders, activity, requests, activation)


@contextlib.contextmanager
def update_agent(config: RobotConfig, run_dir: Path, should_end: Asked) -> Iterator[tuple[Keeper, Worker]]:
    """All of it, with the worker at work: for the process that keeps a robot on what it should run.

    Raises:
        ConfigError: `[ota]` is missing or wrong.
        OtaError, ProcessError: as `keeper`.
    """
    settings, reporting = settings_of(config), reporting_of(config)
    with keeper(config, settings, run_dir, should_end=should_end) as kept:
        parts = kept.installer
        runner, shared, digest_of = parts.runner, parts.shared, parts.installed.digest_of
        scrub = Scrub(
            settings.store,
            runner.store,
            settings.shipped,
            lambda: runner.slots,
            shared.lock,
            RetryingTransport(parts.transport, parts.clock),
            parts.clock,
            settings.fetch,
            settings.scrub,
        )
        worker = Worker(
            parts.agent,
            runner,
            scrub,
            shared,
            lambda: acting(runner.slots, kept.orders.engine(time.monotonic_ns()), digest_of),
            lambda acts: _report(reporting, parts, acts),
            interval_s=settings.check_interval_s,
            must_wait=parts.must_wait,
            should_end=parts.should_end,
        )
        with worker:
            yield kept, worker


def _report(reporting: Reporting | None, parts: Installer, acts: Slot) -> None:
    """Nothing waits for a report, and nothing is decided by whether it arrived."""
    if reporting is None:
        return
    try:
        newest = parts.history.newest
        said = ("", "") if newest is None else (newest.refusal, newest.detail)
        send_report(reporting, parts.transport, parts.runner.journal, acts, *said)
    except OtaError as error:
        logging.info("the report did not reach the hub: %s", error)
