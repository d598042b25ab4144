"""A trusted repository at its edges: misuse, a pinned root that is none, roles that are not what they are called."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets

from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.contracts.release import MAX_RELEASE_BYTES
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.repository import TrustedRepository
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import fetch_target
from edge_runtime.ota.trust.tuf_errors import Fetched, Judge, role_of
from edge_runtime.ota.trust.versions import Versions
from tests.ota.plain_repository import PlainRepository
from tests.ota.repositories import NETWORK, Site, bytes_answer


class Robot:
    def __init__(self, folder: Path) -> None:
        self.repository = PlainRepository(folder / "repository")
        self.site = Site(folder / "repository")
        self.transport = HttpTransport(NETWORK, SystemClock())
        self.folder = folder / "metadata"
        self.root = (self.repository.metadata / "1.root.json").read_bytes()
        self.floor = Floor(folder / "floor")

    def trusted(self) -> TrustedRepository:
        return TrustedRepository(
            "plain",
            folder=self.folder,
            url=f"{self.site.url}/metadata",
            root=self.root,
            transport=self.transport,
            floor=self.floor,
        )

    def refused(self, refusal: OtaRefusal) -> None:
        with pytest.raises(OtaError) as caught:
            self.trusted().refresh(time.time())
        assert caught.value.refusal is refusal, caught.value


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    made = Robot(tmp_path)
    yield made
    made.transport.close()
    made.site.close()


def test_refresh_comes_first(robot: Robot) -> None:
    for ask in (lambda r: r.target("a"), lambda r: r.listed()):
        with pytest.raises(RuntimeError, match="refresh comes first"):
            ask(robot.trusted())


def test_after_a_refusal_nothing_can_be_asked(robot: Robot) -> None:
    trusted = robot.trusted()
    trusted.refresh(time.time())
    late = robot.trusted()
    late.refresh(time.time())
    with pytest.raises(OtaError):
        late.refresh(time.time() + 7 * 86_400)
    for ask in (lambda r: r.target("a"), lambda r: r.listed()):
        with pytest.raises(RuntimeError, match="refresh comes first"):
            ask(late)
    assert trusted.listed() == {}
    trusted.refresh(time.time())
    assert trusted.listed() == {}


@pytest.mark.parametrize("data", [b"", b"{}", b"not a root"])
def test_a_pinned_root_that_is_none(robot: Robot, data: bytes) -> None:
    robot.root = data
    robot.refused(OtaRefusal.METADATA_MALFORMED)
    assert robot.site.asked == []


def test_a_pinned_root_that_nobody_signed(robot: Robot) -> None:
    root = Metadata.from_bytes(robot.root)
    root.signatures.clear()
    robot.root = root.to_bytes()
    robot.refused(OtaRefusal.WRONG_KEY)
    assert robot.site.asked == []


def test_targets_that_vanish_from_the_disk_are_torn_state(robot: Robot) -> None:
    trusted = robot.trusted()
    trusted.refresh(time.time())
    (robot.folder / "targets.json").write_bytes(b"")
    with pytest.raises(OtaError) as caught:
        trusted.listed()
    assert caught.value.refusal is OtaRefusal.TORN_STATE


def test_python_tuf_fetches_no_target(robot: Robot, tmp_path: Path) -> None:
    robot.repository.add_target("one", b"1")
    robot.repository.announce()
    trusted = robot.trusted()
    trusted.refresh(time.time())
    target = trusted.target("one")
    assert target is not None
    robot.site.asked.clear()
    updater, _ = trusted._ready()
    with pytest.raises(DownloadError, match="not fetched by python-tuf"):
        updater.download_target(target, str(tmp_path / "one"), f"{robot.site.url}/targets")
    assert robot.site.asked == []


def test_a_root_that_vanishes_while_it_is_needed(robot: Robot) -> None:
    def vanish(handler: SimpleHTTPRequestHandler) -> None:
        (robot.folder / "root.json").unlink()
        bytes_answer((robot.repository.metadata / "timestamp.json").read_bytes())(handler)

    robot.site.answers["/metadata/timestamp.json"] = vanish
    robot.refused(OtaRefusal.TORN_STATE)
    del robot.site.answers["/metadata/timestamp.json"]
    robot.trusted().refresh(time.time())


def test_a_target_that_is_too_large_is_not_asked_for(robot: Robot) -> None:
    robot.repository.add_target("large", b"small")
    with robot.repository.edit_targets() as targets:
        targets.targets["large"].length = 1 << 30
    robot.repository.announce()
    trusted = robot.trusted()
    trusted.refresh(time.time())
    target = trusted.target("large")
    assert target is not None
    robot.site.asked.clear()
    with pytest.raises(OtaError) as caught:
        fetch_target(robot.transport, trusted, target, f"{robot.site.url}/targets")
    assert caught.value.refusal is OtaRefusal.RELEASE_OVERSIZED
    assert robot.site.asked == []
    target.length = MAX_RELEASE_BYTES
    with pytest.raises(OtaError) as caught:
        fetch_target(robot.transport, trusted, target, f"{robot.site.url}/targets")
    assert caught.value.refusal is OtaRefusal.TARGET_ALTERED, "one at the cap is fetched"


@pytest.mark.parametrize("sent", [b"other", b"smal", b"small and more", b""])
def test_other_bytes_than_were_signed_are_no_target(robot: Robot, sent: bytes) -> None:
    robot.repository.add_target("small", b"small")
    robot.repository.announce()
    trusted = robot.trusted()
    trusted.refresh(time.time())
    target = trusted.target("small")
    assert target is not None
    robot.site.answers[f"/targets/{trusted.hashed_path(target)}"] = bytes_answer(sent)
    with pytest.raises(OtaError) as caught:
        fetch_target(robot.transport, trusted, target, f"{robot.site.url}/targets")
    wrong = OtaRefusal.ENDLESS_DATA if len(sent) > len(b"small") else OtaRefusal.TARGET_ALTERED
    assert caught.value.refusal is wrong


def test_a_snapshot_that_lists_no_targets(robot: Robot) -> None:
    snapshot = robot.repository.open("snapshot")
    del snapshot.signed.meta["targets.json"]
    robot.repository.close("snapshot", snapshot)
    timestamp = robot.repository.open("timestamp")
    timestamp.signed.snapshot_meta = MetaFile(2)
    robot.repository.close("timestamp", timestamp)
    with pytest.raises(OtaError):
        robot.trusted().refresh(time.time())


def test_a_disk_that_takes_nothing_is_a_named_refusal(robot: Robot) -> None:
    robot.folder.parent.joinpath("metadata").write_text("a file where the folder should be")
    with pytest.raises(OtaError, match="metadata") as caught:
        robot.trusted().refresh(time.time())
    assert caught.value.refusal is OtaRefusal.STORAGE_FAULT


JUDGE = Judge(repository="plain", floor=Versions(), now_s=time.time(), robot_id=None)


def test_the_signatures_of_a_role_that_nobody_known_delegates_to() -> None:
    signed = Metadata(Targets())
    signed.sign(CryptoSigner.generate_ed25519())
    fetched = Fetched(role="deep", data=signed.to_bytes())
    error = JUDGE.name(UnsignedMetadataError("deep"), fetched, {"targets": Targets(), "snapshot": Snapshot()})
    assert error.refusal is OtaRefusal.WRONG_KEY


def test_a_role_that_was_delegated_and_never_announced() -> None:
    fetched = Fetched(role="targets", data=Metadata(Targets()).to_bytes())
    assert JUDGE.name(RepositoryError("not in snapshot"), fetched, {}).refusal is OtaRefusal.MIX_AND_MATCH


@pytest.mark.parametrize(
    ("url", "role"),
    [
        ("http://h/m/timestamp.json", "timestamp"),
        ("http://h/m/12.snapshot.json", "snapshot"),
        ("http://h/m/3.delegated%2Frole.json", "delegated/role"),
        ("http://h/m/5.7.json", "7"),
        ("http://h/m/a.b.json", "a.b"),
    ],
)
def test_the_role_that_a_url_asks_for(url: str, role: str) -> None:
    assert role_of(url) == role
