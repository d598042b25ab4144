"""The real LeRobot, driving six servos at the end of a serial line, passes what every driver passes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.testing import DriverConformance
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.feetech_servos import FeetechServos
from edge_runtime.testing.so101 import write_so101

pytestmark = [pytest.mark.lerobot, pytest.mark.realtime]


class TestSO101(DriverConformance):
    """An SO-101."""

    @pytest.fixture(scope="class")
    @classmethod
    def robot(cls, lerobot_python: Path) -> Iterator[DrivenRobot]:
        """With its driver, and LeRobot behind it."""
        with FeetechServos() as servos, tempfile.TemporaryDirectory() as folder:
            cls.config = write_so101(Path(folder), servos, python=lerobot_python)
            # Off its rest, in the midst of its range.
            for number in range(1, 7):
                servos.tell(f"move {number} 2050")
            with DrivenRobot(cls.config) as robot:
                yield robot
