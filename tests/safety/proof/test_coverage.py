"""Every line and every branch of the kernel's C files is run by the battery, whose answers the reference confirms."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from edge_runtime.native.build import FLAGS
from tests.safety.programs import HERE, INLINE, KERNEL, battery_sources, kernel_sources


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """gcov's reports of the kernel's files after one round of the battery; headers come once per file that has them."""
    if shutil.which("gcov") is None:
        pytest.skip("no gcov: sudo apt-get install gcc")
    folder = tmp_path_factory.mktemp("coverage")
    includes = [f"-I{KERNEL}", f"-I{HERE}", f"-I{HERE / 'proof'}"]
    flags = [flag for flag in FLAGS if flag != "-O3"]
    watched = [
        "gcc",
        *flags,
        "-O0",
        "--coverage",
        *includes,
        "-c",
        *map(str, kernel_sources()),
        str(HERE / "proof/exports.c"),
    ]
    subprocess.run(watched, cwd=folder, check=True)
    subprocess.run(["gcc", *FLAGS, *includes, "-c", *map(str, battery_sources())], cwd=folder, check=True)
    objects = [path.name for path in folder.glob("*.o")]
    subprocess.run(["gcc", "--coverage", *objects, "-lm", "-o", "battery"], cwd=folder, check=True)
    subprocess.run(["./battery"], cwd=folder, check=True)
    data = [path.name for path in folder.glob("*.gcda")]
    told = subprocess.run(
        ["gcov", "--json-format", "--stdout", "-b", *data], cwd=folder, check=True, capture_output=True
    )
    files = [file for line in told.stdout.splitlines() if line for file in json.loads(line)["files"]]
    return [file for file in files if KERNEL in Path(folder, file["file"]).resolve().parents]


def test_every_line_and_branch_is_run(reports: list[dict[str, object]]) -> None:
    lines: dict[tuple[str, int], int] = defaultdict(int)
    branches: dict[tuple[str, int, int], int] = defaultdict(int)
    for file in reports:
        name = Path(str(file["file"])).name
        for line in file["lines"]:  # type: ignore[attr-defined]
            lines[name, line["line_number"]] += line["count"]
            for index, branch in enumerate(line["branches"]):
                branches[name, line["line_number"], index] += branch["count"]
    assert {name for name, _ in lines} == {path.name for path in (*kernel_sources(), *INLINE)}
    assert len(branches) > 500
    assert sorted(place for place, count in lines.items() if count == 0) == []
    assert sorted(place for place, count in branches.items() if count == 0) == []
