"""Control and its driver have to agree on whose time it is: on virtual time neither timing nor a stall is looked at."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import HandshakeError
from edge_runtime.control.__main__ import control
from edge_runtime.ipc.port import DriverPort
from edge_runtime.processes import port_name
from edge_runtime.service import Arguments

_CONFIG = load_config(SIM_CONFIG)
CONFIG = msgspec.structs.replace(_CONFIG, control=msgspec.structs.replace(_CONFIG.control, realtime_priority=0))


class Told:
    """A stop signal that has been given."""

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_driver_on_another_clock_is_refused(tmp_path: Path, lockstep: bool) -> None:
    arguments = Arguments(CONFIG, tmp_path, lockstep)
    robot = CONFIG.embodiment
    with (
        DriverPort.create(
            port_name(tmp_path), len(robot.axes), robot.joint_digest, 100_000_000, virtual_clock=not lockstep
        ),
        pytest.raises(HandshakeError, match="clock: expected"),
    ):
        control(arguments, Told())  # type: ignore[arg-type]
    with DriverPort.create(
        port_name(tmp_path), len(robot.axes), robot.joint_digest, 100_000_000, virtual_clock=lockstep
    ):
        control(arguments, Told())  # type: ignore[arg-type]
