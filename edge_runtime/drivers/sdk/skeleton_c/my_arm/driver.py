"""The driver of my_arm: a program in C (src/driver.c), which `make` builds beside this file."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.drivers.sdk import native_driver

DRIVER = native_driver(Path(__file__).parent / "my_arm_driver", watchdog_s=0.1)
