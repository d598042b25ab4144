"""Admission: one table of observations and what becomes of them."""

from __future__ import annotations

import pytest

from contracts.embodiment import Embodiment
from contracts.errors import Refusal
from contracts.messages import FrameRef, Observation
from edge_runtime.engine.admission import (
    FRAME_SKEW_MAX_NS,
    FUTURE_TOLERANCE_NS,
    GRIPPER_MARGIN_M,
    POSITION_MARGIN_RAD,
    Admission,
)

NOW_NS = 10_000_000_000
MAX_AGE_NS = 250_000_000


def frame(camera: str, exposure_ns: int = NOW_NS, side_px: int = 128) -> FrameRef:
    return FrameRef(
        camera=camera,
        ring=f"edge-frames-{camera}",
        slot=0,
        generation=2,
        width_px=side_px,
        height_px=side_px,
        exposure_ns=exposure_ns,
    )


def observation(embodiment: Embodiment, **changes: object) -> Observation:
    exposure_ns = changes.get("exposure_ns", NOW_NS)
    assert isinstance(exposure_ns, int)
    fields = {
        "sequence": 5,
        "exposure_ns": exposure_ns,
        "published_ns": exposure_ns,
        "joint_digest": embodiment.joint_digest,
        "position_rad": embodiment.home_rad,
        "velocity_rad_s": (0.0,) * len(embodiment.home_rad),
        "gripper_opening_m": 0.04,
        "frames": (frame("scene", exposure_ns), frame("wrist", exposure_ns)),
        **changes,
    }
    return Observation(**fields)  # type: ignore[arg-type]


@pytest.fixture
def admission(embodiment: Embodiment) -> Admission:
    return Admission(embodiment, ("scene", "wrist"), MAX_AGE_NS)


BEYOND_RAD = 2.8973 + POSITION_MARGIN_RAD + 1e-6


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"joint_digest": "0" * 64}, Refusal.JOINT_ORDER),
        ({"joint_digest": ""}, Refusal.JOINT_ORDER),
        ({"position_rad": (0.0,) * 6, "velocity_rad_s": (0.0,) * 6}, Refusal.SHAPE),
        ({"position_rad": (BEYOND_RAD, -0.4, 0.0, -2.2, 0.0, 1.8, 0.785)}, Refusal.OUT_OF_RANGE),
        ({"position_rad": (1e300, -0.4, 0.0, -2.2, 0.0, 1.8, 0.785)}, Refusal.OUT_OF_RANGE),
        ({"gripper_opening_m": -GRIPPER_MARGIN_M - 1e-6}, Refusal.OUT_OF_RANGE),
        ({"gripper_opening_m": 0.08 + GRIPPER_MARGIN_M + 1e-6}, Refusal.OUT_OF_RANGE),
        ({"exposure_ns": NOW_NS - MAX_AGE_NS}, None),
        ({"exposure_ns": NOW_NS - MAX_AGE_NS - 1}, Refusal.STALE),
        ({"exposure_ns": 0}, Refusal.STALE),
        ({"exposure_ns": NOW_NS + FUTURE_TOLERANCE_NS}, None),
        ({"exposure_ns": NOW_NS + FUTURE_TOLERANCE_NS + 1}, Refusal.FUTURE),
        ({"published_ns": NOW_NS + FUTURE_TOLERANCE_NS + 1}, Refusal.FUTURE),
        ({"exposure_ns": 2**63 - 1}, Refusal.FUTURE),
        ({"frames": ()}, Refusal.CAMERA_MISSING),
        ({"frames": (frame("scene"),)}, Refusal.CAMERA_MISSING),
        ({"frames": (frame("scene"), frame("wrist"), frame("other", 0, 7))}, None),
        ({"frames": (frame("scene"), frame("scene"), frame("wrist"))}, Refusal.DUPLICATE),
        ({"frames": (frame("scene"), frame("wrist", side_px=64))}, Refusal.SHAPE),
        ({"frames": (frame("scene"), frame("wrist", NOW_NS - FRAME_SKEW_MAX_NS))}, None),
        ({"frames": (frame("scene"), frame("wrist", NOW_NS - FRAME_SKEW_MAX_NS - 1))}, Refusal.STALE),
        ({"frames": (frame("scene", NOW_NS + FRAME_SKEW_MAX_NS + 1), frame("wrist"))}, Refusal.FUTURE),
    ],
)
def test_one_observation(
    admission: Admission, embodiment: Embodiment, changes: dict[str, object], refusal: Refusal | None
) -> None:
    assert admission.judge(observation(embodiment, **changes), NOW_NS) is refusal


@pytest.mark.parametrize(
    ("sequence", "exposure_ns", "refusal"),
    [
        (5, NOW_NS - 1, Refusal.OUT_OF_ORDER),
        (5, NOW_NS, Refusal.DUPLICATE),
        (6, NOW_NS, Refusal.OUT_OF_ORDER),
        (4, NOW_NS - 50_000_000, Refusal.OUT_OF_ORDER),
        (6, NOW_NS + 1, None),
        (0, NOW_NS + 1, None),
    ],
    ids=["older", "same", "same-instant", "overtaken", "next", "restarted-driver"],
)
def test_an_observation_after_another(
    admission: Admission, embodiment: Embodiment, sequence: int, exposure_ns: int, refusal: Refusal | None
) -> None:
    assert admission.judge(observation(embodiment), NOW_NS) is None
    assert admission.judge(observation(embodiment, sequence=sequence, exposure_ns=exposure_ns), NOW_NS + 1) is refusal


def test_a_refused_observation_leaves_no_trace(admission: Admission, embodiment: Embodiment) -> None:
    ahead = observation(embodiment, exposure_ns=NOW_NS + 1_000_000, joint_digest="")
    assert admission.judge(ahead, NOW_NS) is Refusal.JOINT_ORDER
    assert admission.judge(observation(embodiment), NOW_NS) is None
