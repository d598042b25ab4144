"""docs/guides/bring_up.md, command by command: from a URDF to a robot that moves, with no file edited."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.commissioning.answers import Answers, answers_toml
from edge_runtime.config.robot_file import load_config

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "bring_up.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```bash\n(.*?)```", GUIDE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
EDGE_RUNTIME = Path(sys.executable).with_name("edge-runtime")


class Terminal:
    """A person who follows the guide in one folder; what does not end by itself goes on in another terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def type(self, words: list[str]) -> str:
        assert words[0] == "edge-runtime", words
        command = [str(EDGE_RUNTIME), *words[1:]]
        if words[1] == "run":
            log = (self.folder / "run.log").open("w", encoding="utf-8")
            self.running.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, text=True))
            self.wait_for_a_robot()
            return ""
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def wait_for_a_robot(self) -> None:
        deadline_s = time.monotonic() + 30.0
        while time.monotonic() < deadline_s:
            status = subprocess.run(
                [str(EDGE_RUNTIME), "operator", "status"], cwd=self.folder, capture_output=True, text=True, timeout=30
            )
            if "ready" in status.stdout:
                return
            time.sleep(0.3)
        pytest.fail((self.folder / "run.log").read_text(encoding="utf-8"))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    # The guide's paths are those of a checkout.
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    terminal = Terminal(tmp_path)
    yield terminal
    for process in terminal.running:
        process.terminate()
    for process in terminal.running:
        process.wait(timeout=30)


def test_the_guide_leads_from_a_urdf_to_a_robot_that_moves(terminal: Terminal) -> None:
    assert [words[1] for words in COMMANDS][:4] == ["new", "check", "claims", "run"], "the guide goes in this order"
    written: dict[Path, bytes] = {}
    moved: dict[str, float] = {}
    for words in COMMANDS:
        if words[1] == "jog":
            report = json.loads(terminal.type([*words, "--json"]))
            moved[words[2]] = float(words[3])
            assert report["measured"] == pytest.approx(float(words[3]), abs=0.01), report
        else:
            terminal.type(words)
        if words[1] == "new":
            written = {path: path.read_bytes() for path in (terminal.folder / "bench_arm").iterdir()}
            assert {path.name for path in written} >= {
                "robot.toml",
                "embodiment.toml",
                "safety.toml",
                "kinematics.toml",
            }
    assert {"pan", "roll", "gripper"} <= moved.keys()
    # Nobody has edited anything on the way.
    assert written == {path: path.read_bytes() for path in written}


def test_the_answers_in_the_folder_make_the_same_robot_again(terminal: Terminal) -> None:
    new = COMMANDS[0]
    terminal.type(new)
    folder = terminal.folder / "bench_arm"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    asked = [word for word in new if word != "--yes"]
    terminal.type([*asked, "--answers", "bench_arm/answers.toml", "--force"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert load_config(folder / "robot.toml").embodiment.axis_names == (
        "pan",
        "lift",
        "elbow",
        "flex",
        "roll",
        "gripper",
    )


def test_every_flag_and_key_that_the_guide_names_is_there() -> None:
    shown = subprocess.run(
        [str(EDGE_RUNTIME), "new", "robot", "--help"], capture_output=True, text=True, timeout=60
    ).stdout
    section = GUIDE[GUIDE.index("| question |") : GUIDE.index("**What is assumed.**")]
    flags = set(re.findall(r"`(--[a-z-]+)", section))
    assert flags >= {"--joints", "--stands-on", "--home", "--driver", "--meshes", "--force"}
    assert not [flag for flag in flags if flag not in shown]
    assert "may_touch" in Answers.__struct_fields__
    assert answers_toml(Answers(name="a"), "note") == '# note\nname = "a"\n'
