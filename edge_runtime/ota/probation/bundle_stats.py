"""What a bundle did on this robot: counts of things that happened, small enough to keep, and kept over a power cut.

Guarantees: a record is a value; adding two gives the same in any order; no number in it is negative or grows without
bound. What is torn on disk is an empty record and a word why, never a failure: a robot that lost its memory of a bundle
judges by absolute terms, it does not stop judging. Refuses to know what is good or bad; `probation.py` compares.

The units are those that a comparison may count: episodes, and windows of `WINDOW_NS` of motion. Ticks, and chunks a
tenth of a second apart, are too much alike to be evidence one by one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate
from pathlib import Path

import msgspec
from msgspec.structs import replace

from edge_runtime.contracts.errors import StorageError
from edge_runtime.storage.durable import make_folder
from edge_runtime.storage.faults import storage_errors
from edge_runtime.storage.twin_record import TwinRecord

VERSION = 1
WINDOW_NS = 10_000_000_000
"""Of motion under the policy, not of the clock on the wall. Long enough that most episodes are few windows."""
INTERVENTION_EDGES = (1, 10, 100, 1000)
"""Of a window's 10,000 ticks as many altered by the kernel are the next class: none, under 0.1, 1, 10 %, and more."""
AGE_EDGES_NS = tuple(round(4e6 * 2 ** (k / 4)) for k in range(48))
"""From 4 ms to 14 s, four classes to a doubling: what is over an edge is known to a fifth."""
_MOST = 2**53
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SAVE_EVERY_S = 60.0
_WINDOWS_MOST = 5000
_EPISODES_MOST = 1000


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one bundle did.

    Attributes:
        bundle: digest of its manifest.
        active_ns: how long it moved the robot.
        episodes: attempts that were judged, `failures` of them failed.
        interventions: windows, by how many of their ticks the kernel altered (`INTERVENTION_EDGES`).
        stalled: windows in which the plan ran out and the robot had to hold.
        withheld: windows in which control would not follow a chunk, or the policy itself was not sure enough.
        trips: times that the kernel tripped on what the robot did to its surroundings.
        crashes: times that the engine ended or fell silent under it.
        not_finite: times that the engine told of outputs that were no numbers.
        ages: chunks, by the time from exposure to their arrival at control (`AGE_EDGES_NS`).
    """

    bundle: str
    version: int = VERSION
    active_ns: int = 0
    episodes: int = 0
    failures: int = 0
    interventions: tuple[int, ...] = (0,) * (len(INTERVENTION_EDGES) + 1)
    stalled: int = 0
    withheld: int = 0
    trips: int = 0
    crashes: int = 0
    not_finite: int = 0
    ages: tuple[int, ...] = (0,) * (len(AGE_EDGES_NS) + 1)

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.bundle):
            raise ValueError(f"a bundle is named by 64 hexadecimal digits, got {self.bundle[:80]!r}")
        if self.version != VERSION:
            raise ValueError(f"a record of version {self.version}, this software reads {VERSION}")
        if len(self.interventions) != len(INTERVENTION_EDGES) + 1 or len(self.ages) != len(AGE_EDGES_NS) + 1:
            raise ValueError("a record has another number of classes")
        if not all(0 <= count <= _MOST for count in (*(getattr(self, name) for name in _COUNTS), *self._classes())):
            raise ValueError("a count lies outside 0 to 2^53")
        if self.failures > self.episodes or max(self.stalled, self.withheld) > self.windows:
            raise ValueError("more of a kind than there were")

    def _classes(self) -> tuple[int, ...]:
        return (*self.interventions, *self.ages)

    @property
    def windows(self) -> int:
        """Windows of motion that are complete."""
        return sum(self.interventions)

    @property
    def active_s(self) -> float:
        """How long it moved the robot."""
        return self.active_ns * 1e-9

    @property
    def successes(self) -> int:
        """Episodes that did not fail."""
        return self.episodes - self.failures

    @property
    def chunks(self) -> int:
        """Chunks whose age is known."""
        return sum(self.ages)

    def windows_altered(self) -> tuple[int, ...]:
        """Windows with at least as many altered ticks as each of `INTERVENTION_EDGES`."""
        return tuple(accumulate(reversed(self.interventions[1:])))[::-1]

    def chunks_older_than(self, age_ns: float) -> int:
        """Chunks that were older for certain: those of the classes that begin there or later."""
        return sum(count for edge, count in zip(AGE_EDGES_NS, self.ages[1:], strict=True) if edge >= age_ns)

    def plus(self, other: Record) -> Record:
        """Both together.

        Raises:
            ValueError: they are of two bundles.
        """
        if other.bundle != self.bundle:
            raise ValueError(f"records of {self.bundle} and {other.bundle} do not add up")
        return Record(
            bundle=self.bundle,
            interventions=_sums(self.interventions, other.interventions),
            ages=_sums(self.ages, other.ages),
            **{name: min(getattr(self, name) + getattr(other, name), _MOST) for name in _COUNTS},
        )

    def faded(self) -> Record:
        """Half of it where there is a lot: what a bundle did lately weighs more, and the rest is a weaker witness."""
        record = self
        if self.windows > _WINDOWS_MOST:
            interventions = tuple(_half(count) for count in self.interventions)
            names = ("active_ns", "stalled", "withheld", "trips", "crashes", "not_finite")
            record = replace(
                record,
                interventions=interventions,
                ages=tuple(_half(count) for count in self.ages),
                **{name: _half(getattr(self, name)) for name in names},
            )
        if self.episodes > _EPISODES_MOST:
            record = replace(record, episodes=_half(self.episodes), failures=_half(self.failures))
        return record


def _half(count: int) -> int:
    # Upwards: what happened once is not forgotten, and more of a kind than there were it cannot become.
    return (count + 1) // 2


_COUNTS = ("active_ns", "episodes", "failures", "stalled", "withheld", "trips", "crashes", "not_finite")


def _sums(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(a + b, _MOST) for a, b in zip(ours, theirs, strict=True))


def with_class(edges: tuple[int, ...], value: int) -> tuple[int, ...]:
    """One thing of `value` among the classes of `edges`."""
    place = bisect_right(edges, value)
    return tuple(int(k == place) for k in range(len(edges) + 1))


class RecordBook:
    """The records in `folder`, one pair of files of 8 KiB for each bundle. One writer: whoever holds the store's lock.

    Attributes:
        problems: what could not be read, in words, by bundle.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved: dict[str, tuple[Record, float]] = {}
        self.problems: dict[str, str] = {}

    def read(self, bundle: str) -> Record:
        """The record of `bundle`; an empty one where there is none, or none that is whole (see `problems`)."""
        empty = Record(bundle=bundle)
        self.problems.pop(bundle, None)
        try:
            record = self._file(bundle).read() or empty
        except StorageError as error:
            self.problems[bundle] = str(error)
            return empty
        if record.bundle != bundle:
            self.problems[bundle] = f"{self._folder / bundle}: is the record of {record.bundle}"
            return empty
        return record

    def write(self, record: Record) -> None:
        """Keep `record`; it has lasted when this returns.

        Raises:
            StorageError: the old one or this one is there.
        """
        make_folder(self._folder)
        self._file(record.bundle).write(record)

    def save(self, records: Iterable[Record], now_s: float) -> None:
        """Write what has changed: at once what a decision may hang on, motion and latency once a minute.

        Raises:
            StorageError: as `write`; those that are left are written by a later call.
        """
        for record in records:
            before, saved_s = self._saved.get(record.bundle, (Record(bundle=record.bundle), -_SAVE_EVERY_S))
            if record != before and (now_s - saved_s >= _SAVE_EVERY_S or _events(record) != _events(before)):
                self.write(record)
                self._saved[record.bundle] = (record, now_s)

    def forget(self, keep: Collection[str]) -> None:
        """Remove the records of all other bundles.

        Raises:
            StorageError: some are left.
        """
        with storage_errors(self._folder):
            for path in self._folder.iterdir() if self._folder.is_dir() else ():
                if path.name.partition(".")[0] not in keep:
                    path.unlink()

    def _file(self, bundle: str) -> TwinRecord[Record]:
        return TwinRecord(self._folder / bundle, Record)


def _events(record: Record) -> tuple[int, int, int, int]:
    return record.episodes, record.trips, record.crashes, record.not_finite
