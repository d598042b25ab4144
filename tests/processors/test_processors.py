"""What was trained is what happens on each processor that a robot may have; and the test can tell where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.policies.integer_products import cases
from tests.processors import emulated
from tests.processors.emulated import Emulated, UnavailableError
from tests.processors.golden import pairs_on

pytestmark = [pytest.mark.emulated, pytest.mark.timeout(600)]

ARM_MODELS = {
    "cortex-a57": "NEON without dot product",
    "cortex-a76": "NEON with dot product",
    "max": "NEON with 8-bit matrix products",
}


def had(make: Callable[[], Emulated]) -> Emulated:
    """Skips where the parts can't be had."""
    try:
        return make()
    except UnavailableError as error:
        pytest.skip(str(error))


def wrong_on(processor: Emulated, folder: Path, *options: str) -> tuple[str, dict[str, float]]:
    found = json.loads(processor.run("-m", "tests.policies.run_graphs", *options, str(folder)).splitlines()[-1])
    return found["processor"], found["wrong"]


@pytest.fixture(scope="module")
def symmetric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products with weights from -127 to 127."""
    folder = tmp_path_factory.mktemp("symmetric")
    for case in cases(-127):
        case.write(folder)
    return folder


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products with weights from -128 to 127."""
    folder = tmp_path_factory.mktemp("lowest")
    for case in cases(-128):
        case.write(folder)
    return folder


@pytest.mark.parametrize("make", [emulated.this_processor, emulated.x86_without_vnni, emulated.arm])
def test_the_shipped_bundle_does_what_it_was_trained_to(make: Callable[[], Emulated]) -> None:
    found = pairs_on(had(make))
    assert found.report.verdict == "matched"
    assert found.report.cases == 8
    assert max(found.report.error_p99_rad) <= found.report.bound_p99_rad == 0.01


def test_a_kernel_that_saturates_is_caught_by_the_golden_pairs() -> None:
    report = pairs_on(had(emulated.x86_without_vnni), "--saturating").report
    assert report.verdict == "differs"
    assert max(report.error_p99_rad) > 0.05


def test_products_of_integers_are_exact_without_vnni(lowest: Path) -> None:
    assert wrong_on(had(emulated.x86_without_vnni), lowest) == ("AVX2 without VNNI", {})


def test_every_product_that_saturates_without_vnni_is_caught(lowest: Path) -> None:
    names = {case.name for case in cases()}
    depthwise = {name for name in names if name.startswith("QDQ_Conv_32_32_3_1_32")}
    one_deep = {name for name in names if "_1x1x1" in name}
    _, wrong = wrong_on(had(emulated.x86_without_vnni), lowest, "--saturating")
    assert wrong.keys() == names - depthwise - one_deep


@pytest.mark.parametrize(("model", "instruction_set"), ARM_MODELS.items())
def test_products_of_integers_are_exact_on_arm(model: str, instruction_set: str, symmetric: Path) -> None:
    assert wrong_on(had(lambda: emulated.arm(model)), symmetric) == (instruction_set, {})


def test_the_lowest_weight_is_wrong_on_arm_and_refused(lowest: Path) -> None:
    processor = had(lambda: emulated.arm("cortex-a57"))
    with pytest.raises(RuntimeError, match=r"EngineError.*weights of -128"):
        wrong_on(processor, lowest)
    _, wrong = wrong_on(processor, lowest, "--saturating")
    assert {name for name in wrong if name.startswith("MatMulInteger")}
