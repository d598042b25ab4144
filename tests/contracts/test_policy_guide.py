"""The manifest that the guide shows is one."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edge_runtime.contracts.embodiment import Camera, EmbodimentOfVersion1, GripperOfVersion1, JointOfVersion1
from edge_runtime.contracts.manifest import Delay, History, PolicyContract, RegressionDecoder

DT_NS = 20_000_000
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "policies.md"


def shown(key: str) -> bytes:
    """The value of `key` in the example that begins with it."""
    found = re.search(rf'```json\n(?:"trained_delay".*\n)?"{key}": (.*?)```', GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return re.sub(r"\s*//.*", "", found[1]).encode()


def test_what_is_shown_of_the_past_and_of_a_delay_is_some() -> None:
    assert msgspec.json.decode(shown("history"), type=History).before_ns(DT_NS) == (DT_NS, 0)
    assert msgspec.json.decode(shown("delay"), type=Delay).at_start == "free"


def test_the_example_is_a_contract_that_fits_the_robot_that_it_names() -> None:
    shown = re.search(r"```json\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    policy = msgspec.json.decode(re.sub(r"\s*//.*", "", shown[1]), type=PolicyContract)
    assert isinstance(policy.decoder, RegressionDecoder)
    joints = tuple(
        JointOfVersion1(
            name=name,
            position_min_rad=-2.0,
            position_max_rad=2.0,
            velocity_max_rad_s=2.0,
            acceleration_max_rad_s2=10.0,
            jerk_max_rad_s3=1000.0,
            torque_max_nm=10.0,
        )
        for name in policy.joint_names
    )
    policy.require_fit(
        EmbodimentOfVersion1(
            name=policy.embodiment,
            joints=joints,
            gripper=GripperOfVersion1(opening_max_m=0.1, speed_max_m_s=0.1),
            cameras=(Camera(name="high", width_px=640, height_px=480, rate_hz=30.0),),
            home_rad=(0.0, 0.0),
        ).newest()
    )
