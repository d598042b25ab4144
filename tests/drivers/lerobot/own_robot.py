"""A robot that has LeRobot's interface and none of its code: six positions in degrees and percent, and a camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")


class OwnRobot:
    """Goes where it is told, at once. `wrong` is called before each answer, and may raise or change it."""

    def __init__(self) -> None:
        self.places = dict.fromkeys((*(f"{name}.pos" for name in JOINTS), "gripper.pos"), 0.0)
        self.told: list[dict[str, float]] = []
        self.wrong: Callable[[dict[str, Any]], None] | None = None
        self.refuses = False
        self.closed = False
        self.is_calibrated = True

    @property
    def observation_features(self) -> Mapping[str, Any]:
        return {**dict.fromkeys(self.places, float), "front": (48, 64, 3)}

    @property
    def action_features(self) -> Mapping[str, Any]:
        return dict.fromkeys(self.places, float)

    def connect(self, calibrate: bool = True) -> None:
        assert not calibrate, "it would ask a person, who may not be there"

    def get_observation(self) -> Mapping[str, Any]:
        observed: dict[str, Any] = {**self.places, "front": np.full((48, 64, 3), 7, dtype=np.uint8)}
        if self.wrong is not None:
            self.wrong(observed)
        return observed

    def send_action(self, action: dict[str, Any]) -> Any:
        if self.refuses:
            raise ConnectionError("no answer")
        self.told.append(dict(action))
        self.places.update(action)
        return action

    def disconnect(self) -> None:
        self.closed = True
