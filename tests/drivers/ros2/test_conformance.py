"""The tests that every driver passes, on a simulated ros2_control: each transport, each kind of controller, a base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edge_runtime.testing import DriverConformance
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import ros2_peer, ros2_setup, write_ros2

pytestmark = [pytest.mark.realtime, pytest.mark.in_company]


class _Ros2(DriverConformance):
    """With a simulated robot beside it."""

    transport: ClassVar[str]
    package: ClassVar[str]
    more: ClassVar[dict[str, Any]] = {}
    track_rad = 0.02

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def other_side(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
        """Before the driver, and after it."""
        pytest.importorskip(cls.package)
        setup = ros2_setup(cls.transport, **cls.more)
        # A machine that is busy with other tests is not a lost robot.
        cls.config = write_ros2(Path(tmp_path_factory.mktemp("ros2")), setup, "silence_s = 1.0")
        with ros2_peer(setup) as peer:
            yield peer


class TestPositionsOverDds(_Ros2):
    """JointState, Float64MultiArray, WrenchStamped and Image."""

    transport, package = "dds", "cyclonedds"
    more: ClassVar[dict[str, Any]] = {"has_wrench": True, "has_image": True}


class TestTrajectoriesAndABaseOverZenoh(_Ros2):
    """JointState, JointTrajectory, Odometry and Twist."""

    transport, package = "zenoh", "zenoh"
    more: ClassVar[dict[str, Any]] = {"controller": "trajectory", "has_base": True}
    # The trajectory ends a tenth of a second later than it is sent.
    track_rad = 0.03
