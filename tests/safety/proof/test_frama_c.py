"""Frama-C proves that the clamp and braking functions never give NaN and never leave their limits, whatever the input.

WP proves the contracts of `contracts.c` from the code, EVA the ranges of `ranges.c`. A proof that fails, a goal that
vanishes, and a tool that would prove anything are each a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.safety.programs import HERE, KERNEL

PROOF = HERE / "proof"
PROVED = ("clamp", "finite_number", "in_range", "braking_rate", "stop_accel", "stop_keeps_jerk")
# Functions without a contract of their own are read as part of those that call them.
INLINED = "smaller,larger,magnitude,in_range,stop_accel"
SPECIAL = ("-warn-special-float", "none")  # NaN and infinities are values here, not errors
TOOLS = (("frama-c", "frama-c-base"), ("why3", "why3"), ("cvc5", "cvc5"))


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    for tool, package in TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: sudo apt-get install {package}")


def frama_c(source: Path, *options: str, **environment: str) -> str:
    include = f"-cpp-extra-args=-I{KERNEL} -I{PROOF} -I/usr/share/frama-c/libc"
    command = ["frama-c", include, *SPECIAL, *options, str(source), "-then", "-report"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wp(source: Path, folder: Path, *functions: str) -> tuple[int, int]:
    """How many goals of these functions were proved, of how many."""
    prover = f"{sys.executable} {PROOF / 'solve_bits.py'} %f %t"
    (folder / "why3.conf").write_text(
        '[main]\nmagic = 14\nmemlimit = 4000\n\n[prover]\nname = "bits"\nversion = "1"\nshortcut = "bits"\n'
        f'command = "{prover}"\ncommand_steps = "{prover}"\ndriver = "cvc4_17"\n'
        'editor = ""\nin_place = false\ninteractive = false\n',
        encoding="utf-8",
    )
    options = ("-inline-calls", INLINED, "-wp", "-wp-fct", ",".join(functions), "-wp-model", "Typed+float")
    limits = ("-wp-prover", "bits", "-wp-timeout", "100", "-wp-par", "2")
    told = frama_c(source, *options, *limits, WHY3CONFIG=str(folder / "why3.conf"))
    proved = re.search(r"Proved goals:\s+(\d+) / (\d+)", told)
    assert proved is not None, told
    return int(proved[1]), int(proved[2])


@pytest.mark.timeout(300)
def test_contracts_hold_for_every_double(tmp_path: Path) -> None:
    proved, goals = wp(PROOF / "contracts.c", tmp_path, *PROVED)
    assert proved == goals
    assert goals >= 60


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        ("clamp", "INSIDE(\\result, low, high)", "INSIDE(\\result, low, low)"),
        (
            "braking_rate",
            "INSIDE(\\result, (double)0.0, limits->accel_max)",
            "INSIDE(\\result, (double)0.0, limits->tick)",
        ),
    ],
)
def test_what_does_not_hold_is_not_proved(function: str, right: str, wrong: str, tmp_path: Path) -> None:
    text = (PROOF / "contracts.c").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "wrong.c").write_text(text.replace(right, wrong), encoding="utf-8")
    proved, goals = wp(tmp_path / "wrong.c", tmp_path, function)
    assert proved < goals


def test_ranges_hold_for_every_input() -> None:
    told = frama_c(PROOF / "ranges.c", "-eva", "-eva-precision", "3")
    assert len(re.findall(r"\[ +Valid +\] Check '", told)) == 3, told
    assert "To be validated" not in told, told
