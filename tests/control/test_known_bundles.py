"""Whose chunks may move the robot: what the pointer names and what fits, at no cost for those who are known."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge_runtime.bundles.installed import Installed, bundle_folder
from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.errors import HandshakeError
from edge_runtime.contracts.manifest import Manifest, read_manifest
from edge_runtime.control.known_bundles import KnownBundles
from edge_runtime.testing.small_bundles import small_bundle

SECOND_NS = 1_000_000_000


class CountingInstalled(Installed):
    """Counts how often the disk was asked."""

    pointer_reads = 0
    folders_asked = 0

    def may_act(self) -> frozenset[str]:
        self.pointer_reads += 1
        return super().may_act()

    def folder(self, digest: str) -> Path:
        self.folders_asked += 1
        return super().folder(digest)


class Bench:
    """A robot with the shipped bundle and what is installed beside it."""

    def __init__(self, work: Path) -> None:
        self._work, self.root = work, work / "root"
        self.installed = CountingInstalled(small_bundle(work / "shipped", "0"), self.root)
        self.misfits: set[str] = set()
        self.bundles = KnownBundles(self.installed, self._require_fit)
        self.now_ns = 0

    def _require_fit(self, manifest: Manifest) -> None:
        if manifest.digest in self.misfits:
            raise HandshakeError("joint_digest", "this", "that")

    def install(self, version: str) -> str:
        made = small_bundle(self._work / version, version)
        digest = read_manifest(made).digest
        target = bundle_folder(self.root, digest)
        target.parent.mkdir(parents=True)
        made.rename(target)
        return digest

    def point(self, active: str, **others: Slot) -> None:
        slots = {"committed": Slot(active, 1), **others}
        SlotFile(self.root / "slots").write(Slots(active=Slot(active, 1), **slots))

    def tear_the_pointer(self) -> None:
        for copy in self.root.glob("slots.*"):
            copy.write_bytes(b"\0" * 4096)

    def takes(self, digest: str, *, after_s: float = 0.0) -> bool:
        self.now_ns += round(after_s * SECOND_NS)
        return self.bundles.why_not(digest, self.now_ns) is None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_all_that_the_pointer_names_may_act_and_what_waits_may_not(bench: Bench) -> None:
    first, second, third = (bench.install(version) for version in "123")
    bench.point(second, previous=Slot(first, 1), staged=Slot(third, 2))
    for digest in (first, second, bench.installed.shipped_digest):
        assert bench.takes(digest)
    assert not bench.takes(third)
    assert not bench.takes("0" * 64)
    assert not bench.takes("")


def test_what_is_known_costs_nothing_and_a_flood_of_what_is_not_costs_one_look_a_second(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(first, previous=Slot(second, 1))
    for digest in (first, second) * 100:
        assert bench.takes(digest, after_s=0.004)
    assert bench.installed.pointer_reads == 1
    assert bench.installed.folders_asked == 2
    for number in range(1000):
        assert not bench.takes(f"{number:064x}", after_s=0.01)
        assert bench.takes(first)
    assert bench.installed.pointer_reads <= 12
    assert bench.installed.folders_asked <= 14


def test_a_bundle_that_is_pointed_at_later_is_taken_with_its_first_chunk(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(first)
    assert bench.takes(first)
    bench.point(second, committed=Slot(first, 1))
    assert bench.takes(second, after_s=1.0)
    assert bench.takes(first)
    bench.point(first)
    assert not bench.takes("0" * 64, after_s=1.0)
    assert not bench.takes(second), "what is pointed at no longer may act no longer"


def test_one_that_was_refused_is_looked_at_again_once_the_pointer_was_written_to(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(first)
    assert not bench.takes(second)
    before = bench.installed.written()
    # A file system's clock may be as coarse as a few milliseconds.
    while bench.installed.written() == before:
        bench.point(second)
    assert bench.takes(second)


def test_one_that_was_refused_is_looked_at_again_a_second_later(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(first)
    assert not bench.takes(second)
    stamps_ns = {path: path.stat().st_mtime_ns for path in bench.root.glob("slots.*")}
    bench.point(second)
    for path, stamp_ns in stamps_ns.items():
        os.utime(path, ns=(stamp_ns, stamp_ns))
    assert not bench.takes(second, after_s=0.9)
    assert bench.takes(second, after_s=0.2)


def test_one_that_does_not_fit_or_is_another_may_not_act(bench: Bench) -> None:
    first, second, third = (bench.install(version) for version in "123")
    bench.point(first, committed=Slot(second, 1), previous=Slot(third, 1))
    bench.misfits = {first}
    (bench.installed.folder(second) / "manifest.json").write_bytes(
        (bench.installed.folder(third) / "manifest.json").read_bytes()
    )
    assert not bench.takes(first)
    assert not bench.takes(second)
    assert bench.takes(third)


def test_a_torn_pointer_takes_nothing_from_who_may_act_and_lets_the_shipped_one(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(first)
    assert bench.takes(first)
    bench.tear_the_pointer()
    assert bench.takes(bench.installed.shipped_digest, after_s=1.0)
    assert bench.takes(first)
    assert not bench.takes(second, after_s=1.0)


def test_what_boots_is_the_best_that_fits(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(second, committed=Slot(first, 1))
    assert bench.bundles.boot() == second
    bench.misfits = {second}
    assert bench.bundles.boot() == first
    bench.misfits |= {first}
    assert bench.bundles.boot() == bench.installed.shipped_digest
    bench.misfits |= {bench.installed.shipped_digest}
    with pytest.raises(HandshakeError):
        bench.bundles.boot()


def test_what_fitted_may_come_back_although_its_folder_cannot_be_read(bench: Bench) -> None:
    first, second = bench.install("1"), bench.install("2")
    bench.point(second, previous=Slot(first, 1))
    assert bench.takes(first)
    assert bench.takes(second, after_s=2.0)
    shutil.rmtree(bench.installed.folder(first))
    assert bench.takes(first, after_s=2.0)
