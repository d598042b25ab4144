"""Every small change of the kernel's C code is noticed: no mutant answers the battery as the kernel does.

The battery's expected answers are those of the kernel as it is, which `test_reference.py` holds bit for bit to the
Python reference. What is not told apart so is asked again with every access to memory watched: a loop that runs one too
far.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.safety.programs import HERE, INLINE, KERNEL, battery_sources, build, kernel_sources
from tests.safety.proof.mutate import Mutant, mutate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALLOWED = HERE / "proof" / "allowed_mutants.toml"
OPEN = HERE / "proof" / "open_mutants.toml"
"""Those that the battery does not tell apart yet. The list may only get shorter."""
MOST_ALLOWED = 3
PARTS = 4
WATCHED = ("-fsanitize=address,bounds", "-fno-sanitize-recover=all")


def survivors(program: Path, numbers: list[int], **environment: str) -> list[int]:
    """Of these mutants; numbers that follow each other are asked in one go."""

    def ask(part: list[int]) -> list[int]:
        command = ["nice", str(program), *map(str, part)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=1500)
        assert done.returncode == 0, done.stderr
        *alive, last = done.stdout.splitlines()
        assert last == f"asked {len(part)}"
        return [int(number) for number in alive]

    parts = [part for part in (numbers[i::PARTS] for i in range(PARTS)) if part]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        return sorted(number for alive in workers.map(ask, parts) for number in alive)


@dataclass(frozen=True)
class Mutants:
    """All of them, the C files that have them, and the program that asks them."""

    known: list[Mutant]
    files: list[Path]
    program: Path


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> Mutants:
    folder = tmp_path_factory.mktemp("mutants")
    known, files = mutate([*kernel_sources(), HERE / "proof" / "exports.c"], KERNEL, folder)
    return Mutants(known, files, battery(folder, files))


def battery(folder: Path, files: list[Path], *flags: str) -> Path:
    # A mutant may overflow and compare what is always so; wrapping keeps what it then does the same every time.
    loose = ("-O1", "-w", "-fwrapv", f"-I{HERE / 'proof'}")
    return build(folder / "battery", [*files, *battery_sources()], *loose, *flags, strict=False)


def allowed() -> list[dict[str, Any]]:
    return list(tomllib.loads(ALLOWED.read_text(encoding="utf-8")).get("mutant", []))


@pytest.mark.timeout(1800)
def test_no_mutant_survives(mutants: Mutants, tmp_path: Path) -> None:
    by_number = {mutant.id: mutant for mutant in mutants.known}
    assert {mutant.file for mutant in mutants.known} == {path.name for path in (*kernel_sources(), *INLINE)}
    assert len(mutants.known) > 2500
    alive = survivors(mutants.program, sorted(by_number))
    if alive:
        alive = survivors(battery(tmp_path, mutants.files, *WATCHED), alive, ASAN_OPTIONS="detect_leaks=0")
    excused = {(one["file"], one["before"], one["after"]) for one in allowed()}
    left = [by_number[number] for number in alive]
    alive_still = {(mutant.file, mutant.before, mutant.after) for mutant in left}
    known = excused | still_open()
    unexcused = [str(mutant) for mutant in left if (mutant.file, mutant.before, mutant.after) not in known]
    assert not unexcused, "\n".join(unexcused)
    assert excused <= alive_still, "allowed, but noticed"
    assert still_open() <= alive_still, f"noticed now, take them out: {sorted(still_open() - alive_still)}"


def still_open() -> set[tuple[str, str, str]]:
    """As file, before and after."""
    listed = tomllib.loads(OPEN.read_text(encoding="utf-8")).get("mutant", ())
    return {(one["file"], one["before"], one["after"]) for one in listed}


def test_the_list_of_what_is_allowed_is_short_and_says_why() -> None:
    assert len(allowed()) <= MOST_ALLOWED
    assert all(len(one["reason"]) > 40 for one in allowed())


def test_what_is_not_switched_on_is_the_kernel(mutants: Mutants) -> None:
    """The program full of mutants passes its own battery, and the battery sees one that is known to be wrong."""
    assert survivors(mutants.program, []) == []
    wrong = next(mutant for mutant in mutants.known if mutant.file == "number.h" and mutant.before == "b < a")
    assert survivors(mutants.program, [wrong.id]) == []
    assert survivors(mutants.program, [0]) == [0]
