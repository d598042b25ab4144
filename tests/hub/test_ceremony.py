"""The ceremony as people do it: commands, files that travel, keys with passphrases; and a robot that follows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from edge_runtime.contracts.assignment import Assignment
from edge_runtime.contracts.errors import OtaError, OtaRefusal
from edge_runtime.ota.transfer.schedule import SystemClock
from edge_runtime.ota.transfer.transport import HttpTransport
from edge_runtime.ota.trust.rollback_protection import Floor
from edge_runtime.ota.trust.trust import Trust, TrustSettings
from export_tools.cli import main as edge_export
from hub.cli import main as edge_hub
from tests.ota.repositories import HARDWARE, NETWORK, ROBOT, Site, packed_release

PASSPHRASE = "correct horse battery"
OFFLINE = ("root-1", "root-2", "root-3", "targets-1", "targets-2", "exporter", "approver", "director-1", "director-2")
ONLINE = ("snapshot", "timestamp", "director")


class People:
    """Everybody who holds a key, each with a folder of their own; and the hub, and one robot."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.hub = folder / "hub"
        self.packed = folder / "packed"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        for name in OFFLINE:
            self.create(name)
        for name in ONLINE:
            self.do("keys", "create", self.hub / "keys", name)
        self.site = Site(self.hub)

    def do(self, *arguments: str | Path) -> None:
        assert edge_hub([str(argument) for argument in arguments]) == 0

    def refused(self, *arguments: str | Path) -> None:
        assert edge_hub([str(argument) for argument in arguments]) == 1

    def create(self, name: str) -> Path:
        self.do("keys", "create", self.folder / name, name, "--passphrase-file", self.passphrase)
        return self.public(name)

    def public(self, name: str) -> Path:
        return (self.hub / "keys" if name in ONLINE else self.folder / name) / f"{name}.pub"

    def secret(self, name: str) -> tuple[str | Path, ...]:
        return ("--key", self.folder / name / f"{name}.key", "--passphrase-file", self.passphrase)

    def draft(self, name: str) -> Path:
        return self.folder / "drafts" / f"{name}.json"

    def sign(self, draft: Path, *names: str) -> None:
        for name in names:
            self.do("keys", "sign", draft, *self.secret(name))

    def draft_roots(self) -> None:
        """The first three drafts, without signatures."""
        image = ["root=root-1", "root=root-2", "root=root-3", "targets=targets-1", "targets=targets-2"]
        image += ["snapshot=snapshot", "timestamp=timestamp"]
        director = ["root=director-1", "root=director-2"]
        director += ["targets=director", "snapshot=director", "timestamp=director"]
        for name, keys in (("image.root", image), ("director.root", director)):
            options: list[str | Path] = []
            for key in keys:
                role, _, holder = key.partition("=")
                options += ["--key", f"{role}={self.public(holder)}"]
            self.do("keys", "root", *options, "--threshold", "root=2", "--out", self.draft(name))
        signers = ("--exporter", self.public("exporter"), "--approver", self.public("approver"))
        self.do("keys", "delegate", *signers, "--out", self.draft("targets"))

    def set_up(self) -> None:
        self.draft_roots()
        self.sign(self.draft("image.root"), "root-1", "root-3")
        self.sign(self.draft("targets"), "targets-1", "targets-2")
        self.sign(self.draft("director.root"), "director-1", "director-2")
        self.do(*self.setup_command())

    def setup_command(self) -> tuple[str | Path, ...]:
        drafts = (self.draft(name) for name in ("image.root", "targets", "director.root"))
        image, targets, director = drafts
        return ("keys", "setup", self.hub, "--image-root", image, "--targets", targets, "--director-root", director)

    def release(self, words: str, exporter: str = "exporter", approver: str = "approver") -> str:
        """Exporter and approver release a bundle, the robot is told; returns the target path."""
        release = packed_release(self.packed, words)
        draft = self.draft(f"release of {words} {time.monotonic_ns()}")
        self.export_sign(self.packed / release.target_path, draft, exporter)
        published = sorted((self.hub / "image" / "metadata").glob("*.releases.json"))
        marking = ("--published", published[-1]) if published else ()
        self.do("approve", draft, *self.secret(approver), *marking)
        self.do("publish", self.hub, draft, self.packed)
        self.do("assign", self.hub, release.target_path, "--robot", ROBOT, "--not-enrolled", "--hardware", HARDWARE)
        return release.target_path

    def export_sign(self, manifest: Path, draft: Path, exporter: str = "exporter") -> None:
        options = ("--metadata", self.hub / "image" / "metadata", "--hardware", HARDWARE, "-o", draft)
        command = ("sign", manifest, *self.secret(exporter), *options)
        assert edge_export([str(argument) for argument in command]) == 0

    def robot_sees(self) -> Assignment:
        delivered = self.hub / "robot"
        settings = TrustSettings(
            robot_id=ROBOT,
            hardware=HARDWARE,
            image_url=f"{self.site.url}/image",
            director_url=f"{self.site.url}/director/robots",
            image_root=(delivered / "image.root.json").read_bytes(),
            director_root=(delivered / "director.root.json").read_bytes(),
            folder=self.folder / "robot",
        )
        with HttpTransport(NETWORK, SystemClock()) as transport:
            trust = Trust(settings, transport, Floor(self.folder / "floor"))
            assignment = trust.check(time.time())
            assert trust.release(assignment, time.time()).target_path == assignment.path
            return assignment


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = People(tmp_path)
    yield made
    made.site.close()


