"""How `make test` deals the tests that may run side by side to its workers.

A file goes to one of them as a whole, so that what it sets up is set up once. Files that take long come first, or one
of them would be left over at the end. Those that mostly wait, and share nothing that takes time to set up, are dealt
test by test, or class by class. Where a test comes says nothing about what it may rely on: each passes alone, and in
any order.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    "tests/cli/test_operator.py",
    "tests/safety/proof/test_mutation.py",
    "tests/demo/test_demo.py",
    "tests/processors/test_processors.py",
    "tests/cli/test_run.py",
    "tests/safety/test_fuzz.py",
    "tests/hub/test_connections.py",
    "tests/export_tools/test_pocket_vla.py",
    "tests/system/test_unproven.py",
    "tests/hub/test_duty.py",
    "tests/safety/proof/test_frama_c.py",
    "tests/ota/test_build.py",
    "tests/ota/test_activation.py",
    "tests/test_missing_packages.py",
    "tests/system/test_installed_package.py",
    "tests/safety/test_judge.py",
    "tests/hub/test_fleet_update.py",
    "tests/cli/test_evaluate.py",
    "tests/ota/test_agent_process.py",
    "tests/safety/test_slow_drivers.py",
    "tests/system/test_faults.py",
    "tests/hub/test_hub_cuts.py",
    "tests/hub/test_services.py",
    "tests/contracts/test_messages.py",
    "tests/system/test_engine_failures.py",
    "tests/hub/test_damage.py",
    "tests/drivers/sim/test_driver.py",
    "tests/drivers/sdk/test_native.py",
    "tests/safety/test_reference.py",
    "tests/system/test_lockstep.py",
    "tests/test_console.py",
    "tests/system/test_update_at_rest.py",
    "tests/ota/test_agent.py",
    "tests/hub/test_operator.py",
    "tests/system/test_outcomes.py",
    "tests/ota/test_power_cut_lost_writes.py",
    "tests/ota/test_power_cut.py",
    "tests/system/test_update.py",
    # Of those that bear company.
    "tests/system/test_slow_policy.py",
    "tests/cli/test_run_their_robot.py",
    "tests/drivers/test_conformance.py",
)
"""Files whose tests take ten seconds and more. What calculates comes between what waits, and files that run whole
robots in real time are not next to each other: each of these wants a third of a core."""

TEST_BY_TEST = frozenset(
    {
        "tests/cli/test_run_their_robot.py",
        "tests/drivers/test_conformance.py",
        "tests/hub/test_connections.py",
        "tests/hub/test_duty.py",
        "tests/hub/test_operator.py",
        "tests/ota/test_activation.py",
        "tests/ota/test_agent_process.py",
        "tests/ota/test_build.py",
        "tests/test_missing_packages.py",
    }
)


def unit_of(test: str) -> str:
    """What goes to one worker together: all tests of this one's file, or of its class, or this one alone."""
    file = file_of(test)
    if file not in TEST_BY_TEST:
        return file
    *around, _ = test.partition("[")[0].split("::")
    return test if around == [file] else "::".join(around)


def longest_first(tests: list[pytest.Item]) -> list[pytest.Item]:
    """The tests by the place of their files, otherwise in the order in which they were found."""
    places = {file: place for place, file in enumerate(LONGEST_FIRST)}
    return sorted(tests, key=lambda test: places.get(file_of(test.nodeid), len(places)))


def file_of(test: str) -> str:
    """The file that a test's name begins with."""
    return test.split("::", 1)[0]


class SideBySide(LoadScopeScheduling):
    """As `--dist loadfile`, but for what goes together. In turn it gives what comes first: `longest_first`."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
