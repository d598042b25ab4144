"""One Gymnasium environment in the words of an embodiment: axes in SI units, pictures by camera, and how it stands.

Guarantees the same motion for the same seed and targets, as far as the environment does. Knows no process and no clock.
Nothing in an environment is guessed: a place, a picture or a measure of success that is not there is an error.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import ConfigError, DriverError
from edge_runtime.contracts.messages import SceneOutcome
from edge_runtime.drivers.gym.settings import AxisSection, GymSettings

Vector = NDArray[np.float64]
Image = NDArray[np.uint8]

_SEEDS = 2**31


class Environment:
    """A made environment, reset to its first scene.

    Attributes:
        step_s: time of one step.
        values: (axes,) as measured after the last step.
        outcome, reason: how the episode stands.
        elapsed_s: of the episode, until it was decided.
        clipped: values of actions so far that were beyond what the environment takes.

    Raises:
        ConfigError: it can't be made, or lacks what the settings name.
    """

    def __init__(self, settings: GymSettings, embodiment: Embodiment) -> None:
        self._settings, self._embodiment = settings, embodiment
        self._env = _made(settings)
        self._space = self._env.action_space
        if not hasattr(self._space, "low") or len(self._space.shape or ()) != 1:
            raise ConfigError("driver.env", f"{settings.env} takes {self._space}, and not a vector of real numbers")
        self._axes = [settings.axes[name] for name in embodiment.axis_names]
        self._fixed = {int(place): value for place, value in settings.fixed_actions.items()}
        self._require_places(self._space.shape[0])
        self.step_s = settings.step_s or self._own_step_s()
        self.clipped = 0
        self.reset(0, "train")
        for camera in embodiment.cameras:
            self.draw(camera.name, np.zeros((camera.height_px, camera.width_px, 3), dtype=np.uint8))

    def _require_places(self, count: int) -> None:
        places = {axis.action for axis in self._axes} | set(self._fixed)
        for place in places:
            if place >= count:
                raise ConfigError(
                    "driver.axes", f"an action of {self._settings.env} has {count} values, none at {place}"
                )
        missing = [str(place) for place in range(count) if place not in places]
        if missing:
            raise ConfigError(
                "driver.axes",
                f"no axis drives value {', '.join(missing)} of the action: name it, or its value in fixed_actions",
            )

    def _own_step_s(self) -> float:
        rate_hz = self._env.metadata.get("render_fps")
        if not rate_hz:
            raise ConfigError("driver.step_s", f"is missing: {self._settings.env} does not say how long a step is")
        return 1.0 / float(rate_hz)

    def reset(self, seed: int, split: str) -> None:
        """Lay out the scene of `seed`, 0 to 2^31 - 1; "train" and "eval" share none."""
        self._observation, _ = self._env.reset(seed=seed % _SEEDS * 2 + (split == "eval"))
        self.values = self._measured()
        self.outcome, self.reason, self.elapsed_s = SceneOutcome.RUNNING, "", 0.0

    def step(self, target: Vector) -> Vector:
        """One step towards (axes,) targets, a base's axis at its velocity; the action that was taken."""
        action = np.zeros(self._space.shape, dtype=np.float64)
        for place, value in self._fixed.items():
            action[place] = value
        for axis, value, measured in zip(self._axes, target, self.values, strict=True):
            wanted = value - measured if axis.mode == "delta" else value
            action[axis.action] = axis.action_scale * wanted + axis.action_offset
        taken = np.clip(action, self._space.low, self._space.high)
        self.clipped += int(np.count_nonzero(np.abs(taken - action) > 1e-9 + 1e-6 * np.abs(action)))
        taken = taken.astype(self._space.dtype)
        try:
            self._observation, reward, terminated, truncated, info = self._env.step(taken)
        except Exception as error:  # of a stranger's package
            raise DriverError("step", f"of {self._settings.env} failed: {_one_line(error)}") from error
        self.values = self._measured()
        if self.outcome is SceneOutcome.RUNNING:
            self.elapsed_s += self.step_s
            self._judge(float(reward), bool(terminated), bool(truncated), info)
        return np.asarray(taken, dtype=np.float64)

    def _judge(self, reward: float, terminated: bool, truncated: bool, info: dict[str, Any]) -> None:
        success = self._settings.success
        if success.info is not None and success.info not in info:
            raise DriverError("success.info", f"names {success.info!r}, which {self._settings.env} does not tell")
        reached = success.reward_min is not None and reward >= success.reward_min
        if (success.info is not None and bool(info[success.info])) or reached or (success.terminated and terminated):
            self.outcome, self.reason = SceneOutcome.SUCCESS, "the environment says so"
        elif terminated:
            self.outcome, self.reason = SceneOutcome.FAILED, "the environment has ended the episode"
        elif truncated or self.elapsed_s >= self._settings.time_limit_s - 1e-9:
            self.outcome, self.reason = SceneOutcome.FAILED, "out of time"

    def draw(self, camera: str, pixels: Image) -> None:
        """What `camera` sees now, into `pixels`.

        Raises:
            DriverError: there is no such picture, or it has another size.
        """
        section = self._settings.cameras.get(camera)
        if section is not None and section.observation is not None:
            frame = _found(self._observation, section.observation)
        else:
            frame = self._env.render()
        if frame is None:
            raise DriverError(f"picture of {camera}", 'is none: give the environment render_mode = "rgb_array"')
        picture = np.asarray(frame)
        if picture.shape != pixels.shape or picture.dtype != np.uint8:
            raise DriverError(
                f"picture of {camera}", f"is {picture.shape} {picture.dtype}, the embodiment says {pixels.shape} uint8"
            )
        pixels[:] = picture

    def close(self) -> None:
        """Let go of it."""
        self._env.close()

    def _measured(self) -> Vector:
        values = np.array([self._value_of(axis) for axis in self._axes], dtype=np.float64)
        if not np.isfinite(values).all():
            raise DriverError("observation", f"of {self._settings.env} has values that are no numbers")
        return values

    def _value_of(self, axis: AxisSection) -> float:
        is_position = axis.mode == "position"
        scale, offset = axis.observation_scale, axis.observation_offset
        if scale is None:
            scale = axis.action_scale if is_position else 1.0
        if offset is None:
            offset = axis.action_offset if is_position else 0.0
        return (float(_found(self._observation, axis.observation)) - offset) / scale


def _made(settings: GymSettings) -> Any:
    if "DISPLAY" not in os.environ:
        # What draws with MuJoCo looks for a window system, unless it is told.
        os.environ.setdefault("MUJOCO_GL", "egl")
    try:
        import gymnasium

        if settings.module is not None:
            importlib.import_module(settings.module)
        return gymnasium.make(settings.env, **settings.arguments)
    except Exception as error:  # of a stranger's package, which may raise anything
        raise ConfigError("driver.env", f"{settings.env} can't be made: {_one_line(error)}") from error


def _found(observation: Any, path: str) -> Any:
    """What lies at `path` of an observation."""
    value, name = observation, ""
    try:
        for name in path.split("."):
            value = value[int(name)] if not isinstance(value, dict) else value[name]
    except (KeyError, IndexError, ValueError, TypeError):
        raise DriverError("observation", f"has nothing at {path!r}: no {name!r}") from None
    return value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
