"""The package as a user installs it: source archive, wheel, a fresh environment, an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from edge_runtime.config.robot_file import SIM_BUNDLE

ROOT = Path(__file__).parents[2]
_SOURCES = ("edge_runtime", "export_tools", "hub", "jetson")
_FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.py")
_BUILD_SDIST = "import sys, setuptools.build_meta as build; build.build_sdist(sys.argv[1])"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Package:
    """What was built, and an environment that has it and the libraries of this one."""

    source_archive: Path
    wheel: Path
    bin: Path


def run(command: list[object], cwd: Path, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody without this checkout: no path leads to it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    sources = folder / "sources"
    for name in _SOURCES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("*.so", "*.o", "__pycache__"))
    for name in _FILES:
        shutil.copyfile(ROOT / name, sources / name)
    built = folder / "built"
    made = run([sys.executable, "-c", _BUILD_SDIST, built], sources)
    assert made.returncode == 0, made.stderr
    (archive,) = built.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    made = run([*pip, "wheel", *offline, "--wheel-dir", built, archive], folder)
    assert made.returncode == 0, made.stderr
    (wheel,) = built.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # The libraries of this environment; its .pth files, and with them the checkout, are not read from there.
    libraries = next(path for path in sys.path if path.endswith("site-packages") and Path(path, "numpy").is_dir())
    (site / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    made = run([*pip, "--python", environment / "bin" / "python", "install", *offline, wheel], folder)
    assert made.returncode == 0, made.stderr
    return Package(archive, wheel, environment / "bin")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_policy_travels_with_the_wheel_and_with_the_source_archive(package: Package) -> None:
    files = {f"{SIM_BUNDLE.relative_to(ROOT)}/{path.name}" for path in SIM_BUNDLE.iterdir()}
    with zipfile.ZipFile(package.wheel) as wheel:
        assert files <= set(wheel.namelist())
    with tarfile.open(package.source_archive) as archive:
        assert files <= {name.partition("/")[2] for name in archive.getnames()}


def test_the_units_travel_with_the_wheel_and_lie_where_the_guide_copies_them_from(package: Package) -> None:
    environment = package.bin.parent
    units = environment / "share" / "edge-runtime" / "systemd"
    assert {path.name for path in units.iterdir()} == {path.name for path in (ROOT / "jetson" / "systemd").iterdir()}
    guide = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"/opt/edge-runtime/([a-z/-]*[a-z])", guide + "".join(p.read_text() for p in units.iterdir()))
    )
    assert {"bin/edge-runtime", "bin/python", "share/edge-runtime/systemd"} <= named
    assert not [name for name in named if not (environment / name).exists()]


def test_nothing_but_our_three_packages_lies_in_site_packages(package: Package) -> None:
    with zipfile.ZipFile(package.wheel) as wheel:
        top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.startswith("edge_runtime-")} == {"edge_runtime", "export_tools", "hub"}


def test_run_moves_the_simulated_arm_in_an_empty_folder(package: Package, empty: Path) -> None:
    done = run([package.bin / "edge-runtime", "run", "--episodes", "1", "--no-page"], empty)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "1 of 1 episodes" in done.stdout
    assert {path.name for path in empty.iterdir()} == {".run"}


def test_evaluate_works_in_an_empty_folder(package: Package, empty: Path) -> None:
    done = run([package.bin / "edge-runtime", "evaluate", "--episodes", "1", "--json", "result.json"], empty)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert msgspec.json.decode((empty / "result.json").read_bytes())["episodes"] == 1


def test_check_looks_at_the_installed_policy(package: Package, empty: Path) -> None:
    done = run([package.bin / "edge-runtime", "check", "--json"], empty)
    assert done.stderr == ""
    rows = {row["name"]: row for row in msgspec.json.decode(done.stdout)["rows"]}
    for name in ("packages", "native module", "driver", "safety limits", "home posture", "bundle", "drawing"):
        assert rows[name]["level"] == "ok", rows[name]
    assert not list(empty.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        ["edge-runtime"],
        ["edge-runtime", "--version"],
        ["edge-runtime", "claims"],
        ["edge-hub"],
        ["edge-hub", "--version"],
        ["edge-export"],
        ["edge-export", "--version"],
        ["edge-export", "check"],
        ["edge-export", "families"],
    ],
    ids=" ".join,
)
def test_commands_that_need_no_settings_of_ones_own_work_as_installed(
    package: Package, empty: Path, command: list[str]
) -> None:
    done = run([package.bin / command[0], *command[1:]], empty)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout
    assert not list(empty.iterdir())


def test_advice_of_an_installed_package_names_no_folder_that_is_not_there(package: Package, empty: Path) -> None:
    hidden = "import sys; sys.modules['mujoco'] = None; from edge_runtime.cli import main; main()"
    done = run([package.bin / "python", "-c", hidden, "run", "--no-page"], empty)
    assert done.returncode == 1
    assert done.stderr.startswith("error: mujoco is not installed; to install: ")
    assert done.stderr.rstrip().endswith("-m pip install 'mujoco<5,>=3.3'")
