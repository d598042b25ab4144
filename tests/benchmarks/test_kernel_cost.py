"""The program that times the kernel runs the kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kernel import compile_program, measure, streams
from benchmarks.setpoints import robot


def test_each_tick_of_each_run_has_a_cost(tmp_path: Path) -> None:
    _, limits, home_rad = robot()
    limits = replace(limits, step_max=(1e3,) * home_rad.size)
    program = compile_program(tmp_path)
    for rows in streams(limits, home_rad, 200, 1).values():
        costs_us = measure(program, limits, home_rad, rows, 2, 0)
        assert costs_us.shape == (2, len(rows))
        assert np.all(costs_us > 0.05)


def test_a_robot_that_cannot_be_armed_is_an_error(tmp_path: Path) -> None:
    _, limits, home_rad = robot()
    with pytest.raises(SystemExit):
        measure(compile_program(tmp_path), limits, home_rad + 10.0, np.tile(home_rad, (5, 1)), 1, 0)
