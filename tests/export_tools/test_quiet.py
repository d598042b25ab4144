"""Exporting changes no logger for whoever exports."""

from __future__ import annotations

import logging

import pytest

from export_tools.quiet import only_errors


@pytest.mark.parametrize("name", [None, "torch.onnx"])
def test_a_library_talks_again_afterwards(name: str | None) -> None:
    logger = logging.getLogger(name)
    before = logger.level

    def fails() -> None:
        with only_errors(name):
            assert logger.level == logging.ERROR
            raise ValueError("in between")

    with pytest.raises(ValueError, match="in between"):
        fails()
    assert logger.level == before
