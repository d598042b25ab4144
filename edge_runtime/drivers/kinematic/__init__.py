"""A robot of any shape that goes where it is told, without physics: to move a description before there is hardware."""

from edge_runtime.drivers.kinematic.driver import DRIVER

__all__ = ["DRIVER"]
