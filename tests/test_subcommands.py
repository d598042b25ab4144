"""Every subcommand explains itself, shows itself by examples that work, says how it ends, and has `--json` where it
answers a question."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edge_runtime.cli
import export_tools.cli
import hub.cli
from edge_runtime.client import run_dir as run_dirs
from edge_runtime.contracts.completion import walk
from edge_runtime.contracts.console import EXIT_CODES
from edge_runtime.drivers import sim
from scripts import command_reference
from tests.cli.conftest import robot_toml, traces
from tests.safety.recorded import recorded
from tests.system.conftest import run_dir

__all__ = ["robot_toml", "run_dir"]

ROOT = Path(__file__).parents[1]
WORLD = Path(sim.__file__).parent / "world.xml"
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "edge-runtime": edge_runtime.cli.build_parser,
    "edge-hub": hub.cli.build_parser,
    "edge-export": export_tools.cli.build_parser,
}
ANSWERS = {
    "edge-runtime monitor",
    "edge-runtime operator status",
    "edge-runtime jog",
    "edge-runtime ota status",
    "edge-runtime ota check",
    "edge-runtime ota history",
    "edge-runtime check",
    "edge-runtime new robot",
    "edge-runtime claims",
    "edge-runtime replay",
    "edge-export check",
    "edge-export families",
    "edge-hub refresh",
    "edge-hub show",
    "edge-hub status",
}
"""What answers a question. That stdout holds one JSON value then is tested beside what each answers."""


def subcommands() -> Iterator[tuple[argparse.ArgumentParser, argparse.ArgumentParser, str]]:
    for build in PARSERS.values():
        whole = build()
        for parser, summary in walk(whole):
            if parser is not whole:
                yield whole, parser, summary


ALL = tuple(subcommands())
IDS = [parser.prog for _, parser, _ in ALL]


@pytest.mark.parametrize(("parser", "summary"), [found[1:] for found in ALL], ids=IDS)
def test_it_explains_itself(parser: argparse.ArgumentParser, summary: str) -> None:
    assert summary
    assert parser.description
    assert parser.description.rstrip().endswith((".", "?", "--help"))
    assert not re.search(r"[.?!][.?!]", parser.description.replace("...", ""))
    assert EXIT_CODES.rstrip() in parser.format_help()
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, f"{parser.prog} {action.dest}: says nothing"


@pytest.mark.parametrize(("whole", "parser"), [found[:2] for found in ALL], ids=IDS)
def test_its_examples_are_command_lines_that_it_takes(
    whole: argparse.ArgumentParser, parser: argparse.ArgumentParser
) -> None:
    assert parser.epilog is not None
    examples = re.sub(r"\\\n\s*", "", parser.epilog).splitlines()
    own = [found for line in examples if (found := re.search(rf"(?<![\w./-]){re.escape(parser.prog)} .*", f"{line} "))]
    assert own, f"{parser.prog} shows no example of itself"
    for found in own:
        words = found[0].split("   ")[0]
        if "..." in words or "HUB ..." in words:
            continue
        given = shlex.split(re.split(r" [|>;&]| --help", words)[0])[1:]
        whole.parse_args(given)


def test_whatever_answers_a_question_answers_programs_too() -> None:
    with_json = {
        parser.prog
        for _, parser, _ in ALL
        for action in parser._actions
        if "--json" in action.option_strings and action.nargs == 0
    }
    assert with_json == ANSWERS


@pytest.mark.parametrize(
    "arguments",
    [
        ("monitor", "--seconds", "0.2", "--run-dir", "{nowhere}"),
        ("operator", "status", "--run-dir", "{nowhere}"),
        *(("ota", action, "--config", "{nowhere}") for action in ("status", "check", "history")),
        *(("ota", action) for action in ("status", "check", "history")),
        ("check", "--config", "{nowhere}"),
        ("claims", "--config", "{nowhere}"),
        ("replay", "{nowhere}"),
    ],
    ids=" ".join,
)
def test_what_fails_leaves_nothing_for_programs_to_misread(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        edge_runtime.cli.main([*(word.format(nowhere=tmp_path / "nowhere") for word in arguments), "--json"])
    said = capsys.readouterr()
    assert ended.value.code in (1, 2)
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("program", PARSERS)
def test_version_and_the_bare_command(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        PARSERS[program]().parse_args(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(rf"{program} \S+\n", capsys.readouterr().out)


@pytest.mark.parametrize("has_local", [False, True])
def test_every_command_looks_for_a_robot_in_the_same_place(
    has_local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if has_local:
        (tmp_path / ".run").mkdir()
    where = Path(".run") if has_local else Path("/run/edge-runtime")
    looking = {
        parser.prog: parser.get_default("run_dir")
        for parser, _ in walk(edge_runtime.cli.build_parser())
        if any("--run-dir" in action.option_strings for action in parser._actions)
    }
    started = {name: looking.pop(name) for name in ("edge-runtime run", "edge-runtime evaluate")}
    assert started == {"edge-runtime run": Path(".run"), "edge-runtime evaluate": None}
    assert set(looking.values()) == {where}
    assert len(looking) >= 17
    assert run_dirs.run_dir_here() == where


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("from edge_runtime.cli import build_parser; build_parser()", {"edge_runtime.cli.operator", "zmq", "shtab"}),
        ("import edge_runtime.cli.operator", {"edge_runtime.config.robot_file", "edge_runtime.contracts.manifest"}),
    ],
)
def test_a_stop_waits_for_nothing_that_it_does_not_need(program: str, unwanted: set[str]) -> None:
    """The command line of all subcommands is read without what any of them is made of."""
    code = f"import sys; {program}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert "edge_runtime.contracts" in loaded
    assert not loaded & {"numpy", "rich", "cv2", "mujoco", "tuf", "httpx", "cffi", *unwanted}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edge_runtime.safety.recording import encode

    made = recorded()
    path = tmp_path_factory.mktemp("recording") / "trip.bin"
    path.write_bytes(b"".join(encode(made.header, made.records)))
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("operator", "stop", "--help"),
        ("check", "--json", "--config", "{config}"),
        ("check", "--config", "{config}"),
        ("claims", "--config", "{config}"),
        ("claims", "--json", "--config", "{config}"),
        ("replay", "{recording}"),
        ("replay", "{recording}", "--json"),
        ("replay", "{recording}", "--tick", "30"),
        ("kinematics", str(WORLD), "-o", "{new}/kinematics.toml"),
        ("new", "driver", "my_arm", "{new}"),
        ("completion", "bash"),
        ("run", "--no-page", "--config", "{config}", "--run-dir", "{run}"),
        ("evaluate", "--episodes", "1", "--config", "{config}", "--run-dir", "{run}"),
    ],
    ids=" ".join,
)
def test_a_reader_that_leaves_ends_it_quietly(
    arguments: tuple[str, ...], robot_toml: Path, recording: Path, run_dir: Path, tmp_path: Path
) -> None:
    """As in front of `| head -1`, which may have left before the first word."""
    given = [
        word.format(config=robot_toml, recording=recording, new=tmp_path, run=run_dir) if "{" in word else word
        for word in arguments
    ]
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-c", "from edge_runtime.entry import main; main()", *given],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(writing)
    _, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (1, "")
    assert traces(run_dir, robot_toml) == []


def test_the_reference_shows_what_every_answer_is_made_of() -> None:
    assert set(command_reference.REPORTS) == ANSWERS
