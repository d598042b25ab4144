"""What a look at the machine comes to: rows, each with what was found and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from contracts.errors import EdgeError
from edge_runtime.config import RobotConfig


class Level(Enum):
    """How a row came out."""

    OK = "ok"
    WARN = "warn"
    """The robot can be armed and runs its bundle, but worse than it could."""
    FAIL = "fail"
    """The robot can't be armed, or does not run its bundle."""


@dataclass(frozen=True)
class Row:
    """One thing that was looked at. `remedy` says what to do, empty where all is well."""

    name: str
    level: Level
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Look:
    """One look at something, which may come to several rows.

    Attributes:
        name: of the row that says why the look itself failed; usually that of its only row.
        rows: the look itself. Whatever it raises becomes a row that failed; rows before that stay.
        needs: names of rows without which there is nothing to look at: a failed one, or none, skips this look.
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
        if not (look.when(config) and held.issuperset(look.needs)):
            continue
        for row in _guarded(look, config):
            yield row
            if row.level is not Level.FAIL:
                held.add(row.name)


def _guarded(look: Look, config: RobotConfig) -> Iterator[Row]:
    try:
        yield from look.rows(config)
    except (EdgeError, ImportError, OSError) as error:
        remedy = "pip install -e '.[robot,sim]' in this folder" if isinstance(error, ImportError) else ""
        yield Row(look.name, Level.FAIL, str(error), remedy)
    except Exception as error:  # a look at a damaged machine may raise anything, and the other rows still count
        yield Row(look.name, Level.FAIL, f"{type(error).__name__}: {error}")
