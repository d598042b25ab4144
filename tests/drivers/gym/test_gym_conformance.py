"""An environment in real time passes what every driver passes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.testing import DriverConformance
from edge_runtime.testing.driven_robot import DrivenRobot
from edge_runtime.testing.sliding_robot import write_robot

pytest.importorskip("gymnasium")
pytestmark = pytest.mark.realtime


class TestSlides(DriverConformance):
    """Two axes that slide."""

    @pytest.fixture(scope="class")
    @classmethod
    def robot(cls) -> Iterator[DrivenRobot]:
        """With its driver, which holds the environment."""
        with tempfile.TemporaryDirectory() as folder:
            cls.config = write_robot(Path(folder))
            with DrivenRobot(cls.config) as robot:
                yield robot
