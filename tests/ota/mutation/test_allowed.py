"""The list of mutants that may live is of the program as it is, and says why."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.ota.mutation.__main__ import Mutant, read_allowed


@pytest.mark.parametrize(("mutant", "reason"), read_allowed().items(), ids=str)
def test_a_mutant_that_may_live_is_one_of_this_program(mutant: Mutant, reason: str) -> None:
    assert len(reason.split()) >= 5
    module, names = re.match(r"(.*?\.[a-z_]+)((?:\.[A-Z]\w*)?\.\w+)\Z", mutant.function).groups()  # type: ignore[union-attr]
    found = importlib.import_module(module)
    for name in names.strip(".").split("."):
        found = getattr(found, name)
    source = " ".join(inspect.getsource(found).split())
    assert " ".join(mutant.before.split()) in source
    assert mutant.after != mutant.before
