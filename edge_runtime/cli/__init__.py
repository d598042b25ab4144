"""The `edge-runtime` command: run, evaluate, monitor, operator, ota, check, claims, replay, kinematics, new."""

from __future__ import annotations

import argparse
import math
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.config.robot_file import SIM_CONFIG
from edge_runtime.contracts.command_line import VersionAction, exit_code
from edge_runtime.contracts.console import DONE, EXIT_CODES, INTERRUPTED, loading
from edge_runtime.contracts.messages import MAX_INSTRUCTION_CHARS, EpisodeOutcome
from edge_runtime.contracts.updates import MAX_WORDS_CHARS

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_RUN_DIR = Path(".run")
_MAX_RUN_DIR_BYTES = 80

_EXAMPLES = """\
examples:
  edge-runtime run                        the simulated arm, episode after episode, until Ctrl-C
  edge-runtime run --episodes 5           five episodes, a summary, exit code 0
  edge-runtime evaluate --episodes 100    success rate with its 95 % interval, in virtual time
  edge-runtime evaluate --swapped         the same with wrong instructions: is language used at all?
  edge-runtime monitor                    look at a running robot from another terminal
  edge-runtime operator stop              let a running robot brake to rest, and latch that
  edge-runtime ota status                 which bundle runs here, and which one is on its way
  edge-runtime check                      is this machine, and this bundle on it, fit?
  edge-runtime claims                     what this robot's settings let anyone claim about safety
  edge-runtime replay FILE                what happened before a trip, through the kernel again
  edge-runtime kinematics arm.urdf        the robot's body for the safety layer, from URDF or MJCF
  edge-runtime new driver my_arm          a package with a driver that works, to put your robot into
"""

