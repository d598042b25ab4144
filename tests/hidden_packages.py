"""Runs commands as on a machine where packages are not installed, whatever is installed here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

_HIDE = """
import os, sys

class Hidden:
    names = frozenset(os.environ["HIDDEN_PACKAGES"].split(","))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Hidden())
"""


def run_without(
    packages: Collection[str], command: Sequence[str], folder: Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python with the arguments `command`, in `cwd`, and every Python that it starts, without `packages`."""
    (folder / "sitecustomize.py").write_text(_HIDE, encoding="utf-8")
    paths = [str(folder), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HIDDEN_PACKAGES": ",".join(packages)}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
