"""Ten million hostile ticks through the kernel on random robots, in C; the same under the address and
undefined-behaviour sanitizers, and on another processor. `fuzz.c` has the checks; `make fuzz` runs a billion ticks."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.safety import Reason, State
from tests.safety.programs import SANITIZERS, fuzzer, run_fuzzer

TICKS = 10_000_000
GEOMETRY_TICKS = 1_500_000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzer(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def campaign(program: Path) -> list[dict[str, Any]]:
    half = (TICKS - GEOMETRY_TICKS) // 2
    parts = [(1, half, 0), (2, GEOMETRY_TICKS, 100), (3, half, 0)]
    with ThreadPoolExecutor(2) as two:
        return list(two.map(lambda part: run_fuzzer(program, *part), parts))


@pytest.mark.timeout(600)
def test_no_violation_in_ten_million_hostile_ticks(campaign: list[dict[str, Any]]) -> None:
    for result in campaign:
        assert result["violations"] == 0, result
    assert sum(result["ticks"] for result in campaign) == TICKS


def test_the_ticks_met_everything_there_is(campaign: list[dict[str, Any]]) -> None:
    """The run is worth something only if it was armed most of the time, and met every state and every reason."""
    assert sum(result["armed_ticks"] for result in campaign) > TICKS // 2
    states = [sum(result["states"][state] for result in campaign) for state in State]
    assert min(states) > 1000, dict(zip(State, states, strict=True))
    reasons = campaign[0]["reasons"] | campaign[1]["reasons"] | campaign[2]["reasons"]
    assert {reason for reason in Reason if reason & reasons} == set(Reason) - {Reason.INTERNAL}
    # Arms really came as near to something as they may.
    assert campaign[1]["geometry_ticks"] > GEOMETRY_TICKS // 2
    assert -1e-9 <= campaign[1]["closest_m"] < 1e-6


def test_a_seed_decides_everything(program: Path) -> None:
    assert run_fuzzer(program, 7, 50_000, 20) == run_fuzzer(program, 7, 50_000, 20)
    assert run_fuzzer(program, 7, 50_000, 20)["hash"] != run_fuzzer(program, 8, 50_000, 20)["hash"]


def test_sanitizers_find_nothing_and_change_nothing(program: Path, tmp_path: Path) -> None:
    watched = fuzzer(tmp_path, *SANITIZERS)
    for seed, ticks, percent in ((3, 150_000, 0), (4, 50_000, 100)):
        assert run_fuzzer(watched, seed, ticks, percent) == run_fuzzer(program, seed, ticks, percent)


def test_another_processor_says_the_same_to_the_bit(program: Path, tmp_path: Path) -> None:
    needed = (
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
        ("qemu-aarch64", "qemu-user"),
    )
    for tool, package in needed:
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: sudo apt-get install {package}")
    foreign = fuzzer(tmp_path, "-static", compiler="aarch64-linux-gnu-gcc")
    for seed, ticks, percent in ((5, 60_000, 0), (6, 15_000, 100)):
        there = run_fuzzer(foreign, seed, ticks, percent, emulator=("qemu-aarch64",))
        here = run_fuzzer(program, seed, ticks, percent)
        # The distances that the fuzzer checks with are libm's, which may differ in their last digits.
        assert {**there, "closest_m": 0} == {**here, "closest_m": 0}
