"""What caps the robot's speed at run time: the grade of this machine's timing, and the operator's reduced-speed mode.

The tightest of all wins; the kernel holds the result and, while armed, takes nothing looser.
"""

from __future__ import annotations

from edge_runtime.config.safety_file import GeometrySection
from edge_runtime.contracts.messages import ReducedSpeed
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.control.timing_grade import Grade
from edge_runtime.safety import Result

_REDUCED_SCALE = 0.25
"""Reduced speed of a robot whose geometry, and with it the speed of its tool, is not known."""


class SpeedLimit:
    """Caps of one robot, as they stand in its kernel.

    Args:
        loop: that holds the kernel.
        geometry: of the robot, None if nothing is known of it.
    """

    def __init__(self, loop: ControlLoop, geometry: GeometrySection | None) -> None:
        self._loop = loop
        self._reduced_m_s = geometry.reduced_tool_speed_m_s if geometry is not None else None
        self._grade: Grade | None = None
        self._scale = 1.0
        self._is_reduced = False
        self._is_jogged = False

    @property
    def grade_name(self) -> str:
        """Letter of the machine's grade, empty without one."""
        return self._grade.name if self._grade is not None else ""

    @property
    def grade_scale(self) -> float:
        """What the machine's grade leaves of the joints' velocity limits; 1 without one."""
        return self._grade.speed_scale if self._grade is not None else 1.0

    @property
    def reduced(self) -> ReducedSpeed | None:
        """Reduced-speed mode, None while it is off."""
        if not self._is_reduced:
            return None
        scale = _REDUCED_SCALE if self._reduced_m_s is None else 1.0
        return ReducedSpeed(tool_speed_max_m_s=self._reduced_m_s, speed_scale=scale)

    @property
    def may_arm(self) -> bool:
        """Whether the machine keeps time well enough for a robot to move at all."""
        return self._grade is None or self._grade.speed_scale > 0.0

    def grade(self, grade: Grade) -> None:
        """Take the machine's grade, measured while the robot was not armed.

        One that is better than what was in force when the robot was armed meanwhile waits for the next time.

        Raises:
            SafetyError: the loop does not answer.
        """
        if grade == self._grade:
            return
        # The worst arms nothing: what moves still is as slow as it was.
        scale = grade.speed_scale or self._scale
        if self._set(scale, is_reduced=self._is_reduced) is Result.DONE:
            self._grade, self._scale = grade, scale

    def reduce(self, wanted: bool) -> Result:
        """Enter reduced-speed mode, or leave it, which an armed robot's kernel refuses.

        Raises:
            SafetyError: the loop does not answer.
        """
        result = self._set(self._scale, is_reduced=wanted)
        if result is Result.DONE:
            self._is_reduced = wanted
        return result

    def jog(self, wanted: bool) -> None:
        """While a person jogs, speed is reduced as an operator would; it ends with the arming, or before the next.

        Raises:
            SafetyError: the loop does not answer.
        """
        if wanted == self._is_jogged:
            return
        before, self._is_jogged = self._is_jogged, wanted
        if self._set(self._scale, is_reduced=self._is_reduced) is not Result.DONE:
            self._is_jogged = before

    def _set(self, scale: float, *, is_reduced: bool) -> Result:
        is_reduced |= self._is_jogged
        if is_reduced and self._reduced_m_s is None:
            scale = min(scale, _REDUCED_SCALE)
        return self._loop.tighten(speed_scale=scale, tool_speed_max_m_s=self._reduced_m_s if is_reduced else None)
