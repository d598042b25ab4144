"""The processor as this process sees it: features, and how many of it may be used."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.policies.processor import _share, allowed, describe, instruction_set_of, threads_for


def test_this_processor_is_described_by_what_the_kernel_lists_too() -> None:
    processor = describe()
    text = Path("/proc/cpuinfo").read_text()
    listed = set(
        text.partition("flags" if platform.machine() == "x86_64" else "Features")[2].partition("\n")[0].split()
    )
    assert set(processor.features) <= listed
    assert processor.name.startswith(platform.machine())
    assert processor.instruction_set in str(processor)
    assert len(processor.digest) == 16


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("avx avx2 avx512f avx512bw avx512_vnni amx_tile amx_int8", "AMX INT8"),
        ("avx avx2 avx512f avx512bw avx512_vnni avx_vnni", "AVX-512 VNNI"),
        ("avx avx2 avx512f avx512bw", "AVX-512 without VNNI"),
        ("avx avx2 avx_vnni", "AVX2 VNNI"),
        ("avx avx2 fma", "AVX2 without VNNI"),
        ("asimd asimddp i8mm", "NEON with 8-bit matrix products"),
        ("asimd asimddp", "NEON with dot product"),
        ("asimd", "NEON without dot product"),
        ("", "riscv64"),
    ],
)
def test_the_instruction_set_is_the_best_for_integers(features: str, expected: str) -> None:
    assert instruction_set_of(features.split(), "riscv64") == expected


def test_threads_follow_the_processors_that_a_process_is_bound_to() -> None:
    one = min(os.sched_getaffinity(0))
    code = "from edge_runtime.policies.processor import allowed, threads_for; print(allowed(), threads_for(64))"
    bound = f"import os; os.sched_setaffinity(0, {{{one}}}); {code}"
    done = subprocess.run([sys.executable, "-c", bound], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
    assert allowed() <= len(os.sched_getaffinity(0))
    assert threads_for(1) == 1


def _groups(tmp_path: Path, memberships: str, files: dict[str, str]) -> float:
    (tmp_path / "cgroup").write_text(memberships)
    for name, text in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return _share(tmp_path / "cgroup", tmp_path / "mounted")


@pytest.mark.parametrize(
    ("memberships", "files", "share"),
    [
        ("0::/robot/engine\n", {"robot/engine/cpu.max": "max 100000\n", "robot/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/robot\n", {}, float("inf")),
        ("0::/robot\n", {"robot/cpu.max": "no number\n"}, float("inf")),
        (
            "3:cpu,cpuacct:/robot\n2:memory:/robot\n",
            {"cpu/robot/cpu.cfs_quota_us": "-1\n", "cpu/robot/cpu.cfs_period_us": "100000\n"},
            float("inf"),
        ),
        (
            "3:cpu,cpuacct:/robot\n",
            {"cpu/robot/cpu.cfs_quota_us": "300000\n", "cpu/robot/cpu.cfs_period_us": "100000\n"},
            3.0,
        ),
    ],
    ids=["above", "root", "none", "garbage", "v1 without", "v1"],
)
def test_the_least_share_of_all_groups_above_holds(
    tmp_path: Path, memberships: str, files: dict[str, str], share: float
) -> None:
    assert _groups(tmp_path, memberships, files) == share