def test_from_nothing_to_a_robot_that_is_told_and_back_again(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    people.set_up()
    first = people.release("first")
    assert people.robot_sees().path == first
    second = people.release("second")
    assert people.robot_sees().path == second
    assert people.release("first") == first
    back = people.robot_sees()
    assert (back.path, back.terms.release_counter) == (first, 3)
    capsys.readouterr()
    people.do("show", people.hub)
    shown = capsys.readouterr().out
    assert f"counters 1, 3; for {HARDWARE}" in shown
    assert f"robot {ROBOT}: counter 3, {first}" in shown
    assert "development" not in shown
    people.do("refresh", people.hub)
    assert people.robot_sees() == back


def test_nothing_is_set_up_with_a_signature_too_few(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    people.draft_roots()
    for draft, *signers in (
        ("image.root", "root-1", "root-2"),
        ("targets", "targets-1", "targets-2"),
        ("director.root", "director-1", "director-2"),
    ):
        people.refused(*people.setup_command())
        people.sign(people.draft(draft), signers[0])
        # The same person twice is one person.
        people.sign(people.draft(draft), signers[0])
        people.refused(*people.setup_command())
        assert not (people.hub / "image").exists()
        people.sign(people.draft(draft), signers[1])
    people.do(*people.setup_command())
    people.refused(*people.setup_command())
    assert "set up already" in capsys.readouterr().err


def test_an_online_key_that_the_hub_lacks_stops_the_setup(people: People) -> None:
    people.draft_roots()
    people.sign(people.draft("image.root"), "root-1", "root-2")
    people.sign(people.draft("targets"), "targets-1", "targets-2")
    people.sign(people.draft("director.root"), "director-1", "director-2")
    for name in ONLINE:
        secret = people.hub / "keys" / f"{name}.key"
        aside = secret.rename(people.folder / "aside.key")
        people.refused(*people.setup_command())
        assert not (people.hub / "image").exists()
        aside.rename(secret)
    people.do(*people.setup_command())


def test_the_root_is_rotated_and_robots_follow(people: People) -> None:
    people.set_up()
    path = people.release("first")
    people.robot_sees()
    fresh = people.create("root-4")
    draft = people.draft("next")
    change = ("--add", f"root={fresh}", "--remove", f"root={people.public('root-1')}")
    people.do("keys", "rotate-root", people.hub, "image", *change, "--threshold", "root=3", "--out", draft)
    people.refused("keys", "rotate-root", people.hub, "image", "--out", draft)
    people.sign(draft, "root-4", "root-2")
    people.refused("keys", "install", people.hub, "image", draft)
    people.sign(draft, "root-3")
    people.do("keys", "install", people.hub, "image", draft)
    people.do("keys", "install", people.hub, "image", draft)  # whoever was interrupted comes again
    assert people.robot_sees().path == path
    renewed = people.draft("renewed")
    people.do("keys", "rotate-root", people.hub, "director", "--out", renewed)
    people.sign(renewed, "director-1", "director-2")
    people.do("keys", "install", people.hub, "director", renewed)
    assert people.robot_sees().path == path
    floor = Floor(people.folder / "floor")
    assert (floor.versions("image").root, floor.versions("director").root) == (2, 2)


@pytest.mark.parametrize(
    ("lost", "signers"),
    [
        ("root-1", {"image.root": ("root-2", "root-3")}),
        ("targets-1", {"image.root": ("root-1", "root-2"), "image.targets": ("targets-2", "fresh")}),
        ("exporter", {"image.targets": ("targets-1", "targets-2"), "image.releases": ("fresh", "approver")}),
        ("approver", {"image.targets": ("targets-1", "targets-2"), "image.releases": ("fresh", "exporter")}),
        ("director-2", {"director.root": ("director-1", "director-2", "fresh")}),
    ],
)
def test_a_lost_key_is_revoked(people: People, lost: str, signers: dict[str, tuple[str, ...]]) -> None:
    people.set_up()
    path = people.release("first")
    people.robot_sees()
    fresh, drafts = people.create("fresh"), people.folder / "drafts" / "revoked"
    people.do("keys", "revoke", people.hub, people.public(lost), "--replacement", fresh, "--out", drafts)
    assert {path.stem for path in drafts.iterdir()} == set(signers)
    for draft, names in signers.items():
        people.sign(drafts / f"{draft}.json", *names)
    repository = next(iter(signers)).partition(".")[0]
    paths = [drafts / f"{draft}.json" for draft in signers]
    people.do("keys", "install", people.hub, repository, *paths)
    assert people.robot_sees().path == path
    if lost in ("exporter", "approver"):
        again = people.draft("stolen")
        people.export_sign(people.packed / path, again, lost)
        people.sign(again, "approver" if lost == "exporter" else "exporter")
        people.refused("publish", people.hub, again, people.packed)
    assert people.robot_sees().path == path
    others = {"exporter": "exporter", "approver": "approver", lost: "fresh"}
    assert people.robot_sees().path != people.release("second", others["exporter"], others["approver"])
    people.robot_sees()


@pytest.mark.parametrize("lost", ONLINE)
def test_a_stolen_online_key_is_revoked(people: People, lost: str) -> None:
    people.set_up()
    path = people.release("first")
    people.robot_sees()
    people.do("keys", "create", people.hub / "keys", "fresh")
    fresh, drafts = people.hub / "keys" / "fresh.pub", people.folder / "drafts" / "revoked"
    people.do("keys", "revoke", people.hub, people.public(lost), "--replacement", fresh, "--out", drafts)
    repository, signers = (
        ("director", ("director-1", "director-2")) if lost == "director" else ("image", ("root-1", "root-2"))
    )
    draft = drafts / f"{repository}.root.json"
    people.sign(draft, *signers)
    (people.hub / "keys" / f"{lost}.key").unlink()
    people.do("keys", "install", people.hub, repository, draft)
    assert people.robot_sees().path == path
    people.do("refresh", people.hub)
    assert people.robot_sees().path == path


def test_a_revocation_needs_signatures_and_a_key_that_signs_something(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    people.set_up()
    fresh, drafts = people.create("fresh"), people.folder / "drafts" / "revoked"
    people.refused("keys", "revoke", people.hub, fresh, "--replacement", fresh, "--out", drafts)
    assert "signs nothing" in capsys.readouterr().err
    lost, kept = people.public("exporter"), people.public("approver")
    people.refused("keys", "revoke", people.hub, lost, "--replacement", kept, "--out", drafts)
    assert "a key each" in capsys.readouterr().err
    people.do("keys", "revoke", people.hub, people.public("root-1"), "--replacement", fresh, "--out", drafts)
    people.refused("keys", "install", people.hub, "image", drafts / "image.root.json")
    people.sign(drafts / "image.root.json", "fresh", "root-2")
    # Enough of the new keys, not of the old ones.
    people.refused("keys", "install", people.hub, "image", drafts / "image.root.json")


def test_one_signature_publishes_nothing_and_a_robot_would_refuse_it(people: People) -> None:
    people.set_up()
    people.release("first")
    release = packed_release(people.packed, "second")
    draft = people.draft("half")
    people.export_sign(people.packed / release.target_path, draft)
    people.refused("publish", people.hub, draft, people.packed)
    people.refused(
        "assign", people.hub, release.target_path, "--robot", ROBOT, "--not-enrolled", "--hardware", HARDWARE
    )


def test_releases_are_renewed_without_a_release(people: People) -> None:
    people.set_up()
    path = people.release("first")
    draft = people.draft("renewed")
    command = (
        "sign",
        "--renew",
        *people.secret("exporter"),
        "--metadata",
        people.hub / "image" / "metadata",
        "-o",
        draft,
    )
    assert edge_export([str(argument) for argument in command]) == 0
    people.do("approve", draft, *people.secret("approver"))
    people.do("keys", "install", people.hub, "image", draft)
    delegation = people.draft("delegation")
    people.do("keys", "delegate", "--hub", people.hub, "--out", delegation)
    people.sign(delegation, "targets-1", "targets-2")
    people.do("keys", "install", people.hub, "image", delegation)
    assert people.robot_sees().path == path


def test_a_robot_of_another_hub_believes_nothing(people: People, tmp_path: Path) -> None:
    people.set_up()
    people.release("first")
    other = People(tmp_path / "other")
    try:
        other.set_up()
        for name in ("image", "director"):
            source = other.hub / "robot" / f"{name}.root.json"
            (people.hub / "robot" / f"{name}.root.json").write_bytes(source.read_bytes())
        with pytest.raises(OtaError) as caught:
            people.robot_sees()
        assert caught.value.refusal is OtaRefusal.WRONG_KEY
    finally:
        other.site.close()


@pytest.mark.parametrize("threshold", ["targets=1", "root=1", "targets=0", "targets=4", "timestamp=2", "release=2"])
def test_no_one_person_is_enough_for_what_two_are_promised(people: People, threshold: str) -> None:
    people.draft_roots()
    image = ["root=root-1", "root=root-2", "root=root-3", "targets=targets-1", "targets=targets-2"]
    image += ["snapshot=snapshot", "timestamp=timestamp"]
    options: list[str | Path] = []
    for key in image:
        role, _, holder = key.partition("=")
        options += ["--key", f"{role}={people.public(holder)}"]
    draft = people.draft("lax")
    people.refused("keys", "root", *options, "--threshold", "root=2", "--threshold", threshold, "--out", draft)
    assert not draft.exists()


def test_a_root_that_asks_one_person_is_not_set_up(people: People) -> None:
    people.draft_roots()
    draft = Metadata.from_file(str(people.draft("image.root")))
    draft.signed.roles["targets"].threshold = 1
    draft.to_file(str(people.draft("image.root")))
    people.sign(people.draft("image.root"), "root-1", "root-3")
    people.sign(people.draft("targets"), "targets-1", "targets-2")
    people.sign(people.draft("director.root"), "director-1", "director-2")
    people.refused(*people.setup_command())
    # Nor one whose releases the hub's own key could name.
    image, director = people.draft("image.root"), people.draft("director.root")
    lax = list(people.setup_command())
    lax[lax.index(image)] = director
    people.refused(*lax)
    assert not (people.hub / "image" / "metadata" / "timestamp.json").exists()


def test_a_root_is_not_made_laxer(people: People) -> None:
    people.set_up()
    draft = people.draft("next")
    people.refused("keys", "rotate-root", people.hub, "image", "--threshold", "targets=1", "--out", draft)
    people.do("keys", "rotate-root", people.hub, "image", "--out", draft)
    loosened = Metadata.from_file(str(draft))
    loosened.signed.roles["targets"].threshold = 1
    loosened.to_file(str(draft))
    people.sign(draft, "root-1", "root-2")
    people.refused("keys", "install", people.hub, "image", draft)
    # The director's own key directs alone: that is what it is for.
    people.do("keys", "rotate-root", people.hub, "director", "--out", people.draft("directors"))
