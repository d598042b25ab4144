"""A policy that does something else on this machine: check, engine and arming each refuse it, with joint and angle.

The real processes, and a product of integers that saturates as it does on a processor without VNNI, on any processor.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_runtime.cli.launch import ProcessTable
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import OperatorError
from edge_runtime.contracts.golden import ProofVerdict
from edge_runtime.processes import ENGINE
from edge_runtime.testing.golden_bundles import Arrays, copy_with
from edge_runtime.testing.two_bundles import TwoBundles
from tests.saturating import plant
from tests.system.conftest import Robot
from tests.system.drift_bundle import write_robot

OFF = r"joint\d is off by 0\.\d{4} rad \(p99\), 0\.01 is allowed"


def _two_pairs(data: Arrays) -> None:
    data.update({name: array[:2] for name, array in data.items() if array.ndim})


@pytest.fixture
def bundles(tmp_path: Path) -> TwoBundles:
    """A robot whose shipped bundle is that of the repository, with two golden pairs to be quick."""
    robot_toml = write_robot(tmp_path / "config")
    (tmp_path / "config" / "bundle").rename(tmp_path / "drift")
    copy_with(tmp_path / "config" / "bundle", _two_pairs)
    return TwoBundles(robot_toml)


@pytest.fixture
def start(run_dir: Path) -> Iterator[Callable[[RobotConfig], Robot]]:
    with ExitStack() as stack:

        def start(config: RobotConfig) -> Robot:
            operator = stack.enter_context(Operator(run_dir))
            table = stack.enter_context(ProcessTable(config, run_dir))
            table.start()
            operator.on_wait = table.tend
            return Robot(run_dir, table, operator)

        yield start


def _edge(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from edge_runtime.cli import main; sys.exit(main())", *arguments]
    wide = {**os.environ, "COLUMNS": "600"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=wide)


def test_with_a_saturating_kernel_check_engine_and_arming_refuse_and_without_it_they_do_not(
    bundles: TwoBundles, start: Callable[[RobotConfig], Robot]
) -> None:
    config = bundles.config
    plant(config, config.bundle_dir)

    checked = _edge("check", "--config", str(config.path))
    assert checked.returncode == 1
    assert re.search(rf"fail .*golden pairs .*{OFF}", checked.stdout)

    robot = start(config)
    operator, watcher = robot.operator, robot.operator.watcher
    operator.wait_ready()
    robot.until(lambda: watcher.unproven is not None)
    assert watcher.unproven is not None
    assert (watcher.unproven.serving, watcher.unproven.failed) == ("", bundles.shipped)
    assert re.search(OFF, watcher.unproven.proof_detail)
    with pytest.raises(OperatorError, match=rf"control refused: refused_unproven: .*{OFF}"):
        operator.arm()
    with pytest.raises(OperatorError, match=rf"engine refused: refused_unproven: .*{OFF}"):
        operator.instruct("touch the red cube")
    said = _edge("operator", "arm", "--run-dir", str(robot.run_dir))
    assert said.returncode == 1
    assert re.search(rf"refused_unproven.*{OFF}", said.stderr)
    # Nobody has listened since the command was started.
    robot.until(lambda: watcher.control_state == "ready")
    assert robot.table.restarts()["engine"] == 0, "it stays, and says why"

    shutil.rmtree(bundles.root / "engines")
    robot.table.restart(ENGINE)
    robot.until(lambda: watcher.status().proof == ProofVerdict.MATCHED)
    operator.wait_ready()
    operator.instruct("touch the red cube")
    assert operator.arm() == ""
    robot.until(lambda: watcher.control_state == "active")


def test_another_bundle_that_is_pointed_to_is_tried_and_who_arms_learns_that_nobody_measured_it(
    bundles: TwoBundles, start: Callable[[RobotConfig], Robot], tmp_path: Path
) -> None:
    plant(bundles.config, bundles.config.bundle_dir)
    other = bundles.install(tmp_path / "drift")
    robot = start(bundles.config)
    watcher = robot.operator.watcher
    robot.until(lambda: watcher.unproven is not None, timeout_s=30.0)
    bundles.point(other)
    robot.until(lambda: watcher.status().bundle == other)
    assert watcher.status().proof == ProofVerdict.NO_DATA
    robot.operator.wait_ready()
    assert "carries no golden pairs" in robot.operator.arm()
    shown = _edge("operator", "status", "--run-dir", str(robot.run_dir))
    assert "no_data: it was never shown that test 1" in shown.stdout
    robot.operator.disarm()


def test_a_bundle_that_differs_is_passed_over_for_the_next_best(
    bundles: TwoBundles, start: Callable[[RobotConfig], Robot], tmp_path: Path
) -> None:
    def shift(data: Arrays) -> None:
        _two_pairs(data)
        data["plan"][:, :, 3] += 0.02

    other = bundles.install(copy_with(tmp_path / "other", shift))
    bundles.point(other)
    checked = _edge("check", "--config", str(bundles.config.path))
    assert re.search(r"warn .*golden pairs .* in place of a better one: .*joint4 is off by", checked.stdout)
    robot = start(bundles.config)
    watcher = robot.operator.watcher
    robot.until(lambda: watcher.policy is not None)
    assert watcher.policy is not None
    assert (watcher.policy.serving, watcher.policy.failed) == (bundles.shipped, other)
    assert watcher.policy.proof is ProofVerdict.MATCHED
    assert "joint4 is off by" in watcher.policy.problem
