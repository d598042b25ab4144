"""What caps the robot's speed at run time: the grade of this machine's timing, and the operator's reduced-speed mode.

The tightest of all wins; the kernel holds the result and, while armed, takes nothing looser.
"""

from __future__ import annotations

from edge_runtime.control.grade import Grade
from edge_runtime.control.native_loop import ControlLoop
from edge_runtime.safety import Result
from edge_runtime.safety_file import GeometrySection

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
        self._is_reduced = False

    @property
    def grade_name(self) -> str:
        """Letter of the machine's grade, empty without one."""
        return self._grade.name if self._grade is not None else ""

    @property
    def may_arm(self) -> bool:
        """Whether the machine keeps time well enough for a robot to move at all."""
        return self._grade is None or self._grade.speed_scale > 0.0

    def grade(self, grade: Grade) -> None:
        """Take the machine's grade, while the robot is not armed.

        Raises:
            SafetyError: the loop does not answer.
        """
        before, self._grade = self._grade, grade
        if before != grade and self.may_arm:
            self._set(grade, is_reduced=self._is_reduced)

    def reduce(self, wanted: bool) -> Result:
        """Enter reduced-speed mode, or leave it, which an armed robot's kernel refuses.

        Raises:
            SafetyError: the loop does not answer.
        """
        result = self._set(self._grade, is_reduced=wanted)
        if result is Result.DONE:
            self._is_reduced = wanted
        return result

    def _set(self, grade: Grade | None, *, is_reduced: bool) -> Result:
        scale = grade.speed_scale if grade is not None and grade.speed_scale > 0.0 else 1.0
        if is_reduced and self._reduced_m_s is None:
            scale = min(scale, _REDUCED_SCALE)
        return self._loop.tighten(speed_scale=scale, tool_speed_max_m_s=self._reduced_m_s if is_reduced else None)
