"""A prover for why3: cvc5 on what a goal says about bits.

why3 hands every axiom of its theories to a solver, those that tie floating-point numbers to the reals among them, and
solvers lose themselves in these. Goals about comparisons and sums of bits need none: they are left out here, which can
only make a goal harder to prove, never easier.

    solve_bits.py GOAL.smt2 SECONDS  ->  what cvc5 says
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def forms(text: str) -> list[str]:
    """The top-level expressions of an SMT-LIB file."""
    found, depth, start, in_comment = [], 0, 0, False
    for i, sign in enumerate(text):
        in_comment = sign == ";" or (in_comment and sign != "\n")
        if in_comment:
            continue
        if sign == "(":
            start = i if depth == 0 else start
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                found.append(text[start : i + 1])
    return found


def without_axioms(text: str) -> str:
    """The goal, which is the negated assertion, with all declarations and definitions."""
    kept = []
    for form in forms(text):
        words = form[1:].split(None, 1)
        is_axiom = words[0] == "assert" and words[1].lstrip("( \n").startswith("forall")
        if words[0] not in ("set-logic", "set-info", "set-option", "get-info", "exit") and not is_axiom:
            kept.append(form)
    return "\n".join(["(set-logic ALL)", *kept]) + "\n"


def main() -> None:
    goal, seconds = Path(sys.argv[1]), float(sys.argv[2])
    with tempfile.NamedTemporaryFile("w", suffix=".smt2") as file:
        file.write(without_axioms(goal.read_text(encoding="utf-8")))
        file.flush()
        command = ["cvc5", "--lang=smt2", f"--tlimit={int(1000 * seconds)}", file.name]
        print(subprocess.run(command, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
