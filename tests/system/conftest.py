"""A whole robot for a test: the real processes of the table, with the drift policy, in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import load_config
from edge_runtime.contracts.messages import Asker
from edge_runtime.evaluation.episodes import EpisodeResult, EpisodeRunner
from tests.system.drift_bundle import write_robot


@dataclass
class Robot:
    """A running robot and its operator, who is a person."""

    run_dir: Path
    table: ProcessTable
    operator: Operator

    def until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Listen until `condition` holds; fails the test if it does not in time."""
        status = self.operator.watcher.status
        assert self.operator.wait_until(condition, timeout_s), status()

    def run_episode(self, seed: int, split: str, *, lockstep: bool = False, **options: Any) -> EpisodeResult:
        """See `EpisodeRunner.run`."""
        with EpisodeRunner(self.operator, lockstep=lockstep) as runner:
            return runner.run(seed, split, **options)

    def refused(self, kind: str) -> int:
        """How often something was refused, keyed ``process.topic.kind``."""
        return self.operator.watcher.refusals.get(kind, 0)


@pytest.fixture(scope="session")
def robot_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_robot(tmp_path_factory.mktemp("robot") / "config")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short, because the names of Unix sockets are."""
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_robot(robot_toml: Path, run_dir: Path) -> Iterator[Callable[..., Robot]]:
    with ExitStack() as stack:

        def start(*, lockstep: bool = False, restart: bool = True) -> Robot:
            operator = stack.enter_context(Operator(run_dir, asker=Asker.PERSON))
            table = stack.enter_context(
                ProcessTable(load_config(robot_toml), run_dir, lockstep=lockstep, restart=restart)
            )
            table.start()
            operator.on_wait = table.tend
            operator.wait_ready()
            return Robot(run_dir, table, operator)

        yield start


@pytest.fixture
def moving_robot(start_robot: Callable[..., Robot]) -> Robot:
    """A robot in real time, armed and in motion."""
    robot = start_robot()
    robot.operator.lay_out(3, "eval")
    robot.operator.instruct("touch the red cube")
    robot.operator.arm()
    robot.until(lambda: robot.operator.watcher.control_state == "active")
    return robot
