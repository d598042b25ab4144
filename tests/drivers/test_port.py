"""The driver port: whole blocks or an error, one live driver, bounded waits, and the same layout for C and C++."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.embodiment import joint_order_digest
from edge_runtime.contracts.errors import LockstepError, PortError
from edge_runtime.ipc.port import CommandState, DriverPort, FeedbackFlag, PortRole
from edge_runtime.safety import State

JOINTS = ("a", "b", "c")
DIGEST = joint_order_digest(JOINTS)
HEADERS = Path(__file__).resolve().parents[2] / "edge_runtime" / "ipc"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"test-port-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"


@pytest.fixture
def driver(name: str) -> Iterator[DriverPort]:
    with DriverPort.create(name, 3, DIGEST, 50_000_000, virtual_clock=True) as port:
        yield port


def test_both_ends_see_the_same_robot(driver: DriverPort) -> None:
    with DriverPort.attach(driver.name) as control:
        assert control.n_axes == 3
        assert control.watchdog_ns == 50_000_000
        assert control.virtual_clock
        assert control.joint_digest == DIGEST
        assert control.read_feedback() is None
        assert control.read_command() is None


def test_feedback_arrives_whole(driver: DriverPort) -> None:
    driver.write_feedback(7, np.array([1.0, 2.0, 3.0]), [4.0, 5.0, 6.0], (7.0, 8.0, 9.0), flags=FeedbackFlag.STOP_LINE)
    with DriverPort.attach(driver.name) as control:
        feedback = control.read_feedback()
    assert feedback is not None
    assert (feedback.stamp_ns, feedback.seq) == (7, 1)
    assert feedback.q.tolist() == [1.0, 2.0, 3.0]
    assert feedback.dq.tolist() == [4.0, 5.0, 6.0]
    assert feedback.tau.tolist() == [7.0, 8.0, 9.0]
    assert feedback.flags == FeedbackFlag.STOP_LINE | FeedbackFlag.HAS_TORQUE
    assert feedback.wrenches == 0
    assert not feedback.wrench.any()
    assert not feedback.odometry.any()


def test_the_wrench_of_each_tool_and_the_odometry_arrive_whole(driver: DriverPort) -> None:
    flags = FeedbackFlag.HAS_WRENCH | FeedbackFlag.HAS_ODOMETRY
    zero, wrench = [0.0] * 3, [1.0, 2.0, 3.0, 0.1, 0.2, 0.3]
    driver.write_feedback(7, zero, zero, wrench=[None, wrench], odometry=[0.5, -0.5, 0.1])
    with DriverPort.attach(driver.name) as control:
        feedback = control.read_feedback()
        assert feedback is not None
        assert (feedback.wrenches, feedback.flags) == (0b10, flags)
        assert feedback.wrench.tolist() == [[0.0] * 6, wrench, [0.0] * 6, [0.0] * 6]
        assert feedback.odometry.tolist() == [0.5, -0.5, 0.1]
        driver.write_feedback(8, zero, zero)
        feedback = control.read_feedback()
    assert feedback is not None
    assert (feedback.wrenches, feedback.flags) == (0, FeedbackFlag(0))
    assert not feedback.wrench.any()
    for spoilt in ({"wrench": [[1.0] * 3]}, {"wrench": [[1.0] * 6] * 5}, {"odometry": [0.0] * 2}):
        with pytest.raises(ValueError, match="values"):
            driver.write_feedback(9, zero, zero, **spoilt)


@pytest.mark.parametrize(("n_axes", "digest"), [(0, DIGEST), (33, DIGEST), (3, "abc"), (3, DIGEST.upper())])
def test_a_malformed_robot_is_refused(name: str, n_axes: int, digest: str) -> None:
    with pytest.raises(ValueError, match=r"axes|joint_digest"):
        DriverPort.create(name, n_axes, digest, 0)


@pytest.mark.parametrize("bad", [[1.0, 2.0], [1.0] * 4, []])
def test_a_vector_of_another_length_is_the_drivers_mistake(driver: DriverPort, bad: list[float]) -> None:
    with pytest.raises(ValueError, match="3 values"):
        driver.write_feedback(1, bad, [0.0] * 3)


def test_one_live_driver(driver: DriverPort) -> None:
    with pytest.raises(PortError, match="another live process"):
        DriverPort.create(driver.name, 3, DIGEST, 0)


def test_one_live_control(driver: DriverPort) -> None:
    with DriverPort.attach(driver.name) as one, DriverPort.attach(driver.name) as other:
        one.claim(PortRole.CONTROL)
        assert other.is_claimed(PortRole.CONTROL)
        with pytest.raises(PortError, match="another live process"):
            other.claim(PortRole.CONTROL)
        one.close()
        other.claim(PortRole.CONTROL)


def test_no_driver_no_port(name: str) -> None:
    start_s = time.monotonic()
    with pytest.raises(PortError, match="no live driver"):
        DriverPort.attach(name, timeout_s=0.1)
    assert time.monotonic() - start_s < 10.0


@pytest.mark.parametrize("bad", ["", "a/b", "..", "x" * 300, "a b"])
def test_a_malformed_name_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="name"):
        DriverPort.create(bad, 3, DIGEST, 0)


def test_a_foreign_file_is_not_a_port(name: str) -> None:
    path = Path("/dev/shm", name)
    try:
        path.write_bytes(b"\x01" * 100_000)
        with pytest.raises(PortError, match="not a driver port"):
            DriverPort.attach(name)
        path.write_bytes(b"\x01" * 700)
        with pytest.raises(PortError, match="another header"):
            DriverPort.attach(name)
    finally:
        path.unlink()


@pytest.mark.parametrize("version", [1, 99])
def test_another_version_is_refused(driver: DriverPort, version: int) -> None:
    with Path("/dev/shm", driver.name).open("r+b") as region:
        region.seek(8)
        region.write(version.to_bytes(4, "little"))
    with pytest.raises(PortError, match="version"):
        DriverPort.attach(driver.name)


def test_a_closed_port_says_so(name: str) -> None:
    port = DriverPort.create(name, 3, DIGEST, 0)
    port.unlink()
    port.close()
    with pytest.raises(ValueError, match="closed"):
        port.now_ns()


def test_waits_end(driver: DriverPort) -> None:
    start_s = time.monotonic()
    with pytest.raises(LockstepError, match="no command"):
        driver.wait_command(1, timeout_s=0.1)
    with pytest.raises(LockstepError, match="not acknowledged"):
        driver.wait_observation_ack(1, timeout_s=0.3)
    assert 0.3 < time.monotonic() - start_s < 10.0


def test_an_acknowledgement_wakes_the_plant_and_never_goes_back(driver: DriverPort) -> None:
    with DriverPort.attach(driver.name) as control:
        timer = threading.Timer(0.05, control.acknowledge_observation, (20,))
        timer.start()
        driver.wait_observation_ack(20, timeout_s=20.0)
        timer.join()
        control.acknowledge_observation(10)
        driver.wait_observation_ack(20, timeout_s=0.0)


def test_virtual_time_is_the_plants(driver: DriverPort, name: str) -> None:
    with DriverPort.attach(name) as control:
        assert control.now_ns() == 0
        driver.advance_clock(123)
        assert control.now_ns() == 123
    with DriverPort.create(name + "-real", 3, DIGEST, 0) as real:
        assert abs(real.now_ns() - time.monotonic_ns()) < 1_000_000_000


def _hammer(name: str, ready: Event) -> None:
    with DriverPort.create(name, 32, DIGEST, 0) as port:
        k = 0.0
        while True:
            vector = np.full(32, k)
            port.write_feedback(int(k), vector, vector, vector, [[k] * 6] * 4, [k] * 3)
            ready.set()
            k += 1.0


@pytest.fixture
def hammered(name: str) -> Iterator[tuple[DriverPort, int]]:
    """A port whose driver writes as fast as it can, and that driver's process number."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hammer, args=(name, ready), daemon=True)
    process.start()
    try:
        assert ready.wait(30.0)
        assert process.pid is not None
        with DriverPort.attach(name) as port:
            yield port, process.pid
    finally:
        process.kill()
        process.join()
        Path("/dev/shm", name).unlink(missing_ok=True)


