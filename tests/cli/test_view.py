"""What is seen in Rerun is what the kernel watches: its capsules, placed by its own arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rerun as rr

from edge_runtime.cli.view import Body, _from_z, draw_recording
from edge_runtime.safety.limits import KernelConfig
from tests.page.caused import a_lever
from tests.safety.recorded import recorded
from tests.safety.robot import make_config


def config_of_a_lever() -> KernelConfig:
    return replace(make_config(1), geometry=a_lever())


def test_the_body_is_where_its_joints_put_it() -> None:
    native = config_of_a_lever().to_native()
    body = Body(native)
    assert body.radii_m == pytest.approx([0.05])
    for angle in (0.0, 0.5, -1.2):
        first, second = body.ends_at([angle])
        assert first == pytest.approx(np.zeros((1, 3)))
        assert second[0] == pytest.approx([math.cos(angle), math.sin(angle), 0.0])


@pytest.mark.parametrize("way", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0, 1, 0), (0.6, 0.0, -0.8), (0.48, 0.6, 0.64)])
def test_a_capsule_lies_along_its_middle_line(way: tuple[float, float, float]) -> None:
    x, y, z, w = _from_z(np.array(way, dtype=float))
    turned = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
    assert turned == pytest.approx(way, abs=1e-12)
    assert math.hypot(x, y, z, w) == pytest.approx(1.0)


def test_a_recording_becomes_a_file_for_rerun(tmp_path: Path) -> None:
    recording = recorded()
    path = tmp_path / "trip.rrd"
    rr.init("test", spawn=False)
    rr.save(path)
    draw_recording(rr, recording)
    rr.disconnect()
    data = path.read_bytes()
    assert data.startswith(b"RR")
    for name in recording.header.axis_names:
        for what in ("asked", "commanded", "measured"):
            assert f"/axes/{name}/{what}".encode() in data
    assert b"kernel/events" in data
