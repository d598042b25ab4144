"""A small environment for tests and benchmarks, registered when it is imported: two axes that slide.

Needs Gymnasium.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Slides(gymnasium.Env[Any, Any]):
    """Places in mm on a table of 512; the first axis has to come 30 mm from where it began. Steps of 20 ms."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, render_mode: str | None = None, ends: bool = False, wrong: str = "") -> None:
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Box(0.0, 512.0, (2,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(
            {
                "agent": gymnasium.spaces.Box(0.0, 512.0, (2,), np.float64),
                "top": gymnasium.spaces.Box(0, 255, (48, 64, 3), np.uint8),
            }
        )
        self._ends, self._wrong = ends, wrong

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self._begun = self._place = self.np_random.uniform(150.0, 250.0, 2)
        self._steps = 0
        return self._observation(), {"is_success": False}

    def step(self, action: np.ndarray) -> Any:
        self._steps += 1
        self._place = self._place + 0.8 * (np.asarray(action, dtype=np.float64) - self._place)
        if self._wrong == "nan" and self._steps > 3:
            self._place = self._place * np.nan
        if self._wrong == "raises" and self._steps > 3:
            raise RuntimeError("the\nsolver has diverged")
        success = bool(self._place[0] - self._begun[0] > 30.0)
        return self._observation(), float(success), self._ends and self._steps > 5, False, {"is_success": success}

    def render(self) -> Any:
        return self._picture() if self.render_mode == "rgb_array" else None

    def _observation(self) -> dict[str, Any]:
        return {"agent": self._place, "top": self._picture()}

    def _picture(self) -> np.ndarray:
        return np.full((48, 64, 3), 1 + int(np.nan_to_num(self._place[0])) // 4, dtype=np.uint8)


gymnasium.register(id="edge_runtime/Slides-v0", entry_point=f"{__name__}:Slides")
