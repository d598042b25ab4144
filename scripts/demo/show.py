"""`make demo`: a robot, a hub beside it, an update that goes through, and a broken one that rolls itself back.

Exits with 0 if the story went as it should, 1 if it did not, 130 if it was interrupted. Leaves nothing running.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edge_runtime.cli import build_parser
from edge_runtime.cli.run import run
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import ConfigError, EdgeError, ProcessError
from edge_runtime.ipc.bus import claim, is_claimed
from edge_runtime.page import require_free_port
from scripts.demo.stage import Stage, require_tools
from scripts.demo.story import Story

FOLDER = "demo"
"""Below the run's folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it."""
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="The simulated arm, an update that goes through, and a broken one that rolls itself back: about "
        "two minutes. Options (in ARGS) are as in `edge-runtime run`; EPISODES=5 runs episodes without updates.",
    )
    for name in ("--run-dir", "--page-port", "--seed"):
        parser.add_argument(name)
    parser.add_argument("--no-page", action="store_true", help="no page")
    given = vars(parser.parse_args(arguments))
    words = [word for name, value in given.items() if value for word in _words(name, value)]
    console = Console()
    try:
        return _show(build_parser().parse_args(["run", *words]), console)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has left.
        raise
    except (EdgeError, OSError) as error:
        print(f"error: {_in_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


def _show(options: argparse.Namespace, console: Console) -> int:
    require_tools()
    # What would end the run is found before an earlier demo's hub is removed.
    if is_claimed(options.run_dir, "run"):
        problem = f"another process already runs this robot in {options.run_dir}"
        raise ProcessError(f'{problem}; stop that run first, or use another: make demo ARGS="--run-dir DIR"')
    if not options.no_page:
        require_free_port(options.page_port)
    folder = options.run_dir / FOLDER
    with contextlib.ExitStack() as stack:
        stack.enter_context(claim(options.run_dir, FOLDER, "shows the demo"))
        stage = stack.enter_context(Stage(folder))
        story = Story(stage, load_config(SIM_CONFIG).bundle_dir, console)
        options.config = story.open()
        code = run(options, console, story)
    console.print(story.summary())
    return code if code else int(not story.is_told)


def _words(name: str, value: object) -> tuple[str, ...]:
    option = f"--{name.replace('_', '-')}"
    return (option,) if value is True else (option, str(value))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{Path(str(error.filename))}: {error.strerror}"
    return str(error)
