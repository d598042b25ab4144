"""The processor that this process runs on: model, the instructions that inference uses, and how much of it there is.

Features are those that the processor reports to the process itself (CPUID through glibc, the auxiliary vector on
aarch64), so that an emulator or a virtual machine is described as what it is. Where glibc is older than that, the
kernel's list stands in.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

_EAX, _EBX, _ECX, _EDX = range(4)
# name: glibc's index of the CPUID leaf (0: leaf 1, 1: leaf 7, 6: leaf 7.1), register, bit. Names as in /proc/cpuinfo.
_X86_BITS = {
    "sse4_1": (0, _ECX, 19),
    "fma": (0, _ECX, 12),
    "f16c": (0, _ECX, 29),
    "avx": (0, _ECX, 28),
    "avx2": (1, _EBX, 5),
    "avx512f": (1, _EBX, 16),
    "avx512dq": (1, _EBX, 17),
    "avx512bw": (1, _EBX, 30),
    "avx512vl": (1, _EBX, 31),
    "avx512_vnni": (1, _ECX, 11),
    "avx512_bf16": (6, _EAX, 5),
    "avx512_fp16": (1, _EDX, 23),
    "avx_vnni": (6, _EAX, 4),
    "amx_tile": (1, _EDX, 24),
    "amx_int8": (1, _EDX, 25),
    "amx_bf16": (1, _EDX, 22),
}
# name: AT_HWCAP (16) or AT_HWCAP2 (26) of the auxiliary vector, bit.
_ARM_BITS = {
    "asimd": (16, 1),
    "asimdhp": (16, 10),
    "asimddp": (16, 20),
    "sve": (16, 22),
    "sve2": (26, 1),
    "i8mm": (26, 13),
    "bf16": (26, 14),
    "sme": (26, 23),
}
_X86_SETS = (
    ("amx_int8", "AMX INT8"),
    ("avx512_vnni", "AVX-512 VNNI"),
    ("avx_vnni", "AVX2 VNNI"),
    ("avx512bw", "AVX-512 without VNNI"),
    ("avx2", "AVX2 without VNNI"),
    ("avx", "AVX"),
)
_ARM_SETS = (
    ("i8mm", "NEON with 8-bit matrix products"),
    ("asimddp", "NEON with dot product"),
    ("asimd", "NEON without dot product"),
)


@dataclass(frozen=True)
class Processor:
    """One processor, as a process sees it.

    Attributes:
        name: architecture and model, as "x86_64 AMD EPYC".
        features: what inference may use of it, sorted, by the names of /proc/cpuinfo: "avx2", "avx512_vnni", "asimddp".
        instruction_set: the one that INT8 products run in, for people, as "AVX-512 VNNI".
        digest: 16 hexadecimal digits of everything that the kernel and the processor say of its features.
    """

    name: str
    features: tuple[str, ...]
    instruction_set: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name} ({self.instruction_set})"


@lru_cache(maxsize=1)
def describe() -> Processor:
    """The processor of this machine."""
    machine = platform.machine()
    words = _words_of(Path("/proc/cpuinfo"))
    listed = (words.get("flags") or words.get("features", "")).split()
    model = words.get("model name") or _arm_model(words)
    features = tuple(sorted(_features(machine, listed)))
    everything = " ".join((machine, *features, *sorted(listed)))
    return Processor(
        name=f"{machine} {model}".strip(),
        features=features,
        instruction_set=instruction_set_of(features, machine),
        digest=sha256(everything.encode()).hexdigest()[:16],
    )


def allowed() -> int:
    """Processors that this process may use at once: those it is bound to, and no more than its share of time."""
    bound = len(os.sched_getaffinity(0))
    share = _share(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return max(1, math.floor(min(bound, share)))


def threads_for(wanted: int) -> int:
    """`wanted`, or as many as there are processors for: more threads than that only wait for each other."""
    return min(wanted, allowed())


def instruction_set_of(features: Iterable[str], machine: str) -> str:
    """What a processor with these features multiplies INT8 in, for people; `machine` where nothing is known."""
    known = set(features)
    return next((text for name, text in (*_X86_SETS, *_ARM_SETS) if name in known), machine)


def _features(machine: str, listed: Iterable[str]) -> set[str]:
    if machine == "x86_64":
        found = _x86_features()
        return set(_X86_BITS) & set(listed) if found is None else found
    if machine == "aarch64":
        auxiliary = ctypes.CDLL(None).getauxval
        auxiliary.restype, auxiliary.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return {name for name, (kind, bit) in _ARM_BITS.items() if auxiliary(kind) >> bit & 1}
    return set()


def _x86_features() -> set[str] | None:
    """None where the C library does not tell (glibc before 2.33, or another one)."""
    try:
        leaf_of = ctypes.CDLL(None)["__x86_get_cpuid_feature_leaf"]
    except AttributeError:
        return None
    # Four registers as the processor gives them, and again with what the system does not let a process use taken out.
    leaf_of.restype, leaf_of.argtypes = ctypes.POINTER(ctypes.c_uint32 * 8), [ctypes.c_uint]
    leaves = {index: leaf_of(index).contents for index, _, _ in _X86_BITS.values()}
    return {name for name, (index, register, bit) in _X86_BITS.items() if leaves[index][4 + register] >> bit & 1}


def _words_of(path: Path) -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is none."""
    words: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return words
    for line in lines:
        name, _, value = line.partition(":")
        words.setdefault(name.strip().lower(), value.strip())
    return words


def _arm_model(words: dict[str, str]) -> str:
    return " ".join(f"{part} {words[f'cpu {part}']}" for part in ("implementer", "part") if f"cpu {part}" in words)


def _share(memberships: Path, mounted: Path) -> float:
    """Processors' worth of time that the groups of this process may use, of both versions; infinite without a limit."""
    try:
        lines = memberships.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    shares = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            shares += (_quota(_read(folder / "cpu.max")) for folder in _upwards(mounted, path))
        elif "cpu" in controllers.split(","):
            for folder in _upwards(mounted / "cpu", path):
                quota, period = (_read(folder / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
                shares.append(_quota(f"{quota} {period}"))
    return min(shares)


def _upwards(mounted: Path, path: str) -> list[Path]:
    """The group's folder and all above it: the least of their limits holds."""
    folder = mounted / path.strip("/")
    return [folder, *(above for above in folder.parents if above == mounted or mounted in above.parents)]


def _quota(text: str) -> float:
    """Of "200000 100000", microseconds in each period; "max" and -1 are no limit, as is what can't be read."""
    try:
        quota, period = (int(word) for word in text.split())
    except ValueError:
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
