"""``python scripts/install.py WHAT``: pip installs it, editable, and a line every few seconds says how far it is.

What pip and the build say in full lies in install.log beside the interpreter's environment; its end is shown where the
installation fails.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

_EVERY_S = 5.0
_TAIL_LINES = 25
_WIDTH = 100


def main() -> int:
    """Install `sys.argv[1]`; pip's exit code."""
    log = Path(sys.prefix) / "install.log"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    started_s = time.monotonic()
    told_s = started_s
    with log.open("wb") as output:
        pip = subprocess.Popen([*command, "--editable", sys.argv[1]], stdout=output, stderr=subprocess.STDOUT)
        try:
            while pip.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - told_s >= _EVERY_S:
                    told_s = time.monotonic()
                    print(f"  {told_s - started_s:4.0f} s  {_last_line(log)}", flush=True)
        except KeyboardInterrupt:
            pip.wait()
            return 130
    if pip.returncode:
        print("\n".join(_lines(log)[-_TAIL_LINES:]), file=sys.stderr)
        print(f"error: the installation failed; all of it is in {log}", file=sys.stderr)
    return pip.returncode


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _last_line(log: Path) -> str:
    return next((line.strip()[:_WIDTH] for line in reversed(_lines(log)) if line.strip()), "pip starts")


if __name__ == "__main__":
    sys.exit(main())
