"""Limits that MJCF states through a joint's actuators and tendons.

What is said of rad and Nm holds of a sliding joint's m and N as well. An actuator's force is gain * control + bias0 +
bias1 * length + bias2 * speed, where length and speed are the joint's times the gear, and times its coefficient in the
tendon if the actuator pulls at one. A control range therefore limits the position that a servo goes to (bias1 below
0), the speed of a velocity servo (bias2 alone), or the torque of a motor (no bias). Any other is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_runtime.contracts.errors import ConfigError
from edge_runtime.safety.kinematics.limits import SourceLimits


def magnitude(ends: Sequence[float]) -> float:
    """What a range allows in both directions: the nearer of its ends, or the only one that is not zero."""
    return min((abs(float(end)) for end in ends if end != 0.0), default=0.0)


def limits_force(model: Any, tendon: int) -> bool:
    """Whether a tendon limits what its actuators pull; MuJoCo 3.3.0 refuses files that say so."""
    return hasattr(model, "tendon_actfrclimited") and bool(model.tendon_actfrclimited[tendon])


@dataclass
class Stated:
    """What is stated of one joint, so far; the tightest of each counts."""

    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    efforts: list[float] = field(default_factory=list)

    def add_tendon(self, model: Any, tendon: int, per_rad: float) -> None:
        """Take in a tendon that runs over this joint alone, `per_rad` longer for each rad."""
        if model.tendon_limited[tendon]:
            self._between([float(end) / per_rad for end in model.tendon_range[tendon]])
        if limits_force(model, tendon):
            self.efforts.append(abs(per_rad) * magnitude(model.tendon_actfrcrange[tendon]))

    def add_actuator(self, mujoco: Any, model: Any, actuator: int, per_rad: float) -> None:
        """Take in an actuator of this joint, or of a tendon that is `per_rad` longer for each rad of it alone.

        Raises:
            ConfigError: names an actuator whose control range can't be read.
        """
        gear = per_rad * float(model.actuator_gear[actuator, 0])
        if gear == 0.0:
            return
        if model.actuator_forcelimited[actuator]:
            self.efforts.append(abs(gear) * magnitude(model.actuator_forcerange[actuator]))
        integrates = int(model.actuator_dyntype[actuator]) == int(mujoco.mjtDyn.mjDYN_INTEGRATOR)
        gain = float(model.actuator_gainprm[actuator, 0])
        has_bias = int(model.actuator_biastype[actuator]) != int(mujoco.mjtBias.mjBIAS_NONE)
        bias = [float(value) if has_bias else 0.0 for value in model.actuator_biasprm[actuator, :3]]
        if model.actuator_ctrllimited[actuator]:
            low, high = (float(value) for value in model.actuator_ctrlrange[actuator])
            fixed_gain = int(model.actuator_gaintype[actuator]) == int(mujoco.mjtGain.mjGAIN_FIXED)
            known_bias = int(model.actuator_biastype[actuator]) <= int(mujoco.mjtBias.mjBIAS_AFFINE)
            if not (fixed_gain and known_bias and self._control([low, high], gain, bias, gear, integrates)):
                problem = (
                    f"its control range, {low:g} to {high:g}, is neither a position, a speed nor a torque: state the "
                    "limits in the joint's own range, and take the control range out"
                )
                raise ConfigError(f"actuator {model.actuator(actuator).name or actuator}", problem)
        if integrates and model.actuator_actlimited[actuator] and bias[1] < 0.0:
            self._positions([float(value) for value in model.actuator_actrange[actuator]], gain, bias, gear)

    def _control(self, control: list[float], gain: float, bias: list[float], gear: float, integrates: bool) -> bool:
        if bias[1] < 0.0 and integrates:
            # The control is how fast the position that it goes to moves.
            self.speeds.append(magnitude(control) * abs(gain / (bias[1] * gear)))
        elif bias[1] < 0.0:
            self._positions(control, gain, bias, gear)
        elif bias[1] == 0.0 and bias[2] < 0.0 and not integrates:
            self.speeds.append(magnitude([gain * one + bias[0] for one in control]) / abs(bias[2] * gear))
        elif bias == [0.0, 0.0, 0.0] and not integrates:
            self.efforts.append(abs(gain * gear) * magnitude(control))
        else:
            return False
        return True

    def _positions(self, control: list[float], gain: float, bias: list[float], gear: float) -> None:
        self._between([(gain * one + bias[0]) / (-bias[1] * gear) for one in control])

    def _between(self, ends: list[float]) -> None:
        self.lows.append(min(ends))
        self.highs.append(max(ends))

    def limits(self, key: str, *, slides: bool) -> SourceLimits:
        """The tightest of each kind.

        Raises:
            ConfigError: nothing is left of the range; `key` names the joint.
        """
        low, high = max(self.lows, default=None), min(self.highs, default=None)
        if low is not None and high is not None and low > high:
            unit = "m" if slides else "rad"
            problem = f"its range, its tendons' and its actuators' leave nothing between {low:g} and {high:g} {unit}"
            raise ConfigError(key, problem)
        # A limit of zero is none that anybody means.
        speeds, efforts = ([value for value in values if value > 0.0] for values in (self.speeds, self.efforts))
        return SourceLimits.of(
            slides=slides, low=low, high=high, speed=min(speeds, default=None), effort=min(efforts, default=None)
        )
