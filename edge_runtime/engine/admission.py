"""May this observation be acted upon? Pure: a message and `now_ns` in, a verdict out. Trusts no sender."""

from __future__ import annotations

from collections.abc import Iterable

from edge_runtime.contracts.axes import AnyAxis
from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import Refusal
from edge_runtime.contracts.messages import FRAME_SKEW_MAX_NS, FrameRef, Observation

FUTURE_TOLERANCE_NS = 2_000_000
"""Sender and receiver read the same clock; more than this ahead is not jitter but another clock."""

POSITION_MARGIN_RAD, POSITION_MARGIN_M = 0.35, 0.1
"""A joint measured further than this outside its rating is a broken sensor, not an overshoot."""

GRIPPER_MARGIN = 0.25
"""The same of a gripper, of all that it can do."""

BASE_MARGIN = 2.0
"""A base measured faster than so many times its rated speed has a broken sensor."""


def _margin(axis: AnyAxis) -> float:
    if axis.is_gripper:
        return GRIPPER_MARGIN * (axis.high - axis.low)
    if axis.is_velocity:
        return (BASE_MARGIN - 1.0) * axis.speed_max
    return POSITION_MARGIN_RAD if axis.unit == "rad" else POSITION_MARGIN_M


class Admission:
    """Judges observations of one robot, and remembers the last one it admitted.

    Args:
        embodiment: what the observation must fit.
        cameras: the cameras that the policy looks at; each must be there, once.
        max_age_ns: an observation exposed earlier than this before now is stale.
    """

    def __init__(self, embodiment: Embodiment, cameras: Iterable[str], max_age_ns: int) -> None:
        self._axes = embodiment.axes
        self._margins = tuple(map(_margin, embodiment.axes))
        self._joint_digest = embodiment.joint_digest
        self._size_px = {camera.name: (camera.width_px, camera.height_px) for camera in embodiment.cameras}
        self._cameras = tuple(cameras)
        self._max_age_ns = max_age_ns
        self._last: Observation | None = None

    def allow_age(self, max_age_ns: int) -> None:
        """From now on an observation that was exposed earlier than this before now is stale."""
        self._max_age_ns = max_age_ns

    def look_at(self, cameras: Iterable[str]) -> None:
        """From now on another policy looks, at these cameras; what was admitted last stays known."""
        self._cameras = tuple(cameras)

    def judge(self, observation: Observation, now_ns: int) -> Refusal | None:
        """None admits `observation`, which then is the one that later ones are compared with."""
        refusal = (
            self._judge_body(observation)
            or self._judge_time(observation, now_ns)
            or self._judge_order(observation)
            or self._judge_frames(observation)
        )
        if refusal is None:
            self._last = observation
        return refusal

    def _judge_body(self, observation: Observation) -> Refusal | None:
        if observation.joint_digest != self._joint_digest:
            return Refusal.JOINT_ORDER
        if len(observation.position) != len(self._margins):
            return Refusal.SHAPE
        for axis, margin, position in zip(self._axes, self._margins, observation.position, strict=True):
            if not axis.low - margin <= position <= axis.high + margin:
                return Refusal.OUT_OF_RANGE
        return None

    def _judge_time(self, observation: Observation, now_ns: int) -> Refusal | None:
        if max(observation.exposure_ns, observation.published_ns) > now_ns + FUTURE_TOLERANCE_NS:
            return Refusal.FUTURE
        if now_ns - observation.exposure_ns > self._max_age_ns:
            return Refusal.STALE
        return None

    def _judge_order(self, observation: Observation) -> Refusal | None:
        # By exposure, not by number: a driver that was restarted counts from the start again.
        last = self._last
        if last is None or observation.exposure_ns > last.exposure_ns:
            return None
        is_same = (observation.sequence, observation.exposure_ns) == (last.sequence, last.exposure_ns)
        return Refusal.DUPLICATE if is_same else Refusal.OUT_OF_ORDER

    def _judge_frames(self, observation: Observation) -> Refusal | None:
        frames: dict[str, FrameRef] = {}
        for frame in observation.frames:
            if frame.camera in frames:
                return Refusal.DUPLICATE
            frames[frame.camera] = frame
        for camera in self._cameras:
            seen = frames.get(camera)
            if seen is None:
                return Refusal.CAMERA_MISSING
            if (seen.width_px, seen.height_px) != self._size_px[camera]:
                return Refusal.SHAPE
            if seen.exposure_ns - observation.exposure_ns > FRAME_SKEW_MAX_NS:
                return Refusal.FUTURE
            if observation.exposure_ns - seen.exposure_ns > FRAME_SKEW_MAX_NS:
                return Refusal.STALE
        return None
