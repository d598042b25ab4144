"""Whether the calibration on disk is still the one that driver and control have read."""

from __future__ import annotations

from edge_runtime.config.calibration_file import read_calibration
from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import ConfigError


def calibration_has_changed(config: RobotConfig) -> bool:
    """Whether what is on disk is another calibration, or none that can be read. Not for the loop: it reads a file."""
    if config.calibration is None:
        return False
    try:
        return read_calibration(config.calibration.path, config.embodiment).digest != config.calibration.digest
    except ConfigError:
        return True
