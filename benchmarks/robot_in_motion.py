"""The whole robot in the simulator, armed and at its task, with everything that was said on its bus.

For benchmarks of what happens to the policy meanwhile. The real processes, the settings as shipped.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, RobotConfig, load_config
from edge_runtime.contracts.messages import ActionChunk, ChunkReceipt, ControlState, SafetyReport
from edge_runtime.contracts.topics import ACTION_CHUNK, CHUNK_RECEIPT, POLICY_STATUS, SAFETY_REPORT
from edge_runtime.contracts.updates import PolicyStatus
from edge_runtime.ipc.bus import Subscriber
from edge_runtime.processes import PROCESSES, Process

_TIMEOUT_S = 60.0


def copy_shipped_settings(folder: Path) -> Path:
    """The shipped settings in a folder of their own, with the shipped bundle; the path of `robot.toml`."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in SIM_CONFIG.parent.glob("*.toml"):
        lines = source.read_text(encoding="utf-8").splitlines()
        bundle = f'bundle = "{load_config(SIM_CONFIG).bundle_dir}"'
        lines = [bundle if line.startswith("bundle = ") else line for line in lines]
        (folder / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "robot.toml"


class RobotInMotion:
    """A context manager: entering starts the processes, `begin` has the arm move.

    Args:
        config: of the robot.
        processes: those of the table that run.
        also: called whenever this object waits, at least ten times a second.

    Attributes:
        reports, chunks, statuses: all that came since the start, oldest first.
        receipts: by the number of the chunk.
    """

    def __init__(
        self,
        config: RobotConfig,
        processes: Sequence[Process] = PROCESSES,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._processes, self.also = config, processes, also
        self.reports: list[SafetyReport] = []
        self.chunks: list[ActionChunk] = []
        self.statuses: list[PolicyStatus] = []
        self.receipts: dict[int, ChunkReceipt] = {}
        self._stack = ExitStack()

    def __enter__(self) -> RobotInMotion:
        with ExitStack() as stack:
            # Short, because the names of Unix sockets are.
            self.run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-")))
            self.operator = stack.enter_context(Operator(self.run_dir))
            self.table = stack.enter_context(ProcessTable(self._config, self.run_dir, processes=self._processes))
            topics = (ACTION_CHUNK, CHUNK_RECEIPT, SAFETY_REPORT, POLICY_STATUS)
            self._tap = stack.enter_context(Subscriber(topics, self.run_dir))
            self.table.start()
            self.operator.on_wait = self._tend
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.operator.on_wait = None
        self._stack.close()

    def begin(self, seed: int) -> None:
        """Lay the scene of `seed` out anew, and have the arm move."""
        self.operator.wait_ready()
        self.operator.lay_out(seed, "eval")
        scene = self.operator.watcher.scene
        assert scene is not None
        self.operator.instruct(scene.instruction)
        self.operator.arm()
        self.until(lambda: self.operator.watcher.control_state is ControlState.ACTIVE)

    def until(self, condition: Callable[[], bool]) -> None:
        """Listen until `condition` holds.

        Raises:
            TimeoutError: it did not within a minute.
        """
        if not self.operator.wait_until(condition, _TIMEOUT_S):
            raise TimeoutError(str(self.operator.watcher.status()))

    def listen(self, seconds: float) -> None:
        """Let so much time pass."""
        self.operator.wait_until(lambda: False, seconds)

    def first_chunk(self, bundle: str, after_ns: int) -> ActionChunk:
        """Wait for the first chunk of `bundle` that was published after this instant, and was followed."""
        found: list[ActionChunk] = []

        def came() -> bool:
            found[:] = [c for c in self.chunks if c.bundle_digest == bundle and c.published_ns >= after_ns][:1]
            return bool(found) and found[0].sequence in self.receipts

        self.until(came)
        return found[0]

    def _tend(self) -> None:
        self.table.tend()
        self.also()
        for message in self._tap.receive(0.0):
            if isinstance(message, SafetyReport):
                self.reports.append(message)
            elif isinstance(message, ActionChunk):
                self.chunks.append(message)
            elif isinstance(message, ChunkReceipt):
                self.receipts[message.chunk_sequence] = message
            elif isinstance(message, PolicyStatus):
                self.statuses.append(message)

    def loop_in(self, from_ns: int, to_ns: int) -> dict[str, float]:
        """What the 1 kHz loop and the plan did between two instants; the reports around them decide.

        Keys: `ticks`, `overruns` (ticks that were missed), `missing_ticks` (neither, of the time that passed, less two
        milliseconds for a stamp and a counter not being read at once), `lateness_max_us`,
        `plan_left_min_ms`, `held` (reports in which the arm did not follow a plan), `interventions`.
        """
        inside = [report for report in self.reports if from_ns <= report.stamp_ns <= to_ns]
        first, last = inside[0], inside[-1]
        ticks, overruns = last.loop.ticks - first.loop.ticks, last.loop.overruns - first.loop.overruns
        passed_ms = (last.stamp_ns - first.stamp_ns) / 1e6
        return {
            "ticks": ticks,
            "overruns": overruns,
            "missing_ticks": max(0.0, passed_ms - ticks - overruns - 2.0),
            "lateness_max_us": max(report.loop.lateness_max_ns for report in inside) / 1e3,
            "plan_left_min_ms": min(report.plan_left_ns for report in inside) / 1e6,
            "held": sum(report.state is not ControlState.ACTIVE for report in inside),
            "interventions": sum(report.interventions for report in inside[1:]),
        }

    def longest_gap_ms(self, from_ns: int, to_ns: int) -> float:
        """Between two chunks, of those that were published between two instants."""
        stamps = [chunk.published_ns for chunk in self.chunks if from_ns <= chunk.published_ns <= to_ns]
        return max((b - a for a, b in itertools.pairwise(stamps)), default=to_ns - from_ns) / 1e6

    @staticmethod
    def now_ns() -> int:
        """On the clock of the stamps."""
        return time.monotonic_ns()
