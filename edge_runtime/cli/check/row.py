"""What a look at the machine comes to: rows, each with what was found and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from edge_runtime.config.robot_file import RobotConfig
from edge_runtime.contracts.errors import EdgeError
from edge_runtime.contracts.installation import explain


class Level(Enum):
    """How a row came out."""

    OK = "ok"
    WARN = "warn"
    """The robot can be armed and runs its bundle, but worse than it could."""
    FAIL = "fail"
    """The robot can't be armed, or does not run its bundle."""
    SKIP = "-"
    """Not looked at, because a row that it needs has failed."""


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    Attributes:
        name: of the row.
        level: how it came out.
        found: what there is.
        remedy: what to do, in words; empty where all is well.
        command: a line to paste that does it, where there is one.
    """

    name: str
    level: Level
    found: str
    remedy: str = ""
    command: str = ""


@dataclass(frozen=True)
class Look:
    """One look at something, which may come to several rows.

    Attributes:
        name: of the row that says why the look itself failed; usually that of its only row.
        rows: the look itself. Whatever it raises becomes a row that failed; rows before that stay.
        needs: names of rows without which there is nothing to look at: where one has failed, this look is skipped.
        when: whether it concerns this robot at all.
    """

    name: str
    rows: Callable[[RobotConfig], Iterator[Row]]
    needs: tuple[str, ...] = ()
    when: Callable[[RobotConfig], bool] = lambda _config: True


def rows_of(looks: Sequence[Look], config: RobotConfig) -> Iterator[Row]:
    """All rows, in the order of `looks`. Never raises what a look raises."""
    held: set[str] = set()
    for look in looks:
        if not look.when(config):
            continue
        lacks = [name for name in look.needs if name not in held]
        if lacks:
            yield Row(look.name, Level.SKIP, f"not looked at without: {', '.join(lacks)}")
            continue
        for row in _guarded(look, config):
            yield row
            if row.level in (Level.OK, Level.WARN):
                held.add(row.name)


def _guarded(look: Look, config: RobotConfig) -> Iterator[Row]:
    try:
        yield from look.rows(config)
    except ImportError as error:
        yield Row(look.name, Level.FAIL, explain(error))
    except (EdgeError, OSError) as error:
        yield Row(look.name, Level.FAIL, str(error))
    except Exception as error:  # a look at a damaged machine may raise anything, and the other rows still count
        yield Row(look.name, Level.FAIL, f"{type(error).__name__}: {error}")
