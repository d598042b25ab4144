"""What subcommands of `edge-runtime` have in common on the command line: the robot's settings, the folder of its run,
and how numbers and sentences are read.

Imports little: a stop that an operator asks for waits for this.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path

from edge_runtime.client.run_dir import LOCAL_RUN_DIR, SERVICE_RUN_DIR, run_dir_here
from edge_runtime.config.shipped import SIM_CONFIG

_MAX_RUN_DIR_BYTES = 80


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config`: which robot this is about."""
    parser.add_argument(
        "--config", type=Path, default=SIM_CONFIG, metavar="FILE", help="robot.toml (default: the simulated arm's)"
    )


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """`--run-dir` of a command that looks for a robot that runs."""
    where = f"folder of the robot's run (default: {LOCAL_RUN_DIR} here, else {SERVICE_RUN_DIR})"
    parser.add_argument("--run-dir", type=run_dir, default=run_dir_here(), metavar="DIR", help=where)


def add_new_run_dir(parser: argparse.ArgumentParser, default: Path | None) -> None:
    """`--run-dir` of a command that starts a robot; `default` None: it makes a folder and removes it again."""
    what = f"{default} here" if default is not None else "a temporary one"
    parser.add_argument(
        "--run-dir", type=run_dir, default=default, metavar="DIR", help=f"folder for sockets and logs (default: {what})"
    )


def run_dir(text: str) -> Path:
    """A folder that can hold sockets."""
    if len(os.fsencode(text)) > _MAX_RUN_DIR_BYTES:
        raise argparse.ArgumentTypeError(f"at most {_MAX_RUN_DIR_BYTES} bytes: names of Unix sockets are short")
    return Path(text)


def sentence(text: str) -> str:
    """What a policy is told."""
    from edge_runtime.contracts.messages import MAX_INSTRUCTION_CHARS

    _require_text(text)
    if not text.strip() or len(text) > MAX_INSTRUCTION_CHARS:
        raise argparse.ArgumentTypeError(f"expected one sentence, of at most {MAX_INSTRUCTION_CHARS} characters")
    return text


def words(text: str) -> str:
    """A few words for a record."""
    from edge_runtime.contracts.updates import MAX_WORDS_CHARS

    _require_text(text)
    if len(text) > MAX_WORDS_CHARS:
        raise argparse.ArgumentTypeError(f"at most {MAX_WORDS_CHARS} characters")
    return text


def assignment(sign: str) -> Callable[[str], tuple[str, str]]:
    """Reads a name and its value, with `sign` between them."""

    def parse(text: str) -> tuple[str, str]:
        name, found, value = text.partition(sign)
        if not (name and found):
            raise argparse.ArgumentTypeError(f"a name, {sign} and a value, got {text!r}")
        return name, value

    return parse


def add_description(parser: argparse.ArgumentParser) -> None:
    """What a description that is not whole in itself needs besides."""
    parser.add_argument(
        "--arg",
        type=assignment(":="),
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="an argument of a xacro file; may be given again",
    )
    parser.add_argument(
        "--package",
        type=assignment("="),
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="where a ROS package lies that the file names; may be given again (default: looked for beside the file "
        "and where ROS's environment says)",
    )


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def seconds(text: str) -> float:
    """A time of at most a day, s."""
    return _number_within(text, 0.0, 86_400.0)


def fraction(text: str) -> float:
    """0 to 1."""
    return _number_within(text, 0.0, 1.0)


def positive(text: str) -> int:
    """A count of one at least."""
    return _within(text, 1, 1_000_000)


def natural(text: str) -> int:
    """A number of something, from 0."""
    return _within(text, 0, 2**30)


def port(text: str) -> int:
    """Of TCP; 0 for any that is free."""
    return _within(text, 0, 65535)


def _require_text(text: str) -> None:
    """Bytes that are no UTF-8 come in as lone surrogates, which no message can hold."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise argparse.ArgumentTypeError("these bytes are no text in UTF-8: type it again")


def _within(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must lie between {low} and {high}")
    return value


def _number_within(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must lie between {low:g} and {high:g}")
    return value
