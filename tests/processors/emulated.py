"""Other processors than this machine's, by qemu's user mode: x86-64 without VNNI, and aarch64.

An x86-64 runs this very interpreter. aarch64 needs a system of its own: the Python of this machine's release is
downloaded with apt and unpacked, wheels come with pip, the C module is built with the cross compiler. That is made once
and kept in `build/processors`; this project's own code is copied there anew each time.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.native import build

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "processors"

DEBIAN_PACKAGES = ("python3", "libpython3-dev", "libstdc++6")
# The onnxruntime of JetPack 6's Python; from 1.24 on it ends at import under qemu 7.2.
WHEELS = ("onnxruntime==1.23.2", "numpy", "msgspec", "opencv-python-headless", "cffi")
WHEEL_PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{glibc}_aarch64" for glibc in (28, 27, 26, 24, 17)))
_DOWNLOAD_S, _BUILD_S = 600, 300


class UnavailableError(Exception):
    """A processor that can't be had on this machine, and what is missing."""


@dataclass(frozen=True)
class Emulated:
    """One processor: `command` runs Python on it, in `folder`, which is this project."""

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, timeout_s: float = 500.0) -> str:
        """What Python prints there with these arguments. It gives way to whatever else is held to times.

        Raises:
            RuntimeError: it failed; has its words.
        """
        done = subprocess.run(
            ["nice", *self.command, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"{self.name}: {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}"
            )
        return done.stdout


def this_processor() -> Emulated:
    """The one that this runs on."""
    return Emulated("this machine", (sys.executable,), environment={"PYTHONPATH": str(ROOT)})


def x86_without_vnni() -> Emulated:
    """An x86-64 with AVX2, as AMD's before Zen 4 and Intel's before Cascade Lake.

    Raises:
        UnavailableError: this machine is none itself, or qemu is missing.
    """
    if platform.machine() != "x86_64":
        raise UnavailableError(f"an emulated x86-64 needs a machine that is one, this is {platform.machine()}")
    command = (_tool("qemu-x86_64", "qemu-user"), "-cpu", "max", sys.executable)
    return Emulated("x86-64 without VNNI", command, environment={"PYTHONPATH": str(ROOT)})


def arm(model: str = "cortex-a76") -> Emulated:
    """An aarch64 of qemu's models. A Jetson Orin's Cortex-A78AE has the instructions of a Cortex-A76.

    Raises:
        UnavailableError: something that it is made from can't be had; says what.
    """
    qemu = _tool("qemu-aarch64", "qemu-user")
    system = _system()
    project = _project(system)
    return Emulated(
        f"aarch64 {model}",
        (qemu, "-cpu", model, "-L", str(system / "root"), str(system / "root/usr/bin/python3")),
        folder=project,
        # The Python that was unpacked there was never compiled: once, and not at each start, on a processor so slow.
        environment={
            "PYTHONPATH": f"{project}:{system / 'site'}",
            "PYTHONPYCACHEPREFIX": str(system / "bytecode"),
            "PYTHONDONTWRITEBYTECODE": "",
        },
    )


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(f"{name} is missing: sudo apt-get install {package}")
    return found


@functools.cache
def _system() -> Path:
    """Folder with `root`, a Debian or Ubuntu of this machine's release for aarch64, and `site`, its wheels."""
    release = platform.freedesktop_os_release()
    recipe = repr((DEBIAN_PACKAGES, WHEELS, WHEEL_PLATFORMS))
    name = f"arm64-{release.get('VERSION_CODENAME', 'unknown')}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not (KEPT / name).exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=KEPT) as scratch:
            made = Path(scratch) / name
            _unpack_packages(made / "root", Path(scratch) / "apt", release)
            _install_wheels(made / "site", made / "root")
            made.rename(KEPT / name)
    return KEPT / name


def _unpack_packages(root: Path, apt: Path, release: dict[str, str]) -> None:
    """Download with apt as if this were an aarch64 with nothing installed: neither this system nor its lists change."""
    for folder in (root, apt / "lists/partial", apt / "archives/partial"):
        folder.mkdir(parents=True)
    (apt / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
    }
    if release.get("ID") == "ubuntu" and platform.machine() != "aarch64":
        # Ubuntu has aarch64 on another server than x86-64.
        sources = apt / "sources.list"
        suites = (f"{release['VERSION_CODENAME']}{pocket}" for pocket in ("", "-updates", "-security"))
        key = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
        line = f"deb [signed-by={key}] http://ports.ubuntu.com/ubuntu-ports"
        sources.write_text("".join(f"{line} {suite} main universe\n" for suite in suites))
        options |= {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null"}
    get = [_tool("apt-get", "apt"), *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    _do([*get, "update", "-qq"], _DOWNLOAD_S)
    _do([*get, "install", "-y", "-qq", "--no-install-recommends", "--download-only", *DEBIAN_PACKAGES], _DOWNLOAD_S)
    for package in sorted((apt / "archives").glob("*.deb")):
        _do([_tool("dpkg-deb", "dpkg"), "-x", str(package), str(root)], _DOWNLOAD_S)


def _install_wheels(site: Path, root: Path) -> None:
    version = (root / "usr/bin/python3").resolve().name.removeprefix("python")
    platforms = (part for name in WHEEL_PLATFORMS for part in ("--platform", name))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(site)]
    _do([*pip, *platforms, "--python-version", version, *WHEELS], _DOWNLOAD_S)


def _project(system: Path) -> Path:
    """This project's code as it is now, with the C module for aarch64."""
    project = system / "project"
    shutil.rmtree(project, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "edge_runtime", project / "edge_runtime", ignore=ignored)
    for name in ("tests",):
        (project / name).symlink_to(ROOT / name)
    shutil.copy(_native_module(system), project / "edge_runtime" / "_native.abi3.so")
    return project


@functools.cache
def _native_module(system: Path) -> Path:
    compiler = _tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    sources = [ROOT / "edge_runtime" / name for name in build.SOURCES]
    headers = [ROOT / "edge_runtime" / name for name in (*build.HEADERS, *build.PRIVATE)]
    digest = hashlib.sha256()
    for path in (Path(build.__file__), *sources, *headers):
        digest.update(path.read_bytes())
    module = system / f"native-{digest.hexdigest()[:16]}.so"
    if not module.exists():
        with tempfile.TemporaryDirectory(prefix="native-", dir=KEPT) as scratch:
            bindings, made = Path(scratch) / "_native.c", Path(scratch) / module.name
            build.builder().emit_c_code(str(bindings))
            python = next((system / "root/usr/include").glob("python3.*"))
            folders = {header.parent for header in headers} | {python, python.parent}
            includes = [f"-I{folder}" for folder in sorted(folders)]
            flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-DPy_LIMITED_API"]
            command = [compiler, *flags, *includes, str(bindings), *map(str, sources), "-o", str(made), "-lm"]
            _do(command, _BUILD_S)
            made.rename(module)
    return module


def _do(command: list[str], timeout_s: float) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{name} has not ended after {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise UnavailableError(f"{name} failed: {(done.stderr or done.stdout).strip()[-600:]}")
