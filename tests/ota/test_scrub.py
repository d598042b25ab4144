"""What a disk alters is found and healed from a real web server, whatever it is, and never made worse."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge_runtime.bundles.slots import SHIPPED
from edge_runtime.config.robot_file import ScrubSection
from edge_runtime.contracts.errors import OtaRefusal
from edge_runtime.contracts.manifest import verify_bundle
from edge_runtime.ota.lifecycle.child import never
from edge_runtime.ota.store.scrub import FIRST_WAIT_S, LONGEST_WAIT_S
from edge_runtime.ota.store.scrub_state import ScrubState, read_state, words_of, write_state
from edge_runtime.ota.transfer.schedule import AllowedHours
from edge_runtime.testing.web_server import Exchange, Request, WebServer
from tests.ota.packed_releases import LeapingClock
from tests.ota.power_cut import scratch_folder
from tests.ota.scrubbed_robot import NOW_S, VERSIONS, ScrubbedRobot, flip, spoil
from tests.storage.test_durable import files_no_larger_than

LATER_S = NOW_S + 86_400.0 + 60.0


@pytest.fixture
def robot() -> Iterator[ScrubbedRobot]:
    with scratch_folder() as folder:
        yield ScrubbedRobot.made(folder)


@pytest.fixture
def hub(robot: ScrubbedRobot) -> Iterator[WebServer]:
    with WebServer(robot.objects) as server:
        yield server


def serve_well(_: Request) -> None:
    """As a server does by itself."""


def test_what_is_whole_is_read_once_an_interval_and_nobody_is_asked(robot: ScrubbedRobot, hub: WebServer) -> None:
    scrub = robot.scrub(hub.url)
    assert scrub.due(NOW_S)
    assert scrub.run(NOW_S, never) is None
    assert not scrub.due(NOW_S + 1.0)
    assert not robot.scrub(hub.url).due(NOW_S + 86_000.0), "it is kept over a restart"
    assert robot.scrub(hub.url).due(LATER_S)
    assert hub.requests == []
    robot.require_whole()


def test_a_bit_in_every_file_is_found_and_healed(robot: ScrubbedRobot, hub: WebServer) -> None:
    altered = set()
    for version in VERSIONS:
        for file in robot.releases[version].files:
            path = robot.path(version, file.path)
            if file.size_bytes and path.stat().st_ino not in altered:
                flip(path, -1)
                altered.add(path.stat().st_ino)
    said = robot.run(hub.url)
    assert said is not None
    assert said.refusal is OtaRefusal.BUNDLE_ALTERED
    assert all(robot.digest(version) in said.detail for version in VERSIONS)
    assert "healed" in said.detail
    robot.require_whole()
    assert robot.run(hub.url, LATER_S) is None


def test_only_the_piece_that_is_altered_comes_again(robot: ScrubbedRobot, hub: WebServer) -> None:
    spoil(robot, "committed")
    robot.run(hub.url)
    robot.require_whole()
    release = robot.releases["committed"]
    piece = next(file for file in release.files if file.path == "denoise.onnx").pieces[-1]
    assert [request.sent_bytes for request in hub.requests] == [release.blobs[piece].size_bytes]


def test_what_another_bundle_has_comes_from_there(robot: ScrubbedRobot, hub: WebServer) -> None:
    card = robot.path("committed", "notes/card.md")
    shutil.copy(card, card.with_suffix(".own"))
    card.with_suffix(".own").rename(card)
    card.write_bytes(b"")
    robot.run(hub.url)
    robot.require_whole()
    assert hub.requests == []
    assert card.samefile(robot.path("previous", "notes/card.md")), "it is on the disk twice"


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def swap_for_folder(path: Path) -> None:
    path.unlink()
    (path / "within").mkdir(parents=True)


def swap_for_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "first byte": lambda path: flip(path, 0),
    "cut short": lambda path: os.truncate(path, 10),
    "emptied": lambda path: os.truncate(path, 0),
    "too long": lambda path: os.truncate(path, 10_000),
    "zeros": fill_with_zeros,
    "deleted": Path.unlink,
    "a folder": swap_for_folder,
    "a link to nowhere": swap_for_link,
    "its folder deleted": lambda path: shutil.rmtree(path.parent),
    "the bundle deleted": lambda path: shutil.rmtree(path.parent.parent.parent),
    "the list deleted": lambda path: (path.parent.parent.parent / "release.json").unlink(),
    "the list cut short": lambda path: os.truncate(path.parent.parent.parent / "release.json", 100),
}


@pytest.mark.parametrize("version", ["committed", "staged"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_healed_of(robot: ScrubbedRobot, hub: WebServer, damage: Callable[[Path], None], version: str) -> None:
    robot.run(hub.url)
    damage(robot.path(version, "notes/card.md"))
    damaged = robot.run(hub.url, LATER_S)
    assert damaged is not None
    assert "healed" in damaged.detail
    robot.require_whole()
    assert read_state(robot.home).altered == {}


def test_a_list_that_reads_well_and_says_something_else_is_fetched_again(robot: ScrubbedRobot, hub: WebServer) -> None:
    robot.run(hub.url)
    path = robot.store.bundles / robot.digest("committed") / "release.json"
    release = robot.releases["committed"]
    compatibility = msgspec.structs.replace(release.compatibility, architectures=("other",))
    path.write_bytes(msgspec.structs.replace(release, compatibility=compatibility).canonical_json())
    assert robot.run(hub.url, LATER_S) is not None
    robot.require_whole()
    assert [request.path for request in hub.requests] == [path for path in robot.objects if release.digest in path]


def test_a_list_that_the_hub_does_not_know_any_more_gives_way_to_the_one_that_is_there(
    robot: ScrubbedRobot, hub: WebServer
) -> None:
    robot.run(hub.url)
    release = robot.releases["committed"]
    packed_anew = msgspec.structs.replace(release, bundle_version="again")
    (robot.store.bundles / robot.digest("committed") / "release.json").write_bytes(packed_anew.canonical_json())
    for path in [path for path in hub.objects if release.digest in path]:
        del hub.objects[path]
    robot.run(hub.url, LATER_S)
    assert read_state(robot.home).releases[robot.digest("committed")] == packed_anew.target_path
    assert read_state(robot.home).altered == {}


def test_a_list_that_does_not_come_as_it_was_changes_nothing(robot: ScrubbedRobot, hub: WebServer) -> None:
    robot.run(hub.url)
    path = robot.store.bundles / robot.digest("committed") / "release.json"
    path.unlink()
    hub.behave = lambda _: lambda exchange: exchange.serve(flip_at=100)
    said = robot.run(hub.url, LATER_S)
    assert said is not None
    assert "target_altered" in said.detail
    assert not path.exists()
    # Another bundle's list, as it was.
    hub.behave = serve_well
    state = read_state(robot.home)
    other = {**state.releases, robot.digest("committed"): state.releases[robot.digest("previous")]}
    write_state(robot.home, msgspec.structs.replace(state, releases=other))
    robot.run(hub.url, state.retry_s)
    assert "is the release of" in read_state(robot.home).problem
    assert not path.exists()
    write_state(robot.home, state)
    robot.hours = AllowedHours.parse("22:00-06:00")
    robot.run(hub.url, state.retry_s)
    assert "outside_hours" in read_state(robot.home).problem
    robot.hours = AllowedHours()
    robot.run(hub.url, LATER_S + 86_400.0)
    robot.require_whole()


def test_without_a_network_it_is_named_and_tried_again_later_and_later(robot: ScrubbedRobot) -> None:
    with WebServer(robot.objects) as server:
        url = server.url
    path = spoil(robot, "committed")
    before = path.read_bytes()
    said = robot.run(url)
    assert said is not None
    assert "not healed: " in said.detail
    now_s, wait_s = NOW_S, FIRST_WAIT_S
    for tries in range(1, 4):
        state = read_state(robot.home)
        assert (state.altered, state.tries) == ({robot.digest("committed"): ("denoise.onnx",)}, tries)
        assert now_s + wait_s <= state.retry_s <= now_s + wait_s + 120.0
        assert not robot.scrub(url).due(state.retry_s - 1.0)
        now_s, wait_s = state.retry_s, 2.0 * wait_s
        assert robot.scrub(url).due(now_s)
        assert robot.run(url, now_s) is None, "it was said already"
    assert path.read_bytes() == before
    assert words_of(read_state(robot.home)) == (f"{robot.digest('committed')}: denoise.onnx",)
    with WebServer(robot.objects) as server:
        assert robot.run(server.url, now_s + LONGEST_WAIT_S) is not None
    robot.require_whole()
    assert read_state(robot.home).problem == ""


def test_a_hub_that_sends_something_else_changes_nothing(robot: ScrubbedRobot, hub: WebServer) -> None:
    path = spoil(robot, "previous")
    before = path.read_bytes()
    hub.behave = lambda request: lambda exchange: exchange.serve(flip_at=request.first)
    said = robot.run(hub.url)
    assert said is not None
    assert "blob_altered" in said.detail
    assert path.read_bytes() == before
    hub.behave = serve_well
    robot.run(hub.url, LATER_S)
    robot.require_whole()


def test_one_that_cannot_be_healed_does_not_keep_another_from_it(robot: ScrubbedRobot, hub: WebServer) -> None:
    spoil(robot, "committed")
    spoil(robot, "previous")
    del hub.objects[f"/{robot.releases['committed'].packs[0].path}"]
    robot.run(hub.url)
    assert list(read_state(robot.home).altered) == [robot.digest("committed")]
    verify_bundle(robot.store.folder(robot.digest("previous")))


def test_outside_of_the_allowed_hours_what_is_here_heals_and_the_rest_waits(
    robot: ScrubbedRobot, hub: WebServer
) -> None:
    robot.hours = AllowedHours.parse("22:00-06:00")  # the clock of these tests starts at noon
    spoil(robot, "committed")
    flip(robot.path("previous", "denoise.onnx"), 0)  # which encode.onnx has as well
    said = robot.run(hub.url)
    assert said is not None
    assert "outside_hours" in said.detail
    state = read_state(robot.home)
    assert list(state.altered) == [robot.digest("committed")]
    assert state.retry_s == pytest.approx(NOW_S + 10 * 3600.0, abs=120.0)
    assert hub.requests == []
    scrub = robot.scrub(hub.url, LeapingClock(LeapingClock().local_time().replace(hour=22, minute=5)))
    scrub.run(state.retry_s, never)
    robot.require_whole()


def test_without_space_it_stays_as_it_is(robot: ScrubbedRobot, hub: WebServer) -> None:
    path = spoil(robot, "committed")
    before = path.read_bytes()
    with files_no_larger_than(2000):
        robot.run(hub.url)
    assert path.read_bytes() == before
    robot.run(hub.url, LATER_S)
    robot.require_whole()


class Impatient:
    """Says that it is time to end after it was asked so many times."""

    def __init__(self, patience: int) -> None:
        self._left = patience

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_interrupted_again_and_again_everything_is_read(robot: ScrubbedRobot, hub: WebServer) -> None:
    scrub = robot.scrub(hub.url)
    for _ in range(1000):
        scrub.run(NOW_S, Impatient(2))
        if not scrub.due(NOW_S):
            break
    assert scrub.state.ended_s == pytest.approx(NOW_S, abs=60.0)


def test_interrupted_at_every_point_it_heals(robot: ScrubbedRobot, hub: WebServer) -> None:
    for version in VERSIONS:
        spoil(robot, version)
    for patience in range(0, 1000, 5):
        scrub = robot.scrub(hub.url)
        if not scrub.due(NOW_S):
            break
        scrub.run(NOW_S, Impatient(patience))
    robot.require_whole()


def test_a_new_process_goes_on_where_the_last_one_was(robot: ScrubbedRobot, hub: WebServer) -> None:
    first = robot.scrub(hub.url)
    first.run(NOW_S, lambda: first.state.part >= 5)
    state = read_state(robot.home)
    assert (state.bundle, state.part) == (robot.digest("committed"), 5)
    altered_before = robot.releases["committed"].files[0].path
    flip(robot.path("committed", altered_before), 0)
    spoil(robot, "previous")
    said = robot.run(hub.url, NOW_S + 60.0)
    assert said is not None
    assert robot.digest("previous") in said.detail
    assert robot.digest("committed") not in said.detail, "it was read from its beginning"
    robot.run(hub.url, LATER_S + 60.0)
    robot.require_whole()


@pytest.mark.parametrize("moved_s", [-10 * 365 * 86_400.0, 10 * 365 * 86_400.0], ids=["back", "ahead"])
def test_a_clock_that_is_moved_makes_it_due_and_no_more(robot: ScrubbedRobot, hub: WebServer, moved_s: float) -> None:
    robot.run(hub.url)
    spoil(robot, "committed")
    scrub = robot.scrub(hub.url)
    assert scrub.due(NOW_S + moved_s)
    assert scrub.run(NOW_S + moved_s, never) is not None
    robot.require_whole()
    assert not scrub.due(NOW_S + moved_s + 60.0)


def test_a_clock_that_is_set_back_does_not_put_off_healing(robot: ScrubbedRobot, hub: WebServer) -> None:
    spoil(robot, "committed")
    hub.behave = lambda _: lambda exchange: exchange.answer(503)
    robot.run(hub.url)
    hub.behave = serve_well
    robot.run(hub.url, NOW_S - 10 * 365 * 86_400.0)
    robot.require_whole()


def test_the_shipped_bundle_is_named_until_it_is_put_right(robot: ScrubbedRobot, hub: WebServer) -> None:
    path = robot.shipped / "denoise.onnx"
    damages: list[Callable[[], None]] = [lambda: flip(path, 0), path.unlink, (robot.shipped / "manifest.json").unlink]
    for damage in damages:
        damage()
        spoil(robot, "committed")
        said = robot.run(hub.url, LATER_S)
        assert said is not None
        assert "altered on the disk and not healed: the shipped bundle:" in said.detail
        assert list(read_state(robot.home).altered) == [SHIPPED]
        assert not robot.scrub(hub.url).due(LATER_S + 60.0), "nothing can be done about it"
        write_state(robot.home, msgspec.structs.replace(read_state(robot.home), ended_s=0.0))
    robot.require_whole()
    shutil.copytree(robot.folder / "made" / "committed", robot.shipped, dirs_exist_ok=True)
    assert robot.run(hub.url, LATER_S) is None
    assert read_state(robot.home).altered == {}


def test_what_is_kept_is_torn_and_it_begins_anew(robot: ScrubbedRobot, hub: WebServer) -> None:
    robot.run(hub.url)
    spoil(robot, "committed")
    for torn in (b"", b"{", b"\xff" * 100, b'{"part": "none"}'):
        (robot.home / "scrub.json").write_bytes(torn)
        assert read_state(robot.home) == ScrubState()
    assert robot.run(hub.url) is not None
    robot.require_whole()


def test_a_bundle_whose_list_was_never_seen_whole_is_named(robot: ScrubbedRobot, hub: WebServer) -> None:
    (robot.store.bundles / robot.digest("staged") / "release.json").unlink()
    said = robot.run(hub.url)
    assert said is not None
    assert "install it again" in said.detail
    assert hub.requests == []
    assert read_state(robot.home).altered == {robot.digest("staged"): ()}


def test_a_bundle_that_is_new_is_learnt_of_at_once(robot: ScrubbedRobot, hub: WebServer) -> None:
    staged = robot.slots
    robot.slots = staged.back_to(robot.digest("committed"))
    scrub = robot.scrub(hub.url)
    scrub.run(NOW_S, never)
    assert not scrub.due(NOW_S + 60.0)
    robot.slots = staged
    assert scrub.due(NOW_S + 60.0)
    scrub.run(NOW_S + 60.0, never)
    assert not scrub.due(NOW_S + 120.0)
    shutil.rmtree(robot.store.bundles / robot.digest("staged"))
    scrub.run(LATER_S, never)
    robot.require_whole()


def test_a_bundle_that_is_collected_while_it_is_read_is_not_missed(robot: ScrubbedRobot, hub: WebServer) -> None:
    scrub = robot.scrub(hub.url)

    def collected() -> bool:
        if scrub.state.bundle == robot.digest("staged") and scrub.state.part == 3:
            robot.slots = robot.slots.back_to(robot.digest("committed"))
            robot.store.collect(robot.slots.bundles)
        return False

    assert scrub.run(NOW_S, collected) is None
    assert robot.digest("staged") not in [path.name for path in robot.store.bundles.iterdir()]
    assert scrub.state.altered == {}


def test_one_that_is_collected_while_it_is_healed_does_not_come_back(robot: ScrubbedRobot, hub: WebServer) -> None:
    spoil(robot, "staged")

    def collected(_: Request) -> Callable[[Exchange], None]:
        robot.slots = robot.slots.back_to(robot.digest("committed"))
        robot.store.collect(robot.slots.bundles)
        return Exchange.serve

    hub.behave = collected
    scrub = robot.scrub(hub.url)
    scrub.run(NOW_S, never)
    assert robot.digest("staged") not in [path.name for path in robot.store.bundles.iterdir()]
    scrub.run(LATER_S, never)
    assert scrub.state.altered == {}
    assert not list(robot.store.healing.iterdir())


def test_nothing_waits_for_it(robot: ScrubbedRobot, hub: WebServer) -> None:
    """Whoever changes what runs gets the lock while bundles are read and while pieces are fetched."""
    spoil(robot, "committed")
    free = []

    def asked_for_the_lock(_: Request) -> None:
        free.append(robot.lock.acquire(blocking=False))
        robot.lock.release()

    hub.behave = asked_for_the_lock
    robot.run(hub.url)
    assert free == [True]
    robot.require_whole()


def test_it_reads_no_faster_than_it_may(robot: ScrubbedRobot, hub: WebServer) -> None:
    robot.settings = ScrubSection(rate_bytes_s=100.0)
    clock = LeapingClock()
    robot.scrub(hub.url, clock).run(NOW_S, never)
    read_bytes = sum(release.size_bytes for release in robot.releases.values())
    assert sum(clock.waits) >= 0.9 * read_bytes / 100.0
