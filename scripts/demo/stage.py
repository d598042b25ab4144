"""What stands around the robot in the demo: folders, a hub that serves, and commands as a person would type them.

Guarantees that no command and no server outlives the demo, and that only folders it made itself are removed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from edge_runtime.cli.launch import guarded
from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.errors import ProcessError
from edge_runtime.contracts.installation import missing, not_installed

ROBOT, HARDWARE = "arm-1", "sim_arm"
_MARK = "MADE_BY_MAKE_DEMO"
_MODULES = {"edge-hub": "hub", "edge-export": "export_tools"}
_EXTRAS = ("robot", "sim", "hub")
_NEEDED_MB = 150
_END_S = 5.0
_SERVES_S = 60.0
_URL = re.compile(r" on (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
_HEX = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


class Command:
    """One command, under way or done. `words` are what a person types; the program is that of this installation."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        self.words = tuple(words)
        self._log = log
        program, *arguments = words
        if program in _MODULES:
            arguments = ["-m", _MODULES[program], *arguments]
        try:
            with log.open("wb") as out:
                self._popen = subprocess.Popen(
                    guarded(["-u", *arguments]),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    # A line that is repeated on screen is one that was not folded before.
                    env={**os.environ, "COLUMNS": "1000"},
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(f"{program}: {error.strerror}") from error

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def last_words(self) -> str:
        """Its last line."""
        return "".join(self.output.strip().splitlines()[-1:])

    def end(self) -> None:
        """End it if it runs."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait(_END_S)


class Stage:
    """Below `folder`, which is made anew: what an earlier demo left there goes first.

    Raises:
        ProcessError: there is something there that no demo has made, or too little space.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commands: list[Command] = []
        if folder.exists() and not (folder / _MARK).exists():
            raise ProcessError(f"{folder} is there, and no demo has made it; use another --run-dir")
        folder.mkdir(parents=True, exist_ok=True)
        # The mark stays while the rest goes: whoever is interrupted in between can begin again.
        (folder / _MARK).touch()
        for left in folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != _MARK:
                left.unlink()
        free_mb = shutil.disk_usage(folder).free // 1_000_000
        if free_mb < _NEEDED_MB:
            raise ProcessError(f"{folder} has {free_mb} MB left, the demo needs {_NEEDED_MB}; use another --run-dir")
        (folder / "logs").mkdir()

    @property
    def hub(self) -> Path:
        """The hub's folder."""
        return self.folder / "hub"

    @property
    def packed(self) -> Path:
        """What the exporter has packed."""
        return self.folder / "packed"

    def start(self, words: Sequence[str]) -> Command:
        """Start a command."""
        name = re.sub(r"[^a-z]+", "-", " ".join(words[:2]).lower())
        command = Command(words, self.folder / "logs" / f"{len(self._commands):02d}-{name}.log")
        self._commands.append(command)
        return command

    def releases(self) -> set[Path]:
        """The manifests of what was packed so far."""
        return set(self.packed.glob("bundles/*/*.json"))

    def write_config(self, url: str) -> Path:
        """`robot.toml` of the simulated arm, with updates from `url`; its path."""
        folder = SIM_CONFIG.resolve().parent
        text = re.sub(
            r'^(embodiment|safety|bundle) = "(.*)"$',
            lambda line: f'{line[1]} = "{(folder / line[2]).resolve()}"',
            SIM_CONFIG.read_text(),
            flags=re.MULTILINE,
        )
        path = self.folder / "robot.toml"
        path.write_text(
            f"""{text}
# A real robot asks every quarter of an hour, and has a bundle on trial for longer: see docs/guides/ota_robot.md.
[ota]
robot_id = "{ROBOT}"
hardware = "{HARDWARE}"
image_url = "{url}/image"
director_url = "{url}/director/robots"
image_root = "hub/robot/image.root.json"
director_root = "hub/robot/director.root.json"
report_url = "{url}"
robot_key = "keys/{ROBOT}.key"
store = "store"
check_interval_s = 2.0
rate_bytes_s = 4000000.0
activate = "in_motion"

[ota.probation]
episodes_min = 3
active_min_s = 3.0
failures_ahead = 3
"""
        )
        return path

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for command in reversed(self._commands):
            command.end()


def url_of(server: Command) -> str:
    """Where a hub that was just started serves, once it does.

    Raises:
        ProcessError: it has ended, or does not begin.
    """
    deadline_s = time.monotonic() + _SERVES_S
    while time.monotonic() < deadline_s:
        ended = server.code is not None
        found = _URL.search(server.output)
        if found:
            return found[1]
        if ended:
            raise ProcessError(f"edge-hub serve ended: {server.last_words}")
        time.sleep(0.05)
    raise ProcessError(f"edge-hub serve does not serve after {_SERVES_S:.0f} s: {server.last_words}")


def shortened(text: str) -> str:
    """`text` with every SHA-256 cut to its first eight digits, for the screen."""
    return _HEX.sub(r"\1…", text)


def said(text: str) -> RenderableType:
    """A sentence of the demo's own, wrapped between words."""
    return Padding(Text(text, style="italic"), (0, 0, 0, 3), expand=False)


def require_tools() -> None:
    """Find out that something is missing before anything moves.

    Raises:
        MissingPackageError: names it, and the command that installs it.
    """
    absent = missing(*_EXTRAS)
    if absent:
        raise not_installed(absent, _EXTRAS)
