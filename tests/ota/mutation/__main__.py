"""Does a test fail for every mutant of what refuses attacks and keeps floors? ``make mutate`` asks.

mutmut makes the mutants of the modules that `[tool.mutmut]` in pyproject.toml lists, and runs for each the tests that
come through it, in a process forked from one that has everything loaded. A mutant that no test tells from the program
is either in `allowed_mutants.toml`, with the reason why nothing can, or a failure.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.record import record

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
MUTANTS = ROOT / "mutants"
ALLOWED = Path(__file__).with_name("allowed_mutants.toml")
HOW_TO_GET_IT = "mutmut is missing: pip install -e '.[mutation]'"


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of one function: the lines that it takes, and those that it puts there."""

    function: str
    before: str
    after: str


class Allowed(Mutant, frozen=True, kw_only=True):
    """A mutant that no test can find, and why."""

    reason: str


def read_allowed() -> dict[Mutant, str]:
    """The mutants that may live."""
    listed = msgspec.convert(tomllib.loads(ALLOWED.read_text(encoding="utf-8")), dict[str, list[Allowed]])
    return {Mutant(one.function, one.before, one.after): one.reason for one in listed.get("mutant", [])}


def mutant_of(name: str) -> Mutant:
    """What mutmut calls by a number, told apart by what it does."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    changed = [line for line in get_diff_for_mutant(name).splitlines() if re.match(r"[+-](?![+-]{2})", line)]
    before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    module, _, function = name.rpartition("__mutmut_")[0].rpartition(".")
    return Mutant(f"{module}.{re.sub('^x_?', '', function).strip('ǁ').replace('ǁ', '.')}", before, after)


def main() -> int:
    """Run all, print what lives, keep the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "only", nargs="*", help="names of mutants, with * and ?: what the last run made of all others stands"
    )
    parser.add_argument("--go-on", action="store_true", help="where the last run was interrupted, not from the start")
    options = parser.parse_args()
    console = Console()
    os.chdir(ROOT)
    try:
        import mutmut.__main__ as mutmut
        from mutmut.stats import status_by_exit_code
    except ImportError:
        console.print(HOW_TO_GET_IT)
        return 1
    from tests.ota.mutation.operators import install

    install()
    # What it took to get here is not what is tested: that lies in the copy that mutmut makes.
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "benchmarks", "edge_runtime")]:
        del sys.modules[name]
    if not (options.only or options.go_on):
        shutil.rmtree(MUTANTS, ignore_errors=True)
    mutmut.cli.main(["run", "--max-children", str(options.jobs), *options.only], standalone_mode=False)

    unnamable = [name for name in mutmut.collected_test_names() if "\\" in name]
    if unnamable:
        console.print(f"these cannot be asked for by name, so that mutants look found that are not: {unnamable}")
        return 1

    allowed, met, survivors = read_allowed(), set(), 0
    figures: dict[str, dict[str, int]] = {}
    for data in mutmut.collect_source_file_mutation_data(mutant_names=options.only)[1].values():
        ends = {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
        counts: Counter[str] = Counter()
        for name, end in ends.items():
            if end in ("killed", "timeout", "caught by type check"):
                counts["found"] += 1
                continue
            if end == "not checked" and options.only:
                continue
            mutant = mutant_of(name)
            if mutant in allowed:
                met.add(mutant)
                counts["no_test_can"] += 1
                continue
            survivors += 1
            counts["survived"] += 1
            console.print(f"[red]{end}[/] {name}\n  - {mutant.before}\n  + {mutant.after}", highlight=False)
        if ends:
            figures[str(data.path)] = {"mutants": sum(counts.values()), **counts}
    if not options.only:
        for mutant in allowed.keys() - met:
            console.print(f"[red]allowed, but found or gone[/] {mutant}")
            survivors += 1
        record("ota_mutants", figures, console)
    console.print(f"{sum(figure['mutants'] for figure in figures.values())} mutants, {survivors} not accounted for")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
