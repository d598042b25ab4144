"""How an episode ended reaches the update agent if it says something about the policy, and not otherwise."""

from __future__ import annotations

import time
from pathlib import Path

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import EpisodeResult, Operator
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.messages import Asker
from edge_runtime.contracts.topics import EPISODE
from edge_runtime.contracts.updates import EpisodeOutcome
from edge_runtime.ipc.bus import Subscriber


def test_what_says_something_about_the_policy_is_told_and_nothing_else(robot_toml: Path, run_dir: Path) -> None:
    heard: dict[int, EpisodeOutcome] = {}
    with (
        Operator(run_dir, tells_outcomes=True) as operator,
        Operator(run_dir, asker=Asker.PERSON) as person,
        ProcessTable(load_config(robot_toml), run_dir) as table,
        Subscriber((EPISODE,), run_dir, process="ota") as agent,
    ):

        def listen() -> None:
            table.tend()
            for message in agent.receive(0.0):
                assert isinstance(message, EpisodeOutcome)
                heard[message.id] = message

        def disarm() -> None:
            listen()
            if operator.watcher.control_state == "active":
                person.disarm()

        def run(**options: object) -> tuple[EpisodeResult, list[EpisodeOutcome]]:
            """The result, and what has been told of it."""
            before = set(heard)
            result = operator.run_episode(4, "eval", **options)  # type: ignore[arg-type]
            operator.on_wait = listen
            operator.wait_until(lambda: heard.keys() > before, 1.0)
            return result, [heard[each] for each in heard.keys() - before]

        table.start()
        operator.on_wait = listen
        started_ns = time.monotonic_ns()
        result, told = run(timeout_s=5.0)
        assert result.outcome == "timeout"
        (outcome,) = told
        assert (outcome.success, outcome.instruction, outcome.reason) == (False, result.instruction, result.reason)
        assert started_ns < outcome.started_ns < outcome.ended_ns == result.ended_ns
        (bundle,) = result.bundles
        assert operator.watcher.policy is not None
        assert bundle == operator.watcher.policy.serving

        # Told to do something else than what is judged.
        assert run(timeout_s=0.5, swapped=True)[1] == []

        operator.on_wait = disarm
        result, told = run()
        assert result.outcome == "interrupted"
        assert told == []
