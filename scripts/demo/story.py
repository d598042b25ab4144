"""What happens in the demo, in order, told on screen while the arm works; and what of it has to be true.

Guarantees that it either comes to its end, or raises and says what did not happen. Only watches the robot: updates come
over the hub, by commands that are shown, and the robot decides by itself.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.client.operator import Operator
from edge_runtime.contracts.errors import OtaRefusal, ProcessError
from edge_runtime.contracts.manifest import read_manifest
from edge_runtime.contracts.states import ControlState, UpdateState
from edge_runtime.contracts.updates import UpdateStatus
from edge_runtime.evaluation.episodes import EpisodeResult
from scripts.demo.bundles import MIXED_UP, QUICKER, VERSIONS
from scripts.demo.stage import HARDWARE, ROBOT, Command, Stage, said, shortened, url_of

_COMMAND_S = 120.0
_UPDATE_S = 240.0
_EPISODES_S = 120.0
_SILENCE_S = 90.0
_PROBATION_S = 5
_AROUND_NS = 500_000_000
_REPORTS_KEPT = 20_000

_HUB = (
    "A hub is a server that hands out policies. Each release is signed by two people, and assigned to robots by name.",
    "A robot checks the signatures and the SHA-256 (the fingerprint) of every file by itself: a hub that was broken "
    "into can't give it anything else. Here all keys lie in one folder; real ones stay with their owners "
    "(docs/guides/keys.md).",
    "What is typed here is not read in this part. `.venv/bin/edge-runtime operator stop` elsewhere stops the arm.",
    "While the arm was moving, these commands have set one up:",
)
NORMAL = (
    "What is normal here: interventions, because the safety kernel smooths nearly every plan; and missed ticks of the "
    "1 kHz loop, because this machine is no real-time system, above all if it is a virtual one."
)

Waits = Generator[None, None, None]
"""A part of the story: each `next` is one look, between two of which the robot goes on."""


class Story:
    """The demo's guest of a run; see `edge_runtime.cli.run.Guest`.

    Args:
        bundle: the one that the robot was shipped with.
    """

    def __init__(self, stage: Stage, bundle: Path, console: Console) -> None:
        self._stage, self._bundle, self._console = stage, bundle, console
        shipped = read_manifest(bundle)
        self._names = {shipped.digest: shipped.version}
        self._sizes: dict[str, int] = {}
        self._targets: dict[str, str] = {}
        self._fetched: dict[str, int] = {}
        self._script = self._play()
        self._making = self._make_hub()
        self._made: list[Command] = []
        self._said: set[str] = set()
        self._server: Command | None = None
        self._results: Sequence[EpisodeResult] = ()
        self._update: UpdateStatus | None = None
        self._serving = ""
        self._moves = False
        self._changes_ns: list[int] = []
        self._heard_s = 0.0
        self._back_ns = 0
        self._ticks: deque[tuple[int, int, int]] = deque(maxlen=_REPORTS_KEPT)
        self.is_told = False

    def prepare(self) -> None:
        """One look at the hub's making, which goes on beside the arm; says nothing yet.

        Raises:
            ProcessError: a command has failed.
        """
        next(self._making, None)

    def open(self) -> Path:
        """Bring up the hub, as far as it is not yet up, and say how; returns the robot's settings.

        Raises:
            ProcessError: a command has failed.
        """
        self._chapter("Part 2: a hub sends this robot two updates, a good one and a broken one")
        for line in _HUB:
            self._say(line)
        for _ in self._making:
            time.sleep(0.05)
        assert self._server is not None
        url = url_of(self._server)
        for command in self._made:
            self._type(command.words)
            self._repeat(command)
        return self._stage.write_config(url)

    def _make_hub(self) -> Waits:
        stage, hub = self._stage, str(self._stage.hub)
        for words in (
            ("edge-hub", "init", hub),
            ("edge-hub", "keys", "create", str(stage.folder / "keys"), ROBOT),
            ("edge-hub", "robots", "enrol", hub, ROBOT, str(stage.folder / "keys" / f"{ROBOT}.pub")),
        ):
            command = stage.start(words)
            self._made.append(command)
            yield from self._ended(command)
        self._server = stage.start(("edge-hub", "serve", hub, "--port", "0"))
        self._made.append(self._server)

    def look(self, operator: Operator, results: Sequence[EpisodeResult]) -> bool:
        """See `Guest.look`.

        Raises:
            ProcessError: the story did not go on.
        """
        self._results = results
        self._watch(operator)
        if self._server is not None and self._server.code is not None:
            raise ProcessError(f"edge-hub serve has ended: {self._server.last_words}")
        return next(self._script, _END) is not _END

    def _play(self) -> Waits:
        (shipped,) = self._names.values()
        self._chapter(f"The robot works with the bundle that it was shipped with, {shipped}")
        yield from self._episodes(3)

        good = VERSIONS[QUICKER]
        self._chapter(f"{good} is released: it plans in four steps instead of five")
        digest = yield from self._release(QUICKER, self._bundle)
        yield from self._until(lambda: self._comes(digest), _UPDATE_S, f"{good} did not come to act")
        where = "in mid-motion: it follows the old plan up to the seam" if self._moves else "between two episodes"
        self._say(f"the change found the arm {where}; the old bundle stays loaded")
        yield from self._until(lambda: self._is_committed(digest), _UPDATE_S, f"{good} was not committed")

        bad = VERSIONS[MIXED_UP]
        self._chapter(f"{bad} is released: its exporter confused colours, sides and shapes")
        self._say("its golden pairs come from the same exporter, so every check before it acts will pass")
        broken = yield from self._release(MIXED_UP, self._stage.folder / f"pocket_vla-{good}")
        yield from self._until(lambda: self._comes(broken), _UPDATE_S, f"{bad} did not come to act")
        self._say("it reaches for the wrong things; the robot finds out and rolls back on its own")
        yield from self._until(lambda: self._has_left(broken), _UPDATE_S, f"{bad} was not rolled back")
        yield from self._until(lambda: self._acts(digest), _UPDATE_S, f"{good} did not come back")

        self._chapter(f"{good} works again")
        done = len(self._results)
        yield from self._until(lambda: self._succeeded(digest, done), _EPISODES_S, f"{good} did not work again")
        yield from self._do("edge-hub", "status", str(self._stage.hub))
        self.is_told = True

    def _release(self, kind: str, base: Path) -> Generator[None, None, str]:
        """Make, sign, publish and assign an update; returns the digest of its bundle."""
        stage, version, hub = self._stage, VERSIONS[kind], str(self._stage.hub)
        bundle = stage.folder / f"pocket_vla-{version}"
        yield from self._do("python", "-m", "scripts.demo.bundles", kind, str(base), str(bundle))
        manifest = read_manifest(bundle)
        self._names[manifest.digest] = version
        self._sizes[version] = sum(blob.size_bytes for blob in manifest.blobs)
        before = stage.releases()
        since = [word for path in before for word in ("--base", str(path), "--base-store", str(stage.packed))]
        yield from self._do("edge-export", "pack", str(bundle), "-o", str(stage.packed), *since)
        (release,) = stage.releases() - before
        draft, keys = str(stage.folder / f"draft-{version}.json"), stage.hub / "development_keys"
        signed = ("--key", str(keys / "exporter.key"), "--metadata", str(stage.hub / "image" / "metadata"))
        yield from self._do("edge-export", "sign", str(release), "--hardware", HARDWARE, *signed, "--out", draft)
        yield from self._do("edge-hub", "approve", draft, "--key", str(keys / "approver.key"))
        yield from self._do("edge-hub", "publish", hub, draft, str(stage.packed))
        target = str(release.relative_to(stage.packed))
        self._targets[target] = version
        to = ("--robot", ROBOT, "--hardware", HARDWARE, "--probation", str(_PROBATION_S))
        yield from self._do("edge-hub", "assign", hub, target, *to)
        return manifest.digest

    def _do(self, *words: str) -> Waits:
        self._type(words)
        command = self._stage.start(words)
        yield from self._ended(command)
        self._repeat(command)

    def _ended(self, command: Command) -> Waits:
        name = " ".join(command.words[:2])
        yield from self._until(lambda: command.code is not None, _COMMAND_S, f"{name} did not end")
        if command.code:
            raise ProcessError(f"{name} ended with {command.code}: {command.last_words}")

    def _episodes(self, count: int) -> Waits:
        done = len(self._results)
        yield from self._until(
            lambda: len(self._results) >= done + count, _EPISODES_S, f"{count} episodes were not run"
        )

    def _until(self, condition: Callable[[], bool], timeout_s: float, otherwise: str) -> Waits:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise ProcessError(f"{otherwise} within {timeout_s:.0f} s{self._agents_words()}")
            yield

    def _agents_words(self) -> str:
        update = self._update
        if update is None:
            return ": the update agent is not running, or has been silent for a second"
        words = [text for text in (update.reason, update.detail, update.trial) if text]
        return f": the update is {update.state}{', ' if words else ''}{', '.join(words)}"

    # What can be seen of the robot.

    def _watch(self, operator: Operator) -> None:
        watcher = operator.watcher
        self._update = watcher.update
        now_s = time.monotonic()
        if self._update is not None or not self._heard_s:
            self._heard_s = now_s
        elif now_s - self._heard_s > _SILENCE_S:
            raise ProcessError(f"the update agent has sent no message for {_SILENCE_S:.0f} s: see its log, ota.log")
        if (report := watcher.report) is not None and (not self._ticks or self._ticks[-1][0] != report.stamp_ns):
            self._ticks.append((report.stamp_ns, report.loop.overruns, report.loop.ticks))
        if (update := self._update) is not None:
            version = self._targets.get(update.release)
            if version is not None:
                self._fetched[version] = max(self._fetched.get(version, 0), update.bytes_done)
        if (policy := watcher.policy) is not None and policy.serving != self._serving:
            self._moves = watcher.control_state is ControlState.ACTIVE
            if self._serving:
                self._changes_ns.append(policy.serving_since_ns)
            if self._names.get(self._serving) == VERSIONS[MIXED_UP]:
                self._back_ns = policy.serving_since_ns
            self._serving = policy.serving

    def _runs(self, digest: str) -> bool:
        return self._update is not None and self._update.running == digest

    def _has_left(self, digest: str) -> bool:
        update = self._update
        if update is None or update.running == digest:
            return False
        if not update.reason.startswith("probation_"):
            raise ProcessError(f"{self._names[digest]} was not rolled back by its probation{self._agents_words()}")
        return True

    def _acts(self, digest: str) -> bool:
        return self._runs(digest) and self._serving == digest

    def _comes(self, digest: str) -> bool:
        self._require_wanted(digest)
        return self._acts(digest)

    def _is_committed(self, digest: str) -> bool:
        self._require_wanted(digest)
        return self._runs(digest) and self._update is not None and self._update.state.is_settled

    def _require_wanted(self, digest: str) -> None:
        update, version = self._update, self._names[digest]
        if update is None or not update.reason or self._targets.get(update.release) != version:
            return
        if update.state in (UpdateState.FAILED, UpdateState.IDLE):
            raise ProcessError(f"{version} was given up{self._agents_words()}")
        if update.reason == OtaRefusal.NO_SPACE:
            raise ProcessError(f"the robot's disk, {self._stage.folder}, has no space left{self._agents_words()}")

    def _succeeded(self, digest: str, since: int) -> bool:
        return any(result.success and result.bundles == (digest,) for result in self._results[since:])

    # What is put on the screen.

    def _chapter(self, text: str) -> None:
        self._console.print(Text(f"\n── {text}", style="bold"), soft_wrap=True)

    def _type(self, words: Sequence[str]) -> None:
        self._console.print(Text(f"$ {shortened(shlex.join(words))}", style="cyan"), soft_wrap=True)

    def _say(self, text: str) -> None:
        self._console.print(said(text))

    def _repeat(self, command: Command) -> None:
        for line in command.output.splitlines():
            # The warning of development keys comes with every command, and is for the first one to say.
            if line.strip() and line not in self._said:
                self._said.add(line)
                self._console.print(Text(f"   {shortened(line)}", style="dim"), soft_wrap=True)

    def summary(self) -> Table:
        """What ran, what was moved, and how long the way back took."""
        table = Table(title="the story in numbers", title_justify="left", show_header=False, box=None)
        table.add_column(style="dim")
        table.add_column()
        for digest, version in self._names.items():
            if own := [result for result in self._results if result.bundles == (digest,)]:
                table.add_row(f"with {version}", f"{sum(r.success for r in own)} of {len(own)} episodes succeeded")
        across = [result for result in self._results if len(result.bundles) > 1]
        if across:
            text = f"{sum(r.success for r in across)} of {len(across)} episodes succeeded, and count for neither"
            table.add_row("across a change", text)
        for version, fetched in self._fetched.items():
            size = self._sizes[version]
            text = f"{fetched / 1e3:,.0f} kB of {size / 1e3:,.0f} kB, {fetched / size:.1%}"
            table.add_row(f"moved for {version}", text)
        ended_ns = max((result.ended_ns for result in self._results if result.ended_ns < self._back_ns), default=0)
        if ended_ns:
            back_s = (self._back_ns - ended_ns) * 1e-9
            table.add_row("rollback", f"{VERSIONS[QUICKER]} served again {back_s:.2f} s after the last failure")
        if self._ticks:
            _, missed, ticks = self._ticks[-1]
            near = [self._near(at_ns) for at_ns in self._changes_ns]
            around = _share(sum(gone for gone, _ in near), sum(done for _, done in near))
            table.add_row("ticks missed", f"{_share(missed, ticks)} in all, {around} within half a second of a change")
        return table

    def _near(self, at_ns: int) -> tuple[int, int]:
        """Ticks that were missed, and those that ran, around an instant."""
        counts = [(gone, done) for stamp_ns, gone, done in self._ticks if abs(stamp_ns - at_ns) <= _AROUND_NS]
        return (counts[-1][0] - counts[0][0], counts[-1][1] - counts[0][1]) if counts else (0, 0)


def _share(missed: int, ran: int) -> str:
    slots = missed + ran
    return f"{missed:,} of {slots:,}" + (f" ({missed / slots:.1%})" if slots else "")


_END = object()
