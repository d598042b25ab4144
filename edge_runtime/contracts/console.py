"""How every command of this project ends, whatever ends it: one exit code for each way, and never a traceback for
Ctrl-C, SIGTERM or a reader of the output that has left.

Imports nothing but the standard library, and what a command is made of only once it is ready for Ctrl-C: a press in the
first second, while libraries are loaded, is as quiet as one later.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

DONE, FAILED, WRONG_SETTING, BUG, INTERRUPTED = 0, 1, 2, 70, 130

EXIT_CODES = """\
exit codes: 0 done; also a command that goes on until Ctrl-C, ended by it
            1 something failed or was refused, or whoever read the output has left
            2 a wrong setting or argument
            70 a bug of this software; the file with its details is named
            130 interrupted (Ctrl-C, SIGTERM) before it was done
"""
"""For every `--help`."""

_AGAIN_S = 0.02
_ENDS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While libraries are loaded and nothing is there to clean up: Ctrl-C and SIGTERM end the process at once.

    Afterwards both raise `KeyboardInterrupt`. What the process was started to ignore stays ignored.
    """
    heeded = [number for number in _ENDS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, _end_at_once)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, _interrupt)


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise, but not inside of an import: from a half-loaded library an exception may come out as another one, or end
    the process where the library is C++. There the signal comes again, until the import is done."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def run_command(module: str, program: str = "", extras: Sequence[str] = ()) -> NoReturn:
    """Import `module`, call its `main`, and exit with the code that this returns or exits with.

    Args:
        module: of the command.
        program: what the person typed.
        extras: of this project, that `module` needs, for advice where a package is missing.
    """
    code: int | str | None
    _require_outputs()
    try:
        with loading():
            main = import_module(module).main
        code = main()
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = FAILED
    except Exception as error:
        from edge_runtime.contracts.command_line import explained

        line, code = explained(program or module, error, extras)
        print(f"error: {line}", file=sys.stderr)
    # What is left to do is to end: a second Ctrl-C has nothing to add to that.
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"error: what was to be said could not be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


def _require_outputs() -> None:
    """Something to write to, and to write any character to: what a terminal's encoding lacks is shown as its escape.

    Whoever closed an output (`>&-`) wants to hear nothing; the next file that is opened may not become that output.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
