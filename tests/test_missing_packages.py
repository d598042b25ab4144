"""A package that is not installed is one line for a person: its name, and a command that installs it as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge_runtime.contracts.installation import explain, is_there, not_installed
from tests.hidden_packages import run_without

ROOT = Path(__file__).parents[1]
PROJECT = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
IMPORTS = {"cuda-python": "cuda", "opencv-python-headless": "cv2", "import-linter": "importlinter"}
FOR_DEVELOPERS = ("dev", "mutation")

EDGE_RUNTIME = ("-c", "from edge_runtime.cli import main; main()")
EDGE_HUB = ("-m", "hub")
EDGE_EXPORT = ("-m", "export_tools")


def imports_of(extra: str) -> set[str]:
    """Import names of what `pip install '.[extra]'` brings."""
    names: set[str] = set()
    for line in EXTRAS[extra]:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        inside = re.match(r"edge-runtime\[(.*)\]", line)
        if inside:
            names = names.union(*(imports_of(inner.strip()) for inner in inside[1].split(",")))
        elif name:
            names.add(IMPORTS.get(name[0], name[0].replace("-", "_")))
    return names


OPTIONAL = sorted(
    set().union(*(imports_of(extra) for extra in EXTRAS if extra not in FOR_DEVELOPERS)) | {"psutil", "tensorrt"}
)


def require_advice(done: subprocess.CompletedProcess[str], hidden: set[str]) -> None:
    """One line on stderr that names packages which are hidden, and extras which bring them."""
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    advised = re.fullmatch(
        r"(?:error: |no Ruckig to compare with: )(?:--plot: )?(.*) (?:is|are) not installed; "
        r"to install: (\S+) -m pip install -e '(.*)\[([a-z,]+)\]'\n",
        done.stderr,
    )
    assert advised is not None, done.stderr
    named, python, where, extras = advised[1].split(", "), advised[2], advised[3], advised[4].split(",")
    assert (ROOT / python).resolve() == Path(sys.executable).resolve()
    assert (ROOT / where).resolve() == ROOT, "the folder of the sources, not a name on an index"
    assert hidden & set(named)
    assert set(named) <= set().union(*(imports_of(extra) for extra in extras))


def benchmarks() -> list[str]:
    """All that are started with `python -m`."""
    modules = [path for path in sorted((ROOT / "benchmarks").rglob("*.py")) if "__name__ ==" in path.read_text("utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in modules]


NEED_EVERYTHING = (
    (*EDGE_RUNTIME, "run"),
    (*EDGE_RUNTIME, "evaluate", "--episodes", "1"),
    (*EDGE_HUB,),
    (*EDGE_HUB, "init", "nowhere"),
    (*EDGE_HUB, "serve", "nowhere"),
    (*EDGE_HUB, "status", "nowhere"),
    (*EDGE_EXPORT, "check"),
    (*EDGE_EXPORT, "build", "pocket_vla"),
    (*EDGE_EXPORT, "export"),
    ("-m", "scripts.demo"),
)


@pytest.mark.parametrize("command", NEED_EVERYTHING, ids=lambda command: " ".join(command[1:]))
def test_a_command_without_any_optional_package_names_what_installs_them(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    require_advice(run_without(OPTIONAL, command, tmp_path, ROOT), set(OPTIONAL))


@pytest.mark.parametrize("module", benchmarks())
def test_a_benchmark_without_any_optional_package_is_one_line_or_works(module: str, tmp_path: Path) -> None:
    # As far as `python -m` comes before it begins to measure, which some of them do for minutes.
    starts = f"import sys; sys.argv[0] = '-m'; import {module}"
    done = run_without(OPTIONAL, ("-c", starts), tmp_path, ROOT)
    if done.returncode:
        require_advice(done, set(OPTIONAL))


NEEDS = (
    ("cv2", (*EDGE_RUNTIME, "run")),
    ("onnxruntime", (*EDGE_RUNTIME, "run", "--episodes", "1", "--no-page")),
    ("mujoco", (*EDGE_RUNTIME, "run", "--episodes", "1", "--no-page")),
    ("mujoco", (*EDGE_RUNTIME, "evaluate", "--episodes", "1")),
    ("onnxruntime", (*EDGE_RUNTIME, "evaluate", "--episodes", "1")),
    ("mujoco", (*EDGE_RUNTIME, "kinematics", "edge_runtime/drivers/sim/world.xml", "-o", "/dev/null")),
    ("onnxruntime", (*EDGE_EXPORT, "check")),
    ("onnx", (*EDGE_EXPORT, "export", "--out", "/dev/null")),
    ("torch", (*EDGE_EXPORT, "build", "--observations", "1")),
    ("zstandard", (*EDGE_EXPORT, "pack", "edge_runtime/drivers/sim/bundles/pocket_vla", "-o", "/dev/null")),
    ("securesystemslib", (*EDGE_EXPORT, "sign", "x", "--key", "k", "--metadata", "m", "-o", "o")),
    ("fastapi", (*EDGE_HUB, "serve", "nowhere")),
    ("sqlalchemy", (*EDGE_HUB, "init", "nowhere")),
    ("tuf", (*EDGE_HUB, "show", "nowhere")),
    ("psutil", ("-m", "benchmarks.runtime")),
    ("torch", ("-m", "benchmarks.inference")),
    ("cv2", ("-m", "edge_runtime.engine")),
    ("onnxruntime", ("-m", "edge_runtime.engine")),
)


@pytest.mark.parametrize(("package", "command"), NEEDS, ids=[f"{p} {' '.join(c[1:])}" for p, c in NEEDS])
def test_a_command_without_a_package_that_it_needs_names_it(
    package: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    require_advice(run_without([package], command, tmp_path, ROOT), {package})


@pytest.mark.parametrize(
    "command",
    [
        (*EDGE_RUNTIME, "--version"),
        (*EDGE_RUNTIME,),
        (*EDGE_RUNTIME, "claims"),
        (*EDGE_RUNTIME, "monitor", "--seconds", "0.1"),
        (*EDGE_RUNTIME, "operator", "status", "--run-dir", "nowhere"),
        (*EDGE_RUNTIME, "kinematics", "nowhere.urdf"),
        (*EDGE_EXPORT, "--version"),
        (*EDGE_EXPORT, "--help"),
        (*EDGE_EXPORT, "build", "pocket_vla", "--help"),
        (*EDGE_EXPORT, "families"),
    ],
    ids=lambda command: " ".join(command[1:]),
)
def test_what_needs_no_optional_package_works_without(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run_without(OPTIONAL, command, tmp_path, tmp_path)
    assert "installed" not in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("\n") <= 1


@pytest.mark.parametrize("package", ["msgspec", "numpy", "zmq", "rich"])
@pytest.mark.parametrize("command", [("check",), ("operator", "status")])
def test_a_package_that_everything_needs_is_one_line_too(
    package: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    starts = "from edge_runtime.entry import main; main()"
    done = run_without([package], ("-c", starts, *command), tmp_path, ROOT)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 1
    if package in ("msgspec", "zmq"):
        assert done.stderr.startswith(f"error: {package} is not installed; to install: ")


@pytest.mark.parametrize("hidden", [OPTIONAL, ["mujoco"], ["onnxruntime"], ["cv2"]], ids=["all", "sim", "ort", "cv2"])
def test_check_is_not_fit_without_what_the_robot_needs_and_says_what_installs_it(
    hidden: list[str], tmp_path: Path
) -> None:
    done = run_without(hidden, (*EDGE_RUNTIME, "check", "--json"), tmp_path, ROOT)
    assert (done.returncode, done.stderr) == (1, "")
    report = msgspec.json.decode(done.stdout)
    (row,) = (row for row in report["rows"] if row["name"] == "packages")
    assert row["level"] == "fail"
    extras = re.search(r"\[([a-z,]+)\]", row["command"])
    assert extras is not None
    assert set(hidden) & set().union(*(imports_of(extra) for extra in extras[1].split(",")))


def test_the_backend_of_a_jetson_is_looked_for_before_anything_starts(tmp_path: Path) -> None:
    config = ROOT / "edge_runtime" / "drivers" / "sim" / "config"
    for source in config.glob("*.toml"):
        text = source.read_text("utf-8").replace('"../bundles', f'"{config.parent}/bundles')
        (tmp_path / source.name).write_text(text.replace("[engine]", '[engine]\nbackend = "tensorrt"'), "utf-8")
    hidden = ["cuda", "tensorrt"]
    command = (*EDGE_RUNTIME, "run", "--config", str(tmp_path / "robot.toml"), "--no-page")
    done = run_without(hidden, command, tmp_path, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cuda, tensorrt are not installed" in done.stderr
    assert "[jetson]'" in done.stderr
    assert "TensorRT comes with JetPack" in done.stderr


def test_no_text_of_this_project_tells_anybody_to_fetch_it_from_an_index() -> None:
    paths = [ROOT / "README.md", ROOT / "Makefile"]
    for folder in ("benchmarks", "docs", "edge_runtime", "export_tools", "hub", "jetson", "scripts"):
        paths += [
            path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".sh", ".toml", ".service")
        ]
    for path in paths:
        assert not re.search(r"pip3? install[^\n]*[ '\"]edge[-_]runtime(\[|['\" ]|$)", path.read_text("utf-8")), path


def test_extras_that_the_guides_name_are_there() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        for named in re.findall(r"pip install[^`\n]*?'\.\[([a-z,]+)\]'", path.read_text("utf-8")):
            assert set(named.split(",")) <= set(EXTRAS), path


def test_an_import_error_of_another_kind_is_passed_on_in_one_line() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file:\n No such file", name="cv2")
    assert explain(error) == "libGL.so.1: cannot open shared object file: No such file"


def test_a_package_that_is_always_needed_is_installed_with_the_project() -> None:
    assert re.search(r"pip install -e \S+$", str(not_installed(["zmq"])))
    assert is_there("zmq")
    assert not is_there("surely_not_a_package")
