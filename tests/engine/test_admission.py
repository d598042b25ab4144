"""Admission: one table of observations and what becomes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import FRAME_SKEW_MAX_NS, MAX_AXES, MAX_CAMERAS, FrameRef, Observation
from edge_runtime.engine.admission import (
    FUTURE_TOLERANCE_NS,
    GRIPPER_MARGIN,
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
        "position": HOME,
        "velocity": (0.0,) * 8,
        "frames": (frame("scene", exposure_ns), frame("wrist", exposure_ns)),
        **changes,
    }
    return Observation(**fields)  # type: ignore[arg-type]


@pytest.fixture
def admission(embodiment: Embodiment) -> Admission:
    return Admission(embodiment, ("scene", "wrist"), MAX_AGE_NS)


HOME = (0.0, -0.4, 0.0, -2.2, 0.0, 1.8, 0.785, 0.04)
BEYOND_RAD = 2.8973 + POSITION_MARGIN_RAD + 1e-6


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"joint_digest": "0" * 64}, Refusal.JOINT_ORDER),
        ({"joint_digest": ""}, Refusal.JOINT_ORDER),
        ({"position": (0.0,) * 7, "velocity": (0.0,) * 7}, Refusal.SHAPE),
        ({"position": (BEYOND_RAD, *HOME[1:])}, Refusal.OUT_OF_RANGE),
        ({"position": (1e300, *HOME[1:])}, Refusal.OUT_OF_RANGE),
        ({"position": (*HOME[:7], -0.08 * GRIPPER_MARGIN - 1e-6)}, Refusal.OUT_OF_RANGE),
        ({"position": (*HOME[:7], 0.08 + 0.08 * GRIPPER_MARGIN + 1e-6)}, Refusal.OUT_OF_RANGE),
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


_STAMP = st.integers(NOW_NS - MAX_AGE_NS - 5, NOW_NS + 5) | st.integers(0, 2**63 - 1)
_ANY_INT = st.integers(-(2**63), 2**64 - 1)
_FRAME = st.builds(
    FrameRef,
    camera=st.sampled_from(["scene", "wrist"]) | st.text(max_size=4),
    ring=st.text(max_size=4),
    slot=_ANY_INT,
    generation=_ANY_INT,
    width_px=st.just(128) | _ANY_INT,
    height_px=st.just(128) | _ANY_INT,
    exposure_ns=_STAMP | _ANY_INT,
)


@given(data=st.data())
def test_any_valid_message_gets_a_verdict(embodiment: Embodiment, data: st.DataObject) -> None:
    axes = data.draw(st.just(8) | st.integers(1, MAX_AXES))
    numbers = st.floats(-4, 4) | st.floats(allow_nan=False, allow_infinity=False)
    vector = st.lists(numbers, min_size=axes, max_size=axes).map(tuple)
    message = observation(
        embodiment,
        sequence=data.draw(st.integers(0, 2**63 - 1)),
        exposure_ns=data.draw(_STAMP),
        published_ns=data.draw(_STAMP),
        joint_digest=data.draw(st.just(embodiment.joint_digest) | st.text(max_size=64)),
        position=data.draw(st.just(embodiment.home) if axes == 8 else vector),
        velocity=data.draw(vector),
        frames=tuple(data.draw(st.lists(_FRAME, max_size=MAX_CAMERAS))),
    )
    admission = Admission(embodiment, ("scene", "wrist"), MAX_AGE_NS)
    verdict = admission.judge(message, NOW_NS)
    assert verdict is None or isinstance(verdict, Refusal)
    if verdict is None:
        assert {"scene", "wrist"} <= {ref.camera for ref in message.frames}
        assert NOW_NS - MAX_AGE_NS <= message.exposure_ns <= NOW_NS + FUTURE_TOLERANCE_NS
        assert admission.judge(message, NOW_NS) is Refusal.DUPLICATE