_EXTRAS = {"run": ("robot", "sim"), "evaluate": ("robot", "sim"), "kinematics": ("sim",), "ota": ("ota",)}
"""What a command needs beyond the packages that are always installed, for advice where one is missing."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="edge-runtime",
        description="Runs a vision-language-action policy on a robot, with a safety kernel between policy and motors.",
        epilog=f"{_EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="start the robot's processes in this terminal and run episodes",
        description=textwrap.fill(
            "Starts driver, control and engine, and runs episodes one after the other. Shows instruction, "
            "state, speed and timing live, here and on a page on localhost. After `operator stop` or "
            "`operator disarm` it waits until a person has typed `operator arm`. A robot whose driver lays out no "
            "scenes is left to a person, as with --manual. With a section [ota] in robot.toml "
            "the update agent runs beside them. Ctrl-C disarms and ends everything.",
            79,
        ),
        epilog="examples:\n  edge-runtime run --episodes 5\n  edge-runtime run --page-port 0 --seed 100\n"
        "  edge-runtime run --interactive\n  edge-runtime run --manual\n  edge-runtime run --hold --config robot.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(run)
    _add_run_dir(run)
    run.add_argument("--episodes", type=_positive, metavar="N", help="end after so many (default: go on until Ctrl-C)")
    run.add_argument("--seed", type=_natural, default=0, metavar="S", help="scene of the first episode (default: 0)")
    run.add_argument(
        "--page-port", type=_port, default=8600, metavar="P", help="port of the page, 0 for any (default: 8600)"
    )
    run.add_argument("--no-page", action="store_true", help="no page")
    run.add_argument(
        "--manual",
        action="store_true",
        help="run no episodes: `edge-runtime operator instruct` and `arm` from another terminal say what to do",
    )
    run.add_argument(
        "--interactive",
        action="store_true",
        help="run no episodes: type sentences here, one a line, and `help` for the rest; also from a pipe",
    )
    run.add_argument(
        "--hold",
        action="store_true",
        help="run no policy, and need none: armed by `edge-runtime operator arm`, the robot holds its posture",
    )

    evaluate = commands.add_parser(
        "evaluate",
        help="success rate over many episodes, through all the real processes",
        description=textwrap.fill(
            "Runs episodes with unseen scenes and sentences through driver, control and engine. In virtual "
            "time (the default) the result does not depend on how busy the machine is: same seeds, same episodes.",
            79,
        ),
        epilog="examples:\n  edge-runtime evaluate --episodes 100 --json result.json --min-success 0.85\n"
        "  edge-runtime evaluate --episodes 20 --real-time",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(evaluate)
    evaluate.add_argument(
        "--run-dir", type=_run_dir, metavar="DIR", help="folder of the run (default: a temporary one)"
    )
    evaluate.add_argument("--episodes", type=_positive, default=100, metavar="N", help="how many (default: 100)")
    evaluate.add_argument("--seed0", type=_natural, default=0, metavar="S", help="scene of the first (default: 0)")
    evaluate.add_argument(
        "--split", choices=("eval", "train"), default="eval", help="whose scenes and sentences (eval)"
    )
    evaluate.add_argument("--swapped", action="store_true", help="instruct for another object than the one that counts")
    evaluate.add_argument("--real-time", action="store_true", help="against the real clock instead of virtual time")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    evaluate.add_argument(
        "--min-success", type=_fraction, metavar="R", help="exit with 1 below this success rate (0 to 1)"
    )

    monitor = commands.add_parser(
        "monitor",
        help="live view of a running robot",
        description="Shows what a running robot says about itself. Only listens; several can run at once.",
        epilog="example:\n  edge-runtime monitor --run-dir /run/edge-runtime",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_dir(monitor)
    monitor.add_argument("--seconds", type=_seconds, metavar="T", help="end after so long (default: Ctrl-C)")

    _add_operator(commands)
    _add_ota(commands)

    check = commands.add_parser(
        "check",
        help="is this machine, and this bundle on it, fit?",
        description=textwrap.fill(
            "Looks at permissions, memory, driver, cameras, limits, the bundle, inference time and the timing of the "
            "control loop, and says what to do where something is missing. `fit` means that the robot can be armed "
            "here and runs its bundle; `fit, but: ...` names what works worse than it could. Exit code 1 if not fit.",
            79,
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(check)
    check.add_argument("--json", action="store_true", help="the rows as JSON instead of the table")

    claims = commands.add_parser(
        "claims",
        help="what this robot's settings let anyone claim",
        description=textwrap.fill(
            "Prints a sheet in Markdown: the limits that are in force, with their digests, what may be said of them, "
            "what may not, and what is off.",
            79,
        ),
        epilog="example:\n  edge-runtime claims --config robot.toml > claims.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(claims)

    again = commands.add_parser(
        "replay",
        help="run a recording of the black box through the safety kernel again",
        description=textwrap.fill(
            "Executes every tick of a recording again and compares verdict and next state bit for bit. Shows what led "
            "to the trip. Recordings lie in the folder black_box of the run. Exit code 1 if anything differs.",
            79,
        ),
        epilog="examples:\n  edge-runtime replay .run/black_box/FILE --plot trip.png\n"
        "  edge-runtime replay FILE --tick 4711",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    again.add_argument("file", type=Path, metavar="FILE", help="a recording")
    again.add_argument("--tick", type=_natural, metavar="K", help="show record K whole instead of the summary")
    again.add_argument("--csv", type=Path, metavar="OUT", help="write one row a tick to OUT")
    again.add_argument(
        "--plot", type=Path, metavar="OUT", help="draw joints, range and verdicts to OUT (.png, .svg or .pdf)"
    )
    body = commands.add_parser(
        "kinematics",
        help="make kinematics.toml from URDF or MJCF",
        description=textwrap.fill(
            "Compiles joints, and capsules around every link, into the file that the safety layer keeps the robot off "
            "things and off itself with. Says what it decided by itself, and which limits the description holds.",
            79,
        ),
        epilog="examples:\n  edge-runtime kinematics arm.urdf --tool tool0 --embodiment embodiment.toml\n"
        "  edge-runtime kinematics arm.xml --tool attachment_site -o kinematics.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    body.add_argument("file", type=Path, metavar="FILE", help="URDF, or MJCF (which needs MuJoCo)")
    body.add_argument(
        "--embodiment", type=Path, metavar="FILE", help="joints in order, and home posture (default: all that turn)"
    )
    body.add_argument(
        "--limits-in-rad",
        action="store_true",
        help="the description's limits are radians although they look like degrees",
    )
    body.add_argument("--tool", metavar="NAME", help="link, body or site whose speed is limited (default: far end)")
    body.add_argument(
        "-o", "--output", type=Path, default=Path("kinematics.toml"), metavar="OUT", help="(default: kinematics.toml)"
    )
    _add_new(commands)
    return parser


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    new = commands.add_parser(
        "new",
        help="write a package to begin with: a driver for your robot",
        description=textwrap.fill(
            "Writes a package of its own that works as it is: a driver for a made-up arm, its settings, and a test "
            "that every driver has to pass (docs/guides/drivers.md).",
            79,
        ),
        epilog="examples:\n  edge-runtime new driver my_arm\n"
        "  edge-runtime new driver my_arm robots/my_arm --language c",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("kind", choices=("driver",), metavar="KIND", help="what to write: driver")
    new.add_argument("name", metavar="NAME", help="of the package and the driver, such as my_arm")
    new.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="where to (default: NAME here)")
    new.add_argument("--language", choices=("python", "c"), default="python", help="of the driver (default: python)")


_ASK = {
    "arm": "start following the policy, inside the robot's limits",
    "disarm": "brake to rest and stop following commands (does not remove motor power)",
    "stop": "brake to rest and latch that until a reset; the quickest way to rest",
    "reset": "clear what is latched, once its cause is gone; moves nothing",
    "resume": "answer a policy that asks for help: go on",
    "reduce": "reduced speed, armed or not, until `restore`",
    "restore": "full speed again; only while not armed",
    "record": "write the last seconds of control to a file, for replay",
    "instruct": "tell the policy what to do; refused while a run gives it its instructions",
    "outcome": "say how an attempt at a task that has just ended went: an update on probation is judged by it",
    "status": "what the robot is doing, why, and what can be done next, once",
}


def _add_operator(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    operator = commands.add_parser(
        "operator",
        help="ask a running robot for something: arm, stop, instruct ...",
        description=textwrap.fill(
            "Sends one request to a running robot and waits for its answer. Works beside `run`, and beside other "
            "operators. After `stop` or `disarm` nothing but a person's `arm` lets the robot move again: no run and no "
            "script. Exit code 1 if the request was refused, which is explained, or not answered.",
            79,
        ),
        epilog="examples:\n  edge-runtime operator instruct 'touch the red cube'\n  edge-runtime operator arm\n"
        "  edge-runtime operator stop\n  edge-runtime operator outcome failure --reason 'dropped it'\n"
        "  sudo -u edge edge-runtime operator status --run-dir /run/edge-runtime",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = operator.add_subparsers(dest="action", required=True, metavar="REQUEST")
    for name, text in _ASK.items():
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == "instruct":
            action.add_argument("text", metavar="TEXT", type=_instruction, help="one sentence")
        if name == "outcome":
            _add_outcome(action)
        action.add_argument(
            "--run-dir", type=_run_dir, metavar="DIR", help="(default: .run here, else /run/edge-runtime)"
        )


def _add_outcome(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "outcome", choices=[outcome.value for outcome in EpisodeOutcome], help="whether the task got done"
    )
    action.add_argument("--score", type=_fraction, metavar="S", help="how well it went, 0 to 1")
    action.add_argument("--started-s-ago", type=_seconds, default=10.0, metavar="T", help="when it began (default: 10)")
    action.add_argument("--reason", type=_words, default="", metavar="TEXT", help="what went wrong, for the record")
    action.add_argument("--instruction", type=_words, default="", metavar="TEXT", help="what the instruction was")


_OTA = {
    "status": "which bundle runs, which one is staged or on its way, and what the update agent says",
    "check": "ask the hub now: may something be installed, and does it fit?",
    "rollback": "go back: from a bundle on trial to the committed one, else to the one before; needs no network",
    "history": "what the update agent did, and what was refused and why",
    "restore-floor": "what to do when nothing is installed because the record of what was installed is lost",
}


def _add_ota(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    ota = commands.add_parser(
        "ota",
        help="updates of the bundle over the network",
        description=textwrap.fill(
            "The updates of this robot, which its update agent brings (section [ota] of robot.toml; "
            "docs/guides/ota_robot.md). Exit code 1 if something was refused.",
            79,
        ),
        epilog="examples:\n  edge-runtime ota status --config /etc/edge-runtime/robot.toml\n"
        "  sudo -u edge edge-runtime ota rollback --config /etc/edge-runtime/robot.toml --reason 'drops it'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = ota.add_subparsers(dest="action", required=True, metavar="WHAT")
    for name, text in _OTA.items():
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        _add_config(action)
        if name == "rollback":
            action.add_argument("--reason", type=_words, default="", help="why, for the history")
        if name == "restore-floor":
            action.add_argument("--accept", action="store_true", help="do it; without it, only say what would be done")
        action.add_argument(
            "--run-dir", type=_run_dir, metavar="DIR", help="(default: .run here, else /run/edge-runtime)"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `edge-runtime` script; exits with the code of the help's table."""
    parser = build_parser()
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help()
        sys.exit(DONE)
    options = parser.parse_args(given)
    try:
        code = exit_code("edge-runtime", lambda: _run(options), _EXTRAS.get(options.command, ()))
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run(options: argparse.Namespace) -> int:
    with loading():
        command = _command(options.command)
    return command(options)


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    # Imported when asked for: `monitor` on a bare robot needs neither simulator nor OpenCV, and a stop is in a hurry.
    if name == "operator":
        from edge_runtime.cli.operator import operator

        return operator
    from rich.console import Console

    command, console = _with_console(name), Console()
    return lambda options: command(options, console)


