"""The control script of ur_rtde as a UR controller runs it, and the arm that it moves: both made up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOME_RAD = (0.0, -1.57, 1.57, -1.57, -1.57, 0.0)
STEP_S = 0.002
STOP_RAD_S2 = 10.0

_REST_RAD_S = 1e-3
_READY, _DONE = 1, 2
_NO_COMMAND, _SERVO, _SERVO_STOP, _STOP_JOINTS, _WATCHDOG, _STOP_SCRIPT = 0, 11, 16, 34, 35, 255


class Arm:
    """Six joints that follow targets after a time, or come to rest.

    Attributes:
        still_ns: monotonic, since when it is at rest; None in motion.
    """

    def __init__(self) -> None:
        self.q: NDArray[np.float64] = np.array(HOME_RAD)
        self.dq: NDArray[np.float64] = np.zeros(6)
        self.still_ns: int | None = time.monotonic_ns()

    def follow(self, target: NDArray[np.float64], lookahead_s: float) -> None:
        """One step towards a target, with a lag of `lookahead_s`."""
        stiffness = 2.0 / lookahead_s
        self.dq += STEP_S * (stiffness**2 * (target - self.q) - 2.0 * stiffness * self.dq)
        self._move()

    def brake(self, rate_rad_s2: float) -> None:
        """One step towards rest."""
        self.dq -= np.clip(self.dq, -rate_rad_s2 * STEP_S, rate_rad_s2 * STEP_S)
        self._move()

    def _move(self) -> None:
        self.q = self.q + STEP_S * self.dq
        if np.max(np.abs(self.dq)) >= _REST_RAD_S:
            self.still_ns = None
        elif self.still_ns is None:
            self.still_ns = time.monotonic_ns()


class Program:
    """The control script of ur_rtde as the controller runs it: what it does with its registers. None runs at first."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self.runs = False
        self.starts = 0
        self._target: NDArray[np.float64] | None = None
        self._lookahead_s, self._brake_rad_s2 = 0.1, STOP_RAD_S2
        self._watchdog_s: float | None = None
        self._braking = self._executing = False
        self.served = 0

    def start(self) -> None:
        """Begin anew."""
        self.runs, self.starts = True, self.starts + 1
        self._target, self._watchdog_s, self._braking, self._executing = None, None, False, False

    def stop(self) -> None:
        """End; the controller brings the arm to rest."""
        self.runs, self._target = False, None

    def step(self, inputs: dict[str, Any], outputs: dict[str, Any], unwritten_s: float) -> None:
        """One cycle of the script, and of its threads."""
        if self._watchdog_s is not None and unwritten_s > self._watchdog_s:
            self.stop()
            return
        command = inputs.get("input_int_register_0", 0)
        registers = [inputs.get(f"input_double_register_{index}", 0.0) for index in range(11)]
        if command == _SERVO:
            self._target, self._lookahead_s = np.array(registers[:6]), max(registers[9], 0.03)
            self._braking = False
            self.served += 1
            outputs["output_int_register_0"] = _READY
        elif command == _NO_COMMAND:
            self._executing = False
            outputs["output_int_register_0"] = _READY
        elif not self._executing or self._braking:
            self._executing = True
            self._once(command, registers, outputs)
        self._drive()

    def _once(self, command: int, registers: list[float], outputs: dict[str, Any]) -> None:
        if command in (_SERVO_STOP, _STOP_JOINTS):
            self._target, self._braking, self._brake_rad_s2 = None, True, registers[0]
            if self._arm.still_ns is None:
                return
            self._braking = False
        elif command == _WATCHDOG:
            self._watchdog_s = 1.0 / registers[0]
        elif command == _STOP_SCRIPT:
            self.stop()
            return
        outputs["output_int_register_0"] = _DONE

    def _drive(self) -> None:
        if self._target is None:
            self._arm.brake(self._brake_rad_s2)
        else:
            self._arm.follow(self._target, self._lookahead_s)
