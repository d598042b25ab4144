"""One episode after the other, on a robot whose processes die and come back and that a person may stop in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edge_runtime.client.operator import Operator
from edge_runtime.contracts.errors import OperatorError, ProcessError
from edge_runtime.contracts.text import printable
from edge_runtime.evaluation.episodes import EpisodeEnding, EpisodeResult, EpisodeRunner

_FAILURES_IN_A_ROW = 5
_PAUSE_S = 0.7
_REST_S = 3.0
_COMES_UP_S = 20.0


def next_scene(operator: Operator, seeds: Iterator[int], restart_control: Callable[[], None]) -> str:
    """Put other things on the table, with the arm at home and not armed; what a person can say of them.

    A fault that no person meant is cleared: the arm rests at a place that is known.

    Args:
        restart_control: starts the robot's control anew.

    Raises:
        OperatorError: the robot can't be disarmed, or its driver refuses.
    """
    watcher = operator.watcher
    if watcher.control_state.is_armed:
        operator.disarm()
        operator.wait_until(lambda: not watcher.control_state.is_armed, _REST_S)
    operator.lay_out(next(seeds), "eval")
    if watcher.control_state.is_latched and operator.stopped_by is None:
        _clear(operator, restart_control)
    scene = watcher.scene
    return "" if scene is None else f"for this scene: {scene.instruction!r}, or {scene.swapped_instruction!r}"


def _clear(operator: Operator, restart_control: Callable[[], None]) -> None:
    try:
        operator.reset()
    except OperatorError as error:
        if not error.answered:
            raise
        # The simulator has put the arm elsewhere than control holds it: only a control that starts afresh takes its
        # command from the measurement.
        restart_control()
        operator.wait_until(lambda: operator.watcher.control_state.may_be_armed, _COMES_UP_S)


def episodes(
    operator: Operator,
    seeds: Iterable[int],
    *,
    wanted: int | None,
    note: Callable[[str], None],
    restart_control: Callable[[], None],
) -> Iterator[EpisodeResult]:
    """Results of episodes in unseen scenes, until `wanted` are done; None: for ever.

    Args:
        note: is given what a person should read.
        restart_control: starts the robot's control anew.

    Raises:
        ProcessError: too many in a row could not be run.
    """
    failures = done = 0
    with EpisodeRunner(operator) as runner:
        for seed in seeds:
            if wanted is not None and done >= wanted:
                return
            if operator.stopped_by is not None:
                operator.wait_for_a_person(note)
                note("armed by an operator: the run goes on with its next episode")
            try:
                result = runner.run(seed, "eval")
            except OperatorError as error:
                # A process that was just restarted may miss a request; one that never answers is an error.
                if operator.stopped_by is not None:
                    continue
                failures += 1
                note(f"could not run an episode: {error}")
                if failures >= _FAILURES_IN_A_ROW:
                    raise ProcessError(
                        f"{failures} episodes in a row could not be run; the last time: {error}"
                    ) from error
                if error.request == "reset" and error.answered:
                    # After a stop that control did not command, the arm rests elsewhere than control holds it: only a
                    # control that starts afresh takes its command from the measurement.
                    restart_control()
                operator.wait_until(lambda: False, _PAUSE_S)
                continue
            failures = 0
            if result.outcome is EpisodeEnding.INTERRUPTED and operator.stopped_by is not None:
                # What a person cut short says nothing about the policy, and counts for nothing.
                note(printable(f"■      {result.instruction}  {result.reason}  {result.elapsed_s:.1f} s", None))
                continue
            done += 1
            yield result
