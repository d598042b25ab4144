"""Episodes of given scenes, each with a result whatever happens; the robot is started again when it can't go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge_runtime.client.operator import Operator
from edge_runtime.client.status import ALIVE_S
from edge_runtime.contracts.errors import OperatorError, ProcessError
from edge_runtime.evaluation.episodes import EpisodeEnding, EpisodeResult, EpisodeRunner

_EPISODE_TIMEOUT_S = 120.0
_ERRORS_IN_A_ROW = 5


class Processes(Protocol):
    """The robot's processes, as `edge_runtime.cli.launch.ProcessTable` has them."""

    def start(self) -> None:
        """Start all."""

    def tend(self) -> None:
        """Look after them; raises ProcessError when one has died for good."""

    def stop(self) -> None:
        """End all."""


class MeasuredEpisodes:
    """Runs episodes one after the other.

    Args:
        processes: that run, and are started again where they have to be.
        swapped: give the instruction that fits the scene but means another object.
        tell: is given what a person should read.

    Attributes:
        results: one for each episode so far.
    """

    def __init__(
        self,
        operator: Operator,
        runner: EpisodeRunner,
        processes: Processes,
        *,
        split: str,
        swapped: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._operator, self._runner, self._processes = operator, runner, processes
        self._split, self._swapped, self._tell = split, swapped, tell
        self._died = ""
        self.results: list[EpisodeResult] = []

    def run(self, seed: int) -> EpisodeResult:
        """One episode, again from its beginning where a person has cut it short, once she has armed.

        Raises:
            EdgeError: nor can a robot that was started again go on.
        """
        operator = self._operator
        while True:
            operator.wait_for_a_person(self._tell)
            self._get_ready()
            result = self._attempt(seed)
            if operator.stopped_by is None or not result.outcome.is_cut_short:
                self.results.append(result)
                return result

    def require_some_run(self) -> None:
        """Raise if the last ones could not be run, one after the other.

        Raises:
            ProcessError: names what was wrong with the last one.
        """
        last = self.results[-_ERRORS_IN_A_ROW:]
        if len(last) == _ERRORS_IN_A_ROW and all(one.outcome is EpisodeEnding.ERROR for one in last):
            raise ProcessError(f"{_ERRORS_IN_A_ROW} episodes in a row could not be run: {last[-1].reason}")

    def _attempt(self, seed: int) -> EpisodeResult:
        split, swapped = self._split, self._swapped
        try:
            return self._runner.run(seed, split, swapped=swapped, timeout_s=_EPISODE_TIMEOUT_S)
        except (OperatorError, ProcessError) as error:
            if isinstance(error, ProcessError):
                self._died = str(error)
            scene = self._operator.watcher.scene
            if scene is not None and (scene.seed, scene.split) != (seed, split):
                scene = None
            return EpisodeResult(
                seed=seed,
                split=split,
                swapped=swapped,
                instruction="" if scene is None else scene.swapped_instruction if swapped else scene.instruction,
                outcome=EpisodeEnding.ERROR,
                reason=str(error),
                elapsed_s=0.0,
                interventions=0,
                trace_digest="",
                receipts=tuple(self._operator.watcher.receipts),
                kind="" if scene is None else scene.kind,
            )

    def _get_ready(self) -> None:
        """A robot for the next episode, started again where the one there is can't go on after the last one."""
        operator, processes = self._operator, self._processes
        problem, self._died = self._died, ""
        if not problem:
            try:
                operator.wait_ready()
                return
            except (OperatorError, ProcessError) as error:
                if operator.stopped_by is not None:
                    # She has stopped it while it got ready: the episode says so, and waits for her.
                    return
                if not self.results:
                    raise
                problem = str(error)
        self._tell(f"starting the robot again: {problem}")
        operator.on_wait = None
        processes.stop()
        # Until what the one before said is no longer taken for the new one's.
        operator.wait_until(lambda: False, ALIVE_S + 0.2)
        processes.start()
        operator.on_wait = processes.tend
        operator.wait_ready()
