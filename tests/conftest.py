"""What holds for all tests."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from xdist.remote import Producer

from tests.side_by_side import SideBySide, longest_first

# As for the exporter, which does the same: triton crashes a process in which something was drawn before.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# A shell that starts the tests in the background has its children ignore Ctrl-C, and so would theirs: those that a test
# interrupts would never hear of it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# For `make mutate`: that a mutant is found is enough, the smallest example of it is not looked for.
settings.register_profile("mutation", phases=(Phase.explicit, Phase.generate), database=None, derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """A worker of pytest-xdist calls its folder by its number alone: the names of Unix sockets are short."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        folder = Path(config.option.basetemp)
        config.option.basetemp = str(folder.with_name(worker["workerid"].removeprefix("gw")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers get the files that take longest first."""
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide | None:
    """`--dist loadfile` deals as `tests/side_by_side.py` says."""
    return SideBySide(config, log) if config.getoption("dist") == "loadfile" else None