def test_no_read_mixes_two_samples(hammered: tuple[DriverPort, int]) -> None:
    port, _ = hammered
    started_s = time.monotonic()
    seen: set[float] = set()
    while (passed_s := time.monotonic() - started_s) < 1.0 or (len(seen) <= 100 and passed_s < 20.0):
        feedback = port.read_feedback()
        if feedback is None:
            continue
        k = float(feedback.stamp_ns)
        assert (feedback.q == k).all()
        assert (feedback.tau == k).all()
        assert (feedback.wrench == k).all()
        assert (feedback.odometry == k).all()
        seen.add(k)
    assert len(seen) > 100


def test_a_dead_driver_shows_and_is_replaced(hammered: tuple[DriverPort, int]) -> None:
    port, pid = hammered
    assert port.is_claimed(PortRole.DRIVER)
    os.kill(pid, signal.SIGKILL)
    deadline_s = time.monotonic() + 20.0
    while port.is_claimed(PortRole.DRIVER) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    assert not port.is_claimed(PortRole.DRIVER)
    with pytest.raises(PortError, match="no live driver"):
        DriverPort.attach(port.name)
    with DriverPort.create(port.name, 3, DIGEST, 1), DriverPort.attach(port.name) as anew:
        assert anew.n_axes == 3


def test_of_drivers_that_come_at_once_one_gets_the_robot(name: str) -> None:
    """They all find the region of a dead driver, and all want to put their own in its place."""
    drivers = 4
    for _ in range(100):
        DriverPort.create(name, 3, DIGEST, 0).close()
        together = threading.Barrier(drivers)
        won: list[DriverPort] = []

        def come(together: threading.Barrier = together, won: list[DriverPort] = won) -> None:
            together.wait(5.0)
            with contextlib.suppress(PortError):
                won.append(DriverPort.create(name, 3, DIGEST, 0))

        threads = [threading.Thread(target=come) for _ in range(drivers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        with won[0], DriverPort.attach(name):
            pass


def test_only_armed_states_move_the_robot() -> None:
    follows = {state for state in CommandState if state.follows}
    assert follows == {CommandState.ACTIVE, CommandState.HOLDING, CommandState.STOPPING, CommandState.RETRACTING}
    assert {int(state) for state in follows} == {int(state) for state in State if state.is_armed}


DRIVER_IN_C = r"""
#include "driver_port.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    if (argc != 2) return 2;
    const int fd = open(argv[1], O_RDWR);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(dp_region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return 3;
    dp_region *region = (dp_region *)memory;
    if (dp_check(region) != DP_OK) return 4;
    dp_feedback feedback;
    memset(&feedback, 0, sizeof feedback);
    feedback.stamp_ns = 42;
    feedback.n = region->identity.n_axes;
    feedback.q[2] = 1.25;
    feedback.flags = DP_FLAG_HAS_WRENCH;
    feedback.wrench[1][5] = 0.5;
    feedback.wrenches = 2u;
    if (!dp_follows(DP_STATE_RETRACTING) || dp_follows(DP_STATE_FAULT)) return 5;
    dp_write_feedback(region, &feedback);
    dp_set_virtual_now(region, 42);
    printf("%zu\n", sizeof(dp_region));
    return 0;
}
"""


@pytest.mark.parametrize(("compiler", "suffix", "standard"), [("gcc", "c", "c11"), ("g++", "cpp", "c++17")])
def test_a_driver_needs_only_the_header(
    driver: DriverPort, tmp_path: Path, compiler: str, suffix: str, standard: str
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed: sudo apt-get install {compiler}")
    source = tmp_path / f"driver.{suffix}"
    source.write_text(DRIVER_IN_C)
    program = tmp_path / "driver"
    warnings = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-Wno-unused-function")
    subprocess.run(
        [compiler, f"-std={standard}", "-D_GNU_SOURCE", *warnings, f"-I{HEADERS}", str(source), "-o", str(program)],
        check=True,
    )
    done = subprocess.run([str(program), f"/dev/shm/{driver.name}"], capture_output=True, timeout=10)
    assert done.returncode == 0
    with DriverPort.attach(driver.name) as control:
        feedback = control.read_feedback()
        assert feedback is not None
        assert (feedback.stamp_ns, feedback.q.tolist()) == (42, [0.0, 0.0, 1.25])
        assert (feedback.flags, feedback.wrenches, feedback.wrench[1, 5]) == (FeedbackFlag.HAS_WRENCH, 2, 0.5)
        assert control.now_ns() == 42


def test_the_extension_serves_every_python() -> None:
    from edge_runtime import _native

    assert _native.__file__.endswith(".abi3.so"), sys.version
