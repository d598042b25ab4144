"""The live display on a terminal: what stands there after each drawing, and that nothing is blank in between."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_runtime.cli.redraw import Redrawn

WIDTH, HEIGHT = 40, 12
_TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")


class Screen:
    """As much of a terminal as these drawings use; anything else is an error.

    A character in the last column leaves the cursor on it, as terminals do.
    """

    def __init__(self, folds: bool = False) -> None:
        self.folds = folds
        self.cells = [[" "] * WIDTH for _ in range(HEIGHT)]
        self.row = self.column = 0
        self.is_held = False

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found is not None, repr(text[at : at + 20])
            at = found.end()
            parameters, command, back, down, char = found.groups()
            if back:
                self.column = 0
            elif down:
                self.next_row()
            elif char:
                if self.column == WIDTH:
                    assert self.folds, "a line is longer than the screen is wide"
                    self.next_row()
                self.cells[self.row][self.column] = char
                self.column += 1
            elif command == "A":
                self.row = max(0, self.row - int(parameters or 1))
            elif command == "K":
                assert parameters == "", "only what is behind the cursor is erased"
                self.cells[self.row][min(self.column, WIDTH - 1) :] = " " * (WIDTH - min(self.column, WIDTH - 1))
            elif command == "J":
                for row in range(self.row, HEIGHT):
                    self.cells[row][self.column if row == self.row else 0 :] = " " * (
                        WIDTH - (self.column if row == self.row else 0)
                    )
            elif command in "hl" and parameters == "?2026":
                assert self.is_held is (command == "l")
                self.is_held = command == "h"
            else:
                assert (command in "hl" and parameters == "?25") or command == "m", (parameters, command)

    def next_row(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == HEIGHT:
            self.cells = [*self.cells[1:], [" "] * WIDTH]
            self.row -= 1

    @property
    def lines(self) -> list[str]:
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n").split("\n")


class Terminal:
    def __init__(self, folds: bool = False) -> None:
        self.screen = Screen(folds)
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, force_terminal=True, width=WIDTH, height=HEIGHT, color_system=None, legacy_windows=False
        )

    def written(self) -> str:
        """What was written since the last look; it is on the screen then."""
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        self.screen.feed(text)
        return text


def table(*rows: str) -> Table:
    grid = Table(title="arm", title_justify="left", show_header=False, box=None, padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=5)
    grid.add_column(ratio=1, overflow="fold")
    for index, row in enumerate(rows):
        grid.add_row(f"row {index}", Text(row))
    return grid


@pytest.mark.parametrize("width", [3, 33, 34, 80])
def test_each_drawing_replaces_the_last_one_whatever_their_shapes(width: int) -> None:
    terminal = Terminal()
    drawings = [("a" * width, "b", "c"), ("d",), ("e" * 20, "f" * width), (), ("g", "h" * width, "i", "j"), ("k", "l")]
    with Redrawn(terminal.console) as live:
        for rows in drawings:
            live.update(table(*rows), refresh=True)
            written = terminal.written()
            assert "\x1b[2K" not in written
            assert not terminal.screen.is_held
            alone = Terminal()
            alone.console.print(table(*rows))
            alone.written()
            assert terminal.screen.lines == alone.screen.lines
    terminal.written()
    assert not terminal.screen.is_held


def test_words_that_stay_stand_above_it() -> None:
    terminal = Terminal()
    with Redrawn(terminal.console) as live:
        live.update(table("first, which is longer than the words"), refresh=True)
        terminal.console.print("a note", soft_wrap=True)
        live.update(table("second", "third"), refresh=True)
        terminal.console.print("one more, which is longer", soft_wrap=True)
    terminal.written()
    assert terminal.screen.lines == ["a note", "one more, which is longer", "arm", "row 0 second", "row 1 third"]


@pytest.mark.parametrize("length", [1, WIDTH - 1, WIDTH, WIDTH + 1, WIDTH + 9, 2 * WIDTH, 2 * WIDTH + 3])
def test_words_that_the_terminal_folds_leave_nothing_of_the_old_drawing(length: int) -> None:
    terminal = Terminal(folds=True)
    with Redrawn(terminal.console) as live:
        live.update(table("f" * 30, "s" * 30, "t" * 30), refresh=True)
        terminal.console.print("n" * length, soft_wrap=True)
        live.update(table("second"), refresh=True)
    terminal.written()
    note = [("n" * length)[at : at + WIDTH] for at in range(0, length, WIDTH)]
    assert terminal.screen.lines == [*note, "arm", "row 0 second"]


def test_every_drawing_is_one_whole_to_a_terminal_that_knows_how() -> None:
    terminal = Terminal()
    with Redrawn(terminal.console) as live:
        terminal.written()
        for rows in (("a",), ("b", "c"), ("d",)):
            live.update(table(*rows), refresh=True)
            written = terminal.written()
            assert written.startswith("\x1b[?2026h")
            assert written.endswith("\x1b[?2026l")


def test_what_is_no_terminal_gets_no_control_codes() -> None:
    file = io.StringIO()
    with Redrawn(Console(file=file, width=WIDTH, force_terminal=False)) as live:
        live.update(table("a"), refresh=True)
    assert "\x1b" not in file.getvalue()