def _with_console(name: str) -> Callable[[argparse.Namespace, Console], int]:
    if name == "run":
        from edge_runtime.cli.run import run

        return run
    if name == "evaluate":
        from edge_runtime.cli.evaluate import evaluate

        return evaluate
    if name == "monitor":
        from edge_runtime.cli.monitor import monitor

        return monitor
    if name == "ota":
        from edge_runtime.cli.ota import ota

        return ota
    if name == "claims":
        from edge_runtime.cli.claims import claims

        return claims
    if name == "replay":
        from edge_runtime.cli.replay import replay_command

        return replay_command
    if name == "new":
        from edge_runtime.cli.new import new

        return new
    if name == "kinematics":
        from edge_runtime.cli.kinematics import kinematics

        return kinematics
    from edge_runtime.cli.check import check

    return check


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=SIM_CONFIG, metavar="FILE", help="robot.toml (default: the simulated arm's)"
    )


def _add_run_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir", type=_run_dir, default=DEFAULT_RUN_DIR, metavar="DIR", help="sockets and logs (default: .run here)"
    )


def _run_dir(text: str) -> Path:
    if len(os.fsencode(text)) > _MAX_RUN_DIR_BYTES:
        raise argparse.ArgumentTypeError(f"at most {_MAX_RUN_DIR_BYTES} bytes: names of Unix sockets are short")
    return Path(text)


def _instruction(text: str) -> str:
    _require_text(text)
    if not text.strip() or len(text) > MAX_INSTRUCTION_CHARS:
        raise argparse.ArgumentTypeError(f"expected a sentence, of {MAX_INSTRUCTION_CHARS} characters at most")
    return text


def _words(text: str) -> str:
    _require_text(text)
    if len(text) > MAX_WORDS_CHARS:
        raise argparse.ArgumentTypeError(f"at most {MAX_WORDS_CHARS} characters")
    return text


def _require_text(text: str) -> None:
    """Bytes that are no UTF-8 come in as lone surrogates, which no message can hold."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise argparse.ArgumentTypeError("these bytes are no text in UTF-8: type it again")


def _seconds(text: str) -> float:
    return _number_within(text, 0.0, 86_400.0)


def _positive(text: str) -> int:
    return _within(text, 1, 1_000_000)


def _natural(text: str) -> int:
    return _within(text, 0, 2**30)


def _port(text: str) -> int:
    return _within(text, 0, 65535)


def _within(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must lie between {low} and {high}")
    return value


def _fraction(text: str) -> float:
    return _number_within(text, 0.0, 1.0)


def _number_within(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must lie between {low:g} and {high:g}")
    return value
