"""Starts what pyproject.toml allows at both ends: the lowest versions of all it names, and the newest.

``python -m scripts.bounds`` (`make bounds`) makes an environment of each in build/bounds/, with every supported Python
that is on this machine. In each one everything is imported, a hub serves, one episode runs in virtual time, and the
tests of the contracts pass. Known vulnerabilities are asked of pip-audit, where its database can be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bounds"
PYTHONS = ("3.10", "3.11", "3.12")
ENDS = {"lowest": "lowest-direct", "newest": "highest"}
EXTRAS = "robot,sim,hub,plot"
_TEST_TOOLS = ("hypothesis", "pytest", "pytest-timeout")
_SOURCES = ("edge_runtime", "export_tools", "hub", "jetson")
_FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.py")
_IMPORTS = """
import importlib, pkgutil
for package in ("edge_runtime", "hub"):
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
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv, audit = _tools()
    sources = _sources()
    problems = 0
    for version in options.python or PYTHONS:
        python = _found(uv, version)
        if python is None:
            print(f"Python {version}: not on this machine, not tried")
            continue
        for end in options.end or ENDS:
            problems += _tried(uv, audit, python, f"{version}-{end}", ENDS[end], f"{sources}[{options.extras}]")
    return 1 if problems else 0


def _tried(uv: Path, audit: Path, python: str, name: str, resolution: str, what: str) -> int:
    """Make one environment and start everything in it; how many steps failed."""
    folder = FOLDER / name
    here = folder / "bin" / "python"

    def install() -> str:
        _run([uv, "venv", "--quiet", "--no-python-downloads", "--python", python, folder])
        _run([uv, "pip", "install", "--quiet", "--python", here, "--resolution", resolution, what])
        _run([uv, "pip", "install", "--quiet", "--python", here, *_TEST_TOOLS])
        return f"{len(_run([uv, 'pip', 'freeze', '--python', here]).splitlines())} packages"

    def contract_tests() -> str:
        # From this checkout, with the libraries of that environment.
        return _run([here, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "tests" / "contracts"], ROOT)

    def audited() -> str:
        return _audit(audit, _run([uv, "pip", "freeze", "--exclude-editable", "--python", here]), folder)

    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("installed", install),
        ("all imported", lambda: _run([here, "-c", _IMPORTS], folder)),
        ("a hub serves", lambda: _served(folder)),
        ("an episode runs", lambda: _run([folder / "bin" / "edge-runtime", "evaluate", "--episodes", "1"], folder)),
        ("contracts hold", contract_tests),
        ("no known hole", audited),
    )
    for step, work in steps:
        started_s = time.monotonic()
        try:
            said = work()
        except StepError as error:
            print(f"{name}: {step}: FAILED\n{error}", flush=True)
            return 1
        detail = f" ({said})" if step in ("installed", "no known hole") else ""
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


def _sources() -> Path:
    """The sources without what was built in them, so that nothing of this checkout's own build is packed."""
    sources = FOLDER / "sources"
    for name in _SOURCES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("*.so", "*.o", "__pycache__"))
    for name in _FILES:
        shutil.copyfile(ROOT / name, sources / name)
    return sources


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
