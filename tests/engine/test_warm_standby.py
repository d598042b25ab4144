"""Orders to the engine: what is loaded, what acts, what is refused, and what is said about it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.bundles.installed import Installed, bundle_folder
from edge_runtime.bundles.slots import Slot, SlotFile, Slots
from edge_runtime.contracts.errors import BundleError, EdgeError
from edge_runtime.contracts.golden import Proof, ProofVerdict
from edge_runtime.contracts.manifest import read_manifest, verify_bundle
from edge_runtime.contracts.messages import Observation
from edge_runtime.contracts.updates import PolicyOrder, PolicyStatus
from edge_runtime.engine.policy import Actions
from edge_runtime.engine.warm_standby import WarmStandby, boot
from edge_runtime.ipc.bus import Refusals
from edge_runtime.testing.small_bundles import small_bundle

PATIENCE_S = 20.0


@dataclass(frozen=True)
class NamedPolicy:
    """A policy of which nothing but its name is asked here."""

    digest: str
    action_dt_ns: int = 50_000_000
    cameras: tuple[str, ...] = ()
    proof: Proof = field(default_factory=lambda: Proof(ProofVerdict.MATCHED, "joint1 is off by 0.001 rad"))

    @property
    def action_scale(self) -> NDArray[np.float64]:
        return np.ones(1)

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def infer(self, observation: Observation, instruction: str, chunk_sequence: int) -> Actions:
        raise NotImplementedError


@dataclass
class Loader:
    """Verifies bundles as they lie on the disk; waits in between where a test holds it up."""

    loaded: list[str] = field(default_factory=list)
    made: list[weakref.ref[NamedPolicy]] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def __call__(self, folder: Path) -> NamedPolicy:
        assert self.may_go_on.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        digest = verify_bundle(folder).digest
        self.loaded.append(digest)
        policy = NamedPolicy(digest)
        self.made.append(weakref.ref(policy))
        return policy


class Bench:
    """A robot with the shipped bundle and three more, and what its engine has in memory."""

    def __init__(self, work: Path) -> None:
        self.root = work / "root"
        self.installed = Installed(small_bundle(work / "shipped", "0"), self.root)
        self.shipped = self.installed.shipped_digest
        self.one, self.two, self.three = (self._install(work, version) for version in "123")
        self.load = Loader()
        self.load.may_go_on.set()
        self.refusals = Refusals()
        self.point(Slots())
        self.policies = WarmStandby(
            self.installed, self.load, NamedPolicy(self.shipped), "", 5, self.refusals, in_background=False
        )
        self.now_ns = 5
        self._id = 0

    def _install(self, work: Path, version: str) -> str:
        made = small_bundle(work / version, version)
        digest = read_manifest(made).digest
        target = bundle_folder(self.root, digest)
        target.parent.mkdir(parents=True)
        made.rename(target)
        return digest

    def point(self, slots: Slots) -> None:
        self.root.mkdir(exist_ok=True)
        SlotFile(self.root / "slots").write(slots)

    def point_at_all(self) -> None:
        self.point(Slots(active=Slot(self.one, 1), committed=Slot(self.two, 1), previous=Slot(self.three, 1)))

    def alter(self, digest: str) -> None:
        path = bundle_folder(self.root, digest) / "denoise.onnx"
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])

    def order(self, serve: str, standby: str = "") -> None:
        self._id += 1
        self.policies.take(PolicyOrder(id=self._id, serve=serve, standby=standby))

    def status(self) -> PolicyStatus:
        return self.policies._status(self.now_ns)

    def until(self, condition: Callable[[PolicyStatus], bool]) -> list[str]:
        """Tend until `condition` holds of the status; who came to act meanwhile."""
        changes = []
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition(self.status()):
            assert time.monotonic() < deadline_s, self.status()
            self.now_ns += 1
            if (other := self.policies.tend(self.now_ns)) is not None:
                assert other.digest == self.status().serving
                changes.append(other.digest)
            time.sleep(0.001)
        return changes

    def at_rest(self) -> list[str]:
        """Tend until nothing is being loaded and a further look changes nothing."""
        self.policies.tend(self.now_ns)
        changes = self.until(lambda status: not status.loading)
        assert self.policies.tend(self.now_ns) is None
        return changes


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_without_an_order_nothing_changes(bench: Bench) -> None:
    assert bench.policies.tend(6) is None
    status = bench.status()
    assert (status.serving, status.serving_since_ns, status.order_id) == (bench.shipped, 5, 0)
    assert (status.standby, status.loading, status.failed, status.problem) == ("", "", "", "")


def test_what_is_ordered_is_loaded_acts_and_what_acted_stays_warm(bench: Bench) -> None:
    bench.point_at_all()
    bench.order(bench.one, bench.shipped)
    assert bench.until(lambda status: status.serving == bench.one) == [bench.one]
    status = bench.status()
    assert (status.standby, status.serving_since_ns, status.order_id) == (bench.shipped, bench.now_ns, 1)
    since_ns = status.serving_since_ns
    bench.order(bench.shipped, bench.one)
    changed = bench.policies.tend(bench.now_ns + 7)
    assert changed is not None
    assert changed.digest == bench.shipped
    assert bench.status().standby == bench.one
    assert bench.status().serving_since_ns == since_ns + 7
    assert bench.load.loaded == [bench.one], "going back loads nothing"


def test_one_that_waits_does_not_act_until_it_is_ordered_to(bench: Bench) -> None:
    bench.point(Slots(staged=Slot(bench.one, 1)))
    bench.order(bench.shipped, bench.one)
    assert bench.until(lambda status: status.standby == bench.one) == []
    assert bench.status().serving == bench.shipped
    bench.order(bench.one, bench.shipped)
    assert bench.at_rest() == []
    assert (bench.status().failed, bench.status().standby) == (bench.one, bench.one)
    assert "pointer" in bench.status().problem
    bench.point(Slots(active=Slot(bench.one, 1), staged=Slot(bench.one, 1)))
    bench.order(bench.one, bench.shipped)
    assert bench.until(lambda status: status.serving == bench.one) == [bench.one]
    assert bench.load.loaded == [bench.one]


def test_never_more_than_two_are_held_with_the_one_that_is_being_loaded(bench: Bench) -> None:
    bench.point_at_all()
    bench.order(bench.one, bench.shipped)
    bench.until(lambda status: status.serving == bench.one)
    bench.load.may_go_on.clear()
    bench.order(bench.two, bench.shipped)
    assert bench.policies.tend(bench.now_ns) is None
    status = bench.status()
    assert (status.serving, status.loading, status.standby) == (bench.one, bench.two, "")
    bench.load.may_go_on.set()
    assert bench.until(lambda status: status.standby == bench.shipped) == [bench.two]
    assert bench.load.loaded == [bench.one, bench.two, bench.shipped]
    in_memory = [policy.digest for made in bench.load.made if (policy := made()) is not None]
    assert in_memory == [bench.two, bench.shipped], "what was let go is gone"


def test_an_order_that_changes_while_its_bundle_is_loaded_leaves_that_one_out(bench: Bench) -> None:
    bench.point_at_all()
    bench.load.may_go_on.clear()
    bench.order(bench.one)
    assert bench.policies.tend(bench.now_ns) is None
    assert bench.policies.loading
    bench.order(bench.two)
    bench.load.may_go_on.set()
    assert bench.until(lambda status: status.serving == bench.two) == [bench.two]
    assert bench.at_rest() == []
    assert bench.status().standby == ""


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda bench: bench.alter(bench.one), "denoise.onnx"),
        (lambda bench: (bundle_folder(bench.root, bench.one) / "manifest.json").unlink(), "manifest.json"),
        (lambda bench: setattr(bench.load, "error", RuntimeError("segments")), "RuntimeError: segments"),
        (lambda bench: setattr(bench.load, "error", MemoryError()), "MemoryError"),
        (
            lambda bench: (bundle_folder(bench.root, bench.one) / "manifest.json").write_bytes(
                (bundle_folder(bench.root, bench.three) / "manifest.json").read_bytes()
            ),
            "does not match",
        ),
    ],
    ids=["altered", "no manifest", "a library's error", "no memory", "another's manifest"],
)
def test_what_cannot_be_loaded_is_named_and_the_one_that_acts_goes_on(
    bench: Bench, spoil: Callable[[Bench], Any], words: str
) -> None:
    bench.point_at_all()
    spoil(bench)
    bench.order(bench.one)
    assert bench.until(lambda status: status.failed == bench.one) == []
    assert words in bench.status().problem
    assert bench.at_rest() == []
    assert bench.status().serving == bench.shipped
    assert not bench.policies.loading, "not tried again under the same order"
    bench.order(bench.shipped)
    assert bench.status().failed == ""


def test_a_whole_bundle_in_anothers_folder_is_not_taken_for_it(bench: Bench) -> None:
    bench.point_at_all()
    bundle_folder(bench.root, bench.one).rename(bench.root / "moved")
    bundle_folder(bench.root, bench.three).rename(bundle_folder(bench.root, bench.one))
    bench.order(bench.one)
    bench.until(lambda status: status.failed == bench.one)
    assert bench.three in bench.status().problem


def test_unknown_bundles_are_refused_unread(bench: Bench) -> None:
    for serve, standby, failed in ((bench.one, "", bench.one), (bench.shipped, bench.one, bench.one)):
        bench.order(serve, standby)
        assert bench.at_rest() == []
        assert bench.status().failed == failed
    assert bench.load.loaded == []
    assert bench.status().serving == bench.shipped


def test_with_a_torn_pointer_there_is_the_shipped_bundle_alone(bench: Bench) -> None:
    bench.point_at_all()
    bench.order(bench.one)
    bench.until(lambda status: status.serving == bench.one)
    for copy in bench.root.glob("slots.*"):
        copy.write_bytes(b"\0" * 4096)
    bench.order(bench.two, bench.one)
    assert bench.at_rest() == []
    assert bench.status().failed == bench.two
    assert "neither of its two copies is whole" in bench.status().problem
    bench.order(bench.shipped)
    assert bench.until(lambda status: status.serving == bench.shipped) == [bench.shipped]


def test_an_order_from_before_the_last_one_is_counted_and_changes_nothing(bench: Bench) -> None:
    bench.point_at_all()
    bench.policies.take(PolicyOrder(id=7, serve=bench.shipped))
    bench.policies.take(PolicyOrder(id=6, serve=bench.one))
    bench.policies.take(PolicyOrder(id=7, serve=bench.one))
    assert bench.at_rest() == []
    assert bench.status().order_id == 7
    assert bench.load.loaded == []
    assert bench.refusals.as_dict() == {"policy_order.out_of_order": 1}


def test_what_changes_is_said_at_once_and_what_does_not_ten_times_a_second(bench: Bench) -> None:
    bench.point_at_all()
    first = bench.policies.status(1)
    assert first is not None
    bench.load.may_go_on.clear()
    bench.order(bench.one)
    ordered = bench.policies.status(2)
    assert ordered is not None
    assert ordered.order_id == 1
    bench.policies.tend(3)
    loading = bench.policies.status(3)
    assert loading is not None
    assert loading.loading == bench.one
    bench.load.may_go_on.set()
    began_s, said = time.monotonic(), 0
    while said < 3:
        said += bench.policies.status(4) is not None
    assert time.monotonic() - began_s > 0.19


def test_at_boot_the_next_best_is_taken_and_what_was_wrong_is_told(bench: Bench) -> None:
    bench.point_at_all()
    booted = boot(bench.installed, bench.load, lambda: False)
    assert booted is not None
    assert (booted[0].digest, booted[1]) == (bench.one, "")
    bench.alter(bench.one)
    booted = boot(bench.installed, bench.load, lambda: False)
    assert booted is not None
    assert booted[0].digest == bench.two
    assert bench.one in booted[1]
    for digest in (bench.two, bench.three):
        bench.alter(digest)
    booted = boot(bench.installed, bench.load, lambda: False)
    assert booted is not None
    assert booted[0].digest == bench.shipped
    status = WarmStandby(bench.installed, bench.load, *booted, 1, Refusals()).status(1)
    assert status is not None
    assert (status.serving, status.failed) == (bench.shipped, bench.one)
    assert bench.one in status.problem


def test_when_not_even_the_shipped_one_can_be_loaded_its_error_is_the_answer(bench: Bench) -> None:
    bench.load.error = BundleError("the last")
    with pytest.raises(EdgeError, match="the last"):
        boot(bench.installed, bench.load, lambda: False)


def test_who_is_told_to_end_does_not_wait_for_a_load(bench: Bench) -> None:
    bench.load.may_go_on.clear()
    assert boot(bench.installed, bench.load, lambda: True) is None
    bench.load.may_go_on.set()


def test_at_boot_it_says_what_it_loads(bench: Bench) -> None:
    bench.point_at_all()
    bench.load.may_go_on.clear()
    said: list[PolicyStatus] = []
    threading.Timer(0.3, bench.load.may_go_on.set).start()
    assert boot(bench.installed, bench.load, lambda: False, said.append) is not None
    assert len(said) >= 2
    assert {(status.serving, status.loading, status.order_id) for status in said} == {("", bench.one, 0)}
