"""The robots' side of `benchmarks.ota_fleet`: a warm process that forks one process for each robot that is switched on.

``python -m benchmarks.ota_fleet_robot``: for each line of JSON on its standard input, a `Start`, it says the pid of a
new process, which is one robot's update agent: metadata, trust, downloads, store, journal, floor and signed reports are
the real ones, on disk. Engine, build, golden check and the evidence of the probation are simulated: what is ready is
put on trial at once, and has done well after its probation time. A robot ends when the hub has taken its report that it
runs what it was told to; it may be killed at any instant before.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

import msgspec

from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.golden import GoldenReport
from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.assembly import installer
from edge_runtime.ota.agent.settings import reporting_of, settings_of
from edge_runtime.ota.agent.status_report import send_report
from edge_runtime.ota.lifecycle.child import Asked
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport, Reply, Span, TransferError

UP_S = (0.3, 20.0)
DOWN_S = (0.5, 10.0)
_NICE = 10
"""That of the real agent's thread that does all this; and a hub has a machine of its own."""
_LOOK_S = 0.2
_GONE = "this robot is out of reach"
_PR_SET_PDEATHSIG = 1


class Start(msgspec.Struct, frozen=True):
    """A robot is switched on. `loses_network`: in and out, for as long as it is on."""

    config: str
    account: str
    seed: int
    loses_network: bool


class Count(IntEnum):
    """What a robot counts over all its lives. Losses: of what it asked for out of reach; cuts: of open transfers."""

    STARTS = 0
    REQUESTS = 1
    BYTES = 2
    PACK_BYTES = 3
    LOSSES = 4
    DONE = 5
    CPU_MS = 6
    CUTS = 7


class Account:
    """Counters of one robot in a file that is mapped: a process that is killed takes none of them with it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8 * len(Count)))
        with path.open("r+b") as file:
            self._counts = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    def __getitem__(self, count: Count) -> int:
        return int(self._counts[count])

    def add(self, count: Count, number: int = 1) -> None:
        """Count on."""
        self._counts[count] += number


class Network:
    """`Transport` and `Post` over HTTP, which counts what goes through it and is gone at times."""

    def __init__(self, transport: HttpTransport, account: Account, is_down: Callable[[], bool]) -> None:
        self._transport = transport
        self._account = account
        self._is_down = is_down

    @contextlib.contextmanager
    def open(self, span: Span, *, ceiling_bytes: int) -> Iterator[Reply]:
        """See `Transport.open`."""
        self._require_up()
        self._account.add(Count.REQUESTS)
        with self._transport.open(span, ceiling_bytes=ceiling_bytes) as reply:
            yield _Counted(reply, self._parts(span, reply))

    def post(self, url: str, body: bytes) -> None:
        """See `Post.post`."""
        self._require_up()
        self._account.add(Count.REQUESTS)
        self._transport.post(url, body)

    def _parts(self, span: Span, reply: Reply) -> Iterator[bytes]:
        for part in reply:
            self._account.add(Count.BYTES, len(part))
            if "/packs/" in span.url:
                self._account.add(Count.PACK_BYTES, len(part))
            yield part
            if self._is_down():
                self._account.add(Count.CUTS)
                raise TransferError(OtaRefusal.DISCONNECTED, _GONE)

    def _require_up(self) -> None:
        if self._is_down():
            self._account.add(Count.LOSSES)
            raise TransferError(OtaRefusal.UNREACHABLE, _GONE)


class _Counted:
    def __init__(self, reply: Reply, parts: Iterator[bytes]) -> None:
        self.entity_tag = reply.entity_tag
        self.server_s = reply.server_s
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self._parts


class Outages:
    """Whether the network is gone: by turns there and not, for times that are drawn."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._is_down = False
        self._until_s = 0.0

    def __call__(self) -> bool:
        """Whether it is gone now."""
        now_s = time.monotonic()
        while now_s >= self._until_s:
            self._is_down = bool(self._until_s) and not self._is_down
            self._until_s = max(self._until_s, now_s) + self._draw.uniform(*(DOWN_S if self._is_down else UP_S))
        return self._is_down


class SimulatedEngine:
    """Does at once what it is told."""

    def serve(self, _bundle: str, _standby: str) -> bool:
        """See `effects.Engine`."""
        return True

    def return_to(self, _bundle: str) -> bool:
        """See `effects.Engine`."""
        return True


class Simulated:
    """Builds and checks nothing."""

    def run(self, _folder: Path, bundle: str, _should_end: Asked, _must_pause: Asked) -> GoldenReport:
        """See `effects.Build`, `effects.Check`."""
        return GoldenReport(bundle=bundle, verdict="no_data")


def run(start: Start) -> None:
    """One life of one robot, until it has reported that it runs what it was told to."""
    account, config = Account(Path(start.account)), load_config(Path(start.config))
    account.add(Count.STARTS)
    settings, reporting = settings_of(config), reporting_of(config)
    if reporting is None:
        raise SystemExit("this robot has nobody to report to")
    settings = replace(settings, build=Simulated(), golden=Simulated())
    outages, clock = Outages(random.Random(start.seed)), SystemClock()
    with HttpTransport(settings.network, clock) as http:
        network = Network(http, account, outages if start.loses_network else lambda: False)
        with installer(config, settings, SimulatedEngine(), clock=clock, transport=network) as parts:
            runner, agent, history = parts.runner, parts.agent, parts.history
            runner.recover()
            turn_due_s, on_trial_since_s, reported, cpu_ms = 0.0, None, None, 0
            while True:
                now_s, spent_ms = time.monotonic(), round(1e3 * time.process_time())
                account.add(Count.CPU_MS, spent_ms - cpu_ms)
                cpu_ms = spent_ms
                if runner.journal.state is UpdateState.READY:
                    runner.clear()
                elif runner.journal.state is UpdateState.PROBATION:
                    on_trial_since_s = on_trial_since_s or now_s
                    if now_s - on_trial_since_s >= runner.journal.update.probation_s:
                        runner.prove()
                if now_s >= turn_due_s:
                    logging.info("%s", agent.turn(time.time()))
                    turn_due_s, reported = time.monotonic() + settings.check_interval_s, None
                standing = runner.journal.state, runner.slots.active
                if standing != reported:
                    reported = standing
                    try:
                        refusal = "" if history.newest is None else history.newest.refusal
                        send_report(reporting, network, runner.journal, runner.slots.active, refusal)
                    except OtaError as error:
                        logging.info("the report did not reach the hub: %s", error)
                    else:
                        if runner.journal.state is UpdateState.IDLE and runner.slots.active.release_counter:
                            account.add(Count.DONE)
                            return
                time.sleep(_LOOK_S)


def _life(start: Start) -> None:
    os.nice(_NICE)
    log = os.open(f"{start.account}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for library in ("httpx", "securesystemslib", "tuf"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        run(start)
    except BaseException:
        logging.exception("this life ended")
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Fork a robot for each line."""
    ours = os.getpid()
    # What is loaded by now stays shared: the collector of a robot does not touch it.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        start = msgspec.json.decode(line, type=Start)
        pid = os.fork()
        if not pid:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == ours:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _life(start)
            os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
