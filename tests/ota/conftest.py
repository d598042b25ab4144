"""A robot with a store, for all tests of updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ota.store_exercise import install, make_bundles, open_runner


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A robot with version 1 committed."""
    make_bundles(tmp_path)
    with open_runner(tmp_path) as runner:
        runner.recover()
        install(runner, tmp_path, "1")
    return tmp_path
