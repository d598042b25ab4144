"""How an episode ended is said to whoever hears episodes; the update agent counts what says something of the policy."""

from __future__ import annotations

import time
from pathlib import Path

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.messages import Asker, EpisodeEnded, EpisodeJudge, EpisodeOutcome, EpisodeStarted
from edge_runtime.contracts.topics import EPISODE_ENDED, EPISODE_STARTED
from edge_runtime.evaluation.episodes import EpisodeEnding, EpisodeResult, EpisodeRunner
from edge_runtime.ipc.bus import Subscriber


def test_each_episode_is_said_with_what_can_be_said_of_the_policy(robot_toml: Path, run_dir: Path) -> None:
    heard: dict[int, EpisodeEnded] = {}
    begun: dict[int, EpisodeStarted] = {}
    with (
        Operator(run_dir) as operator,
        EpisodeRunner(operator) as runner,
        Operator(run_dir, asker=Asker.PERSON) as person,
        ProcessTable(load_config(robot_toml), run_dir) as table,
        Subscriber((EPISODE_ENDED,), run_dir, process="ota") as agent,
        Subscriber((EPISODE_STARTED, EPISODE_ENDED), run_dir, process="listener") as listener,
    ):

        def listen() -> None:
            table.tend()
            for message in agent.receive(0.0):
                assert isinstance(message, EpisodeEnded)
                heard[message.id] = message
            for message in listener.receive(0.0):
                if isinstance(message, EpisodeStarted):
                    begun[message.id] = message

        def disarm() -> None:
            listen()
            if operator.watcher.control_state == "active":
                person.disarm()

        def run(**options: object) -> tuple[EpisodeResult, EpisodeEnded]:
            """The result, and what has been said of it."""
            before = set(heard)
            result = runner.run(4, "eval", **options)  # type: ignore[arg-type]
            operator.on_wait = listen
            operator.wait_until(lambda: heard.keys() > before, 1.0)
            (ended,) = (heard[each] for each in heard.keys() - before)
            return result, ended

        table.start()
        operator.on_wait = listen
        started_ns = time.monotonic_ns()
        result, ended = run(timeout_s=5.0)
        assert result.outcome is EpisodeEnding.TIMEOUT
        assert (ended.outcome, ended.judge) == (EpisodeOutcome.FAILURE, EpisodeJudge.PROGRAM)
        assert (ended.instruction, ended.reason) == (result.instruction, result.reason)
        assert started_ns < ended.started_ns < ended.ended_ns == result.ended_ns
        assert (begun[ended.episode].started_ns, begun[ended.episode].instruction) == (
            ended.started_ns,
            ended.instruction,
        )
        (bundle,) = result.bundles
        assert operator.watcher.policy is not None
        assert bundle == operator.watcher.policy.serving == ended.bundle

        # Told to do something else than what is judged.
        assert run(timeout_s=0.5, swapped=True)[1].outcome is EpisodeOutcome.UNKNOWN

        operator.on_wait = disarm
        result, ended = run()
        assert result.outcome is EpisodeEnding.INTERRUPTED
        assert ended.outcome is EpisodeOutcome.ABORTED
