"""`make demo`: the arm follows sentences, a person's too; then a hub updates it, and a broken update rolls itself back.

Exits with 0 if the story went as it should, or a person ended it by what she typed; 1 if it did not, 130 if it was
interrupted. Leaves nothing running.
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
from edge_runtime.cli.typed import TypedLines
from edge_runtime.client.explanations import STOPS, in_full
from edge_runtime.client.operator import Operator
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.errors import ConfigError, EdgeError, ProcessError
from edge_runtime.evaluation.episodes import EpisodeResult
from edge_runtime.ipc.bus import claim, is_claimed
from edge_runtime.page.port import require_free_port
from scripts.demo.opening import Opening
from scripts.demo.stage import Stage, require_tools
from scripts.demo.story import NORMAL, Story

FOLDER = "demo"
"""Below the run's folder."""

_EPISODES = 3
"""Of the first part, where there is no terminal to type at."""
_PORTS = 20
_INTRO = (
    "A simulated arm with seven joints. Its physics and cameras are simulated (MuJoCo); policy, control loop and "
    "safety kernel are those of a real robot. The policy is small: 8 million parameters, 47 words.\n"
    "Part 1: the arm follows sentences{yours}. Part 2: it gets two updates. "
    "About two minutes; Ctrl-C ends it at any time.\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it."""
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="The simulated arm follows sentences, an update goes through, and a broken one rolls itself back: "
        "about two minutes. Options (in ARGS) are as in `edge-runtime run`; EPISODES=5 runs episodes without updates.",
    )
    for name in ("--run-dir", "--page-port", "--seed"):
        parser.add_argument(name)
    parser.add_argument("--no-page", action="store_true", help="no page")
    given = vars(parser.parse_args(arguments))
    words = [word for name, value in given.items() if value for word in _words(name, value)]
    console = Console()
    try:
        options = build_parser().parse_args(["run", *words])
        return _show(options, console, may_choose_port=given["page_port"] is None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has left.
        raise
    except (EdgeError, OSError) as error:
        print(f"error: {_in_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


def _show(options: argparse.Namespace, console: Console, *, may_choose_port: bool) -> int:
    require_tools()
    # What would end the run is found before an earlier demo's hub is removed.
    if is_claimed(options.run_dir, "run"):
        problem = f"another process already runs this robot in {options.run_dir}"
        raise ProcessError(f'{problem}; stop that run first, or use another: make demo ARGS="--run-dir DIR"')
    if not options.no_page:
        options.page_port = _free_port(options.page_port, console, may_choose_port=may_choose_port)
    folder = options.run_dir / FOLDER
    with contextlib.ExitStack() as stack:
        stack.enter_context(claim(options.run_dir, FOLDER, "shows the demo"))
        stage = stack.enter_context(Stage(folder))
        story = Story(stage, load_config(SIM_CONFIG).bundle_dir, console)
        code, goes_on = _open(options, console, story)
        if code or not goes_on:
            return code
        options.config = story.open()
        code = run(options, console, story)
    console.print(story.summary())
    console.print(NORMAL, style="dim", highlight=False)
    return code if code else int(not story.is_told)


def _open(options: argparse.Namespace, console: Console, story: Story) -> tuple[int, bool]:
    """The first part; its exit code, and whether the demo goes on."""
    draws = console.is_terminal and not console.is_dumb_terminal and sys.stdin is not None and sys.stdin.isatty()
    console.print(_INTRO.format(yours=", yours too" if draws else ""), highlight=False)
    if not draws:
        first = argparse.Namespace(**{**vars(options), "episodes": _EPISODES})
        code = run(first, console, _Beside(story, options.run_dir))
        return code, not code
    typing = argparse.Namespace(**{**vars(options), "interactive": True})
    with TypedLines(sys.stdin.fileno(), draws=True) as typed:
        opening = Opening(typed, console, story.prepare)
        code = run(typing, console, opening, opening)
    if not code and opening.stopped_by is not None:
        console.print(
            "The robot is stopped, and only a person lets it move again, so the demo ends here. "
            "The next `make demo` says how to go on.",
            highlight=False,
        )
        return 0, False
    return code, not code and not opening.wants_to_end


class _Beside:
    """The guest of episodes, while the hub is made."""

    def __init__(self, story: Story, run_dir: Path) -> None:
        self._story, self._run_dir = story, run_dir

    def look(self, operator: Operator, results: Sequence[EpisodeResult]) -> bool:
        """See `edge_runtime.cli.run.Guest.look`.

        Raises:
            ProcessError: a person has stopped the robot, and there is no terminal to say more at.
        """
        del results
        if (cause := operator.stopped_by) is not None:
            step = in_full(STOPS[cause].next_step, self._run_dir)
            raise ProcessError(f"the robot is {STOPS[cause].meaning}, and only a person lets it move again. {step}")
        self._story.prepare()
        return True


def _free_port(port: int, console: Console, *, may_choose_port: bool) -> int:
    """`port`, or the next one that is free if the person has not asked for this one.

    Raises:
        ProcessError: none of them is.
    """
    for other in range(port, port + (_PORTS if may_choose_port else 1)):
        with contextlib.suppress(ProcessError):
            require_free_port(other)
            if other != port:
                console.print(f"port {port} is in use, so the page is at port {other}", highlight=False)
            return other
    require_free_port(port)
    return port


def _words(name: str, value: object) -> tuple[str, ...]:
    option = f"--{name.replace('_', '-')}"
    return (option,) if value is True else (option, str(value))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{Path(str(error.filename))}: {error.strerror}"
    return str(error)
