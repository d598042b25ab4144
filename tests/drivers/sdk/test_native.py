"""A driver in C and the process that speaks for it: neither goes on without the other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edge_runtime.ipc.port import DriverPort, PortRole
from edge_runtime.processes import port_name
from tests.drivers.sdk.robots import c_robot, robot_of
from tests.system.conftest import run_dir

__all__ = ["run_dir"]


@contextlib.contextmanager
def driven(config: Path, run_dir: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process, DriverPort]]:
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(config), "--run-dir", str(run_dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            with DriverPort.attach(port_name(run_dir), timeout_s=20.0) as port:
                (program,) = psutil.Process(process.pid).children()
                yield process, program, port
        finally:
            process.kill()
            (Path("/dev/shm") / port_name(run_dir)).unlink(missing_ok=True)


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGTERM, "exit code 0")])
def test_the_end_of_the_program_is_the_end_of_the_driver(
    tmp_path: Path, run_dir: Path, number: signal.Signals, cause: str
) -> None:
    with driven(c_robot(tmp_path), run_dir) as (process, program, _):
        program.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 1
        assert err.splitlines()[-1] == (
            f"error: ProcessError: {tmp_path / 'my_arm_driver'} has ended: {cause}; its own words stand above"
        )


def test_a_program_that_nobody_speaks_for_ends(tmp_path: Path, run_dir: Path) -> None:
    with driven(c_robot(tmp_path), run_dir) as (process, program, port):
        assert port.is_claimed(PortRole.DRIVER)
        os.kill(process.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 10.0
        while port.is_claimed(PortRole.DRIVER) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not port.is_claimed(PortRole.DRIVER)
        program.wait(5.0)


def test_another_order_of_joints_is_refused_by_control(tmp_path: Path, run_dir: Path) -> None:
    """The program's names are its own: what it was built for shows in the digest."""
    config = c_robot(tmp_path)
    text = (tmp_path / "embodiment.toml").read_text()
    (tmp_path / "embodiment.toml").write_text(text.replace("shoulder", "hip"))
    (tmp_path / "safety.toml").write_text((tmp_path / "safety.toml").read_text().replace("shoulder", "hip"))
    with driven(config, run_dir):
        command = [sys.executable, "-m", "edge_runtime.control", "--config", str(config), "--run-dir", str(run_dir)]
        done = subprocess.run([*command, "--hold"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: HandshakeError: joint_digest: expected ")


def test_a_program_that_was_not_built_says_so(tmp_path: Path) -> None:
    text = (
        "from pathlib import Path\nfrom edge_runtime.drivers.sdk import native_driver\n"
        "DRIVER = native_driver(Path(__file__).parent / 'arm', watchdog_s=0.1)\n"
    )
    config = robot_of(tmp_path, "driver.py", text)
    command = [sys.executable, "-m", "edge_runtime.drivers", "--config", str(config), "--run-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    problem = f"error: robot.driver: {tmp_path / 'arm'} does not exist: build it first, with make in its folder\n"
    assert (done.returncode, done.stderr) == (2, problem)
