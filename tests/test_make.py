"""What `make help` tells a newcomer, and how an installation that fails ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_help_begins_with_what_a_newcomer_wants_and_names_the_variables() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE)[:3] == ["demo", "test", "evaluate"]
    for variable in ("ARGS=", "PYTHON=", "EPISODES=", "WORKERS="):
        assert variable in done.stdout


def test_every_verb_is_in_the_help() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    verbs = {verb for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for verb in line.split()}
    assert verbs == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def test_ctrl_c_is_no_error_of_make() -> None:
    command = ["make", "--eval", "waits: ; @$(call interruptible,sleep 60)", "waits"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert "***" not in out + err
    failing = ["make", "--eval", "fails: ; @$(call interruptible,exit 3)", "fails"]
    assert subprocess.run(failing, cwd=ROOT, capture_output=True, timeout=20, check=False).returncode != 0


def test_an_installation_that_fails_ends_with_the_end_of_its_log(tmp_path: Path) -> None:
    """In an environment without pip, which is where any installation fails at once."""
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    command = [python, ROOT / "scripts" / "install.py", "./nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "No module named pip" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the installation failed; all of it is in ")
