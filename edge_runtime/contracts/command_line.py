"""What a command says where it failed: one line for a person, and the exit code.

Guarantees that no traceback reaches a person, and that words from elsewhere are shown and do nothing. What is nobody's
mistake but ours is called a bug, and its traceback lies in a file. Ctrl-C and a closed pipe are not errors: they pass
through.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType

from edge_runtime.contracts.console import BUG, DONE, FAILED, WRONG_SETTING
from edge_runtime.contracts.errors import ConfigError, EdgeError

# What explains a failure is imported when there is one: a stop that an operator asks for is in a hurry.

_MAX_CHARS = 300


class VersionAction(argparse.Action):
    """`--version`: prints the program's name and the version of the installed software, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and end")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """See `argparse.Action`."""
        from edge_runtime.contracts.installation import version

        print(f"{parser.prog} {version()}")
        parser.exit()


def exit_code(program: str, body: Callable[[], int | None], extras: Sequence[str] = ()) -> int:
    """Run `body`; its exit code, or that of what it raised, which is said in one line on stderr.

    Args:
        program: what the person typed.
        body: the command; None for 0.
        extras: of this project, that the command needs, for advice where a package is missing.
    """
    try:
        return body() or DONE
    except BrokenPipeError:
        raise
    except Exception as error:
        line, code = explained(program, error, extras)
        print(f"error: {line}", file=sys.stderr)
        return code


def explain_uncaught(extras: Sequence[str]) -> None:
    """For what is started with `python -m`: a package that is missing at its first lines is one line too."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, ModuleNotFoundError):
            print(f"error: {explained('', error, extras)[0]}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


def explained(program: str, error: Exception, extras: Sequence[str] = ()) -> tuple[str, int]:
    """Words for a person about what ended `program`, and its exit code; a bug's traceback is written to a file.

    All that they hold is visible: whatever names and messages from elsewhere hold, no terminal obeys it.
    """
    from edge_runtime.contracts.text import printable_lines

    words, code = _explained(program, error, extras)
    return printable_lines(words), code


def _explained(program: str, error: Exception, extras: Sequence[str]) -> tuple[str, int]:
    if isinstance(error, ConfigError):
        return str(error), WRONG_SETTING
    if isinstance(error, EdgeError):
        return str(error), FAILED
    from edge_runtime.contracts.installation import explain, version

    if isinstance(error, ImportError):
        return explain(error, extras), FAILED
    if isinstance(error, OSError):
        return _of_system(error), FAILED
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_CHARS]
    bug = f"this is a bug in {program} {version()}, not a mistake of yours: {what}"
    return f"{bug}; {_written(program, error)}", BUG


def _of_system(error: OSError) -> str:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    return f"{', '.join(names)}: {error.strerror}" if names and error.strerror else _reason_of(error)


def _reason_of(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _written(program: str, error: Exception) -> str:
    import shlex
    import tempfile
    import traceback

    from edge_runtime.contracts.installation import version

    try:
        descriptor, path = tempfile.mkstemp(prefix=f"{program}-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{program} {version()}, Python {sys.version}\n{shlex.join(sys.argv)}\n\n")
            file.write("".join(traceback.format_exception(error)))
    except OSError as unwritten:
        return f"the details could not be written ({unwritten.strerror})"
    return f"the details are in {path}: send them to the maintainers"
