"""The served hub, one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.served import ServedHub


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    hub = ServedHub(tmp_path)
    yield hub
    hub.close()
