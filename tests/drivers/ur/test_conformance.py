"""The tests that every driver passes, on a simulated controller of Universal Robots that speaks the real protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.testing import DriverConformance
from edge_runtime.testing.peers.process import Peer
from edge_runtime.testing.peers.robots import loopback_address, write_ur

pytest.importorskip("rtde_control")
pytestmark = [pytest.mark.realtime, pytest.mark.in_company]


class TestUr(DriverConformance):
    """By ur_rtde."""

    # The simulated servo lags behind by the look-ahead.
    track_rad = 0.02

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def controller(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
        """Before the driver, and after it."""
        address = loopback_address()
        # A machine that is busy with other tests is not a lost controller.
        cls.config = write_ur(Path(tmp_path_factory.mktemp("ur")), address, "silence_s = 1.0\nwatchdog_s = 0.5")
        with Peer("ur_controller", address) as peer:
            yield peer
