"""The Python that has LeRobot, which these tests start the driver with: `make lerobot` makes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lerobot_python() -> Path:
    """Its path.

    Raises:
        pytest.UsageError: there is none.
    """
    path = Path(os.environ.get("EDGE_LEROBOT_PYTHON", Path(__file__).parents[3] / ".venv-lerobot" / "bin" / "python"))
    if not path.exists():
        raise pytest.UsageError(f"{path} is not there: make lerobot makes it")
    return path.absolute()
