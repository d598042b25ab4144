"""What the tests of the page share: a run's folder with a short name, a robot that publishes, a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from edge_runtime.testing.other_robots import jaw_arm
from edge_runtime.testing.published_robot import PublishedRobot
from tests.page.served import ServedPage, a_browser, robot_shown, serving


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="page") as folder:
        yield Path(folder)


@pytest.fixture
def robot(run_dir: Path) -> Iterator[PublishedRobot]:
    with PublishedRobot(run_dir, jaw_arm()) as published:
        yield published


@pytest.fixture
def page(run_dir: Path, robot: PublishedRobot) -> Iterator[ServedPage]:
    del robot
    with serving(run_dir, robot_shown(jaw_arm())) as served:
        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with a_browser() as one:
        yield one
