"""Runs the tests with what pyproject.toml allows at both ends: the lowest versions of all it names, and the newest.

``python -m scripts.bounds`` (`make bounds`) makes an environment of each in build/bounds/, in a copy of what git knows
of this checkout, with every supported Python that is on this machine. In each one everything is imported, a hub serves,
one episode runs in virtual time, and tests pass: by default those of the rooms that stand on libraries, with
``--tests tests`` all of them. What only holds on an idle machine is left out. Known vulnerabilities are asked of
pip-audit, where its database can be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bounds"
PYTHONS = ("3.10", "3.11", "3.12")
ENDS = {"lowest": "lowest-direct", "newest": "highest"}
EXTRAS = "language,sim,hub,export,plot,dev"
TESTS = (
    "tests/contracts",
    "tests/storage",
    "tests/bundles",
    "tests/releases",
    "tests/policies",
    "tests/engine",
    "tests/drivers",
    "tests/export_tools/test_graph_notes.py",
    "tests/export_tools/test_pack.py",
    "tests/ota/test_trust.py",
    "tests/ota/test_transport.py",
    "tests/hub/test_database.py",
    "tests/hub/test_publish.py",
    "tests/hub/test_server.py",
    "tests/cli/test_replay.py",
)
"""Every library that is named in pyproject.toml works in one of them."""
_MARKS = "not realtime and not emulated and not gpio_chip and not gpu"
_IMPORTS = """
import importlib.util, pkgutil
for package in ("edge_runtime", "hub", *(["export_tools"] if importlib.util.find_spec("torch") else [])):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        # Those that are programs, not libraries.
        if not module.name.endswith((".__main__", ".native.build", ".migrations.env")):
            importlib.import_module(module.name)
"""
_SERVES_S = 30.0


class StepError(Exception):
    """A step that did not work, with what it said."""


def main() -> int:
    """All environments, or those asked for; 1 if one of them does not start or has a known hole."""
    parser = argparse.ArgumentParser(prog="make bounds", description=__doc__)
    parser.add_argument("--end", choices=tuple(ENDS), action="append", help="only this end (default: both)")
    parser.add_argument("--python", action="append", metavar="VERSION", help=f"only this one (default: {PYTHONS})")
    parser.add_argument("--extras", default=EXTRAS, help=f"what is installed (default: {EXTRAS})")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help="what is run (default: see above)")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv, audit = _tools()
    problems = 0
    for version in options.python or PYTHONS:
        python = _found(uv, version)
        if python is None:
            print(f"Python {version}: not on this machine, not tried")
            continue
        for end in options.end or ENDS:
            problems += _tried(uv, audit, python, f"{version}-{end}", ENDS[end], options.extras, options.tests)
    return 1 if problems else 0


def _tried(uv: Path, audit: Path, python: str, name: str, resolution: str, extras: str, tests: Sequence[str]) -> int:
    """Make one environment and start everything in it; how many steps failed."""
    folder = FOLDER / name
    here, checkout = folder / "bin" / "python", folder / "checkout"

    def install() -> str:
        _run([uv, "venv", "--quiet", "--no-python-downloads", "--seed", "--python", python, folder])
        _copy_checkout(checkout)
        if torch := _torch(extras):
            # By pip, which may have a smaller build at hand than uv finds.
            _run([here, "-m", "pip", "install", "--quiet", torch])
        what = ["--resolution", resolution, "--editable", f"{checkout}[{extras}]"]
        _run([uv, "pip", "install", "--quiet", "--python", here, *what])
        return f"{len(_run([uv, 'pip', 'freeze', '--python', here]).splitlines())} packages"

    def tested() -> str:
        side_by_side = ["-n", "2", "--dist", "loadfile"]
        said = _run([here, "-m", "pytest", "-p", "no:cacheprovider", *side_by_side, "-m", _MARKS, *tests], checkout)
        return said.rstrip().splitlines()[-1]

    def audited() -> str:
        return _audit(audit, _run([uv, "pip", "freeze", "--exclude-editable", "--python", here]), folder)

    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("installed", install),
        ("all imported", lambda: _run([here, "-c", _IMPORTS], folder)),
        ("a hub serves", lambda: _served(folder)),
        ("an episode runs", lambda: _run([folder / "bin" / "edge-runtime", "evaluate", "--episodes", "1"], folder)),
        ("tests", tested),
        ("no known hole", audited),
    )
    for step, work in steps:
        started_s = time.monotonic()
        try:
            said = work()
        except StepError as error:
            print(f"{name}: {step}: FAILED\n{error}", flush=True)
            return 1
        detail = f" ({said})" if step in ("installed", "tests", "no known hole") else ""
        print(f"{name}: {step}{detail}, {time.monotonic() - started_s:.0f} s", flush=True)
    return 0


def _served(folder: Path) -> str:
    hub = folder / "bin" / "edge-hub"
    _run([hub, "init", "hub"], folder)
    with subprocess.Popen(
        [hub, "serve", "hub", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = ""
            for line in server.stdout:
                said += line
                if "http://" in line:
                    url = line[line.index("http://") :].split()[0]
                    with urllib.request.urlopen(f"{url}/health", timeout=_SERVES_S) as answer:
                        return str(answer.read().decode())
            raise StepError(said)
        except OSError as error:
            raise StepError(str(error)) from error
        finally:
            server.terminate()


def _audit(audit: Path, frozen: str, folder: Path) -> str:
    """What pip-audit says of these versions; says so where it could not find out."""
    named = [line for line in frozen.splitlines() if "==" in line]
    requirements = folder / "frozen.txt"
    requirements.write_text("\n".join(named) + "\n", encoding="utf-8")
    command = [audit, "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "-r", requirements]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return "not asked: pip-audit's database can't be reached from here"
    skipped = [entry["name"] for entry in found if "skip_reason" in entry]
    holes = [f"{entry['name']} {entry['version']}: {hole['id']}" for entry in found for hole in entry.get("vulns", ())]
    if holes:
        raise StepError("\n".join(holes))
    if len(skipped) == len(found):
        return "not asked: pip-audit's database can't be reached from here"
    return f"{len(found) - len(skipped)} packages asked for, {len(skipped)} unknown to the database"


def _copy_checkout(place: Path) -> None:
    """What git knows of this checkout, so that nothing that was built in it is used."""
    for name in filter(None, _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    # Some tests ask git which files are ours.
    _run(["git", "init", "--quiet"], place)
    _run(["git", "add", "--all"], place)


def _torch(extras: str) -> str | None:
    """What `extras` ask of torch."""
    if "export" not in extras.split(","):
        return None
    found = re.search(r'"(torch[=<>][^"]*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found and found[1]


def _tools() -> tuple[Path, Path]:
    tools = FOLDER / "tools"
    _run([sys.executable, "-m", "venv", tools])
    _run([tools / "bin" / "python", "-m", "pip", "install", "--quiet", "uv", "pip-audit"])
    return tools / "bin" / "uv", tools / "bin" / "pip-audit"


def _found(uv: Path, version: str) -> str | None:
    try:
        return _run([uv, "python", "find", "--no-python-downloads", version]).strip()
    except StepError:
        # Where pyenv keeps those that are not on the path.
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        return str(kept[-1]) if kept else None


def _run(command: list[object], cwd: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | {"UV_LINK_MODE": "copy"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        raise StepError("\n".join((done.stdout + done.stderr).splitlines()[-20:]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
